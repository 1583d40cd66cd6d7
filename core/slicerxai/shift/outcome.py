"""The result of an attribution, before anyone judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.shift.estimators.game import Overlap
from slicerxai.shift.evidence import Evidence, State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A drop in performance, divided.

    All performances are in units of the metric; a positive share means that the mechanism cost performance. Intervals
    have two columns, low and high.

    Attributes:
        names: of the mechanisms, in the order of everything else.
        phi: share of each mechanism (n,), Shapley values of `values`. They add up to values[0] - values[-1].
        interval: (n, 2).
        drop: observed drop, mean of the source less mean of the target. drop_interval: (2,).
        unresolved: drop - Σφ, what the data do not tie to one mechanism: chance differences of the two samples, shifts
            that the features do not show, and mechanisms that are uncertain. unresolved_interval: (2,).
        coalitions: which mechanisms come from the target, (C, n): all 2**n, mechanism i as bit i of the row's number,
            or a sample for more than `shapley.EXACT_LIMIT` mechanisms. The first is nobody, the last everybody.
        values: estimated performance under each, (C,).
        sampling_error: standard error of the shares from having sampled coalitions, (n,); 0 when all were read.
        evidence: of a shift, for each mechanism.
        states: of the mechanisms as the estimator took them.
        auc: held-out AUC given the parents alone and with the variable, (n, 2).
        overlap: of the weights behind the values.
        used: mechanisms whose density ratio the shares rest on, (n,).
        relevant: rows of `coalitions` that the shares rest on.
    """

    names: tuple[str, ...]
    phi: Array
    interval: Array
    drop: float
    drop_interval: Array
    unresolved: float
    unresolved_interval: Array
    coalitions: NDArray[np.bool_]
    values: Array
    sampling_error: Array
    evidence: tuple[Evidence, ...]
    states: tuple[State, ...]
    auc: Array
    overlap: Overlap
    used: NDArray[np.bool_]
    relevant: NDArray[np.int64]
