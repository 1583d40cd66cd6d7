"""Lesion load."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.lesion_scene import LesionScene
from slicerxai.interventions.new_lesions import NewLesion, new_lesions
from slicerxai.interventions.properties.lesion_base import LesionProperty, edge_mm, kept_share
from slicerxai.interventions.property import Scan
from slicerxai.interventions.white_matter import Mask

LEAST_ADDED_ML = 1.0
"""A path can reach at least this far above the patient's own load."""
FADING = 0.35
"""A lesion with less than this share of its volume loses contrast too, down to nothing at none."""
SMALL = 30
"""A lesion of fewer voxels is taken away by its contrast alone: it has no edge that could move."""


class LesionLoad(LesionProperty):
    """Volume of all lesions.

    Below the patient's own load the lesions go one after the other, the smallest first; the last one to be touched
    shrinks from its edge. Above it synthetic lesions come one after the other, each growing from its middle.
    The volume of the mask is the value, to a voxel.
    """

    needs_lesions = False
    possible = (0.0, 500.0)

    def __init__(self) -> None:
        super().__init__("lesion_load")
        self._new: tuple[Scan, tuple[NewLesion, ...]] | None = None

    def unusable(self, scan: Scan) -> str | None:
        reason = super().unusable(scan)
        if reason is not None:
            return reason
        try:
            self._new_lesions(scan)
        except InputError as error:
            return str(error)
        return None

    def limits(self, scan: Scan) -> tuple[float, float]:
        own = self.neutral(scan)
        return 0.0, own + max(own, LEAST_ADDED_ML)

    def neutral(self, scan: Scan) -> float:
        if scan.lesions is None:
            return 0.0
        inside = (scan.lesions.array != 0) & (scan.reference.array != 0)
        return float(inside.sum()) * scan.reference.voxel_volume / 1000

    def change(self, scan: Scan, scene: LesionScene, value: float) -> Array:
        voxels = (value - self.neutral(scan)) / scene.voxel_ml
        if voxels < 0:
            return scene.excess * (_share_left(scene, -voxels) - 1)
        return _added(scene, self._new_lesions(scan), voxels)

    def mask(self, scan: Scan, scene: LesionScene, value: float) -> Mask:
        voxels = round((value - self.neutral(scan)) / scene.voxel_ml)
        mask = scene.labels > 0
        if voxels < 0:
            return mask & ~_taken_away(scene, -voxels)
        for lesion, count in zip(*_in_turn(self._new_lesions(scan), voxels), strict=True):
            mask[lesion.box] |= (lesion.inside > _front(lesion, count)) & (scene.susceptible[lesion.box] > 0.5)
        return mask

    def _new_lesions(self, scan: Scan) -> tuple[NewLesion, ...]:
        kept = self._new
        if kept is None or kept[0] is not scan:
            low, high = self.neutral(scan), self.limits(scan)[1]
            kept = (scan, new_lesions(scan, self.prepared(scan), high - low))
            self._new = kept
        return kept[1]


def _left(scene: LesionScene, removed: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Voxels of each lesion by number, and how many of them are left; the smallest lesion, the last one, goes first."""
    voxels = np.bincount(scene.labels.ravel(), minlength=scene.count + 1)[1:]
    before = np.cumsum(voxels[::-1])[::-1] - voxels
    return voxels, np.clip(voxels - (removed - before), 0.0, voxels)


def _share_left(scene: LesionScene, removed: float) -> Array:
    """Share of the excess that is left in every voxel, (I, J, K)."""
    voxels, left = _left(scene, removed)
    depth, strength = np.zeros(scene.count + 1, np.float32), np.ones(scene.count + 1, np.float32)
    for index in np.flatnonzero(left < voxels):
        share = left[index] / voxels[index]
        if voxels[index] < SMALL:
            strength[index + 1] = share
            continue
        strength[index + 1] = min(1.0, share / FADING)
        order = np.sort(scene.depth[scene.labels == index + 1])
        depth[index + 1] = np.interp(voxels[index] - left[index], np.arange(len(order) + 1), np.append(0, order))
    return strength[scene.nearest] * kept_share(scene, depth[scene.nearest])


def _taken_away(scene: LesionScene, removed: int) -> Mask:
    """The voxels that are lesion no more."""
    voxels, left = _left(scene, removed)
    gone = np.isin(scene.labels, np.flatnonzero(left == 0) + 1) & (scene.labels > 0)
    for index in np.flatnonzero((left > 0) & (left < voxels)):
        mine = np.flatnonzero(scene.labels == index + 1)
        order = np.argsort(scene.depth.ravel()[mine], kind="stable")
        gone.ravel()[mine[order[: int(voxels[index] - left[index])]]] = True
    return gone


def _in_turn(lesions: tuple[NewLesion, ...], voxels: float) -> tuple[list[NewLesion], list[float]]:
    """The lesions that have begun to grow, and how many voxels each has."""
    begun: list[NewLesion] = []
    counts: list[float] = []
    for lesion in lesions:
        if voxels <= 0:
            break
        begun.append(lesion)
        counts.append(min(voxels, lesion.voxels))
        voxels -= lesion.voxels
    return begun, counts


def _front(lesion: NewLesion, count: float) -> float:
    """mm below the full edge at which the edge is when the lesion has this many voxels."""
    depths = np.concatenate([lesion.order[:1], (lesion.order[1:] + lesion.order[:-1]) / 2, [0]])
    return float(np.interp(count, np.arange(lesion.voxels + 1), depths))


def _added(scene: LesionScene, lesions: tuple[NewLesion, ...], voxels: float) -> Array:
    """What new lesions add to the images, (C, I, J, K)."""
    change = np.zeros_like(scene.smooth)
    used = scene.share.copy()
    for lesion, count in zip(*_in_turn(lesions, voxels), strict=True):
        strength = min(1.0, count / lesion.voxels / FADING)
        distance = np.clip((lesion.inside - _front(lesion, count)) / edge_mm(scene), -30, 30)
        membership = strength * scene.susceptible[lesion.box] / (1 + np.exp(-distance))
        more = np.clip(membership - used[lesion.box], 0, None)
        used[lesion.box] += more
        for channel, level, contrast in zip(change, scene.white.level, lesion.contrast, strict=True):
            channel[lesion.box] += np.float32(contrast) * lesion.mottle * level[lesion.box] * more
    return change
