"""One patient's healthy brain: the atlas, deformed, with this patient's folding, ventricles and atrophy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.phantom.atlas import load_atlas
from slicerxai.data.phantom.fields import Array, Shape, sigmoid, smooth_field


@dataclass(frozen=True)
class Anatomy:
    """Maps of shape (I, J, K) on one grid, without lesions and without any contrast.

    Attributes:
        spacing: voxel size, mm.
        affine: voxel index to world, mm.
        brain: what the skull strip kept.
        white, cortex, nuclei, csf: fractions in [0, 1] that add up to 1 inside the brain.
        ventricle: signed distance to the ventricles, mm (negative inside).
        cortical: distance to the cortex, mm.
        position: MNI152 coordinates of every voxel, shape (3, I, J, K), mm.
        t1: intensity of the template, used as texture.
    """

    spacing: float
    affine: NDArray[np.float64]
    brain: NDArray[np.bool_]
    white: Array
    cortex: Array
    nuclei: Array
    csf: Array
    ventricle: Array
    cortical: Array
    position: Array
    t1: Array

    @property
    def shape(self) -> Shape:
        i, j, k = self.brain.shape
        return i, j, k

    @property
    def infratentorial(self) -> NDArray[np.bool_]:
        """Brain stem and cerebellum, by MNI152 coordinates below the tentorium."""
        return self.brain & infratentorial(self.position)

    def blob(self, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
        """A Gaussian bump in MNI152 space on both sides of the midline: 1 at (±x, y, z), radii in mm."""
        x, y, z = self.position
        exponent = ((np.abs(x) - centre[0]) / radii[0]) ** 2
        exponent += ((y - centre[1]) / radii[1]) ** 2
        exponent += ((z - centre[2]) / radii[2]) ** 2
        return np.asarray(np.exp(-np.minimum(exponent, 30)), dtype=np.float32)


def infratentorial(position: Array) -> NDArray[np.bool_]:
    """What lies below the tentorium by MNI152 coordinates (3, I, J, K), mm: cerebellum and brain stem."""
    x, y, z = position
    x = np.abs(x)
    roof = 2 - 0.5 * x - 0.35 * np.clip(-50 - y, 0, None) - 8 * np.clip((y + 52) / 16, 0, 1)
    cerebellum = (y < -36) & (z < roof)
    stem = (x < 18) & (y < -8) & (y > -46) & (z < -9)
    return np.asarray(cerebellum | stem)


def _coordinates(rng: np.random.Generator, shape: Shape, affine: NDArray[np.float64], spacing: float) -> Array:
    """MNI152 coordinates that each voxel of the patient shows, shape (3, I, J, K), mm.

    Affine variation (size, proportions, tilt) plus smooth displacements at three scales. The steepest displacement
    stays well below one voxel a voxel, so that the map does not fold.
    """
    scale = rng.uniform(0.80, 0.94) * rng.normal(1, 0.025, size=3)
    angles = np.deg2rad(rng.normal(0, 2.5, size=3))
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ turn
    matrix = rotation @ np.diag(1 / scale)
    centre = np.array([0.0, -18.0, 8.0])
    axes = [affine[a, a] * np.arange(shape[a]) + affine[a, 3] - centre[a] for a in range(3)]
    grid = [g.astype(np.float32) for g in np.meshgrid(*axes, indexing="ij", sparse=True)]
    position = np.empty((3, *shape), dtype=np.float32)
    for a in range(3):
        row = matrix[a].astype(np.float32)
        position[a] = row[0] * grid[0] + row[1] * grid[1] + row[2] * grid[2] + np.float32(centre[a])
        for length, amplitude in ((40.0, 2.2), (18.0, 1.1), (9.0, 0.55)):
            position[a] += amplitude * smooth_field(rng, shape, spacing, length)
    return position


def simulate_anatomy(rng: np.random.Generator, spacing: float, age: float) -> Anatomy:
    """Draw one healthy brain.

    Args:
        rng: stream of the anatomy mechanism.
        spacing: voxel size, mm.
        age: years; widens ventricles and sulci on average.
    """
    atlas = load_atlas(spacing)
    shape = atlas.shape
    origin, step = atlas.affine[:3, 3], spacing
    position = _coordinates(rng, shape, atlas.affine, spacing)
    atrophy = float(np.clip((age - 40) / 30, -0.6, 1.2) + rng.normal(0, 0.35))
    enlargement = float(np.clip(1.2 + 1.6 * atrophy + rng.normal(0, 0.8), -0.4, 5.0))

    index = (position - origin.astype(np.float32)[:, None, None, None]) / np.float32(step)
    depth = ndimage.map_coordinates(atlas.maps["depth"], index, order=1)
    inside = depth > 0.4
    points = index[:, inside]

    def sample(name: str) -> Array:
        return ndimage.map_coordinates(atlas.maps[name], points, order=1, mode="nearest")

    push = np.stack([sample(f"push_{a}") for a in range(3)])
    points = points - np.float32(enlargement / step) * push
    position[:, inside] = points * np.float32(step) + origin.astype(np.float32)[:, None]

    ventricle, nuclei = sample("ventricle"), sample("nuclei")
    edge = depth[inside]
    fold = smooth_field(rng, shape, spacing, 7.0)[inside]
    width = smooth_field(rng, shape, spacing, 30.0)[inside]
    rim = smooth_field(rng, shape, spacing, 5.0)[inside]
    openness = 0.45 * atrophy + 0.2 * width + 0.2 * fold
    soft = np.float32(0.5 + 0.5 * spacing)
    cistern = sigmoid((sample("fluid") - 0.55 + 0.1 * np.where(ventricle < 2, 0, openness)) / (0.07 * soft))
    # a sulcus narrower than a voxel holds less than a voxel of fluid
    narrow = float(rng.uniform(0.7, 1.0))
    sulcal = narrow * sigmoid((sample("sulcus") - 1.25 + 0.6 * openness) / (0.22 * soft))
    fluid = np.maximum(cistern, sulcal)
    tissue = sample("white")
    white = sigmoid((tissue - 0.5 + 0.05 * rim) / (0.07 * soft)) * (1 - nuclei) + tissue * nuclei
    # between white matter and ventricle there is no cortex
    white = np.where((ventricle < 3) & (ventricle > -3), np.maximum(white, 1 - nuclei), white)
    grey = np.clip(1 - white, 0, 1)
    weights = [(1 - fluid) * part for part in (white, grey * (1 - nuclei), grey * nuclei)] + [fluid]

    # the strip follows the pia, with a rim of CSF that varies from place to place
    cut = float(rng.uniform(0.5, 3.0)) + 0.8 * rim
    keep = (edge > 1.0) & ((edge > cut) | (weights[3] < 0.5))

    def grid(values: Array, fill: float = 0.0) -> Array:
        out = np.full(shape, fill, dtype=np.float32)
        out[inside] = values
        return out

    brain = np.zeros(shape, dtype=bool)
    brain[inside] = keep
    brain = _largest(ndimage.binary_opening(brain, iterations=1))
    maps = [grid(np.where(keep, w, 0)) * brain for w in weights]
    scale = 1.0 / 1.09
    return Anatomy(
        spacing=spacing,
        affine=atlas.affine,
        brain=brain,
        white=maps[0],
        cortex=maps[1],
        nuclei=maps[2],
        csf=maps[3],
        ventricle=grid(ventricle * scale, 99.0),
        cortical=grid(sample("cortical") * scale, 99.0),
        position=position,
        t1=grid(sample("t1")),
    )


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())
