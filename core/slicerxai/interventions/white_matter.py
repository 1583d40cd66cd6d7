"""Normal-appearing white matter, found by its intensity alone: where it is, how bright it is there, and its texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import Array

Mask = NDArray[np.bool_]

DEEP_MM = 10.0
"""Tissue this far below the surface of the brain is mostly white matter."""
SCALES_MM = (4.0, 8.0, 16.0, 32.0)
"""Neighbourhoods of the local level; each counts where the ones before hold next to nothing."""
FINE_MM = 2.5
"""Texture is what differs from the mean over a Gaussian of this standard deviation."""
T1_WEIGHTED = ("T1", "GADO")
"""Modalities in which white matter is the brightest tissue."""
FEWEST = 30
"""Voxels of white matter without which nothing can be said about it."""


@dataclass(frozen=True, eq=False)
class WhiteMatter:
    """Estimates on one grid.

    Attributes:
        mask: (I, J, K), voxels taken for normal-appearing white matter.
        level: (C, I, J, K), its intensity in the neighbourhood, also where there is none.
        spread: per channel, standard deviation of its peak in the histogram.
        texture: per channel, standard deviation about the level.
        grain: per channel and axis, standard deviation in voxels of the Gaussian that gives white noise the correlation
            of neighbouring voxels that this texture has.
    """

    mask: Mask
    level: Array
    spread: tuple[float, ...]
    texture: tuple[float, ...]
    grain: tuple[tuple[float, ...], ...]

    @property
    def relative_texture(self) -> NDArray[np.float64]:
        """(C,), standard deviation of the texture as a share of the mean level."""
        levels = [float(level[self.mask].mean()) for level in self.level]
        return np.asarray(self.texture) / np.asarray(levels)


def find_white_matter(
    stack: Array, modalities: Sequence[str], head: Mask, excluded: Mask, spacing: tuple[float, ...]
) -> WhiteMatter:
    """White matter: deep in the brain the brightest tissue of T1-weighted images and the most frequent intensity of
    others, in all channels at once, followed through its neighbourhood so that a bias field does no harm.

    Args:
        stack: (C, I, J, K), channels on one grid.
        modalities: name of each channel.
        head: voxels that are not background.
        excluded: lesions with their surroundings.
        spacing: mm.

    Raises:
        InputError: next to nothing looks like white matter.
    """
    depth = ndimage.distance_transform_edt(head, sampling=spacing)
    smooth = np.stack([ndimage.gaussian_filter(channel, [0.8 / size for size in spacing]) for channel in stack])
    allowed = head & ~excluded & (depth > min(3.0, 0.3 * float(depth.max())))
    deep = allowed & (depth > min(DEEP_MM, 0.4 * float(depth.max())))
    _enough(deep)
    white, spreads = allowed.copy(), []
    for channel, modality in zip(smooth, modalities, strict=True):
        mode, spread = (_brightest if modality in T1_WEIGHTED else _peak)(channel[deep])
        white &= np.abs(channel - mode) < 2.5 * spread
        spreads.append(spread)
    _enough(white)
    rough = local_level(stack, white, spacing)
    white = allowed.copy()
    for channel, level, spread in zip(smooth, rough, spreads, strict=True):
        white &= np.abs(channel - level) < 1.5 * spread
    white = _solid(white)
    level = local_level(stack, white, spacing)
    return WhiteMatter(white, level, tuple(spreads), *_texture(stack, white, spacing))


def _solid(white: Mask) -> Mask:
    """Without speckle and thin sheets of voxels, which are mixtures of others; all of it when little would be left."""
    _enough(white)
    opened = ndimage.binary_opening(white, ndimage.generate_binary_structure(3, 2))
    return opened if int(opened.sum()) >= max(FEWEST, 0.2 * int(white.sum())) else white


def _enough(white: Mask) -> None:
    found = int(white.sum())
    if found < FEWEST:
        msg = f"{found} voxels look like normal-appearing white matter; at least {FEWEST} are needed"
        raise InputError(msg)


def _peak(values: Array) -> tuple[float, float]:
    """The most frequent value, and the standard deviation about it.

    It is taken from the half width on the steeper side of the peak, as other tissue widens the other side.
    """
    low, high = np.percentile(values, (0.5, 99.5))
    counts, edges = np.histogram(values, bins=200, range=(float(low), float(high) + 1e-6))
    curve = ndimage.gaussian_filter1d(counts.astype(np.float64), 3.0)
    place = int(curve.argmax())
    mode = float((edges[place] + edges[place + 1]) / 2)
    below = np.flatnonzero(curve <= curve[place] / 2)
    widths = [place - below[below < place].max(initial=-1), below[below > place].min(initial=len(curve)) - place]
    spread = float(min(widths) * (edges[1] - edges[0]) / 1.177)
    return mode, max(spread, 0.01 * abs(mode))


def _brightest(values: Array) -> tuple[float, float]:
    """Mean and standard deviation of the brightest tissue, when it makes up half of the values."""
    mean, above = np.percentile(values, (75, 92))
    return float(mean), max(float(above - mean), 0.01 * abs(float(mean)))


def local_level(stack: Array, mask: Mask, spacing: tuple[float, ...]) -> Array:
    """Mean over the mask's voxels of the neighbourhood, (C, I, J, K), everywhere; see `SCALES_MM`."""
    blocks = [max(1, round(3.0 / size)) for size in spacing]
    weight = _block_sums(mask.astype(np.float32), blocks)
    sums = [_block_sums(channel * mask, blocks) for channel in stack]
    total, means = np.zeros_like(weight), [np.zeros_like(weight) for _ in sums]
    for rank, scale in enumerate(SCALES_MM):
        sigma = [scale / (size * block) for size, block in zip(spacing, blocks, strict=True)]
        share = np.float32(1e-2**rank)
        total += share * ndimage.gaussian_filter(weight, sigma, mode="constant", truncate=5.0)
        for index, one in enumerate(sums):
            means[index] += share * ndimage.gaussian_filter(one, sigma, mode="constant", truncate=5.0)
    everywhere = float(weight.sum())
    least = np.float32(1e-9 * float(total.max()))
    result = []
    for mean, one in zip(means, sums, strict=True):
        coarse = (mean + least * np.float32(one.sum() / everywhere)) / (total + least)
        fine = ndimage.zoom(coarse, blocks, order=1, mode="nearest", grid_mode=True)
        result.append(fine[tuple(slice(0, n) for n in mask.shape)])
    return np.stack(result).astype(np.float32)


