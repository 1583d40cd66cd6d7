"""From a prepared result to nodes, and back. All of them, or none. Quick, because the window waits meanwhile."""

from __future__ import annotations

from typing import Any

from XAIPanels.colours import EXPLAINED, LESIONS
from XAIPanels.images import add_image, show_like, volume_in
from XAIPanels.map_colours import DECREASE, INCREASE
from XAIPanels.map_display import Palette, add_colours, display_with, scale_of
from XAIPanels.nodes import all_or_nothing
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import make_volume

from .prepared import Pair, Prepared
from .results import ResultNode, add_result_node
from .tables import title_of

CHANGES: Palette = (INCREASE, DECREASE)
STYLES = {
    "expert_mask": ("Expert’s mask", "#ffd23f"),
    "lesions": ("Predicted lesions", LESIONS),
    "explained_lesion": ("Lesion asked about", EXPLAINED),
}
"""Name and colour of each outline, by the name of its label map."""


def load(scene: Any, prepared: Prepared, source: Any, own_source: bool, threshold: float) -> ResultNode:
    """Add the nodes of a result to the scene; on any exception the scene is as it was before.

    Args:
        source: the volume node that was explained; None loads the image that came with the result (a server study).
        own_source: whether the explained volume goes with the last of its results.
    """
    with all_or_nothing(scene):
        if source is None:
            source = add_image(scene, prepared.image, "image")
        title = f"{source.GetName()} - {title_of(prepared.document)}"
        found = add_result_node(scene, prepared, scene.GenerateUniqueName(title))
        name = found.node.GetName()
        colours = add_colours(scene, f"{name} - colours", threshold, CHANGES)
        drawn = [Outline(key, *STYLES[key], labelmap) for key, labelmap in prepared.labelmaps.items()]
        outlines = add_segmentation(scene, drawn, f"{name} - outlines") if drawn else None
        found.refer(source, colours, outlines, own_source)
        for place, pair in enumerate(prepared.pairs):
            image = add_image(scene, pair.image, f"{name} - counterfactual {place + 1}")
            show_like(image, source)
            change = make_volume(pair.change.array, pair.change.affine)
            change.SetName(f"{name} - difference {place + 1}")
            change = scene.AddNode(change)
            display_with(scene, change, colours, prepared.scale)
            found.refer_pair(place, image, change)
        return found


def taken(found: ResultNode) -> Prepared | None:
    """What a result's nodes hold, to load it again; None when a part of it was deleted by hand."""
    places = range(len(found.places))
    images, changes = [found.image(place) for place in places], [found.change(place) for place in places]
    if found.source is None or None in images or None in changes or not images:
        return None
    pairs = zip(images, changes, found.places)
    outlines = found.outlines
    kept = {key: segment_voxels(outlines, key) for key in STYLES} if outlines is not None else {}
    return Prepared(
        document=found.document,
        job="",
        pairs=tuple(Pair(volume_in(image), volume_in(change), place) for image, change, place in pairs),
        scale=scale_of(changes[0]),
        labelmaps={key: labelmap for key, labelmap in kept.items() if labelmap is not None},
        image=volume_in(found.source),
    )
