"""A scan taken apart for edits of its lesions: tissue as it would be without them, and what they add to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.lesions import label_components
from slicerxai.data.resample import resample_like, same_grid
from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array, in_head
from slicerxai.interventions.property import Scan
from slicerxai.interventions.white_matter import Mask, WhiteMatter, drawn_texture, find_white_matter

REACH_MM = 2.5
"""How far around a mask a lesion's soft edge is looked for."""
MARGIN_MM = 12.0
"""Of the box about the head."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class LesionScene:
    """All arrays lie on the first image's grid, cut to a box about the head.

    Attributes:
        box: of the first image's grid.
        spacing: mm.
        images: (C, I, J, K), channels in the scan's order.
        head: voxels that are not background in the first image.
        white: normal-appearing white matter.
        excess: (C, I, J, K), what the lesions add to healthy tissue; zero away from them.
        share: (I, J, K), of lesion in every voxel, 0 to 1.
        smooth: the excess without the noise of image and filling, for edits that move or amplify it.
        labels: (I, J, K), number of the lesion inside the mask, from 1, largest first; 0 outside.
        nearest: number of the nearest lesion, up to some distance; 0 beyond.
        depth: (I, J, K), mm below the edge of the mask, negative outside.
        tissue: (I, J, K), 1 where a lesion can be, 0 in fluid and background.
        susceptible: (I, J, K), 1 where a new lesion may come, in what looks like white matter without the lesions.
        contrast: (n, C), mean excess of each lesion as a share of the level of white matter.
    """

    box: Box
    spacing: tuple[float, float, float]
    images: Array
    head: Mask
    white: WhiteMatter
    share: Array
    excess: Array
    smooth: Array
    labels: NDArray[np.int32]
    nearest: NDArray[np.int32]
    depth: Array
    tissue: Array
    susceptible: Array
    contrast: NDArray[np.float64]

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing)) / 1000

    @property
    def count(self) -> int:
        """Number of lesions."""
        return len(self.contrast)


_scenes: WeakKeyDictionary[Scan, LesionScene] = WeakKeyDictionary()


def lesion_scene(scan: Scan) -> LesionScene:
    """The scene of a scan with a mask of lesions, made once for each scan.

    Raises:
        InputError: next to nothing looks like normal-appearing white matter.
    """
    scene = _scenes.get(scan)
    if scene is None:
        scene = _build(scan)
        _scenes[scan] = scene
    return scene


def _build(scan: Scan) -> LesionScene:
    reference = scan.reference
    whole_head = reference.array != 0
    box = _box(whole_head, reference.spacing)
    stack = np.stack(
        [resample_like(_floats(volume), reference).array[box].astype(np.float32) for volume in scan.images.values()]
    )
    head = whole_head[box]
    assert scan.lesions is not None  # noqa: S101 - callers check it
    mask = (scan.lesions.array != 0)[box] & head
    labels, count = label_components(mask)
    reach = max(REACH_MM, 1.2 * max(reference.spacing))
    depth, nearest = _depth(mask, labels, reference.spacing)
    white = find_white_matter(stack, list(scan.images), head, depth > -reach, reference.spacing)
    smooth_stack = np.stack([ndimage.gaussian_filter(one, [0.6 / size for size in reference.spacing]) for one in stack])
    relative = (smooth_stack - white.level) / white.level
    contrast = _contrasts(relative, labels, count)
    share = _membership(relative, contrast, depth, nearest, reach, white.relative_texture)
    rng = np.random.default_rng(np.random.SeedSequence(scan.seed, spawn_key=(crc32(b"healthy tissue"),)))
    filling = white.level + drawn_texture(rng, white, mask.shape, reference.spacing)
    excess = np.where(head, share * (stack - filling), np.float32(0)).astype(np.float32)
    smooth = np.where(head, share * (smooth_stack - white.level), np.float32(0)).astype(np.float32)
    healthy = smooth_stack - smooth
    unlike = np.abs(healthy / white.level - 1).max(axis=0)
    tissue = (head * np.clip((0.6 - unlike) / 0.2, 0, 1)).astype(np.float32)
    susceptible = (tissue * _like_white_matter(healthy, white, reference.spacing)).astype(np.float32)
    return LesionScene(
        box,
        reference.spacing,
        stack,
        head,
        white,
        share,
        excess,
        smooth,
        labels,
        nearest,
        depth,
        tissue,
        susceptible,
        contrast,
    )


def _floats(volume: Volume) -> Volume:
    return volume.with_array(volume.array.astype(np.float32))


def _box(head: Mask, spacing: tuple[float, ...]) -> Box:
    parts = []
    for axis, size in enumerate(spacing):
        inside = np.flatnonzero(head.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = round(MARGIN_MM / size)
        parts.append(slice(max(int(inside[0]) - margin, 0), int(inside[-1]) + margin + 1))
    return parts[0], parts[1], parts[2]


def _depth(mask: Mask, labels: NDArray[np.int32], spacing: tuple[float, ...]) -> tuple[Array, NDArray[np.int32]]:
    """Signed depth in mm, zero at the faces of the mask's voxels, and the nearest lesion."""
    if not mask.any():
        return np.full(mask.shape, -1e3, np.float32), np.zeros(mask.shape, np.int32)
    half = min(spacing) / 2
    outside, place = ndimage.distance_transform_edt(~mask, sampling=spacing, return_indices=True)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    # smoothed, as the edge of a lesion does not follow the faces of voxels, but on the right side of it
    depth = ndimage.gaussian_filter(np.where(mask, inside - half, half - outside), 0.6)
    depth = np.where(mask, np.maximum(depth, 0.1 * half), np.minimum(depth, -0.1 * half))
    return depth.astype(np.float32), labels[tuple(place)]


