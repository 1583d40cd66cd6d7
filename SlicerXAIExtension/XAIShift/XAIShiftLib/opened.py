"""A case of a cohort as nodes: its image, and one segmentation with the outlines of raters and the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from XAIPanels.images import draw_grey
from XAIPanels.nodes import all_or_nothing
from XAIPanels.outlines import Outline, add_outline, add_segmentation
from XAIPanels.volumes import make_volume

from .prepared import PreparedCase

PREDICTION_ID = "prediction"
SOURCE_COLOUR, TARGET_COLOUR = "#ff9f1a", "#4db8ff"
"""Outlines of the source's and of the target's rater."""
PREDICTION_COLOUR = "#007733"
"""Of an area that must be seen on lesions, which are nearly white."""

_CASE, _IMAGE = "XAIShift.Case", "XAIShift.Image"


def add_case(scene: Any, prepared: PreparedCase, raters: Sequence[str]) -> Any:
    """Add image and outlines to the scene, and return the segmentation; on any exception the scene is as before.

    Args:
        raters: of the source and, when it is another one, of the target.
    """
    with all_or_nothing(scene):
        image = make_volume(prepared.image.array, prepared.image.affine)
        image.SetName(scene.GenerateUniqueName(f"{prepared.case} {prepared.modality}"))
        image = scene.AddNode(image)
        draw_grey(scene, image, prepared.image.array)
        styles = zip(raters, (SOURCE_COLOUR, TARGET_COLOUR), roles(raters))
        drawn = [
            Outline(f"rater {rater}", f"Rater {rater}{role}", colour, prepared.masks[rater])
            for rater, colour, role in styles
            if rater in prepared.masks
        ]
        node = add_segmentation(scene, drawn, scene.GenerateUniqueName(f"{prepared.case} outlines"))
        node.SetAttribute(_CASE, prepared.case)
        node.SetNodeReferenceID(_IMAGE, image.GetID())
        return node


def roles(raters: Sequence[str]) -> tuple[str, ...]:
    """What each rater stands for, to be written behind the name."""
    return (" (source)", " (target)") if len(raters) > 1 else ("",)


def add_prediction(node: Any, labelmap: Any) -> None:
    """Draw what the model predicts for an opened case."""
    if not has_prediction(node):
        add_outline(node, Outline(PREDICTION_ID, "Prediction", PREDICTION_COLOUR, labelmap, filled=True))


def has_prediction(node: Any) -> bool:
    """Whether the prediction of an opened case is drawn."""
    return node.GetSegmentation().GetSegment(PREDICTION_ID) is not None


def case_of(node: Any) -> str:
    """Id of the case that a segmentation belongs to; empty for any other node."""
    return str(node.GetAttribute(_CASE) or "")


def image_of(node: Any) -> Any:
    """The image of an opened case, or None when it was deleted."""
    return node.GetNodeReference(_IMAGE)
