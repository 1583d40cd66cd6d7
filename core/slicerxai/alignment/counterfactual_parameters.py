"""Parameters of counterfactual images and of the gradients through them. Light: no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DistanceName = Literal["l1", "l2", "scaled_l1", "scaled_l2"]
"""The distance of eq. 2: sum of absolute or of squared changes, plain or divided per place by a scale of the data."""
LinearSolver = Literal["cg", "normal_cg", "torchopt"]
Products = Literal["exact", "finite_difference"]


class SolverParameters(BaseModel):
    """How a counterfactual is searched: min over u of loss(x0 + u) + alpha · d(u)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: DistanceName = Field(default="l1", description="What a change costs.")
    alpha: float = Field(
        default=0.1,
        gt=0,
        allow_inf_nan=False,
        description="Weight of the distance, as a share of the largest gradient of the loss at each original image "
        "(in scaled units): with l1, nothing moves from 1 on; with l2, no place moves further than about 1/(2 alpha).",
    )
    alpha_absolute: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="One weight for all images instead, as published."
    )
    steps: int = Field(default=100, ge=1, description="Proximal steps at most; an image that has converged stops.")
    tolerance: float = Field(
        default=1e-3,
        ge=0,
        allow_inf_nan=False,
        description="Stop an image when no place violates optimality by more than this share of the largest gradient "
        "at the original image.",
    )
    low: float | None = Field(default=None, allow_inf_nan=False, description="Smallest value that a change leads to.")
    high: float | None = Field(default=None, allow_inf_nan=False, description="Largest value that a change leads to.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            msg = f"low ({self.low}) must be below high ({self.high})"
            raise ValueError(msg)
        return self


class LinearSolve(BaseModel):
    """How the linear system of the implicit gradient, (H_SS + ridge) z = v_S, is solved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solver: LinearSolver = Field(
        default="cg",
        description="cg: conjugate gradients, one system per image; an image that meets negative curvature keeps the "
        "solution it has so far. normal_cg: of the normal equations, for indefinite systems. torchopt: TorchOpt's "
        "conjugate gradients over the whole batch as one system.",
    )
    products: Products = Field(
        default="exact", description="Products with the Hessian: by differentiating twice, or by central differences."
    )
    ridge: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Added to the diagonal, as a share of each image's curvature |Hv|/|v| along its right-hand side.",
    )
    iterations: int = Field(default=100, ge=1, description="Iterations at most.")
    tolerance: float = Field(default=1e-4, gt=0, allow_inf_nan=False, description="Relative residual to stop at.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.solver == "torchopt" and self.products != "exact":
            msg = "torchopt forms its own products; accepted with it: products='exact'"
            raise ValueError(msg)
        return self
