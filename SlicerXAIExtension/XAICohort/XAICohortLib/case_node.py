"""An opened case as nodes: one volume for each modality, one segmentation with all raters, a map of their agreement."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from XAILib.agreement import Agreement, agreement_of
from XAILib.nrrd import Volume
from XAIPanels import documents
from XAIPanels.documents import document_of
from XAIPanels.errors import ExportError
from XAIPanels.export import world_affine
from XAIPanels.nodes import remove_with_parts
from XAIPanels.outlines import Outline, add_outline, add_segmentation
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import array_of, make_volume

from .palette import rater_colours, vote_colours
from .prepared import Image, Origin, Point, PreparedCase, rater_order
from .words import rater_name

CASE = "XAICohortCase"
"""Value of the attribute "ModuleName", by which opened cases are found; the parameter node has the module's own."""

GREY = "vtkMRMLColorTableNodeGrey"
OUTLINE, CONSENSUS_FILL = 0.9, 0.18
"""Opacities: of the raters' outlines beside the consensus, which is opaque and faintly filled."""
_IMAGE, _MASKS, _VOTES, _COLOURS = "Image", "Masks", "Votes", "Colours"
_MODALITY = "XAICohort.Modality"
_SEGMENT = "rater "
"""Begin of the ids of our segments; a rater follows."""
_MEASURED, _DRAWN, _GIVEN = "measured", "drawn", "given"


