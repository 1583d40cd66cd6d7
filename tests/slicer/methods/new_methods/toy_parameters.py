"""Parameters of the methods that the tests add to a server."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicerxai.explain.contract import ExplainParameters


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    shape: Literal["box"] = "box"
    edge: float = Field(default=20, gt=0, le=100, description="Edge, mm.")


class Ball(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    shape: Literal["ball"] = "ball"
    radius: float = Field(default=10, gt=0, le=50, description="Radius, mm.")


class ToyCaseParameters(ExplainParameters):
    """Something of every kind."""

    around: Annotated[tuple[float, float, float], Field(description="RAS coordinates in mm.")] | None = Field(
        default=None, description="The middle of what is looked at; by default that of the image."
    )
    region: Annotated[Box | Ball, Field(discriminator="shape")] = Field(
        default=Ball(), description="How far is looked."
    )
    contrast: float = Field(default=0.5, gt=0, lt=1, description="How strong the map is.")
    names: list[str] = Field(default=[], description="Names of rows.")
    seconds: float = Field(default=0, ge=0, le=600, description="How long it takes, in seconds.")
    low: int = Field(default=0, description="Not above high.")
    high: int = Field(default=10, description="Not below low.")

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.low > self.high:
            msg = f"low {self.low} is above high {self.high}"
            raise ValueError(msg)
        return self


class ToyCohortParameters(ExplainParameters):
    """How many cases are counted."""

    most: int = Field(default=5, ge=1, le=10, description="Cases, at most.")
