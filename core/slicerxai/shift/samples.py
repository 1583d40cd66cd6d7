"""Cases of two environments as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.shift.graph import MechanismGraph

Array = NDArray[np.float64]
MINIMUM_SUBJECTS = 5


@dataclass(frozen=True)
class Samples:
    """The cases of one environment.

    Attributes:
        variables: features of every case by variable, each (n, d) and finite.
        metric: performance of the model on every case, (n,), greater is better, finite.
        subjects: (n,) strings; cases of one subject are never split between folds or bootstrap draws.

    Raises `InputError` for shapes that do not fit together, values that are not finite, and fewer than
    `MINIMUM_SUBJECTS` subjects.
    """

    variables: Mapping[str, Array]
    metric: Array
    subjects: NDArray[np.str_]

    def __post_init__(self) -> None:
        n = len(self.metric)
        if self.metric.shape != (n,) or not np.isfinite(self.metric).all():
            msg = f"the metric must be one finite number per case (got shape {self.metric.shape})"
            raise InputError(msg)
        if self.subjects.shape != (n,):
            msg = f"{len(self.subjects)} subjects for {n} cases"
            raise InputError(msg)
        for name, values in self.variables.items():
            if values.ndim != 2 or len(values) != n or values.shape[1] == 0:
                msg = f"variable {name!r} must have shape ({n}, d), d >= 1 (got {values.shape})"
                raise InputError(msg)
            if not np.isfinite(values).all():
                bad = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
                msg = f"variable {name!r} is not finite for subject {self.subjects[bad]!r}"
                raise InputError(msg)
        if len(np.unique(self.subjects)) < MINIMUM_SUBJECTS:
            msg = f"an environment needs {MINIMUM_SUBJECTS} subjects or more (got {len(np.unique(self.subjects))})"
            raise InputError(msg)

    def __len__(self) -> int:
        return len(self.metric)


@dataclass(frozen=True)
class Pair:
    """Two environments with the same variables: `source` (as in training) and `target` (deployment)."""

    source: Samples
    target: Samples

    def __post_init__(self) -> None:
        for name in sorted(set(self.source.variables) | set(self.target.variables)):
            sizes = [s.variables[name].shape[1] if name in s.variables else 0 for s in (self.source, self.target)]
            if sizes[0] != sizes[1]:
                msg = f"variable {name!r} has {sizes[0]} features in the source and {sizes[1]} in the target"
                raise InputError(msg)

    @property
    def metric(self) -> Array:
        """Of the source's, then the target's cases, (n,)."""
        return np.concatenate([self.source.metric, self.target.metric])

    @property
    def subjects(self) -> NDArray[np.str_]:
        """Of the source's, then the target's cases, (n,)."""
        return np.concatenate([self.source.subjects, self.target.subjects])

    @property
    def labels(self) -> Array:
        """0 for cases of the source, 1 for cases of the target, (n,)."""
        return np.concatenate([np.zeros(len(self.source)), np.ones(len(self.target))])

    def variable(self, name: str) -> Array:
        """Features of the source's, then the target's cases, (n, d)."""
        return np.concatenate([self.source.variables[name], self.target.variables[name]])

    def check(self, graph: MechanismGraph) -> None:
        """Raise `InputError` unless every variable of the graph is there."""
        missing = sorted(set(graph.variables) - set(self.source.variables))
        if missing:
            known = ", ".join(self.source.variables)
            msg = f"the graph needs variable {missing[0]!r}, the cases have {known}"
            raise InputError(msg, accepted=tuple(self.source.variables))
