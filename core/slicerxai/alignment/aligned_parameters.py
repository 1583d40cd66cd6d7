"""Parameters of aligned training; importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from slicerxai.alignment.counterfactual_parameters import DistanceName, LinearSolve, SolverParameters

Objective = Literal["none", "published", "share"]


class AlignmentParameters(BaseModel):
    """What is added to the classification loss so that decisions come from inside the masks.

    `invariance`, `cost`, `distance` and `steps` belong to the loss under changes outside of the mask; `objective`,
    `weight`, `every`, `solver` and `linear` to the loss on the counterfactual itself, which needs the implicit
    gradient. Images should reach the network's first layer with a standard deviation near 1: where faint structure
    inside of the mask is learned slowly, training can stay at a network that decides nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    invariance: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="Weight of the classification loss, with the true labels, after a change outside of the mask that "
        "was searched to turn a label round; 0: not searched.",
    )
    cost: float = Field(
        default=0.2,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="What it costs that search to move one value across the whole range of the training images, in "
        "the units of the loss (nats): values that bring less are left alone. Less for larger images, whose single "
        "values matter less.",
    )
    distance: DistanceName = Field(default="l1", description="What the change costs in that search.")
    steps: int = Field(default=5, ge=1, le=1000, description="Steps of that search.")
    objective: Objective = Field(
        default="none",
        description="What is made small of the counterfactual change, by its implicit gradient: 'published': its sum "
        "of absolute values outside of the mask; 'share': the share of it outside; 'none': nothing.",
    )
    weight: float = Field(default=1.0, ge=0, le=1000, allow_inf_nan=False, description="Weight of that objective.")
    every: int = Field(default=1, ge=1, le=1000, description="The objective is added on each so-manieth step.")
    solver: SolverParameters = Field(
        default=SolverParameters(alpha=0.1, steps=50, tolerance=1e-2),
        description="How the counterfactual of the objective is searched; also the one whose share outside of the "
        "mask is noted after each epoch. Values stay within the training images' unless low and high are given.",
    )
    linear: LinearSolve = Field(
        default=LinearSolve(ridge=0.01, iterations=20, tolerance=1e-2),
        description="How the linear system of the implicit gradient is solved.",
    )
    warm_up: int = Field(default=0, ge=0, le=1000, description="Epochs of classification alone before.")
    frozen_norms: bool = Field(
        default=False, description="Leave the statistics of batch norms as they are, to go on with a trained network."
    )
