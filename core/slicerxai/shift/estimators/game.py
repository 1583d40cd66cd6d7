"""What every estimator gives: the performance under coalitions of mechanisms, for any weighting of the cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Members = NDArray[np.bool_]
"""Which mechanisms come from the target, (C, mechanisms)."""


@dataclass(frozen=True)
class Overlap:
    """Of the weights behind the values of C coalitions of n mechanisms.

    Attributes:
        ess: effective share of the cases that carry the value, (C,), in (0, 1]; the worst where several weightings
            take part, 1 where none does.
        cases: number of cases that the share refers to, (C,).
        clipped: share of truncated weights, (C,).
        used: mechanisms whose density ratio takes part in the value, (C, n).
    """

    ess: Array
    cases: Array
    clipped: Array
    used: NDArray[np.bool_]


class Game(Protocol):
    """The performance v(I) under every coalition I of mechanisms taken from the target."""

    def values(self, weights: Array, coalitions: Members | None = None) -> Array:
        """Estimated performance of coalitions under each row of case weights, with everything fitted again.

        Args:
            weights: (B, n), of the source's, then the target's cases: ones, or how often a subject was drawn.
            coalitions: (C, mechanisms); None for all 2**mechanisms, in the order of their numbers.

        Returns:
            (B, C); that of nobody is the source's own mean.
        """
        ...

    def overlap(self, coalitions: Members | None = None) -> Overlap:
        """How far the weights can be trusted, on the data as they are."""
        ...
