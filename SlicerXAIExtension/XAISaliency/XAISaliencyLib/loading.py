"""From a prepared result to nodes: all of them, or none. Quick, because it is done while the window waits."""

from __future__ import annotations

from typing import Any

from XAIPanels.images import add_image
from XAIPanels.map_display import add_display
from XAIPanels.nodes import all_or_nothing
from XAIPanels.volumes import make_volume

from .prepared import Prepared
from .results import ResultNode, add_result_node, title_of
from .segments import add_segmentation


def load(scene: Any, prepared: Prepared, source: Any, threshold: float, opacity: float) -> ResultNode:
    """Add the nodes of a result to the scene; on any exception the scene is as it was before.

    Args:
        source: the volume node that was explained; None loads the image that came with the result (a server study).
    """
    with all_or_nothing(scene):
        own_source = source is None
        if own_source:
            source = _add_image(scene, prepared)
        document = dict(prepared.document)
        title = f"{source.GetName()} - {title_of(document)}" if source else title_of(document)
        node = add_result_node(scene, document, scene.GenerateUniqueName(title))
        node.threshold, node.opacity = threshold, opacity
        saliency = make_volume(prepared.saliency.array, prepared.saliency.affine)
        saliency.SetName(f"{node.node.GetName()} - saliency")
        saliency = scene.AddNode(saliency)
        colours, _ = add_display(scene, saliency, prepared.scale, threshold)
        segmentation = None
        if prepared.labelmaps:
            segmentation = add_segmentation(scene, prepared.labelmaps, f"{node.node.GetName()} - lesions")
        node.refer(source, saliency, colours, segmentation, own_source)
        return node


def _add_image(scene: Any, prepared: Prepared) -> Any:
    return next((add_image(scene, volume, name) for name, volume in prepared.images.items()), None)
