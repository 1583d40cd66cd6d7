"""Orthogonal wavelet transform of images of any number of axes, in blocks of neighbouring coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor

SYMLET = (
    -0.07576571478927333,
    -0.02963552764599851,
    0.49761866763201545,
    0.8037387518059161,
    0.29785779560527736,
    -0.09921954357684722,
    -0.012603967262037833,
    0.0322231006040427,
)
"""Low-pass filter of four vanishing moments, nearly symmetric (Daubechies, Ten Lectures on Wavelets, 1992)."""
HIGH = tuple((-1) ** n * tap for n, tap in enumerate(reversed(SYMLET)))


SPLIT = 2
"""Levels, from the finest, whose bands are split once more (wavelet packets): within an octave the power of a smooth
change falls steeply, and bands of half an octave follow it more closely."""


class WaveletTransform:
    """Periodic orthogonal transform W over the last axes: ‖Wx‖ = ‖x‖, inverse Wᵀ.

    Every axis is halved until it has 2 or 3 coefficients, so that a change of the whole image, too, is made of several.
    The bands of the two finest levels are halved once more. Sizes are padded with zeros to 2·2ʲ or 3·2ʲ.

    Attributes:
        grid: the size of what is transformed.
        padded: the size of the coefficients.
    """

    def __init__(self, grid: Sequence[int]) -> None:
        self.grid = tuple(grid)
        depths = [_depth(size) for size in self.grid]
        self.padded = tuple(-(-size >> depth) << depth for size, depth in zip(self.grid, depths, strict=True))
        self._levels = [
            tuple(axis for axis, depth in enumerate(depths) if depth > level) for level in range(max(depths, default=0))
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Coefficients (…, *padded) of images (…, *grid)."""
        found = images.new_zeros((*images.shape[: images.ndim - len(self.grid)], *self.padded))
        found[_corner(self.grid)] = images
        sizes = list(self.padded)
        for axes in self._levels:
            corner = _corner(sizes)
            low = found[corner]
            for axis in axes:
                low = _along(_matrix(low.shape[axis - len(sizes)]), low, axis - len(sizes))
                sizes[axis] //= 2
            found[corner] = low
        for _, band in self._fine():
            part = found[_at(band)]
            for axis in self._halved(part):
                part = _along(_matrix(part.shape[axis]), part, axis)
            found[_at(band)] = part
        return found

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Images (…, *grid) from coefficients (…, *padded)."""
        found = coefficients.clone()
        for _, band in self._fine():
            part = found[_at(band)]
            for axis in reversed(self._halved(part)):
                part = _along(_matrix(part.shape[axis]).T, part, axis)
            found[_at(band)] = part
        sizes: list[tuple[int, ...]] = [self.padded]
        for axes in self._levels:
            sizes.append(tuple(size >> (axis in axes) for axis, size in enumerate(sizes[-1])))
        for axes, size in zip(reversed(self._levels), reversed(sizes[:-1]), strict=True):
            corner = _corner(size)
            low = found[corner]
            for axis in reversed(axes):
                low = _along(_matrix(size[axis]).T, low, axis - len(size))
            found[corner] = low
        return found[_corner(self.grid)]

    def bands(self) -> Iterator[tuple[int, tuple[slice, ...]]]:
        """Each band's level, 1 being the finest, and where its coefficients are; the smooth rest comes last."""
        yield from ((level, part) for level, band in self._fine() for part in _parts(band))
        yield from ((level, band) for level, band in self._octaves() if not self._is_fine(level))

    def _fine(self) -> Iterator[tuple[int, tuple[slice, ...]]]:
        return ((level, band) for level, band in self._octaves() if self._is_fine(level))

    def _is_fine(self, level: int) -> bool:
        return level <= min(SPLIT, len(self._levels))

    def _halved(self, band: Tensor) -> list[int]:
        """Axes, counted from the end, along which a band of the finest levels is split."""
        return [axis for axis in range(-len(self.grid), 0) if _splits(band.shape[axis])]

    def _octaves(self) -> Iterator[tuple[int, tuple[slice, ...]]]:
        sizes = list(self.padded)
        for level, axes in enumerate(self._levels):
            for axis in axes:
                sizes[axis] //= 2
            halves = [(0, 1) if axis in axes else (0,) for axis in range(len(sizes))]
            for place in product(*halves):
                if any(place):
                    yield (
                        level + 1,
                        tuple(slice(n * size, (n + 1) * size) for n, size in zip(place, sizes, strict=True)),
                    )
        yield len(self._levels) + 1, tuple(slice(0, size) for size in sizes)


def _splits(size: int) -> bool:
    return size % 2 == 0 and size >= len(SYMLET)


def _parts(band: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
    """The bands into which a band of the finest levels is split."""
    halves = []
    for one in band:
        middle = (one.start + one.stop) // 2
        split = _splits(one.stop - one.start)
        halves.append([slice(one.start, middle), slice(middle, one.stop)] if split else [one])
    yield from product(*halves)


def blocks(band: Tensor, axes: int) -> tuple[Tensor, tuple[int, ...]]:
    """Coefficients (…, *sizes) as (…, count, members): neighbours two by two along each axis, three by three if odd.

    Also returns the shape with which `unblocks` goes back.
    """
    sizes = band.shape[-axes:]
    lead = band.shape[:-axes]
    widths = [1 if size == 1 else 3 if size % 2 else 2 for size in sizes]
    shape = [part for size, width in zip(sizes, widths, strict=True) for part in (size // width, width)]
    split = band.reshape(*lead, *shape)
    kept = tuple(range(len(lead)))
    outer = tuple(len(lead) + 2 * axis for axis in range(axes))
    inner = tuple(len(lead) + 2 * axis + 1 for axis in range(axes))
    moved = split.permute(kept + outer + inner)
    return moved.flatten(len(lead) + axes).flatten(len(lead), -2), tuple(moved.shape[len(lead) :])


def unblocks(found: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Back from `blocks`, (…, count, members) to (…, *sizes)."""
    axes, lead = len(shape) // 2, found.ndim - 2
    order = [lead + part for axis in range(axes) for part in (axis, axes + axis)]
    moved = found.reshape(*found.shape[:-2], *shape).permute(*range(lead), *order)
    sizes = [shape[axis] * shape[axes + axis] for axis in range(axes)]
    return moved.reshape(*found.shape[:-2], *sizes)


def _at(band: tuple[slice, ...]) -> Any:
    return (..., *band)


def _corner(sizes: Sequence[int]) -> Any:
    return (..., *(slice(size) for size in sizes))


def _depth(size: int) -> int:
    """How often an axis is halved until at most 3 are left."""
    depth = 0
    while -(-size >> depth) > 3:
        depth += 1
    return depth


@cache
def _matrix(size: int) -> Tensor:
    """One level along an axis of even size, (size, size): low-pass rows above high-pass rows; orthogonal."""
    found = torch.zeros(size, size, dtype=torch.float64)
    for row, first in enumerate(range(0, size, 2)):
        for n, (low, high) in enumerate(zip(SYMLET, HIGH, strict=True)):
            found[row, (first + n) % size] += low
            found[size // 2 + row, (first + n) % size] += high
    return found


def _along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """The matrix applied to an axis that counts from the end."""
    matrix = matrix.to(values)
    return values @ matrix.T if axis == -1 else (matrix @ values.transpose(axis, -2)).transpose(axis, -2)
