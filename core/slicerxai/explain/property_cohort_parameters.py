"""Parameters of property gradients of a cohort."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slicerxai.explain.contract import ExplainParameters
from slicerxai.interventions.property_info import PropertyName


class CohortPropertyParameters(ExplainParameters):
    """Which properties are changed, on how many cases, and how the responses are compared and tested."""

    properties: Annotated[tuple[PropertyName, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="Properties to change, such as contrast,noise. By default all of acquisition and centres, and the "
        "control gain.",
    )
    count: int = Field(
        default=10, ge=2, le=1000, description="Cases, drawn by the seed where the cohort has more; at most so many."
    )
    rater: str | None = Field(
        default=None,
        description="Whose masks are compared with (output dice) and name the lesions; by default nobody's: the "
        "lesions are those that the model predicts.",
    )
    steps: int = Field(default=7, ge=3, le=101, description="Values along each property.")
    output: str | None = Field(
        default=None, description="Output by which properties are ranked, such as lesion_count; by default the first."
    )
    controls: int = Field(
        default=4,
        ge=0,
        le=999,
        description="Control paths of each property and case, which change the image as much without the property's "
        "content; 0 leaves their test out. Cases are tested together, so a few of each suffice.",
    )
    control_steps: int = Field(
        default=4, ge=2, le=101, description="Values at which properties and their controls are compared, at most."
    )
    delta: float = Field(default=0.05, gt=0, lt=1, description="Significance level.")
    correction: Literal["holm", "bh"] = Field(
        default="holm",
        description="How p values of several properties are adjusted: holm (any false finding) or bh (Benjamini and "
        "Hochberg, share of false findings).",
    )
    bootstraps: int = Field(default=2000, ge=200, le=100_000, description="Draws of the cases for the intervals.")
    level: float = Field(default=0.95, ge=0.5, le=0.999, description="Confidence level of the intervals.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.properties is not None:
            if len(set(self.properties)) < len(self.properties):
                msg = f"a property is named twice: {', '.join(self.properties)}"
                raise ValueError(msg)
            if foreign := [name for name in self.properties if name in ("recorded", "generated")]:
                msg = f"{foreign[0]!r} is a property of one case's own images; ask for it case by case"
                raise ValueError(msg)
        return self
