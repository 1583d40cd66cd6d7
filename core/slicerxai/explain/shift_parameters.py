"""Parameters of shift attribution."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import Field

from slicerxai.data.cohort import Environment
from slicerxai.explain.contract import ExplainParameters
from slicerxai.shift.options import DiscriminatorName, EstimatorName, ExchangeName, IntervalName, MetricName, Options


class ShiftParameters(ExplainParameters):
    """What is compared, and how a drop in performance is divided among the mechanisms."""

    source: Environment = Field(description="Where the model does well, as in its training.")
    target: Environment = Field(description="Where it is deployed.")
    metric: MetricName = Field(
        default="dice",
        description="Performance on a case: dice, f1, precision and recall (lesion by lesion), volume_error_ml or "
        "surface_distance_mm.",
    )
    burden: str = Field(
        default="none",
        pattern=r"^(none|(metadata|mask):.+)$",
        description="Where disease burden is read, which explains most of the metric's variance: metadata:KEY, a "
        "number in ml; mask:RATER, masks that every case has and that are compared with no other, such as "
        "mask:consensus; or none.",
    )
    exchange: ExchangeName = Field(
        default="auto",
        description="What is measured instead of estimated. paired: annotation, where every case has both raters' "
        "masks; harmonised: acquisition, by carrying images over to the other site's look and running the model again; "
        "auto: paired where possible.",
    )
    estimator: EstimatorName = Field(
        default="robust",
        description="robust: regression of the metric corrected by weights, the most exact with few cases; weighting: "
        "reweighted cases, conditional ratios, calibrated and truncated; plain: source cases reweighted by the "
        "published formula as printed.",
    )
    discriminator: DiscriminatorName = Field(
        default="logistic",
        description="What tells the sites apart: logistic regression (few cases), boosted trees (hundreds of "
        "cases), or network, a 3D network on the images and masks themselves, which takes minutes.",
    )
    folds: int = Field(default=5, ge=2, le=20, description="Folds of subjects for cross-fitting.")
    repeats: int = Field(default=2, ge=1, le=20, description="Ways to divide subjects into folds, averaged.")
    limit: float | None = Field(
        default=None,
        gt=1,
        allow_inf_nan=False,
        description="Largest weight of a case; by default the square root of the number of cases.",
    )
    interval: IntervalName = Field(
        default="jackknife",
        description="jackknife: studentised, leaves subjects out, fast; bca: bootstrap over subjects.",
    )
    bootstraps: int = Field(default=1000, ge=200, le=20000, description="Draws of the bootstrap.")
    level: float = Field(default=0.95, ge=0.5, le=0.999, description="Confidence level of the intervals.")
    evidence_level: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="A mechanism gets a share only if it differs between the sites at this level, corrected for the "
        "number of mechanisms.",
    )
    quiet: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Above this p-value a mechanism counts as unchanged; between the two levels it is left open.",
    )
    permutations: int = Field(default=499, ge=99, le=100000, description="Relabellings of the test for a shift.")

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `slicerxai.shift.options.Options`."""
        return self.model_dump(include={field.name for field in fields(Options)})
