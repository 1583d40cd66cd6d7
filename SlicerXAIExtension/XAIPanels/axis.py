"""Round numbers along an axis."""

from __future__ import annotations

import math


def ticks(low: float, high: float) -> list[float]:
    """At most six round numbers within two ends, zero among them where it lies there."""
    size = 10.0 ** math.floor(math.log10(high - low))
    step = next(step for step in (0.1 * size, 0.2 * size, 0.5 * size, size, 2 * size) if (high - low) / step <= 5)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(index * step, 6) for index in range(first, last + 1)]


def signed(value: float) -> str:
    """A number with a real minus sign."""
    return f"{value:g}".replace("-", "−")
