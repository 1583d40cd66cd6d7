"""Whether a picked point belongs to a predicted lesion. MRML only."""

from __future__ import annotations

from typing import Any

from XAILib.geometry import lesion_at
from XAIPanels.segment_voxels import segment_voxels

from .prepared import LESIONS_ID

REACH_MM = 10.0
"""The server's own limit: it explains the nearest lesion within this distance."""


def is_near_lesion(segmentation: Any, point: tuple[float, float, float]) -> bool:
    """Whether a voxel of a predicted lesion lies within reach of a point (R, A, S in mm).

    True as well when the segmentation was deleted: then only the server knows.
    """
    if segmentation is None or segmentation.GetSegmentation().GetSegment(LESIONS_ID) is None:
        return True
    lesions = segment_voxels(segmentation, LESIONS_ID)
    return lesions is not None and lesion_at(lesions.array, lesions.affine, point, REACH_MM) is not None
