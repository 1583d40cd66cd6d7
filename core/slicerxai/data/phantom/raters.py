"""Annotation: what a rater draws of the true lesions, and the consensus of several raters."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from slicerxai.data.phantom.anatomy import Anatomy
from slicerxai.data.phantom.fields import Array, smooth_field
from slicerxai.data.phantom.lesions import Lesions

REACH_MM = 6.0
"""No rater draws farther than this from a lesion."""


class AnnotationStyle(BaseModel):
    """Habits of one rater; the defaults draw the truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset_mm: float = Field(default=0.0, ge=-2, le=3, description="Mean over-drawing (under-drawing below 0), mm.")
    jitter_mm: float = Field(default=0.0, ge=0, le=2, description="SD of the boundary around its mean, mm.")
    missed_mm3: float = Field(default=0.0, ge=0, le=500, description="Lesion volume of which half are missed, mm³.")
    missed_contrast: float = Field(
        default=0.0, ge=0, le=1, description="Contrast to white matter of which half the lesions are missed."
    )
    invented: float = Field(default=0.0, ge=0, le=20, description="Mean number of lesions drawn where there is none.")


RATERS: Final[dict[str, AnnotationStyle]] = {
    "1": AnnotationStyle(offset_mm=0.0, jitter_mm=0.3, missed_mm3=8, missed_contrast=0.08, invented=0.5),
    "2": AnnotationStyle(offset_mm=0.3, jitter_mm=0.35, missed_mm3=10, missed_contrast=0.08, invented=1.5),
    "3": AnnotationStyle(offset_mm=-0.35, jitter_mm=0.35, missed_mm3=25, missed_contrast=0.14, invented=0.2),
    "4": AnnotationStyle(offset_mm=0.1, jitter_mm=0.5, missed_mm3=15, missed_contrast=0.10, invented=1.0),
    "5": AnnotationStyle(offset_mm=0.55, jitter_mm=0.4, missed_mm3=12, missed_contrast=0.06, invented=2.5),
    "6": AnnotationStyle(offset_mm=-0.2, jitter_mm=0.3, missed_mm3=45, missed_contrast=0.18, invented=0.2),
    "7": AnnotationStyle(offset_mm=0.15, jitter_mm=0.30, missed_mm3=6, missed_contrast=0.05, invented=0.8),
}
PERFECT: Final = AnnotationStyle()
"""Draws the truth."""

Box = tuple[slice, slice, slice]


class Outline:
    """What all raters of one patient share: the signed distance to the lesions' surface in a box around them."""

    def __init__(self, anatomy: Anatomy, lesions: Lesions) -> None:
        self.anatomy, self.lesions = anatomy, lesions
        margin = int(np.ceil((REACH_MM + 1) / anatomy.spacing))
        found = ndimage.find_objects(lesions.truth.astype(np.int8))
        whole = tuple(slice(0, n) for n in anatomy.shape)
        extent = found[0] if found else whole
        self.box: Box = tuple(  # type: ignore[assignment]
            slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(extent, anatomy.shape, strict=True)
        )
        truth = lesions.truth[self.box]
        self.owner = lesions.owner[self.box]
        if truth.any():
            outside, nearest = ndimage.distance_transform_edt(~truth, return_indices=True)
            inside = ndimage.distance_transform_edt(truth)
            distance = outside - inside - np.where(truth, -0.5, 0.5)
            # voxels at the surface: the soft membership says where between two voxel centres it runs
            membership = ndimage.gaussian_filter(lesions.membership[self.box], 0.5)
            slope = np.sqrt(sum(part**2 for part in np.gradient(membership)))
            within = np.clip((0.5 - membership) / np.maximum(slope, 0.05), -1, 1)
            surface = np.abs(distance) <= 0.5
            distance[surface] = np.where(truth, np.minimum(within, -1e-3), np.maximum(within, 1e-3))[surface]
            self.distance: Array = (distance * anatomy.spacing).astype(np.float32)
            self.nearest = self.owner[tuple(nearest)]
        else:
            self.distance = np.full(truth.shape, np.inf, dtype=np.float32)
            self.nearest = self.owner


def annotate(rng: np.random.Generator, outline: Outline, style: AnnotationStyle) -> NDArray[np.bool_]:
    """The mask that one rater draws, shape (I, J, K).

    Args:
        rng: stream of this rater's mechanism; another style uses the same draws.
        outline: the true lesions of the patient.
        style: the rater's habits.
    """
    anatomy, lesions = outline.anatomy, outline.lesions.lesions
    wobble = smooth_field(rng, outline.distance.shape, anatomy.spacing, 4.0)  # type: ignore[arg-type]
    chance = rng.random(len(lesions) + 1)
    mask = np.zeros(anatomy.shape, dtype=bool)
    seen = np.zeros(len(lesions) + 1, dtype=bool)
    for n, lesion in enumerate(lesions, start=1):
        small = 1 / (1 + (lesion.volume / max(style.missed_mm3, 1e-6)) ** 2)
        faint = 1 / (1 + (lesion.contrast / max(style.missed_contrast, 1e-6)) ** 4)
        faint *= 1 / (1 + lesion.volume / 300)  # nobody misses a large faint lesion
        seen[n] = chance[n] >= 1 - (1 - small) * (1 - faint)
    boundary = np.clip(style.offset_mm + style.jitter_mm * wobble, -REACH_MM, REACH_MM)
    drawn = (outline.distance < boundary) & seen[outline.nearest]
    # nobody draws into fluid on purpose; the truth itself is never cut by this rule
    drawn &= (anatomy.csf[outline.box] < 0.5) | (outline.distance < 0)
    mask[outline.box] = drawn & anatomy.brain[outline.box]
    _invent(rng, mask, anatomy, style)
    return mask


def _invent(rng: np.random.Generator, mask: NDArray[np.bool_], a: Anatomy, style: AnnotationStyle) -> None:
    """Small false lesions, beside the ventricles or under the cortex where normal tissue is bright."""
    uniform = float(rng.random())
    count = int(np.searchsorted(_poisson_cumulative(style.invented), uniform))
    tempting = (a.white > 0.4) & ((np.abs(a.ventricle - 1.5) < 1.5) | (a.cortical < 2))
    places = np.flatnonzero(tempting)
    picks = rng.random((20, 2))
    for pick, size in picks[:count]:
        centre = np.array(np.unravel_index(places[int(pick * len(places))], a.shape))
        radius = (0.9 + 1.3 * size) / a.spacing
        low = np.maximum(np.floor(centre - radius), 0).astype(int)
        high = np.ceil(centre + radius).astype(int) + 1
        box = tuple(slice(int(s), int(e)) for s, e in zip(low, high, strict=True))
        axes = np.meshgrid(
            *[np.arange(s, min(e, n)) for s, e, n in zip(low, high, a.shape, strict=True)], indexing="ij"
        )
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
        mask[box] |= (distance <= radius) & (a.white[box] > 0.3)


def _poisson_cumulative(mean: float) -> NDArray[np.float64]:
    counts = np.arange(20)
    log = -mean + counts * np.log(max(mean, 1e-12)) - np.cumsum(np.log(np.maximum(counts, 1)))
    return np.cumsum(np.exp(log))


def consensus(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The majority of the raters' masks; a tie of an even number counts as lesion.

    STAPLE, which weighs raters by their estimated sensitivity, was tried and drew 1.5 to 2 times the true volume here.
    """
    votes = np.sum(masks, axis=0)
    return np.asarray((votes * 2 >= len(masks)) & (votes > 0))
