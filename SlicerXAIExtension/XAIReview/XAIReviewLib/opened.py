"""An opened image as nodes: the image, a map for each class or the outlines of its lesions, and what keeps them
together.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import slicer
from XAILib.nrrd import Volume
from XAIPanels import documents
from XAIPanels.documents import document_of
from XAIPanels.map_display import add_display, paint
from XAIPanels.nodes import all_or_nothing, remove_with_parts
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.volumes import make_volume

from . import blend
from .prepared import FLAGGED, OTHER, Image, Map, Point, Prepared

ITEM = "XAIReviewItem"
"""Value of the attribute "ModuleName", by which opened images are found; the parameter node has the module's own."""

FLAGGED_COLOUR, OTHER_COLOUR = "#ff4fd8", "#b5ffa6"
"""Outlines of flagged lesions and of the others."""

GREY = "vtkMRMLColorTableNodeGrey"
"""Id of the colour table of images, which every scene has."""

_IMAGE, _MAPS, _COLOURS, _BLEND, _LESIONS = "Image", "Map", "Colours", "Blend", "Lesions"
_GRAPH, _COMPLETE, _THRESHOLD = "graph", "complete", "threshold"
_SERVER, _DIGEST = "server", "digest"
_LABEL, _PLACE, _PAIR = "XAIReview.Label", "XAIReview.Place", "XAIReview.Pair"


@dataclass(frozen=True)
class Origin:
    """Where an opened image and its maps come from.

    Attributes:
        server: address.
        digest: of the model.
    """

    server: str
    image: str
    digest: str


class Opened:
    """Typed access to the node of an opened image; parts that were deleted by hand are None or missing."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def image_id(self) -> str:
        return str(self.document["image_id"])

    @property
    def document(self) -> dict[str, Any]:
        """The result's JSON; of an image whose maps are not there yet, its id alone."""
        return document_of(self.node)

    @property
    def origin(self) -> Origin:
        return Origin(self.node.GetParameter(_SERVER), self.image_id, self.node.GetParameter(_DIGEST))

    @property
    def complete(self) -> bool:
        """Whether the result and all its maps have come."""
        return bool(self.node.GetParameter(_COMPLETE))

    @property
    def graph(self) -> bytes:
        """The picture of the distances between the maps, PNG; empty without one."""
        return base64.b64decode(self.node.GetParameter(_GRAPH))

    @property
    def image(self) -> Any:
        return self.node.GetNodeReference(_IMAGE)

    @property
    def maps(self) -> dict[str, Any]:
        """Volume nodes by class, in the order of the model."""
        count = self.node.GetNumberOfNodeReferences(_MAPS)
        nodes = [self.node.GetNthNodeReference(_MAPS, index) for index in range(count)]
        return {str(node.GetAttribute(_LABEL)): node for node in nodes if node is not None}

    @property
    def lesions(self) -> Any:
        """The segmentation of the predicted lesions."""
        return self.node.GetNodeReference(_LESIONS)

    @property
    def blend(self) -> Any:
        """The volume of two classes in one picture."""
        return self.node.GetNodeReference(_BLEND)

    @property
    def blended_pair(self) -> tuple[str, ...]:
        """The classes that the blend shows; empty without one."""
        node = self.blend
        return () if node is None else tuple(str(node.GetAttribute(_PAIR)).split("\n"))

    def parts(self) -> list[Any]:
        """All nodes that go with this one."""
        colours = [
            self.node.GetNthNodeReference(_COLOURS, n) for n in range(self.node.GetNumberOfNodeReferences(_COLOURS))
        ]
        return [*self.maps.values(), self.blend, self.lesions, *colours, self.image]


def add_item(scene: Any, origin: Origin, found: Image) -> Opened:
    """Add an image to the scene; on any exception the scene is as it was before."""
    with all_or_nothing(scene):
        document, name = {"image_id": origin.image}, f"Review of {origin.image}"
        node = documents.add_result_node(scene, ITEM, document, scene.GenerateUniqueName(name))
        node.SetParameter(_SERVER, origin.server)
        node.SetParameter(_DIGEST, origin.digest)
        image = make_volume(found.volume.array, found.volume.affine)
        image.SetName(scene.GenerateUniqueName(origin.image))
        image = scene.AddNode(image)
        display = slicer.vtkMRMLScalarVolumeDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(*found.window)
        display = scene.AddNode(display)
        display.SetAndObserveColorNodeID(GREY)
        image.SetAndObserveDisplayNodeID(display.GetID())
        node.SetNodeReferenceID(_IMAGE, image.GetID())
        return Opened(node)


def begin(scene: Any, opened: Opened, prepared: Prepared) -> None:
    """Keep the document and the picture of a result; its maps are added one by one, with `add_map`."""
    clear(scene, opened, opened.origin.digest)
    documents.replace(opened.node, {**prepared.document, "image_id": opened.image_id})
    opened.node.SetParameter(_GRAPH, base64.b64encode(prepared.graph).decode("ascii"))


