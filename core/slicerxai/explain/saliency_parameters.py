"""Parameters of the saliency method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slicerxai.explain.contract import ExplainParameters

SaliencyMethod = Literal["input_x_gradient", "lrp", "integrated_gradients", "occlusion"]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class SaliencyParameters(ExplainParameters):
    """What to explain and how."""

    method: SaliencyMethod = Field(
        default="lrp",
        description="How relevance is computed: lrp (layer-wise relevance propagation), input_x_gradient, "
        "integrated_gradients, or occlusion (slowest).",
    )
    label: str | None = Field(
        default=None,
        description="Label to explain; by default the first one that is not background, and all of a classifier.",
    )
    point: Annotated[tuple[Coordinate, Coordinate, Coordinate], Field(description="RAS coordinates in mm.")] | None = (
        Field(
            default=None,
            description="A point (R, A, S in mm) in or within 10 mm of one predicted lesion: explain that lesion "
            "alone. By default the whole prediction is explained.",
        )
    )
    steps: int = Field(
        default=16, ge=2, le=512, description="Steps of integrated gradients: more are slower and more exact."
    )
    window: float = Field(
        default=10.0,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="Edge of an occluded box, mm. Occlusion covers the surroundings of what is explained, one box "
        "beyond its bounding box on each side; one lesion takes a minute or two, a whole prediction many more, and "
        "halving the edge takes eight times as long.",
    )
