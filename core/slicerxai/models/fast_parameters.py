"""Parameters of training the fast segmenter; importable without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class FastTrainingParameters(BaseModel):
    """The single source of the command line's options, the server's schema and the stored provenance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("FLAIR",), description="Modalities that the model reads, in order; the first one gives the grid."
    )
    spacing: float = Field(default=1.0, gt=0.2, le=5, description="Voxel edge of the working grid, mm.")
    patch: int = Field(default=64, ge=16, le=256, description="Edge of a training patch, voxels.")
    features: Annotated[tuple[int, ...], Field(min_length=2, max_length=4)] = Field(
        default=(32, 48, 96, 128), description="Channels of each level of the network, finest first."
    )
    batch: int = Field(default=2, ge=1, le=64, description="Patches in a step.")
    steps: int = Field(default=700, ge=1, description="Optimiser steps; the same steps give the same model.")
    lr: float = Field(default=3e-3, gt=0, le=1, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(default=1e-2, ge=0, le=1, description="Weight decay of AdamW.")
    lesion_share: float = Field(default=0.67, ge=0, le=1, description="Share of the patches that hold a lesion.")
    augmentation: float = Field(
        default=1.0, ge=0, le=2, description="Strength of the augmentation: 0 none, 1 fit for unseen scanners."
    )
    validation_share: float = Field(
        default=0.15, ge=0, lt=1, description="Share of the cases held out to validate, at least one unless 0."
    )
    start: str | None = Field(
        default=None, description="Name of a fast model to go on from (fine-tuning); by default random weights."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Arithmetic of training; 'auto' takes bfloat16 where the processor is made for it."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of weights, held-out cases, patches, augmentation.")

    @field_validator("patch")
    @classmethod
    def _divisible(cls, patch: int) -> int:
        if patch % 16:
            msg = f"must be a multiple of 16, got {patch}"
            raise ValueError(msg)
        return patch
