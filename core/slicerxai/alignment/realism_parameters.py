"""Parameters of learning what a model's images look like. Light: no torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RealismParameters(BaseModel):
    """An autoencoder, and how usual held-out images are to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passes: int = Field(
        default=800, ge=1, le=1_000_000, description="Images that the autoencoder sees in training, repeats included."
    )
    width: int = Field(default=12, ge=2, le=256, description="Channels of its first layer; the later ones have more.")
    latent: int = Field(default=8, ge=1, le=256, description="Channels of its latent maps, at an eighth of the grid.")
    held_out: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="Share of the subjects that the autoencoder does not see: what is usual is measured on them.",
    )
    patches: int = Field(default=4, ge=1, le=64, description="Of a segmenter: patches taken from each case.")
    seed: int = Field(default=0, ge=0, description="Of weights, order and split.")
