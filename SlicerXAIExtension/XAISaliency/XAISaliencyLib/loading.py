"""From a prepared result to nodes: all of them, or none. Quick, because it is done while the window waits."""

from __future__ import annotations

from typing import Any

from XAIPanels.images import add_image, volume_in
from XAIPanels.map_display import add_display, scale_of
from XAIPanels.nodes import all_or_nothing
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import make_volume

from .prepared import EXPLAINED_ID, LESIONS_ID, Prepared
from .results import ResultNode, add_result_node, title_of
from .segments import add_segmentation


def load(scene: Any, prepared: Prepared, source: Any, own_source: bool, threshold: float, opacity: float) -> ResultNode:
    """Add the nodes of a result to the scene; on any exception the scene is as it was before.

    Args:
        source: the volume node that was explained; None loads the image that came with the result (a server study).
        own_source: whether that volume goes with the last of its results.
    """
    with all_or_nothing(scene):
        if source is None:
            source = _add_image(scene, prepared)
        document = dict(prepared.document)
        title = f"{source.GetName()} - {title_of(document)}" if source else title_of(document)
        node = add_result_node(scene, document, scene.GenerateUniqueName(title))
        node.threshold, node.opacity = threshold, opacity
        saliency = make_volume(prepared.saliency.array, prepared.saliency.affine)
        saliency.SetName(f"{node.node.GetName()} - saliency")
        saliency = scene.AddNode(saliency)
        colours, _ = add_display(scene, saliency, prepared.scale, threshold)
        outlines = None
        if prepared.labelmaps:
            outlines = add_segmentation(scene, prepared.labelmaps, f"{node.node.GetName()} - lesions")
        node.refer(source, saliency, colours, outlines, own_source)
        return node


def taken(found: ResultNode) -> Prepared | None:
    """What a result's nodes hold, to load it again; None when a part of it was deleted by hand.

    Raises:
        ExportError: the outlines are under a transform that is not linear.
    """
    saliency, source, outlines = found.saliency, found.source, found.outlines
    if saliency is None or saliency.GetImageData() is None or (found.own_source and source is None):
        return None
    kept = {key: segment_voxels(outlines, key) for key in (LESIONS_ID, EXPLAINED_ID)} if outlines is not None else {}
    return Prepared(
        document=found.document,
        job="",
        saliency=volume_in(saliency),
        scale=scale_of(saliency),
        labelmaps={key: labelmap for key, labelmap in kept.items() if labelmap is not None},
        images={source.GetName(): volume_in(source)} if found.own_source else {},
    )


def _add_image(scene: Any, prepared: Prepared) -> Any:
    return next((add_image(scene, volume, name) for name, volume in prepared.images.items()), None)
