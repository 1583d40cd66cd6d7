"""Synthetic lesions in normal-appearing white matter, to be added one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.lesion_scene import LesionScene
from slicerxai.interventions.property import Scan
from slicerxai.interventions.white_matter import Mask

CONTRAST = {"FLAIR": 0.5, "T2": 0.7, "PD": 0.3, "T1": -0.2, "GADO": -0.2}
"""Excess of a typical lesion as a share of the level of white matter, for patients who have none of their own."""
DARKEST = -0.2
"""Of a new lesion in T1: old ones may be holes as dark as fluid, new ones are not."""
CORE_VOXELS = 20
"""Fewer voxels of lesions below their edges say nothing of their contrast."""
NEAR_MM = 6.0
"""How far from the patient's own lesions, or where there are none from the ventricles, the frequency has fallen to a
third."""
TYPICAL = 80
"""Lesions by which a large load is reached."""
CORTEX_MM = 6.0
"""From the surface of the brain inwards few lesions are placed, from twice this on as many as anywhere."""
FEWEST_VOXELS = 4
"""A lesion adds at least this much, and half of itself, to what is there."""
MOST = 400
"""Lesions tried before a load is given up."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class NewLesion:
    """One lesion at its full size.

    Attributes:
        box: part of the scene's grid.
        inside: mm below its edge, negative outside, shape of the box.
        contrast: (C,), excess as a share of the level of white matter.
        mottle: about 1, uneven brightness of the inside, shape of the box.
        order: `inside` of the voxels that it adds to the mask after the patient's own and the earlier ones, largest
            first.
    """

    box: Box
    inside: Array
    contrast: NDArray[np.float64]
    mottle: Array
    order: Array

    @property
    def voxels(self) -> int:
        """How many it adds to the mask."""
        return len(self.order)


def typical_contrast(scan: Scan, scene: LesionScene) -> NDArray[np.float64]:
    """Excess of a typical lesion in each channel, (C,), as a share of the level of white matter: median of
    the patient's own below their edges, not below `DARKEST`; else `CONTRAST`.

    Raises:
        InputError: the patient has no lesion, and nothing is known of lesions in one of the modalities.
    """
    if scene.count:
        mask = scene.labels > 0
        core = mask & (scene.depth > max(scene.spacing))
        values = (scene.smooth / scene.white.level)[:, core if int(core.sum()) >= CORE_VOXELS else mask]
        return np.maximum(np.median(values, axis=1).astype(np.float64), DARKEST)
    unknown = [key for key in scan.images if key not in CONTRAST]
    if unknown:
        msg = f"what lesions look like in {', '.join(unknown)} is not known, and the patient has none"
        raise InputError(msg)
    return np.array([CONTRAST[key] for key in scan.images])


def new_lesions(scan: Scan, scene: LesionScene, volume_ml: float) -> tuple[NewLesion, ...]:
    """Lesions that together add at least this volume, in the order in which they are added.

    Most lie near the patient's own, or without these at the ventricles, and stand perpendicular to the ventricles;
    volumes spread as in the phantom (median 60 mm³), larger where much is to be added.

    Raises:
        InputError: white matter has no place for them.
    """
    rng = np.random.default_rng(np.random.SeedSequence(scan.seed, spawn_key=(crc32(b"new lesions"),)))
    contrast = typical_contrast(scan, scene)
    ventricle = _ventricle_distance(scene)
    places, cumulative = _places(scene, ventricle)
    lumps = 0.35 * _field(rng, scene, 1.8) + 0.94 * _field(rng, scene, 4.5)
    mottle = 1 + 0.1 * _field(rng, scene, 1.5).clip(-3, 3)
    scale = max(1.0, volume_ml * 1000 / TYPICAL / 90, 4 * scene.voxel_ml * 1000 / 60)
    taken = scene.labels > 0
    found: list[NewLesion] = []
    missing = volume_ml / scene.voxel_ml
    for _ in range(MOST):
        if missing <= 0:
            break
        centre = places[min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1])), len(places) - 1)]
        size = float(np.clip(np.exp(rng.normal(np.log(60), 0.9)), 15, 600)) * scale
        strength = contrast * float(np.exp(np.clip(rng.normal(0, 0.15), -0.3, 0.3)))
        lesion = _ovoid(rng, scene, ventricle, lumps, mottle, centre, size, strength, taken)
        whole = (lesion.inside > 0) & (scene.susceptible[lesion.box] > 0.5)
        if lesion.voxels >= max(FEWEST_VOXELS, 0.5 * int(whole.sum())):
            taken[lesion.box] |= whole
            found.append(lesion)
            missing -= lesion.voxels
    if missing > 0:
        placed = volume_ml - missing * scene.voxel_ml
        msg = f"white matter has place for {placed:.2g} ml of new lesions, {volume_ml:.3g} ml are wanted"
        raise InputError(msg)
    return tuple(found)


