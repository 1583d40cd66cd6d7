"""Parameters of every kind that a method may have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid")
    shape: Literal["box"]
    edge_mm: float = Field(default=10, gt=0, le=100)


class Ball(BaseModel):
    model_config = ConfigDict(extra="forbid")
    shape: Literal["ball"] = "ball"
    radius: float


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Everything(BaseModel):
    """One parameter of every kind."""

    model_config = ConfigDict(extra="forbid")

    yes: bool
    whole: int = Field(default=3, ge=2, lt=9, description="Edge of a cube, mm. It is whole.")
    share: float = Field(default=0.5, gt=0, lt=1)
    half: float = Field(default=1, multiple_of=0.5)
    nothing: int | None = 4
    name: str = Field(default="ab", min_length=1, max_length=3, pattern="^[a-z]+$")
    mode: Literal["quick", "slow_and_exact", 3] = "quick"
    only: Literal["this"] = "this"
    some: list[Literal["a", "b", "c"]] = ["a"]
    point: Annotated[tuple[float, float, float], Field(description="RAS coordinates in mm.")] | None = None
    pair: tuple[int, int] = (1, 2)
    numbers: Annotated[list[float], Field(min_length=1, max_length=3)] = [1.0]
    texts: list[str] = []
    mixed: tuple[int, str] = (1, "a")
    roi: Annotated[Box | Ball, Field(discriminator="shape")] = Field(default_factory=lambda: Ball(radius=2))
    either: int | list[int] = 5
    boxes: list[Box] = []
    by_name: dict[str, Box] = {}
    tree: Tree | None = None
    anything: Any = None
    hidden: int = Field(default=1, json_schema_extra={"advanced": True, "unit": "ml"})
    seed: int = Field(default=0, ge=0, lt=2**31)
