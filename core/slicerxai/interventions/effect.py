"""How strongly a prediction changes along a property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Flip:
    """A place at which an output crosses its threshold.

    Attributes:
        value: of the property, in its units; interpolated linearly between the two samples around it.
        upward: the output is below the threshold before it and at or above the threshold after it.
    """

    value: float
    upward: bool


@dataclass(frozen=True)
class Effect:
    """Property gradients of O outputs F over N values x of a property.

    Attributes:
        gradient: (N, O) dF/dx at each value, by second-order differences; output units per property unit.
        mean_gradient: (O,) expectation of dF/dx under the uniform density over the range.
        mean_abs_gradient: (O,) E|∇ₓF| under the same density. For equidistant values the plain mean over them, as
            published; else every value counts by the width of its surroundings.
        per_step: (O,) mean of |∇F| with unit spacing: the figure of the published code, in output units per step. It
            depends on the number of steps.
        over_range: (O,) `mean_abs_gradient` times the length of the range, in output units: comparable between
            properties with different units.
        total_variation: (O,) Σ|F(xᵢ₊₁) − F(xᵢ)|, in output units.
        flips: of each output, ascending; none for an output without a threshold.
    """

    gradient: Array
    mean_gradient: Array
    mean_abs_gradient: Array
    per_step: Array
    over_range: Array
    total_variation: Array
    flips: tuple[tuple[Flip, ...], ...]


def effect(values: Array, predictions: Array, thresholds: Sequence[float | None]) -> Effect:
    """Measure E|∇ₓF| (Locally Explaining Prediction Behavior via Gradual Interventions, section 3) and flips.

    Args:
        values: (N,) of the property, ascending, N ≥ 2.
        predictions: (N, O) at these values.
        thresholds: of each output: at or above it the output counts as present. None: it has no threshold.

    Raises:
        InputError: the values do not ascend, something is not finite, or shapes do not fit.
    """
    values, predictions = np.asarray(values, np.float64), curves(predictions)
    if values.shape != predictions.shape[:1]:
        msg = f"{len(predictions)} predictions were given for values of shape {values.shape}"
        raise InputError(msg)
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        msg = f"values of a property must be finite and ascend; got {values.tolist()}"
        raise InputError(msg)
    if len(thresholds) != predictions.shape[1]:
        msg = f"{len(thresholds)} thresholds were given for {predictions.shape[1]} outputs"
        raise InputError(msg)
    gradient = np.gradient(predictions, values, axis=0)
    weights = _weights(values)
    mean_abs = weights @ np.abs(gradient)
    return Effect(
        gradient=gradient,
        mean_gradient=weights @ gradient,
        mean_abs_gradient=mean_abs,
        per_step=mean_steps(predictions),
        over_range=mean_abs * (values[-1] - values[0]),
        total_variation=np.abs(np.diff(predictions, axis=0)).sum(0),
        flips=tuple(_flips(values, predictions[:, n], threshold) for n, threshold in enumerate(thresholds)),
    )


def mean_steps(predictions: Array) -> Array:
    """mean |∇F| with unit spacing over the steps (axis 0), (…): the statistic of all tests of one curve.

    Args:
        predictions: (N, …), N ≥ 2.
    """
    inner = np.abs(predictions[2:] - predictions[:-2]).sum(0) / 2
    ends = np.abs(predictions[1] - predictions[0]) + np.abs(predictions[-1] - predictions[-2])
    return (inner + ends) / len(predictions)


def departure(predictions: Array, unchanged: Array) -> Array:
    """Mean |F(x) − F(unchanged image)| over the steps, (O,): the statistic of a path that is compared with controls.

    Not mean |∇F|: an output that saturates runs through its range under any change that is large enough, and a control
    that turns the prediction late has the same mean |∇F| as the property that turns it at once.

    Args:
        predictions: (N, O).
        unchanged: (O,).
    """
    return np.asarray(np.abs(curves(predictions) - unchanged).mean(0), np.float64)


def curves(predictions: Array) -> Array:
    """Predictions (N, O) as float64. Raises `InputError` when they are fewer than two or not finite."""
    predictions = np.asarray(predictions, np.float64)
    if predictions.ndim != 2 or len(predictions) < 2:
        msg = f"predictions have shape (N, O) with N of at least 2; got {predictions.shape}"
        raise InputError(msg)
    if not np.isfinite(predictions).all():
        place = np.argwhere(~np.isfinite(predictions))[0]
        msg = f"the prediction of step {place[0] + 1}, output {place[1] + 1} is {predictions[tuple(place)]}"
        raise InputError(msg)
    return predictions


def _weights(values: Array) -> Array:
    """Share of each value: the width between the midpoints around it; the outer ones reach as far out as in."""
    steps = np.diff(values)
    width = np.concatenate([steps[:1], steps]) / 2 + np.concatenate([steps, steps[-1:]]) / 2
    return width / width.sum()


def _flips(values: Array, outputs: Array, threshold: float | None) -> tuple[Flip, ...]:
    if threshold is None:
        return ()
    above = outputs >= threshold
    found = []
    for n in np.flatnonzero(above[1:] != above[:-1]):
        share = (threshold - outputs[n]) / (outputs[n + 1] - outputs[n])
        found.append(Flip(float(values[n] + share * (values[n + 1] - values[n])), bool(above[n + 1])))
    return tuple(found)
