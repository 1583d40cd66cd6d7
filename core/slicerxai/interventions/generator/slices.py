"""Slices of a scan on the generator's grid, and changes of slices back on the scan's own grid.

Slices are taken along the third canonical axis (inferior to superior) at the scan's own positions; within a slice the
grid has the generator's spacing around the middle of the head. Intensities are those of
`slicerxai.models.intensity.normalised` divided by 4: the median of the head is 0 and no signal about −1, which is also
the value outside the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slicerxai.data.resample import resample, resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.generator.parameters import GeneratorConfig
from slicerxai.models.fast import antialiased
from slicerxai.models.intensity import SIGNAL, foreground, normalised
from slicerxai.models.working_grid import WorkingGrid, canonical, check_affine

MOST_OUTSIDE = 0.03
"""Share of the head's voxels that may lie outside the slices' grid."""


@dataclass(frozen=True)
class Slices:
    """One scan on the generator's grid.

    Attributes:
        pixels: (K, C, H, W) float32; H runs left to right, W back to front.
        head: (K, H, W) bool.
        height: (K,) float32, place of each slice in the head: 0 its lowest, 1 its highest slice; NaN for a single one.
        grid: the grid (H, W, K).
        thickness: distance of the slices, mm.
        gain: (C,) stored intensity of one unit, for each channel.
    """

    pixels: Tensor
    head: NDArray[np.bool_]
    height: NDArray[np.float32]
    grid: WorkingGrid
    thickness: float
    gain: tuple[float, ...]

    def on_grid(self, mask: Volume) -> NDArray[np.float32]:
        """A mask on the grid of the slices, (K, H, W): the share of each pixel that it covers."""
        share = mask.with_array((np.asarray(mask.array) != 0).astype(np.float32))
        return _resampled(share, self.grid).transpose(2, 0, 1)

    def back(self, change: NDArray[np.float32], like: Volume) -> NDArray[np.float32]:
        """A change of one channel (K, H, W) on the grid of an image, zero outside the slices' grid."""
        return np.asarray(resample_like(Volume(change.transpose(1, 2, 0), self.grid.affine), like).array)


def slices_of(images: Mapping[str, Volume], config: GeneratorConfig) -> Slices:
    """The slices of a scan.

    Raises:
        InputError: a missing channel, an unusable image, or a head that is larger than the generator's slices.
    """
    missing = [channel for channel in config.channels if channel not in images]
    if missing:
        msg = f"the generator needs {', '.join(config.channels)}; there is {', '.join(images) or 'no image'}"
        raise InputError(msg)
    reference = images[config.channels[0]]
    check_affine(reference.affine)
    head = reference.with_array(foreground(reference.array, config.channels[0]))
    grid = slice_grid(head, config)
    inside = _resampled(head.with_array(head.array.astype(np.float32)), grid)
    _check_size(head, inside, grid, config)
    pixels, gain = [], []
    for channel in config.channels:
        image = images[channel]
        array = np.asarray(image.array, dtype=np.float32)
        mask = foreground(image.array, channel)
        scaled = normalised(array, mask, channel) / SIGNAL
        low, median, high = np.percentile(array[mask], (25, 50, 75))
        gain.append(float(SIGNAL * np.sqrt(median * (high - low)) / 2))
        # outside the head a value of its own, −1: fill before interpolation, so that edges do not mix with zeros
        filled = np.where(mask, scaled, np.float32(-1))
        pixels.append(_resampled(image.with_array(filled), grid, fill=-1.0).transpose(2, 0, 1))
    return Slices(
        pixels=torch.from_numpy(np.stack(pixels, axis=1)),
        head=(inside >= 0.5).transpose(2, 0, 1),
        height=_heights(inside),
        grid=grid,
        thickness=float(np.linalg.norm(grid.affine[:3, 2])),
        gain=tuple(gain),
    )


def slice_grid(head: Volume, config: GeneratorConfig) -> WorkingGrid:
    """The grid (H, W, K) around the middle of a head (a boolean mask with a true voxel)."""
    image = canonical(head)
    step = np.array([config.spacing / image.spacing[0], config.spacing / image.spacing[1], 1.0])
    start = np.zeros(3)
    for axis in (0, 1):
        inside = np.flatnonzero(image.array.any(axis=tuple({0, 1, 2} - {axis})))
        middle = (inside[0] + inside[-1]) / 2
        start[axis] = middle - step[axis] * (config.shape[axis] - 1) / 2
        if abs(step[axis] - 1) < 1e-3:  # the image's own pixels: no interpolation
            start[axis] = np.floor(start[axis])
    index = np.diag([*step, 1.0])
    index[:3, 3] = start
    return WorkingGrid((*config.shape, image.shape[2]), image.affine @ index)


def _resampled(volume: Volume, grid: WorkingGrid, fill: float = 0.0) -> NDArray[np.float32]:
    smooth = antialiased(volume, grid)
    return np.asarray(resample(smooth, grid.affine, grid.shape, fill=fill).array, dtype=np.float32)


def _heights(inside: NDArray[np.float32]) -> NDArray[np.float32]:
    filled = np.flatnonzero((inside >= 0.5).any(axis=(0, 1)))
    if len(filled) < 2:
        return np.full(inside.shape[2], np.nan, dtype=np.float32)
    height = (np.arange(inside.shape[2]) - filled[0]) / (filled[-1] - filled[0])
    return np.clip(height, 0, 1).astype(np.float32)


def _check_size(head: Volume, inside: NDArray[np.float32], grid: WorkingGrid, config: GeneratorConfig) -> None:
    voxel = float(abs(np.linalg.det(grid.affine[:3, :3])))
    whole = float(np.count_nonzero(head.array)) * head.voxel_volume
    outside = 1 - float(inside.sum()) * voxel / whole
    if outside > MOST_OUTSIDE:
        size = " × ".join(f"{pixels * config.spacing:g}" for pixels in config.shape)
        msg = (
            f"{outside:.0%} of the head lies outside the generator's slices of {size} mm; train one with a larger "
            "shape or spacing"
        )
        raise InputError(msg)
