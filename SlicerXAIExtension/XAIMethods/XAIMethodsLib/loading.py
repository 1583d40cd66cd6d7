"""From a prepared result to nodes and back: all of them, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from XAILib.methods import asked_of, words_of
from XAILib.nrrd import Volume
from XAIPanels.colours import EXPLAINED, LESIONS
from XAIPanels.images import show_like
from XAIPanels.map_colours import AGAINST, DECREASE, FOR, INCREASE
from XAIPanels.map_display import Palette, add_colours, display_with, scale_of
from XAIPanels.nodes import all_or_nothing
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import affine_of, from_matrix, to_matrix

from .prepared import Layer, Part, Prepared
from .results import ResultNode, add_result_node

PALETTES: dict[str, Palette] = {"difference": (INCREASE, DECREASE)}
"""Colours of a kind of map; those of all others are `USUAL`."""
USUAL: Palette = (FOR, AGAINST)
SEGMENTS = (LESIONS, EXPLAINED, "#dd0055", "#5500ff", "#ffdd00", "#bb55ff", "#00bb99", "#779900")
"""Outlines, one after the other; colour-blind readers can tell them apart."""


def load(scene: Any, prepared: Prepared, source: Any, own_source: bool, threshold: float) -> ResultNode:
    """Add the nodes of a result to the scene; on any exception the scene is as it was before.

    Args:
        source: the volume node that was explained; None loads the image that came with the result, if one did.
        own_source: whether the explained volume goes with the last of its results.
    """
    with all_or_nothing(scene):
        if source is None and prepared.image is not None:
            source = _add_volume(scene, prepared.image, scene.GenerateUniqueName("image"))
            _draw_grey(scene, source, prepared.image)
        what = source.GetName() if source is not None else str(prepared.document.get("image_id", ""))
        title = " - ".join(filter(None, (what, asked_of(prepared.document))))
        found = add_result_node(scene, prepared, scene.GenerateUniqueName(title))
        name = found.node.GetName()
        outlines = None
        if prepared.parts:
            colours = [SEGMENTS[place % len(SEGMENTS)] for place in range(len(prepared.parts))]
            drawn = [
                Outline(part.id, part.name, colour, part.labelmap) for part, colour in zip(prepared.parts, colours)
            ]
            outlines = add_segmentation(scene, drawn, f"{name} - outlines", _whole(prepared))
        found.refer_image(source, outlines, own_source and source is not None)
        for layer in prepared.layers:
            _add_layer(scene, found, layer, source, threshold)
        return found


def palette_of(kind: str) -> Palette:
    """The colours of a kind of map."""
    return PALETTES.get(kind, USUAL)


def taken(found: ResultNode) -> Prepared | None:
    """What a result's nodes hold, to load it again; None when a part of it was deleted by hand."""
    document = found.document
    names = [name for name, entry in document.get("overlays", {}).items() if found.layer(name) is not None]
    if found.own_source and found.source is None:
        return None
    kinds = document.get("overlays", {})
    parts = _parts(found.outlines)
    return Prepared(
        document=document,
        job="",
        image=_kept(found.source, "image", "image", False) if found.source is not None else None,
        layers=tuple(
            _kept(found.layer(name), name, str(kinds[name]["kind"]), found.colours(name) is not None) for name in names
        ),
        parts=tuple(parts),
        grid=_grid(found.outlines) if parts else None,
    )


def _kept(node: Any, name: str, kind: str, is_map: bool) -> Layer:
    """A volume node as it was loaded; the voxels are shared."""
    display = node.GetDisplayNode()
    if is_map:
        return Layer(name, kind, node.GetImageData(), affine_of(node), scale_of(node))
    width, middle = (display.GetWindow(), display.GetLevel()) if display is not None else (1.0, 0.5)
    return Layer(name, kind, node.GetImageData(), affine_of(node), None, (middle - width / 2, middle + width / 2))


def _add_layer(scene: Any, found: ResultNode, layer: Layer, source: Any, threshold: float) -> None:
    title = f"{found.node.GetName()} - {words_of(layer.name).lower()}"
    node, colours = _add_volume(scene, layer, title), None
    if layer.scale is None:
        _draw_grey(scene, node, layer)
        if source is not None:
            show_like(node, source)
    else:
        colours = add_colours(scene, f"{title} colours", threshold, palette_of(layer.kind))
        display_with(scene, node, colours, layer.scale)
    found.refer_layer(layer.name, node, colours)


def _add_volume(scene: Any, layer: Layer, name: str) -> Any:
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetIJKToRASMatrix(to_matrix(layer.affine))
    node.SetAndObserveImageData(layer.image)
    node.SetName(name)
    return scene.AddNode(node)


def _draw_grey(scene: Any, node: Any, layer: Layer) -> None:
    """In grey levels; Slicer would look at every voxel to choose them, while the window waits."""
    black, white = layer.grey or (0.0, 1.0)
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(max(white - black, 1e-6), (white + black) / 2)
    display = scene.AddNode(display)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    node.SetAndObserveDisplayNodeID(display.GetID())


def _whole(prepared: Prepared) -> Volume | None:
    """A volume on the grid of the label maps, which takes no memory."""
    if prepared.grid is None:
        return None
    shape, affine = prepared.grid
    return Volume(np.broadcast_to(np.zeros(1, np.uint8), shape), affine)


def _grid(outlines: Any) -> tuple[tuple[int, ...], np.ndarray] | None:
    """Shape and affine that a segmentation is edited on."""
    text = outlines.GetSegmentation().GetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    )
    image = slicer.vtkOrientedImageData()
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False):
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return tuple(image.GetDimensions()), from_matrix(matrix)


def _parts(outlines: Any) -> list[Part]:
    if outlines is None:
        return []
    segmentation = outlines.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
    found = [(name, segmentation.GetSegment(name).GetName(), segment_voxels(outlines, name)) for name in ids]
    return [Part(name, title, labelmap) for name, title, labelmap in found if labelmap is not None]
