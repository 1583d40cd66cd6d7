"""Parameters of the saliency method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slicerxai.explain.contract import ExplainParameters

SaliencyMethod = Literal["input_x_gradient", "lrp", "integrated_gradients", "occlusion"]


class SaliencyParameters(ExplainParameters):
    """What to explain and how."""

    method: SaliencyMethod = Field(default="lrp", description="How relevance is computed.")
    label: str | None = Field(
        default=None, description="Label to explain; by default the first one that is not background."
    )
    point: Annotated[tuple[float, float, float], Field(description="RAS coordinates in mm.")] | None = Field(
        default=None,
        description="A point (R, A, S in mm) on or near one predicted lesion: explain that lesion alone. "
        "By default the whole prediction is explained.",
    )
    steps: int = Field(default=16, ge=2, le=512, description="Integration steps of integrated gradients.")
    window: float = Field(default=10.0, gt=0, le=100, description="Edge of the occluded box, mm.")
