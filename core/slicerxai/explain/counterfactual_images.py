"""A change in the network's units as a change of the images themselves, on their own grids and in their own units.

Preparing resamples, smooths and normalises, and each model does so in its own way. What it does to a change is
therefore measured: a change of the image is prepared, the response compared with what is wanted, and the next change
made from what is missing. The images are the combination of such changes whose responses add up best (least squares),
which for a linear preparation is a Krylov method for "prepare(original + change) = prepared + wanted".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from slicerxai.data.resample import resample, resample_like
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Prepared
from slicerxai.progress import Progress, silent

Array = NDArray[np.float32]
ROUNDS = 3
"""Changes that are combined."""
GOOD = 0.02
"""Relative error from which no further change is tried."""


@dataclass(frozen=True)
class Written:
    """Changed images.

    Attributes:
        images: by modality; float32, where the change is exactly 0 the values are the original ones.
        changes: what was added, by modality, image units.
        units: image units that are about one unit of the network, by modality.
        prepared: the changed images, prepared anew.
        error: distance of the change that the network then sees from the wanted one, relative to the wanted one (ℓ2).
        clipped: share of the change that was given up so that every value stays within the range of the image.
        same_grid: they are prepared to the grid of the original ones.
    """

    images: dict[str, Volume]
    changes: dict[str, Volume]
    units: dict[str, float]
    prepared: Prepared
    error: float
    clipped: float
    same_grid: bool


@dataclass(frozen=True)
class _Channel:
    """One modality with what may be changed of it.

    Attributes:
        region: voxels of the image that may change.
        low, high: range of its values.
        unit: image units for one unit of the network, roughly.
    """

    name: str
    image: Volume
    region: NDArray[np.bool_]
    low: float
    high: float
    unit: float


class Writer:
    """Writes changes into the images of one case."""

    def __init__(
        self,
        prepare: Callable[[Mapping[str, Volume]], Prepared],
        images: Mapping[str, Volume],
        channels: Sequence[str],
        prepared: Prepared,
    ) -> None:
        self._prepare, self._images, self._channels = prepare, dict(images), tuple(channels)
        self.prepared = prepared

    def write(self, change: Tensor, progress: Progress = silent) -> Written:
        """The images that are prepared to about the original tensor plus the change.

        Args:
            change: (C, I, J, K) on the prepared grid, network's units.
        """
        wanted = change.numpy()
        channels = [self._channel(index, name, wanted[index]) for index, name in enumerate(self._channels)]
        tried: list[list[Array]] = [[] for _ in channels]
        answers: list[list[Array]] = [[] for _ in channels]
        missing = [wanted[index] for index in range(len(channels))]
        for turn in range(ROUNDS):
            progress(turn / (ROUNDS + 1), "writing the change into the image")
            for index, channel in enumerate(channels):
                tried[index].append(self._back(missing[index], channel))
            response = self._response(channels, [changes[-1] for changes in tried])
            if response is None:
                break
            for index in range(len(channels)):
                answers[index].append(response[index])
                missing[index] = wanted[index] - _combined(answers[index], wanted[index])
            if _relative(np.stack(missing), wanted) < GOOD:
                break
        progress(ROUNDS / (ROUNDS + 1), "preparing the changed image anew")
        final = [
            _sum(changes[: len(found)], _weights(found, wanted[index])) if found else changes[-1]
            for index, (changes, found) in enumerate(zip(tried, answers, strict=True))
        ]
        return self._finished(channels, final, wanted)

    def _channel(self, index: int, name: str, wanted: Array) -> _Channel:
        image = self._images[name]
        array = image.array.astype(np.float32)
        flat = self.prepared.tensor.shape[-1] == 1
        usable = np.ones(array.shape, dtype=bool) if flat else array != 0
        near = ndimage.binary_dilation(wanted != 0, np.ones((3, 3, 1 if flat else 3)))
        touched = np.asarray(resample_like(Volume(near.astype(np.float32), self.prepared.affine), image).array) != 0
        prepared = self.prepared.tensor[index].numpy()
        inside = prepared[prepared != 0]
        unit = _spread(array[usable]) / max(_spread(inside), 1e-6)
        return _Channel(name, image, usable & touched, float(array[usable].min()), float(array[usable].max()), unit)

    def _back(self, values: Array, channel: _Channel) -> Array:
        there = Volume((values * np.float32(channel.unit)).astype(np.float32), self.prepared.affine)
        return np.where(channel.region, resample_like(there, channel.image).array, 0).astype(np.float32)

    def _changed(self, channels: Sequence[_Channel], changes: Sequence[Array]) -> dict[str, Volume]:
        found = {}
        for channel, change in zip(channels, changes, strict=True):
            array = channel.image.array.astype(np.float32)
            bounded = np.clip(array + change, channel.low, channel.high)
            found[channel.name] = channel.image.with_array(np.where(change != 0, bounded, array))
        return found

    def _response(self, channels: Sequence[_Channel], changes: Sequence[Array]) -> Array | None:
        """What preparing makes of changes; None when it chooses another grid."""
        prepared = self._prepare(self._changed(channels, changes))
        if not self._same_grid(prepared):
            return None
        return (prepared.tensor - self.prepared.tensor).numpy()

    def _same_grid(self, prepared: Prepared) -> bool:
        return prepared.tensor.shape == self.prepared.tensor.shape and bool(
            np.allclose(prepared.affine, self.prepared.affine, atol=1e-3)
        )

    def _finished(self, channels: Sequence[_Channel], changes: Sequence[Array], wanted: Array) -> Written:
        images = self._changed(channels, changes)
        prepared = self._prepare(images)
        made = {c.name: c.image.with_array(images[c.name].array - c.image.array.astype(np.float32)) for c in channels}
        asked = sum(float(np.abs(change).sum()) / c.unit for c, change in zip(channels, changes, strict=True))
        kept = sum(float(np.abs(made[c.name].array).sum()) / c.unit for c in channels)
        same = self._same_grid(prepared)
        got = (prepared.tensor - self.prepared.tensor).numpy() if same else np.zeros_like(wanted)
        clipped = 0.0 if asked == 0 else max(0.0, 1 - kept / asked)
        units = {c.name: c.unit for c in channels}
        return Written(images, made, units, prepared, _relative(wanted - got, wanted), clipped, same)


def _spread(values: Array) -> float:
    low, high = np.percentile(values, (25, 75))
    return float(high - low) or float(np.std(values)) or 1.0


def _weights(answers: Sequence[Array], wanted: Array) -> NDArray[np.float64]:
    """Coefficients whose sum of answers is nearest to what is wanted."""
    matrix = np.stack([answer.ravel() for answer in answers], 1).astype(np.float64)
    found: NDArray[np.float64] = np.linalg.lstsq(matrix, wanted.ravel().astype(np.float64), rcond=1e-8)[0]
    return found


def _sum(parts: Sequence[Array], weights: NDArray[np.float64]) -> Array:
    total = np.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        total += np.float32(weight) * part
    return total


def _combined(answers: Sequence[Array], wanted: Array) -> Array:
    return _sum(answers, _weights(answers, wanted))


def _relative(missing: Array, wanted: Array) -> float:
    size = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(missing)) / size if size else 0.0


def foreground_on(prepared: Prepared, images: Mapping[str, Volume], channels: Sequence[str]) -> Tensor:
    """Voxels of the prepared grid where an image has signal, bool (C, I, J, K); all of them for single images.

    Outside it a change has no small counterpart: what was cut away or masked is filled with a constant by preparing.
    """
    if prepared.tensor.shape[-1] == 1:
        return torch.ones_like(prepared.tensor, dtype=torch.bool)
    i, j, k = prepared.tensor.shape[1:]
    found = []
    for name in channels:
        image = images[name]
        signal = image.with_array((np.asarray(image.array) != 0).astype(np.float32))
        found.append(np.rint(np.asarray(resample(signal, prepared.affine, (i, j, k)).array, np.float32)) != 0)
    return torch.from_numpy(np.stack(found))
