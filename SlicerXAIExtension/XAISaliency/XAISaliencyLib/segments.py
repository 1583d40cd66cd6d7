"""Predicted lesions as a segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from XAILib.nrrd import Volume
from XAIPanels import outlines
from XAIPanels.colours import EXPLAINED, LESIONS
from XAIPanels.outlines import Outline

from .prepared import EXPLAINED_ID, LESIONS_ID

STYLES = {LESIONS_ID: ("Predicted lesions", LESIONS), EXPLAINED_ID: ("Explained lesion", EXPLAINED)}


def add_segmentation(scene: Any, labelmaps: Mapping[str, Volume], name: str) -> Any:
    """A segmentation node with one segment for each label map.

    Args:
        labelmaps: 0 and 1 (uint8) by segment id, `LESIONS_ID` or `EXPLAINED_ID`.
    """
    drawn = [Outline(segment_id, *STYLES[segment_id], labelmap) for segment_id, labelmap in labelmaps.items()]
    return outlines.add_segmentation(scene, drawn, name)
