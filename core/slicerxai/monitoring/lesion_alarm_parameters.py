"""How an alarm over predicted lesions is fitted."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LesionSaliency = Literal["input_x_gradient", "lrp"]
LesionRule = Literal["budget", "f1"]


class LesionAlarmParameters(BaseModel):
    """What is measured of a predicted lesion, and how many are flagged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    saliency: LesionSaliency | None = Field(
        default=None,
        description="Maps of each lesion whose shape is measured too; none is faster: no backward passes.",
    )
    rule: LesionRule = Field(
        default="budget",
        description="budget: the most suspicious lesions are flagged, as many as the budget allows; f1: the limit "
        "maximises F1 of finding the false lesions among the fitting cases, each judged by a fit without it.",
    )
    budget: float = Field(default=0.2, gt=0, lt=1, description="Share of predicted lesions that may be flagged.")
    folds: int = Field(default=5, ge=2, le=50, description="Groups of patients, each judged by a fit to the others.")
    seed: int = Field(default=0, ge=0, description="Draws the groups.")