class CaseNode:
    """Typed access to the node of an opened case; parts that were deleted by hand are None or missing."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def document(self) -> dict[str, Any]:
        """origin, metadata, place and problems; also what was measured."""
        return document_of(self.node)

    @property
    def origin(self) -> Origin:
        return Origin(*(str(text) for text in self.document["origin"]))

    @property
    def place(self) -> Point | None:
        place = self.document.get("place")
        return (float(place[0]), float(place[1]), float(place[2])) if place else None

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(str(text) for text in self.document.get("problems", ()))

    @property
    def images(self) -> dict[str, Any]:
        """Volume nodes by modality."""
        count = self.node.GetNumberOfNodeReferences(_IMAGE)
        nodes = [self.node.GetNthNodeReference(_IMAGE, index) for index in range(count)]
        return {str(node.GetAttribute(_MODALITY)): node for node in nodes if node is not None}

    @property
    def masks(self) -> Any:
        """The segmentation node."""
        return self.node.GetNodeReference(_MASKS)

    @property
    def votes(self) -> Any:
        """The label map of `agreement_map`, once it was made."""
        return self.node.GetNodeReference(_VOTES)

    @property
    def segments(self) -> dict[str, str]:
        """Ids of segments by rater; a segment that somebody added counts by its name."""
        masks = self.masks
        if masks is None:
            return {}
        segmentation = masks.GetSegmentation()
        found = {}
        for index in range(segmentation.GetNumberOfSegments()):
            identifier = segmentation.GetNthSegmentID(index)
            own = identifier.startswith(_SEGMENT)
            found[identifier[len(_SEGMENT) :] if own else segmentation.GetSegment(identifier).GetName()] = identifier
        return {rater: found[rater] for rater in sorted(found, key=rater_order)}

    def drawn(self) -> dict[str, Volume]:
        """A copy of what each rater drew, in world RAS mm. Raises `ExportError` under a non-linear transform."""
        masks = self.masks
        voxels = {rater: segment_voxels(masks, identifier) for rater, identifier in self.segments.items()}
        empty = _nothing(self)
        return {rater: empty if volume is None else volume for rater, volume in voxels.items()}

    @property
    def parts(self) -> list[Any]:
        """Everything that goes with the case."""
        colours = self.node.GetNodeReference(_COLOURS)
        return [part for part in (self.votes, colours, self.masks, *self.images.values()) if part is not None]

    @property
    def agreement(self) -> Agreement | None:
        """What was measured last; None before."""
        try:
            return agreement_of(self.document.get(_MEASURED))
        except ValueError:
            return None

    def measured(self, agreement: Agreement, drawn: Mapping[str, list[float]]) -> None:
        """Keep what was measured of drawings with this `fingerprint`."""
        found = {**self.document, _MEASURED: agreement.document(), _DRAWN: dict(drawn)}
        documents.replace(self.node, found)

    def outdated(self, drawn: dict[str, Volume]) -> bool:
        """Whether something else was measured than what is drawn now."""
        return bool(self.document.get(_DRAWN) != fingerprint(drawn))

    def is_touched(self, drawn: dict[str, Volume]) -> bool:
        """Whether somebody has edited the masks since the case was opened."""
        return bool(self.document.get(_GIVEN) != fingerprint(drawn))


def case_nodes(scene: Any) -> list[Any]:
    """All opened cases whose document can be read, oldest first."""
    return documents.result_nodes(scene, CASE)


def adding(scene: Any, case: PreparedCase) -> Generator[float, None, Any]:
    """Add a case node by node, one with each `next`, so that nothing waits long; yields the share that is done.

    Returns:
        The case node. When it is closed before its end, or on an exception, everything is removed again.
    """
    made: list[Any] = []
    steps = len(case.images) + len(case.masks) + 2
    try:
        images = []
        for modality, image in case.images.items():
            images.append(_add_image(scene, image, f"{case.origin.case} {modality}"))
            made.append(images[-1])
            images[-1].SetAttribute(_MODALITY, modality)
            yield len(made) / steps
        masks = add_segmentation(scene, (), scene.GenerateUniqueName(_("{case} masks").format(case=case.origin.case)))
        made.append(masks)
        if images:
            masks.SetReferenceImageGeometryParameterFromVolumeNode(images[0])
        yield len(made) / steps
        colours = rater_colours(tuple(case.masks))
        for number, (rater, mask) in enumerate(case.masks.items(), 1):
            _add_rater(masks, rater, colours[rater], mask)
            yield (len(made) + number) / steps
        node = documents.add_result_node(scene, CASE, _document(case), scene.GenerateUniqueName(case.origin.case))
        made.append(node)
        for image in images:
            node.AddNodeReferenceID(_IMAGE, image.GetID())
        node.SetNodeReferenceID(_MASKS, masks.GetID())
        _put_together(scene, node, [*images, masks])
        made = []
        yield 1.0
        return node
    finally:
        for part in reversed(made):
            remove_with_parts(scene, part)


def taken(found: CaseNode) -> PreparedCase | None:
    """What a case's nodes hold, to open it again; images share the nodes' memory. None when it cannot be kept."""
    try:
        images = {
            modality: Image(Volume(array_of(node), world_affine(node)), *_window(node))
            for modality, node in found.images.items()
        }
        masks = found.drawn()
    except ExportError:  # under a transform that is not linear
        return None
    document = found.document
    return PreparedCase(
        found.origin, images, masks, dict(document.get("metadata", {})), found.place, found.problems
    )  # fmt: skip


def set_votes(scene: Any, found: CaseNode, votes: Volume, count: int) -> Any:
    """Make, or make anew, the label map of how many of `count` raters marked each voxel; returns its node."""
    node = found.votes
    name = _("{case} agreement").format(case=found.node.GetName())
    colours = _vote_colours(scene, found, count, name)
    fresh = make_volume(votes.array, votes.affine)
    if node is None:
        node = slicer.vtkMRMLLabelMapVolumeNode()
        node.SetName(scene.GenerateUniqueName(name))
        node = scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        found.node.SetNodeReferenceID(_VOTES, node.GetID())
        _put_together(scene, found.node, [node])
    node.CopyOrientation(fresh)
    node.SetAndObserveImageData(fresh.GetImageData())
    node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    _add_legend(scene, node)
    return node


def show_legend(votes: Any, on: bool) -> None:
    """In the views, once they show the map: a legend looks for its map only when it is changed itself."""
    legend = legend_of(votes)
    if legend is not None:
        legend.SetVisibility(on)
        legend.Modified()


def legend_of(votes: Any) -> Any:
    """The display node of the legend in the views; None where somebody has removed it."""
    count = votes.GetNumberOfDisplayNodes()
    nodes = [votes.GetNthDisplayNode(index) for index in range(count)]
    return next((node for node in nodes if node.IsA("vtkMRMLColorLegendDisplayNode")), None)


def remove(scene: Any, found: CaseNode) -> None:
    """Remove a case with all that came with it, and its folder unless somebody has put something else there."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = folder_of(scene, found)
    for part in found.parts:
        remove_with_parts(scene, part)
        item = hierarchy.GetItemByDataNode(part) if hierarchy is not None else 0
        if item:  # where no plugin of the hierarchy has done it
            hierarchy.RemoveItem(item, False, False)
    scene.RemoveNode(found.node)
    if folder and not hierarchy.GetNumberOfItemChildren(folder):
        hierarchy.RemoveItem(folder)


