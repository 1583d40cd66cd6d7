"""The healthy brain that every phantom patient is deformed from: the MNI152 maps that nilearn ships.

Source: ICBM 2009a nonlinear symmetric template (Fonov et al., NeuroImage 2011; 47:S102) with its grey and white
matter probability maps, in `nilearn.datasets`; nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.phantom.fields import Array, Shape

MARGIN = 7
"""Empty voxels of 1 mm around the template's brain."""


@dataclass(frozen=True)
class Atlas:
    """Maps of shape (I, J, K) on one grid; fractions in [0, 1], distances in mm.

    Attributes:
        spacing: voxel size, mm.
        affine: voxel index to MNI152 world, mm.
        maps: white, fluid (fractions), nuclei (1 where grey matter is deep), sulcus (above 1 in the fundus),
            t1 (template intensity, WM about 0.87),
            ventricle (signed distance to the ventricles, negative inside), cortical (distance to the cortex),
            depth (distance to the outside of the brain), push_0..2 (outward unit normal of the lateral ventricles,
            fading with distance).
    """

    spacing: float
    affine: NDArray[np.float64]
    maps: dict[str, Array]

    @property
    def shape(self) -> Shape:
        i, j, k = self.maps["white"].shape
        return i, j, k


def _world(shape: Shape, affine: NDArray[np.float64]) -> list[Array]:
    """Broadcastable world coordinates along the three axes of a scaled, unrotated grid, mm."""
    axes = [affine[a, a] * np.arange(shape[a]) + affine[a, 3] for a in range(3)]
    return [np.asarray(x, dtype=np.float32) for x in np.meshgrid(*axes, indexing="ij", sparse=True)]


