"""What every estimator gives: the performance under coalitions of mechanisms, for any weighting of the cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Of the weights behind every coalition's value.

    Attributes:
        ess: effective share of the cases that carry the value, (2**n,), in (0, 1]; the worst where several weightings
            take part, 1 where none does.
        cases: number of cases that the share refers to, (2**n,).
        clipped: share of truncated weights, (2**n,).
        used: mechanisms whose density ratio takes part in the value, (2**n, n).
    """

    ess: Array
    cases: Array
    clipped: Array
    used: NDArray[np.bool_]


class Game(Protocol):
    """The performance v(I) under every coalition I of mechanisms taken from the target."""

    def values(self, weights: Array) -> Array:
        """Estimated performance of every coalition under each row of case weights, with everything fitted again.

        Args:
            weights: (B, n), of the source's, then the target's cases: ones, or how often a subject was drawn.

        Returns:
            (B, 2**mechanisms); the first is the source's own mean.
        """
        ...

    def overlap(self) -> Overlap:
        """How far the weights can be trusted, on the data as they are."""
        ...