def finish(opened: Opened) -> None:
    """All maps have been added."""
    opened.node.SetParameter(_COMPLETE, "true")


def clear(scene: Any, opened: Opened, digest: str) -> None:
    """Remove everything but the image; what comes next is of the model with this digest."""
    for name in (_COMPLETE, _THRESHOLD):
        opened.node.UnsetParameter(name)
    opened.node.SetParameter(_DIGEST, digest)
    for part in opened.parts():
        if part is not None and part is not opened.image:
            remove_with_parts(scene, part)
    documents.replace(opened.node, {"image_id": opened.image_id})


def add_map(scene: Any, opened: Opened, label: str, found: Map, threshold: float) -> Any:
    """Add the map of one class, not shown yet. Returns its node."""
    with all_or_nothing(scene):
        volume = make_volume(found.volume.array, found.volume.affine)
        volume.SetName(f"{label} – {opened.image_id}")
        volume = scene.AddNode(volume)
        volume.SetAttribute(_LABEL, label)
        if found.place is not None:
            volume.SetAttribute(_PLACE, " ".join(f"{value:.3f}" for value in found.place))
        colours, _ = add_display(scene, volume, found.scale, threshold)
    opened.node.AddNodeReferenceID(_MAPS, volume.GetID())
    opened.node.AddNodeReferenceID(_COLOURS, colours.GetID())
    return volume


def add_lesions(scene: Any, opened: Opened, lesions: Mapping[str, Volume]) -> None:
    """Outline the predicted lesions: flagged ones in another colour.

    Args:
        lesions: 0 and 1 (uint8) by name of the label map.
    """
    styles = {OTHER: ("Lesions", OTHER_COLOUR), FLAGGED: ("Flagged lesions", FLAGGED_COLOUR)}
    drawn = [Outline(name, *styles[name], labelmap) for name, labelmap in lesions.items()]
    node = add_segmentation(scene, drawn, f"Lesions – {opened.image_id}")
    opened.node.SetNodeReferenceID(_LESIONS, node.GetID())


def set_blend(scene: Any, opened: Opened, pair: tuple[str, str], indices: Volume, threshold: float) -> None:
    """Put two classes into one volume, in place of the earlier one."""
    remove_blend(scene, opened)
    with all_or_nothing(scene):
        volume = make_volume(indices.array, indices.affine)
        volume.SetName(f"{pair[0]} and {pair[1]} – {opened.image_id}")
        volume = scene.AddNode(volume)
        volume.SetAttribute(_PAIR, "\n".join(pair))
        colours, display = add_display(scene, volume, 1.0, threshold)
        display.SetInterpolate(False)
        display.SetWindowLevelMinMax(0, 255)
        paint_blend(colours, threshold)
    opened.node.SetNodeReferenceID(_BLEND, volume.GetID())


def remove_blend(scene: Any, opened: Opened) -> None:
    """Remove the volume of two classes, with its colours."""
    if opened.blend is not None:
        colours = opened.blend.GetDisplayNode().GetColorNode()
        remove_with_parts(scene, opened.blend)
        remove_with_parts(scene, colours)


def paint_maps(opened: Opened, threshold: float) -> None:
    """Hide what is below a fraction of the scale, in all maps; nothing is done where that is so already."""
    if opened.node.GetParameter(_THRESHOLD) == str(threshold):
        return
    opened.node.SetParameter(_THRESHOLD, str(threshold))
    for volume in opened.maps.values():
        paint(volume.GetDisplayNode().GetColorNode(), threshold)
    if opened.blend is not None:
        paint_blend(opened.blend.GetDisplayNode().GetColorNode(), threshold)


def paint_blend(colours: Any, threshold: float) -> None:
    """Set the entries of the colour table of two classes."""
    modified = colours.StartModify()
    for entry, rgba in enumerate(blend.table(threshold).tolist()):
        colours.SetColor(entry, f"{entry // blend.LEVELS} {entry % blend.LEVELS}", *rgba)
    colours.GetLookupTable().SetRange(0, 255)
    colours.EndModify(modified)


def place(volume: Any) -> Point | None:
    """Where a map is strongest; R, A, S in mm."""
    text = volume.GetAttribute(_PLACE)
    if not text:
        return None
    right, anterior, superior = (float(value) for value in text.split())
    return right, anterior, superior


def opened_nodes(scene: Any) -> list[Opened]:
    """All opened images that still have their image, oldest first."""
    found = [Opened(node) for node in documents.result_nodes(scene, ITEM)]
    return [opened for opened in found if opened.image is not None]


def remove(scene: Any, opened: Opened) -> None:
    """Remove an opened image with all its parts."""
    for part in opened.parts():
        if part is not None:
            remove_with_parts(scene, part)
    scene.RemoveNode(opened.node)
