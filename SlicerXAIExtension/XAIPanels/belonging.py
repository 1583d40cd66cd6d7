"""Outlines and maps are drawn over the image of their own patient only, whoever changes what the slice views show."""

from __future__ import annotations

from typing import Any

import slicer

from .nodes import nodes_of_class

IMAGES = ("XAI.Image", "XAIShift.Image")
"""Roles by which a segmentation itself refers to the image that it was drawn on."""

_HIDDEN = "XAI.Hidden"
"""Attribute of a segmentation that is hidden until its own image is shown again."""
_LAYERS = {"XAI.Foreground": "ForegroundVolumeID", "XAI.Label": "LabelVolumeID"}
"""Attributes of a view's composite node, which keep what was taken off until its own image is shown again."""


def set_visible(segmentation: Any, visible: bool) -> None:
    """Show or hide a segmentation because somebody wants it so, and not for another image's sake."""
    segmentation.SetAttribute(_HIDDEN, None)
    segmentation.SetDisplayVisibility(visible)


def patients(scene: Any) -> dict[str, int]:
    """Ids of the volumes and segmentations that results and opened cases hold, with a number for each patient.

    What one result holds is of one patient, and so are results that share a volume.
    """
    numbers: dict[str, int] = {}
    for number, members in enumerate(_groups(scene)):
        same = {numbers[member] for member in members if member in numbers}
        numbers.update(dict.fromkeys(members, number))
        numbers.update({member: number for member, old in numbers.items() if old in same})
    return numbers


def show_only_what_belongs(scene: Any) -> None:
    """Hide outlines unless every view that has an image shows their patient; bring back those that were hidden so."""
    numbers = patients(scene)
    composites = nodes_of_class(scene, "vtkMRMLSliceCompositeNode")
    seen = {composite.GetBackgroundVolumeID() for composite in composites} - {None, ""}
    for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"):
        number = numbers.get(node.GetID())
        if number is None or not seen or node.GetDisplayNode() is None:
            continue
        own = {numbers.get(volume) for volume in seen} == {number}
        if own and node.GetAttribute(_HIDDEN):
            set_visible(node, True)
        elif not own and node.GetDisplayVisibility():
            node.SetDisplayVisibility(False)
            node.SetAttribute(_HIDDEN, "1")


def take_off(scene: Any, composite: Any) -> None:
    """A view has got another image: take off the maps of other patients, and bring back those of this one."""
    numbers = patients(scene)
    own = numbers.get(composite.GetBackgroundVolumeID())
    for kept, layer in _LAYERS.items():
        volume = getattr(composite, f"Get{layer}")() or ""
        if volume in numbers and numbers[volume] != own:
            composite.SetAttribute(kept, volume)
            getattr(composite, f"Set{layer}")(None)
        elif not volume and own is not None and numbers.get(composite.GetAttribute(kept)) == own:
            getattr(composite, f"Set{layer}")(composite.GetAttribute(kept))
            composite.SetAttribute(kept, None)


def may_lie_over(scene: Any, volume: str, background: str | None) -> bool:
    """Whether a volume, by its id, is not of another patient than the image of a view."""
    numbers = patients(scene)
    return volume not in numbers or not background or numbers[volume] == numbers.get(background)


class Belonging:
    """Watches all slice views of a scene; one for all logics, see `watch`."""

    def __init__(self, scene: Any) -> None:
        self.users = 0
        self._scene = scene
        self._shown: dict[str, str | None] = {}
        self._views: list[tuple[Any, int]] = []
        self._follow_views()
        self._begin()
        added, imported = slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.EndImportEvent
        self._tags = [scene.AddObserver(added, self._follow_views), scene.AddObserver(imported, self._begin)]

    def close(self) -> None:
        """Remove every observer."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        for composite, tag in self._views:
            composite.RemoveObserver(tag)
        self._views, self._tags = [], []

    def _follow_views(self, *_unused: Any) -> None:
        followed = [composite for composite, _tag in self._views]
        for composite in nodes_of_class(self._scene, "vtkMRMLSliceCompositeNode"):
            if composite not in followed:
                self._views.append((composite, composite.AddObserver("ModifiedEvent", self._changed)))

    def _begin(self, *_unused: Any) -> None:
        """What a scene was saved with is taken as it is."""
        for composite in nodes_of_class(self._scene, "vtkMRMLSliceCompositeNode"):
            self._shown[composite.GetID()] = composite.GetBackgroundVolumeID()

    def _changed(self, composite: Any, *_unused: Any) -> None:
        shown = composite.GetBackgroundVolumeID()
        if self._scene.IsBatchProcessing() or self._shown.get(composite.GetID()) == shown:
            return
        self._shown[composite.GetID()] = shown
        if shown:
            take_off(self._scene, composite)
            show_only_what_belongs(self._scene)


_watched: list[tuple[Any, Belonging]] = []


def watch(scene: Any) -> None:
    """See to it that nothing is drawn over another patient's image, until as many calls of `unwatch`."""
    found = next((belonging for other, belonging in _watched if other is scene), None)
    if found is None:
        found = Belonging(scene)
        _watched.append((scene, found))
    found.users += 1


def unwatch(scene: Any) -> None:
    """One who watches less."""
    found = next((belonging for other, belonging in _watched if other is scene), None)
    if found is None:
        return
    found.users -= 1
    if not found.users:
        found.close()
        _watched[:] = [pair for pair in _watched if pair[1] is not found]


def _groups(scene: Any) -> list[set[str]]:
    groups = []
    for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"):
        image = _image_of(node)
        if image is not None:
            groups.append({node.GetID(), image.GetID()})
    for node in nodes_of_class(scene, "vtkMRMLScriptedModuleNode"):
        if not (node.GetAttribute("ModuleName") or "").startswith("XAI") or node.GetSingletonTag():
            continue
        roles = [node.GetNthNodeReferenceRole(index) for index in range(node.GetNumberOfNodeReferenceRoles())]
        parts = [
            node.GetNthNodeReference(role, index)
            for role in roles
            for index in range(node.GetNumberOfNodeReferences(role))
        ]
        groups.append({part.GetID() for part in parts if part is not None and _drawn(part)})
    return groups


def _image_of(segmentation: Any) -> Any:
    images = [segmentation.GetNodeReference(role) for role in IMAGES]
    return next((image for image in images if image is not None), None)


def _drawn(part: Any) -> bool:
    """Whether it is drawn in the views, and by itself of no other image than its result is."""
    segmentation = part.IsA("vtkMRMLSegmentationNode")
    return bool(part.IsA("vtkMRMLVolumeNode") or (segmentation and _image_of(part) is None))