def _contrasts(relative: Array, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    where = labels > 0
    voxels = np.bincount(labels[where], minlength=count + 1)[1:]
    sums = [np.bincount(labels[where], weights=one[where], minlength=count + 1)[1:] for one in relative]
    return np.stack(sums, axis=1) / np.maximum(voxels, 1)[:, None]


def _membership(
    relative: Array,
    contrast: NDArray[np.float64],
    depth: Array,
    nearest: NDArray[np.int32],
    reach: float,
    noise: NDArray[np.float64],
) -> Array:
    """Share of lesion in every voxel, 0 to 1, (I, J, K).

    Inside the mask it is 1, but for fluid at its edge. Outside, within reach, it is 1 for a voxel as far from white
    matter as a quarter of the lesion, in the channel that shows lesions best; what lies on the other side (fluid, in
    FLAIR) stays.
    """
    if not len(contrast):
        return np.zeros(depth.shape, dtype=np.float32)
    best = int((np.abs(np.median(contrast, axis=0)) / noise).argmax())
    typical = float(np.median(contrast[:, best]))
    sign = 1.0 if typical >= 0 else -1.0
    # a faint lesion must not make every voxel around it look like lesion
    strength = np.maximum(sign * contrast[:, best], max(0.5 * abs(typical), 2 * float(noise[best])))
    zone = depth > -reach
    value = sign * relative[best][zone]
    one, below = strength[nearest[zone] - 1], depth[zone]
    ring = _ramp((value / one - 0.05) / 0.2) * _ramp((below + reach) / (0.5 * reach))
    fluid_at_edge = _ramp((0.45 + value) / 0.2)
    core = np.where(below < 1.5, fluid_at_edge, 1.0)
    share = np.zeros(depth.shape, dtype=np.float32)
    share[zone] = np.where(below > 0, core, ring)
    # a voxel of the edge between two of lesion is lesion, however the noise fell
    return np.where(zone, np.maximum(share, ndimage.gaussian_filter(share, 0.5)), np.float32(0))


def _like_white_matter(healthy: Array, white: WhiteMatter, spacing: tuple[float, ...]) -> NDArray[np.floating]:
    """1 within a standard deviation of the level of white matter in all channels, 0 from three on."""
    sigma = [max(1.0 / size, 0.7) for size in spacing]
    farthest = np.zeros(healthy.shape[1:], dtype=np.float32)
    for channel, level, spread in zip(healthy, white.level, white.spread, strict=True):
        farthest = np.maximum(farthest, np.abs(ndimage.gaussian_filter(channel - level, sigma)) / np.float32(spread))
    return _ramp((3.0 - farthest) / 2)


def _ramp(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def with_change(scan: Scan, scene: LesionScene, change: Array) -> dict[str, Volume]:
    """The scan's images plus a change.

    Args:
        change: (C, I, J, K) on the scene's grid, in the units of the images.
    """
    images: dict[str, Volume] = {}
    items: Mapping[str, Volume] = scan.images
    for (key, volume), one in zip(items.items(), change, strict=True):
        whole = np.zeros(scan.reference.shape, dtype=np.float32)
        whole[scene.box] = one
        added = Volume(whole, scan.reference.affine)
        if not same_grid(volume, added.affine, added.shape, within_mm=0.0):
            added = resample_like(added, volume)
        image = volume.array.astype(np.float32)
        images[key] = volume.with_array(in_head(image, image + added.array.astype(np.float32)))
    return images


def placed(scan: Scan, scene: LesionScene, mask: Mask) -> Volume:
    """A mask of the scene's grid on the first image's grid, uint8."""
    whole = np.zeros(scan.reference.shape, dtype=np.uint8)
    whole[scene.box] = mask
    return Volume(whole, scan.reference.affine)