def folder_of(scene: Any, found: CaseNode) -> int:
    """The case's folder of the subject hierarchy; 0 when there is none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        return 0
    for part in (found.masks, *found.images.values()):
        item = hierarchy.GetItemByDataNode(part) if part is not None else 0
        folder = hierarchy.GetItemParent(item) if item else 0
        if folder and hierarchy.GetItemAttribute(folder, CASE):
            return int(folder)
    return 0


def fingerprint(drawn: dict[str, Volume]) -> dict[str, list[float]]:
    """By rater: number of voxels, and their mean place in mm. Takes time; for any thread."""
    found = {}
    for rater, mask in drawn.items():
        marked = np.argwhere(mask.array)
        mean = mask.affine[:3, :3] @ marked.mean(axis=0) + mask.affine[:3, 3] if len(marked) else np.zeros(3)
        found[rater] = [float(len(marked)), *(round(float(value), 2) + 0.0 for value in mean)]
    return found


def _document(case: PreparedCase) -> dict[str, Any]:
    return {
        "origin": [case.origin.kind, case.origin.cohort, case.origin.case],
        "metadata": dict(case.metadata),
        "place": case.place,
        "problems": list(case.problems),
        _GIVEN: fingerprint(dict(case.masks)),
    }


def _add_image(scene: Any, image: Image, name: str) -> Any:
    node = make_volume(image.volume.array, image.volume.affine)
    node.SetName(scene.GenerateUniqueName(name))
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(image.window, image.level)
    display.SetAndObserveColorNodeID(GREY)
    display = scene.AddNode(display)
    node.SetAndObserveDisplayNodeID(display.GetID())
    return scene.AddNode(node)


def _add_rater(masks: Any, rater: str, colour: str, mask: Volume) -> None:
    add_outline(masks, Outline(_segment_id(rater), rater_name(rater), colour, mask))
    display, consensus = masks.GetDisplayNode(), rater == "consensus"
    display.SetSegmentOpacity2DOutline(_segment_id(rater), 1.0 if consensus else OUTLINE)
    display.SetSegmentVisibility2DFill(_segment_id(rater), consensus)
    display.SetSegmentOpacity2DFill(_segment_id(rater), CONSENSUS_FILL)


def _segment_id(rater: str) -> str:
    return f"{_SEGMENT}{rater}"


def _window(node: Any) -> tuple[float, float]:
    display = node.GetDisplayNode()
    return (float(display.GetWindow()), float(display.GetLevel())) if display is not None else (1.0, 0.5)


def _nothing(found: CaseNode) -> Volume:
    """One voxel of background, on the grid of the first image."""
    image = next(iter(found.images.values()), None)
    return Volume(np.zeros((1, 1, 1), np.uint8), np.eye(4) if image is None else world_affine(image))


def _vote_colours(scene: Any, found: CaseNode, count: int, name: str) -> Any:
    node = found.node.GetNodeReference(_COLOURS)
    if node is None:
        node = slicer.vtkMRMLColorTableNode()
        node.SetTypeToUser()
        node.SetName(scene.GenerateUniqueName(_("{name} colours").format(name=name)))
        node = scene.AddNode(node)
        found.node.SetNodeReferenceID(_COLOURS, node.GetID())
    node.SetNumberOfColors(count + 1)
    node.SetColor(0, "", 0.0, 0.0, 0.0, 0.0)
    for votes, colour in enumerate(vote_colours(count), 1):
        node.SetColor(votes, str(votes), *colour, 1.0)
    node.GetLookupTable().SetRange(0, count)
    return node


def _add_legend(scene: Any, votes: Any) -> None:
    if legend_of(votes) is not None:
        return
    legend = scene.AddNewNodeByClass("vtkMRMLColorLegendDisplayNode")
    legend.SetAndObservePrimaryDisplayNode(votes.GetDisplayNode())
    legend.SetTitleText(_("Raters"))
    legend.SetUseColorNamesForLabels(True)
    legend.SetLabelFormat("%s")
    legend.SetSize(0.12, 0.45)
    legend.SetVisibility(False)
    votes.AddAndObserveDisplayNodeID(legend.GetID())


def _put_together(scene: Any, node: Any, parts: list[Any]) -> None:
    """Into one folder of the subject hierarchy, named after the case."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        return
    folder = folder_of(scene, CaseNode(node))
    if not folder:
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), node.GetName())
        hierarchy.SetItemAttribute(folder, CASE, "1")
    for part in parts:
        item = hierarchy.GetItemByDataNode(part)
        if item:
            hierarchy.SetItemParent(item, folder)
        else:
            hierarchy.CreateItem(folder, part)
