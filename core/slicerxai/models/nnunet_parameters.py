"""Parameters of training nnU-Net; importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SHORT_ONLY = (
    "epochs",
    "iterations",
    "batch_size",
    "learning_rate",
    "patch",
    "features",
    "convolutions",
    "precision",
)


class NnunetTrainingParameters(BaseModel):
    """The single source of the command line's options, the server's schema and the stored provenance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[str, ...] = Field(
        default=("FLAIR",), min_length=1, description="Modality of each input channel, in order."
    )
    configuration: Literal["3d_fullres", "2d"] = Field(
        default="3d_fullres", description="nnU-Net's configuration: volumes or single slices."
    )
    trainer: Literal["short", "stock"] = Field(
        default="short",
        description="short: a small plan and few epochs of AdamW, minutes on a CPU; "
        "stock: nnU-Net's own plan and its 1000 epochs, for a GPU.",
    )
    fold: Literal["all", "0", "1", "2", "3", "4"] = Field(
        default="all", description="Fold of nnU-Net's 5-fold split whose validation part is held out; all: none."
    )
    epochs: int = Field(default=24, ge=1, le=1000, description="Epochs of the short trainer.")
    iterations: int = Field(default=50, ge=1, le=1000, description="Steps of an epoch of the short trainer.")
    batch_size: int = Field(default=2, ge=1, le=64, description="Patches of a step of the short trainer.")
    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="First learning rate of the short trainer.")
    patch: int = Field(default=48, ge=16, le=256, description="Longest edge of the short trainer's patch, voxels.")
    features: int = Field(default=12, ge=4, le=64, description="Channels of the short network's first stage.")
    convolutions: int = Field(default=1, ge=1, le=4, description="Convolutions of each stage of the short network.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Arithmetic of the short trainer; 'auto' takes bfloat16 where the processor is made for it.",
    )
    workers: int = Field(default=0, ge=0, le=64, description="Extra processes that augment; 0: none.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the weights, batches and augmentation.")

    @model_validator(mode="after")
    def _stock_has_its_own(self) -> NnunetTrainingParameters:
        given = [name for name in SHORT_ONLY if name in self.model_fields_set]
        if self.trainer == "stock" and given:
            msg = f"the stock trainer sets its own {', '.join(given)}; leave them out or use trainer 'short'"
            raise ValueError(msg)
        return self
