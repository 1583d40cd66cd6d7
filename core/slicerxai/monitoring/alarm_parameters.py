"""How an alarm is fitted."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicerxai.saliency.class_method import ClassMethod

Score = Literal["distinctiveness", "entropy", "tta", "mc_dropout"]
Pooling = Literal["sum", "nearest"]
Rule = Literal["threshold", "steps", "classifier"]
Action = Literal["swap", "review"]


class AlarmParameters(BaseModel):
    """What makes a prediction suspicious, and what is done about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: Score = Field(
        default="distinctiveness",
        description="What is measured for each class: distinctiveness of its map from those of the other classes (low "
        "is suspicious), entropy of its probability, tta (spread of its logit over turned, blurred and shifted "
        "copies), or mc_dropout (entropy over draws of dropout); high is suspicious for these.",
    )
    saliency: ClassMethod = Field(default="lrp", description="How the maps of the classes are computed.")
    pooling: Pooling = Field(
        default="nearest",
        description="What is made of a class's distances from the others: nearest, the smallest, or sum, as "
        "published, in which likeness to a single other class is diluted.",
    )
    rule: Rule = Field(
        default="threshold",
        description="threshold: one limit for each class; steps: several bands of the measure; classifier: logistic "
        "regression on the distances of the class's map from each of the others.",
    )
    action: Action = Field(
        default="review",
        description="review: the most suspicious predictions are flagged, as many as the budget allows; swap: limits "
        "maximise F1 after flagged predictions are turned round, as published.",
    )
    budget: float = Field(
        default=0.1, gt=0, lt=1, description="Share of all predictions that may be flagged for review."
    )
    margin: bool = Field(
        default=True,
        description="Let the predicted value and the probability's distance from its threshold take part where the "
        "chance of an error is estimated, beside the measure.",
    )
    folds: int = Field(
        default=5,
        ge=0,
        le=50,
        description="Groups of cases over which limits are cross-validated; 0 fits them once, on all cases, as "
        "published.",
    )
    seed: int = Field(default=0, ge=0, description="Draws the groups, copies and dropout.")

    @model_validator(mode="after")
    def _distances_needed(self) -> Self:
        if self.rule == "classifier" and self.score != "distinctiveness":
            msg = f"rule 'classifier' reads distances between maps, which score {self.score!r} does not have"
            raise ValueError(msg)
        if self.folds == 1:
            msg = "folds must be 0 or at least 2"
            raise ValueError(msg)
        if self.rule == "classifier" and self.folds == 0:
            msg = "rule 'classifier' chooses its limits on held-out cases: folds must be at least 2"
            raise ValueError(msg)
        return self
