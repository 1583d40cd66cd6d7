"""How an attribution is computed, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EstimatorName = Literal["robust", "weighting", "plain"]
DiscriminatorName = Literal["logistic", "boosted", "network"]
IntervalName = Literal["jackknife", "bca"]
MetricName = Literal["dice", "f1", "precision", "recall", "volume_error_ml", "surface_distance_mm"]
ExchangeName = Literal["auto", "none", "paired", "harmonised"]


@dataclass(frozen=True)
class Options:
    """See `slicerxai.explain.shift_parameters`, which describes every field for users."""

    estimator: EstimatorName = "robust"
    discriminator: DiscriminatorName = "logistic"
    folds: int = 5
    repeats: int = 2
    limit: float | None = None
    interval: IntervalName = "jackknife"
    bootstraps: int = 1000
    level: float = 0.95
    evidence_level: float = 0.05
    quiet: float = 0.2
    permutations: int = 499
    seed: int = 0
