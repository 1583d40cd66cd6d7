"""Parameters of the generator. Light: no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class GeneratorConfig(BaseModel):
    """What a trained generator keeps: its working grid and its network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    condition: Literal["lesion_load", "centre"] = Field(
        default="lesion_load",
        description="What is learned: 'lesion_load' from the rater's masks, 'centre' from the cases' metadata.",
    )
    channels: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("FLAIR",), description="Modalities that are generated together; the first one gives the grid."
    )
    spacing: float = Field(default=2.0, gt=0.1, le=10, description="Pixel edge within a slice, mm.")
    shape: tuple[int, int] = Field(default=(80, 96), description="Pixels of a slice: left to right, back to front.")
    unshuffle: int = Field(
        default=4,
        ge=1,
        le=16,
        description="Pixels of an edge that become channels: the network works on a grid that much coarser.",
    )
    width: int = Field(default=64, ge=8, le=1024, multiple_of=8, description="Channels of the network's first level.")
    multipliers: Annotated[tuple[int, ...], Field(min_length=1, max_length=6)] = Field(
        default=(1, 2, 2), description="Channels of each level, as multiples of the width."
    )
    blocks: int = Field(default=1, ge=1, le=8, description="Residual blocks of each level.")

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        edge = self.unshuffle * 2 ** (len(self.multipliers) - 1)
        if any(size < edge or size % edge for size in self.shape):
            msg = f"the shape must be of multiples of {edge} (unshuffle times 2 per further level), got {self.shape}"
            raise ValueError(msg)
        if any(multiplier < 1 for multiplier in self.multipliers):
            msg = f"multipliers are at least 1, got {self.multipliers}"
            raise ValueError(msg)
        return self


class GeneratorParameters(GeneratorConfig):
    """The single source of the command line's options and of the stored provenance."""

    steps: int = Field(default=1400, ge=1, le=10_000_000, description="Steps of training.")
    batch: int = Field(default=32, ge=2, le=4096, description="Slices in a step.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="Peak learning rate of AdamW.")
    unconditional: float = Field(
        default=0.15, ge=0, lt=1, description="Share of slices that are shown without their condition."
    )
    focus: float = Field(
        default=20.0,
        ge=0,
        le=1000,
        description="How much more a pixel counts where lesions are most common at its height; of lesion loads only.",
    )
    average: float = Field(
        default=0.998, ge=0, lt=1, description="Decay of the running average of the weights, which is what is kept."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Arithmetic of training; 'auto' takes bfloat16 where the processor is made for it."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of weights, order and noise.")

    @property
    def config(self) -> GeneratorConfig:
        """The part that a trained generator keeps."""
        return GeneratorConfig.model_validate(self.model_dump(include=set(GeneratorConfig.model_fields)))
