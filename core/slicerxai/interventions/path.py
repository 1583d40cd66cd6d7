"""The scan realised at ascending values of one property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.property import Property, Sampled, Scan

_CLOSE = 0.25
"""A neutral value nearer to a sample than this share of a step replaces it, and is inserted elsewhere."""


@dataclass(frozen=True, eq=False)
class GradualPath:
    """A scan along a property; images are made when they are asked for.

    Attributes:
        property: what changes.
        scan: what it is changed on.
        values: shape (N,), ascending, in the property's units.
    """

    property: Property
    scan: Scan
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, step: int) -> dict[str, Volume]:
        """Images at one step, by modality."""
        return self.property.realise(self.scan, float(self.values[step]))

    def __iter__(self) -> Iterator[dict[str, Volume]]:
        return (self[step] for step in range(len(self)))

    def neutral_step(self) -> int | None:
        """The step at which the scan is as it is; None when the path does not hold it."""
        neutral = self.property.neutral(self.scan)
        found = np.flatnonzero(self.values == neutral)
        return int(found[0]) if neutral is not None and len(found) else None


def gradual_path(
    property: Property,
    scan: Scan,
    low: float | None = None,
    high: float | None = None,
    steps: int = 11,
) -> GradualPath:
    """Values at equal distances from `low` to `high`, with the scan as it is among them.

    A neutral value within the range takes the place of the sample next to it when it is nearer than a quarter of a
    step, and is inserted elsewhere: the samples are then `steps` + 1. Properties that exist at some values only have
    those within the range.

    Args:
        property: what changes.
        scan: what it is changed on.
        low, high: range in the property's units; None takes the property's default, cut at what the scan allows.
        steps: number of values, at least 2.

    Raises:
        InputError: the property is unusable on this scan; a range that is empty or outside the limits; too few values.
    """
    reason = property.unusable(scan)
    if reason is not None:
        msg = f"{property.info.title} cannot be changed on this scan: {reason}"
        raise InputError(msg)
    start, stop = _range(property, scan, low, high)
    if isinstance(property, Sampled):
        samples = property.samples(scan)
        values = samples[(samples >= start) & (samples <= stop)]
        if len(values) < 2:
            msg = f"{property.info.title} has {len(values)} value between {start:g} and {stop:g}; at least 2 are needed"
            raise InputError(msg)
        return GradualPath(property, scan, values)
    if steps < 2:
        msg = f"a path has at least 2 steps, got {steps}"
        raise InputError(msg)
    return GradualPath(property, scan, _with(np.linspace(start, stop, steps), property.neutral(scan)))


def _range(one: Property, scan: Scan, low: float | None, high: float | None) -> tuple[float, float]:
    least, most = one.limits(scan)
    if low is None:
        low = least if one.info.low is None else max(one.info.low, least)
    if high is None:
        high = most if one.info.high is None else min(one.info.high, most)
    units = f" {one.info.units}" if one.info.units else ""
    if not least <= low < high <= most:
        msg = (
            f"{one.info.title} goes from {least:g} to {most:g}{units} on this scan; the range asked for is {low:g} to "
            f"{high:g}{units}"
        )
        raise InputError(msg)
    return low, high


def _with(values: NDArray[np.float64], neutral: float | None) -> NDArray[np.float64]:
    """The values with the neutral one among them, when it lies between their ends."""
    if neutral is None or not values[0] <= neutral <= values[-1]:
        return values
    nearest = int(np.abs(values - neutral).argmin())
    inner = 0 < nearest < len(values) - 1
    step = values[1] - values[0]
    distance = abs(values[nearest] - neutral)
    if distance <= 1e-9 * step or (inner and distance < _CLOSE * step):
        values = values.copy()
        values[nearest] = neutral
        return values
    return np.sort(np.append(values, neutral))