def _ventricles(csf: Array, affine: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of (lateral, third and fourth) ventricles: connected CSF in boxes of MNI space."""
    x, y, z = _world(csf.shape, affine)  # type: ignore[arg-type]
    fluid = csf > 0.5
    quadrigeminal = (np.abs(x) < 13) & (y < -22) & (z < 13)
    box = (np.abs(x) < 40) & (y > -60) & (y < 42) & (z > -6) & (z < 34) & ~quadrigeminal & (np.abs(x) > 1.5)
    labels, count = ndimage.label(fluid & box)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    lateral = np.isin(labels, np.argsort(sizes)[-2:])
    third = fluid & (np.abs(x) < 6) & (y > -28) & (y < 6) & (z > -12) & (z < 12)
    fourth = fluid & (np.abs(x) < 14) & (y > -50) & (y < -32) & (z > -44) & (z < -18)
    return lateral, lateral | third | fourth


def _window(values: Array, start: NDArray[np.int64], size: NDArray[np.int64]) -> Array:
    """The box of `size` voxels from `start`, padded with zeros where it leaves the array."""
    padded = np.pad(values, MARGIN)
    return padded[tuple(slice(int(a) + MARGIN, int(a + n) + MARGIN) for a, n in zip(start, size, strict=True))]


def _build() -> Atlas:
    from nilearn import datasets

    template = datasets.load_mni152_template(resolution=1)
    grey = np.asarray(datasets.load_mni152_gm_template(resolution=1).get_fdata(), dtype=np.float32)
    white = np.asarray(datasets.load_mni152_wm_template(resolution=1).get_fdata(), dtype=np.float32)
    t1 = np.asarray(template.get_fdata(), dtype=np.float32)
    box = ndimage.find_objects((t1 > 0).astype(np.int8))[0]
    start = np.array([s.start for s in box]) - MARGIN
    # even lengths, so that the 2 mm grid covers the same extent
    size = (np.array([s.stop for s in box]) + MARGIN - start + 1) // 2 * 2
    grey, white, t1 = (_window(values, start, size) for values in (grey, white, t1))
    affine = np.array(template.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ start
    return Atlas(1.0, affine, _maps(grey, white, t1, affine))


def _maps(grey: Array, white: Array, t1: Array, affine: NDArray[np.float64]) -> dict[str, Array]:
    brain = ndimage.binary_fill_holes(t1 > 0)
    x, y, z = _world(t1.shape, affine)  # type: ignore[arg-type]
    csf = np.where(brain, np.clip(1 - grey - white, 0, 1), 0).astype(np.float32)
    lateral, ventricles = _ventricles(csf, affine)
    outside_lateral = ndimage.distance_transform_edt(~lateral)
    signed = outside_lateral - ndimage.distance_transform_edt(lateral)
    smooth = ndimage.gaussian_filter(signed.astype(np.float32), 2.0)
    push = np.stack(np.gradient(smooth)) * np.exp(-np.clip(smooth, 0, None) / 14.0)
    distance = ndimage.distance_transform_edt(~ventricles) - ndimage.distance_transform_edt(ventricles)

    depth = ndimage.distance_transform_edt(brain)

    # half-WM half-CSF voxels around the ventricles look grey in the maps: give them back to white matter
    solid = ndimage.grey_opening(grey, size=(5, 5, 5))
    rim = np.where(np.abs(distance) < 7, np.clip(grey - solid, 0, None), 0)
    grey, white = grey - rim, white + np.where(distance > 0.5, rim, 0)
    inner = ((np.abs(x) - 18) / 17) ** 2 + ((y + 4) / 28) ** 2 + ((z - 4) / 19) ** 2
    is_nucleus = np.clip(4 * (1.1 - inner), 0, 1) * (np.abs(x) < 34)
    # the mixed nuclei and tracts of the brain stem count as white matter
    stem = (np.abs(x) < 19 - 0.1 * np.abs(y + 26)) & (y < -8) & (y > -44) & (z < -8) & (depth > 4)
    grey, white = np.where(stem, 0, grey), np.where(stem, white + grey, white)
    cortex = grey * (1 - is_nucleus)

    # the average of many brains is blurred: unsharp masking brings back gyral white matter and sulci
    ridge = ndimage.gaussian_filter(t1, 1.5) - ndimage.gaussian_filter(t1, 0.3)
    sulcus = np.clip(ridge / 0.025, -1, 4) * np.clip(2 * (cortex + csf) - 0.5, 0, 1) * (distance > 3)
    gyral = np.clip(white + 2.0 * (white - ndimage.gaussian_filter(white, 2.5)), 0, 1)
    white = np.where((is_nucleus > 0.02) | stem, white, gyral)
    # the same cortex that patients get; islands inside the white matter are no cortex
    labels, _ = ndimage.label(brain & (white < 0.5) & (is_nucleus < 0.5) & ~stem & (distance > 3))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    cortical = ndimage.distance_transform_edt(~(sizes > 300)[labels])
    maps = {
        "white": white,
        "fluid": csf,
        "nuclei": is_nucleus,
        "sulcus": sulcus,
        "t1": t1,
        "ventricle": distance,
        "cortical": cortical,
        "depth": depth,
        **{f"push_{a}": push[a] for a in range(3)},
    }
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in maps.items()}


@lru_cache(maxsize=1)
def _fine() -> Atlas:
    return _build()


@lru_cache(maxsize=4)
def load_atlas(spacing: float) -> Atlas:
    """The atlas at 1 mm, or averaged over cubes to a coarser grid of the same extent.

    Args:
        spacing: voxel size, mm.
    """
    fine = _fine()
    if spacing == 1.0:
        return fine
    shape = tuple(int(np.ceil(n / spacing)) for n in fine.shape)
    affine = fine.affine.copy()
    affine[:3, :3] *= spacing
    affine[:3, 3] += np.diag(fine.affine)[:3] * (spacing - 1) / 2
    centres = [(np.arange(n) + 0.5) * spacing - 0.5 for n in shape]
    grid = np.stack(np.meshgrid(*centres, indexing="ij"))
    maps = {}
    for name, values in fine.maps.items():
        mean = ndimage.uniform_filter(values, round(spacing), mode="nearest") if spacing >= 1.5 else values
        # an even window is centred half a voxel low
        shift = 0.5 if spacing >= 1.5 and round(spacing) % 2 == 0 else 0.0
        maps[name] = ndimage.map_coordinates(mean, grid + shift, order=1, mode="nearest").astype(np.float32)
    return Atlas(spacing, affine, maps)
