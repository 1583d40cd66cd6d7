"""Parameters of aligned training; importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Objective = Literal["published", "share", "none"]


class AlignmentParameters(BaseModel):
    """What is added to the classification loss so that decisions come from inside the masks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    invariance: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Weight of the loss on images whose surroundings of the mask were changed against the label.",
    )
    invariance_steps: int = Field(default=8, ge=1, le=200, description="Steps in search of that change.")
    objective: Objective = Field(
        default="none",
        description="What is made small of the counterfactual change: 'published': its sum of absolute values "
        "outside of the mask; 'share': the share of it outside; 'none': nothing.",
    )
    weight: float = Field(default=1.0, ge=0, le=1000, description="Weight of that objective.")
    every: int = Field(default=1, ge=1, le=100, description="The objective is added on each so-manieth step.")
    warm_up: int = Field(default=0, ge=0, le=1000, description="Epochs of classification alone before.")
    frozen_norms: bool = Field(
        default=False, description="Leave the statistics of batch norms as they are, to go on with a trained network."
    )
