"""Paths of the same size and course as a property's that have nothing to do with it, and the test against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from slicerxai.errors import InputError
from slicerxai.interventions.permutation import TOLERANCE
from slicerxai.interventions.wavelets import SPLIT, WaveletTransform, blocks, unblocks
from slicerxai.progress import Progress, silent

Array = NDArray[np.float64]


class ControlPaths:
    """Arbitrary paths from the same image whose change has the size, scale, surroundings and course of a given one's.

    The changes of all steps go through one random orthogonal map: in an orthogonal wavelet basis, the coefficients of
    every block of 2 × 2 (× 2) neighbours of a band are turned by a random rotation or reflection (uniform over the
    orthogonal group; in the bands of the two finest octaves, each split in halves, single coefficients get a random
    sign). How much a change holds at each scale, orientation and place stays, up to a block's width, which grows with
    the scale; how it is put together is drawn anew. All inner products between steps, their norms and distances are
    those of the path. Channels share the map. Where nothing may change – the image has the value of its first corner
    and no step changes it – the control is set back to the image and each step brought to its norm again; inner
    products are then kept approximately.
    """

    def __init__(self, start: Tensor, path: Tensor) -> None:
        """Arguments.

        Args:
            start: (C, *grid) the unchanged image, as the network sees it.
            path: (N, C, *grid) the same image at each value of the property.

        Raises:
            InputError: the images lie on different grids.
        """
        if path.shape[1:] != start.shape or start.ndim < 2:
            msg = f"a path of shape {tuple(path.shape)} does not start at an image of shape {tuple(start.shape)}"
            raise InputError(msg)
        change = path - start
        corner = start.flatten(1)[:, :1].reshape(-1, *([1] * (start.ndim - 1)))
        self._start = start
        self._fixed = (start == corner) & (change == 0).all(0)
        self._norm = _norm(change)
        self._transform = WaveletTransform(start.shape[1:])
        self._coefficients = self._transform.forward(change)

    def draw(self, generator: Generator) -> Tensor:
        """One control path (N, C, *grid), on the device of the path; the generator is on the CPU."""
        return self.draws(1, generator)[0]

    def draws(self, count: int, generator: Generator) -> Tensor:
        """Several independent control paths at once, (count, N, C, *grid)."""
        turned = self._coefficients.new_empty((count, *self._coefficients.shape))
        axes = len(self._transform.grid)
        for level, place in self._transform.bands():
            here = (slice(None), slice(None), *place)
            band = self._coefficients[here]
            # fine bands have many coefficients, so that signs are random enough; rotations would blur their places
            found = _signed(band, axes, count, generator) if level <= SPLIT else _rotated(band, axes, count, generator)
            turned[(slice(None), *here)] = found
        change = self._transform.inverse(turned).masked_fill(self._fixed, 0)
        norm = _norm(change.flatten(0, 1)).unflatten(0, change.shape[:2])
        return self._start + change * (self._norm / norm.masked_fill(norm == 0, 1))


def _norm(change: Tensor) -> Tensor:
    """Euclidean norm of each step, (N, 1, …)."""
    return change.flatten(1).norm(dim=1).reshape(-1, *([1] * (change.ndim - 1)))


def _signed(band: Tensor, axes: int, count: int, generator: Generator) -> Tensor:
    """Coefficients (N, C, …) with random signs, (count, N, C, …)."""
    signs = torch.randint(0, 2, (count, 1, 1, *band.shape[-axes:]), generator=generator).to(band) * 2 - 1
    return band * signs


def _rotated(band: Tensor, axes: int, count: int, generator: Generator) -> Tensor:
    """Coefficients (N, C, …) with each block turned at random, (count, N, C, …)."""
    split, shape = blocks(band, axes)
    number, members = split.shape[-2:]
    gaussian = torch.randn((count, number, members, members), generator=generator)
    # QR of a Gaussian matrix, with the signs of R's diagonal, is uniform on the orthogonal group (Mezzadri 2007)
    q, r = torch.linalg.qr(gaussian)
    rotation = (q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1))[..., None, :]).to(band)
    return unblocks(torch.einsum("knij,...nj->k...ni", rotation, split), shape)


@dataclass(frozen=True)
class ControlTest:
    """Of O outputs.

    Attributes:
        p: (O,).
        statistic: (O,) of the property.
        exceedances: (O,) controls with a statistic at least as large, up to where the output's test ended.
        drawn: controls that were drawn.
        resolution: the smallest p that so many controls can give, 1 / (K + 1).
    """

    p: Array
    statistic: Array
    exceedances: NDArray[np.int64]
    drawn: int
    resolution: float


def control_test(
    statistic: Array,
    control: Callable[[int], Array],
    controls: int,
    stop_after: int | None = None,
    progress: Progress = silent,
) -> ControlTest:
    """Is the statistic larger than under controls? p = (b + 1) / (K + 1).

    H₀: the model responds to the property as to an arbitrary change of its size, scale, surroundings and course.

    With `stop_after` h an output's test ends at the h-th control that reaches its statistic; its p is then h / l with
    l controls drawn until there, which is valid, too (Besag and Clifford, Biometrika 1991). Drawing ends when the tests
    of all outputs have.

    Args:
        statistic: (O,) of the property, at least 0, such as `departure`.
        control: the statistic (O,) of the i-th control, from 0.
        controls: most controls to draw, K.
        stop_after: h of the sequential test; None draws all.
        progress: called after every control.
    """
    statistic = _finite(statistic, "the property")
    if controls < 1 or (stop_after is not None and stop_after < 1):
        msg = f"a test needs at least 1 control and stops after at least 1; got {controls} and {stop_after}"
        raise InputError(msg)
    exceedances = np.zeros(statistic.shape, np.int64)
    p = np.full(statistic.shape, np.nan)
    drawn = 0
    for index in range(controls):
        running = np.isnan(p)
        found = _finite(control(index), f"control {index + 1}")
        drawn = index + 1
        exceedances += running & (found >= statistic - TOLERANCE * np.abs(statistic))
        if stop_after is not None:
            p[running & (exceedances == stop_after)] = stop_after / drawn
        progress(drawn / controls, f"control {drawn} of {controls}")
        if not np.isnan(p).any():
            break
    p = np.where(np.isnan(p), (exceedances + 1) / (controls + 1), p)
    return ControlTest(p, statistic, exceedances, drawn, 1 / (controls + 1))


def _finite(statistic: Array, what: str) -> Array:
    statistic = np.asarray(statistic, np.float64)
    if statistic.ndim != 1 or not np.isfinite(statistic).all():
        msg = f"the statistic of {what} must be a list of finite numbers; got {statistic.tolist()}"
        raise InputError(msg)
    return statistic