def _block_sums(array: Array, blocks: list[int]) -> Array:
    padded = np.pad(array, [(0, -size % block) for size, block in zip(array.shape, blocks, strict=True)])
    shape = [n for size, block in zip(padded.shape, blocks, strict=True) for n in (size // block, block)]
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3, 5)), dtype=np.float32)


def _texture(
    stack: Array, white: Mask, spacing: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Standard deviation and grain of what is left of each channel without its local mean; see `WhiteMatter`."""
    sigma = [FINE_MM / size for size in spacing]
    weight = np.maximum(ndimage.gaussian_filter(white.astype(np.float32), sigma), 1e-3)
    deviations, grains = [], []
    for channel in stack:
        fine = channel - ndimage.gaussian_filter(channel * white, sigma) / weight
        variance = ndimage.gaussian_filter(np.where(white, fine**2, 0), sigma) / weight
        # where it is most even nothing but noise is left; elsewhere borders of other tissue are
        even = white & (variance <= np.percentile(variance[white], 40))
        square = float((fine[even].astype(np.float64) ** 2).mean())
        deviations.append(square**0.5)
        grains.append(tuple(_grain(_neighbours(fine, even, axis), square) for axis in range(3)))
    return tuple(deviations), tuple(grains)


def _neighbours(channel: Array, white: Mask, axis: int) -> NDArray[np.float64]:
    """Products of neighbouring voxels of the mask."""
    parts = slice(1, None), slice(None, -1)
    here, there = (np.moveaxis(white, axis, 0)[part] for part in parts)
    one, other = (np.moveaxis(channel, axis, 0)[part][here & there] for part in parts)
    return one.astype(np.float64) * other


def _grain(products: NDArray[np.float64], variance: float) -> float:
    """White noise under a Gaussian of s voxels has the correlation exp(-1 / 4 s²) between neighbours."""
    related = float(products.mean()) / max(variance, 1e-12) if products.size else 0.0
    return 0.0 if related < 0.05 else float(0.5 / np.sqrt(-np.log(min(related, 0.95))))


def drawn_texture(
    rng: np.random.Generator, white: WhiteMatter, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> Array:
    """Texture as white matter has it, (C, I, J, K), mean 0."""
    drawn = []
    for deviation, grain in zip(white.texture, white.grain, strict=True):
        noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), grain, mode="wrap")
        noise -= ndimage.gaussian_filter(noise, [FINE_MM / size for size in spacing], mode="wrap")
        drawn.append(noise * np.float32(deviation / max(float(noise.std()), 1e-6)))
    return np.stack(drawn)
