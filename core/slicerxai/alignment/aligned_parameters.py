"""Parameters of aligned training; importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters

Objective = Literal["none", "published", "share"]


class AlignmentParameters(BaseModel):
    """What is added to the classification loss so that decisions come from inside the masks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    solver: SolverParameters = Field(
        default=SolverParameters(alpha=0.3, steps=6, tolerance=1e-2),
        description="How the counterfactual of each training image is searched. Values stay within those of the "
        "training images unless low and high are given. An objective other than 'none' needs it converged: more steps.",
    )
    restricted: bool = Field(
        default=False,
        description="Search the change outside of the mask alone, instead of taking the outer part of a change that "
        "may be anywhere.",
    )
    invariance: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="Weight of the classification loss after the change outside of the mask, with the true labels.",
    )
    objective: Objective = Field(
        default="none",
        description="What is made small of the counterfactual change, by its implicit gradient: 'published': its sum "
        "of absolute values outside of the mask; 'share': the share of it outside; 'none': nothing.",
    )
    weight: float = Field(default=1.0, ge=0, le=1000, allow_inf_nan=False, description="Weight of that objective.")
    every: int = Field(default=1, ge=1, le=1000, description="The objective is added on each so-manieth step.")
    linear: LinearSolve = Field(
        default=LinearSolve(ridge=0.01, iterations=20, tolerance=1e-2),
        description="How the linear system of the implicit gradient is solved.",
    )
    warm_up: int = Field(default=0, ge=0, le=1000, description="Epochs of classification alone before.")
    frozen_norms: bool = Field(
        default=False, description="Leave the statistics of batch norms as they are, to go on with a trained network."
    )
