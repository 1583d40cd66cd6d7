"""What an experiment does, as validated values; importable without torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MetricName = Literal["dice", "f1", "precision", "recall", "volume_error_ml", "surface_distance_mm"]
AnalysisName = Literal["robust", "weighting", "plain", "paired", "harmonised"]


class ExperimentParameters(BaseModel):
    """What both experiments have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainer: Literal["nnunet", "fast"] = Field(default="nnunet", description="Kind of segmenter that is trained.")
    training: dict[str, Any] = Field(default={}, description="Its training parameters.")
    key: str = Field(default="centre", description="Metadata key that names a case's centre.")
    train_share: float = Field(
        default=0.4, gt=0, lt=1, description="Share of the subjects of each centre to train on; the others are scored."
    )
    split_seed: int = Field(default=0, ge=0, description="Seed of the division into training and test subjects.")
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] = Field(
        default=("dice", "f1"),
        description="Metrics whose drop is attributed: dice, f1, precision, recall, volume_error_ml, "
        "surface_distance_mm.",
    )
    analyses: Annotated[tuple[AnalysisName, ...], Field(min_length=1)] = Field(
        default=("robust", "plain"),
        description="Ways of attributing each pair. robust, weighting, plain: estimated from the two samples alone; "
        "paired: the same images with both raters' masks, observed; harmonised: images carried over to the other "
        "centre's look.",
    )
    burden: str = Field(
        default="none",
        pattern=r"^(none|(metadata|mask):.+)$",
        description="Where disease burden is read: none, metadata:KEY (ml) or mask:RATER.",
    )


class RatersParameters(ExperimentParameters):
    """Train on one rater's masks, test on another's masks of the same images, for every ordered pair of raters."""

    raters: tuple[str, ...] = Field(default=(), description="Raters; by default all but consensus and truth.")


class CentresParameters(ExperimentParameters):
    """Train on some centres, deploy at others; the same rater judges both sides of a comparison."""

    source: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("01", "07", "08"), description="Centres to train on."
    )
    target: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("03",), description="Centres to deploy at."
    )
    train_rater: str = Field(default="consensus", description="Whose masks the model learns.")
    raters: tuple[str, ...] = Field(
        default=(), description="Whose masks it is scored against, one comparison each; all but consensus and truth."
    )

    @model_validator(mode="after")
    def _one_rater(self) -> CentresParameters:
        if "paired" in self.analyses:
            msg = "analysis 'paired' exchanges two raters, but both sides have the same; use 'harmonised' or the others"
            raise ValueError(msg)
        return self