def _ventricle_distance(scene: LesionScene) -> Array:
    """mm from fluid deep in the brain; everywhere 1e3 where there is none."""
    depth = ndimage.distance_transform_edt(scene.head, sampling=scene.spacing)
    fluid = scene.head & (scene.tissue < 0.3) & (depth > 0.4 * float(depth.max())) & (scene.labels == 0)
    fluid = ndimage.binary_opening(fluid)
    if not fluid.any():
        return np.full(fluid.shape, 1e3, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~fluid, sampling=scene.spacing), dtype=np.float32)


def _places(scene: LesionScene, ventricle: Array) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Voxels (n, 3) where a lesion may be centred, and their cumulative weights: in the midst of white matter."""
    places = np.argwhere((scene.susceptible > 0.8) & (scene.labels == 0))
    if not len(places):
        msg = "no white matter is left for new lesions"
        raise InputError(msg)
    distance = np.clip(-scene.depth if scene.count else ventricle, 0, None)[tuple(places.T)]
    density = ndimage.gaussian_filter(scene.susceptible, [3.0 / size for size in scene.spacing])
    purity = np.clip(density[tuple(places.T)], 1e-3, 1).astype(np.float64) ** 3
    # the cortex may be as bright as white matter
    below = ndimage.distance_transform_edt(scene.head, sampling=scene.spacing)[tuple(places.T)]
    purity *= np.clip((below - CORTEX_MM) / CORTEX_MM, 0.01, 1)
    return places, np.cumsum(purity * (0.1 + np.exp(-distance / NEAR_MM)))


def _ovoid(
    rng: np.random.Generator,
    scene: LesionScene,
    ventricle: Array,
    lumps: Array,
    mottle: Array,
    centre: NDArray[np.intp],
    volume_mm3: float,
    contrast: NDArray[np.float64],
    taken: Mask,
) -> NewLesion:
    """An ovoid with an uneven surface."""
    direction = rng.normal(size=3)
    elongation = rng.uniform(1.0, 1.8)
    if ventricle[tuple(centre)] < 2 * NEAR_MM:
        away = _gradient(ventricle, centre, scene.spacing)
        direction = away + 0.2 * direction
        elongation = rng.uniform(1.2, 2.4)
    frame = _frame(rng, direction)
    radius = (3 * volume_mm3 / (4 * np.pi)) ** (1 / 3)
    radii = radius * np.array([elongation, 1.0, 1.0]) / elongation ** (1 / 3)
    spacing = np.asarray(scene.spacing)
    reach = np.ceil((1.5 * radii.max() + 2 * max(spacing)) / spacing).astype(int)
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, scene.labels.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    axes = [(np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, spacing, strict=True)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ frame.T
    inside = (1 - np.linalg.norm(offset / radii, axis=-1)) * radii.min()
    inside = (inside + 0.35 * radius * lumps[i, j, k]).astype(np.float32)
    fresh = (inside > 0) & ~taken[i, j, k] & (scene.susceptible[i, j, k] > 0.5)
    return NewLesion((i, j, k), inside, contrast, mottle[i, j, k], -np.sort(-inside[fresh]))


def _field(rng: np.random.Generator, scene: LesionScene, sigma_mm: float) -> Array:
    """A smooth Gaussian field of unit standard deviation."""
    noise = rng.standard_normal(scene.labels.shape, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, [sigma_mm / size for size in scene.spacing], mode="wrap")
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def _gradient(field: Array, place: NDArray[np.intp], spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Unit gradient at one voxel."""
    gradient = np.zeros(3)
    for axis, size in enumerate(spacing):
        low, high = place.copy(), place.copy()
        low[axis], high[axis] = max(place[axis] - 1, 0), min(place[axis] + 1, field.shape[axis] - 1)
        gradient[axis] = (float(field[tuple(high)]) - float(field[tuple(low)])) / size
    return gradient / max(float(np.linalg.norm(gradient)), 1e-6)


def _frame(rng: np.random.Generator, direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three orthonormal rows, the first along `direction`."""
    first = direction / max(float(np.linalg.norm(direction)), 1e-6)
    second = np.cross(first, rng.normal(size=3))
    second /= max(float(np.linalg.norm(second)), 1e-6)
    return np.stack([first, second, np.cross(first, second)])
