"""What is measured of a batch of images before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.monitoring.alarm_parameters import Score
from slicerxai.monitoring.distinctiveness import distinctiveness
from slicerxai.saliency.class_method import ClassMethod

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Readings:
    """N images × L classes.

    Attributes:
        score: name of the measure. saliency: how the maps were computed, None where there are none.
        probabilities: (N, L) in [0, 1]. thresholds: (L,), from which probability a class counts as present.
        measure: (N, L): d_i (low is suspicious), or an uncertainty (high is suspicious).
        distances: (N, L, L), cosine distances of the maps, or None.

    Raises:
        InputError: shapes that do not belong together, or values that are not finite.
    """

    score: Score
    saliency: ClassMethod | None
    probabilities: Array
    thresholds: Array
    measure: Array
    distances: Array | None = None

    def __post_init__(self) -> None:
        shape = self.probabilities.shape
        wanted = {"thresholds": shape[1:], "measure": shape, "distances": (*shape, *shape[1:])}
        for name, size in wanted.items():
            array = getattr(self, name)
            if array is None:
                continue
            if len(shape) != 2 or array.shape != size:
                msg = f"readings of {shape} probabilities have {name} of shape {array.shape}, not {size}"
                raise InputError(msg)
            if not np.isfinite(array).all():
                msg = f"{name} of the readings has values that are not finite"
                raise InputError(msg)
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            msg = "probabilities of the readings are not all in [0, 1]"
            raise InputError(msg)

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def predicted(self) -> Flags:
        """(N, L): the class counts as present."""
        return self.probabilities >= self.thresholds

    @property
    def distinctiveness(self) -> Array | None:
        """d_i, (N, L), or None without maps."""
        return None if self.distances is None else distinctiveness(self.distances)

    @property
    def suspicious(self) -> Array:
        """The measure with its sign such that high is suspicious, (N, L)."""
        return -self.measure if self.score == "distinctiveness" else self.measure

    def take(self, rows: NDArray[np.int_] | NDArray[np.bool_] | slice) -> Readings:
        """The readings of some images."""
        distances = None if self.distances is None else self.distances[rows]
        return replace(self, probabilities=self.probabilities[rows], measure=self.measure[rows], distances=distances)

    @staticmethod
    def join(parts: list[Readings]) -> Readings:
        """Batches of the same kind, one after another."""
        first = parts[0]
        distances = [part.distances for part in parts if part.distances is not None]
        return replace(
            first,
            probabilities=np.concatenate([part.probabilities for part in parts]),
            measure=np.concatenate([part.measure for part in parts]),
            distances=np.concatenate(distances) if distances else None,
        )


@dataclass(frozen=True)
class Judgement:
    """What an alarm says of each prediction.

    Attributes:
        flagged: (N, L), read this prediction again (or turn it round, where the alarm was fitted to swap).
        suspicion: (N, L), estimated probability that this prediction is wrong, comparable between classes.
        measure: (N, L), what the limits are compared with: the readings' own, or the classifier's.
    """

    flagged: Flags
    suspicion: Array
    measure: Array

    @property
    def expected_errors(self) -> Array:
        """Expected number of wrong classes of each image, (N,): the order of a worklist."""
        return self.suspicion.sum(1)
