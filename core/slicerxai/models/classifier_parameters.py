"""Parameters of training an image classifier; importable without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MCDONALD_TARGETS: Final = (
    "periventricular=periventricular_ml>0",
    "juxtacortical=juxtacortical_ml>0",
    "infratentorial=infratentorial_ml>0",
    "deep white matter=deep_white_matter_ml>0",
)
"""Presence of a lesion in each region of the McDonald criteria (Thompson et al., Lancet Neurol 2018)."""

_TARGET = re.compile(r"(?:(?P<name>[^=<>]+)=)?(?P<column>[^=<>]+)(?:>(?P<above>[^=<>]+))?")


@dataclass(frozen=True)
class Target:
    """One label: present in a case when its metadata `column` exceeds `above`; None: when the value is 1 and not 0."""

    name: str
    column: str
    above: float | None


def parse_target(text: str) -> Target:
    """`[NAME=]COLUMN[>NUMBER]`; the name is the column's unless given. Raises `ValueError` for other text."""
    found = _TARGET.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is no target; [NAME=]COLUMN[>NUMBER] is accepted, such as 'large=lesion_load_ml>10'"
        raise ValueError(msg)
    column, above = found["column"].strip(), found["above"]
    try:
        limit = None if above is None else float(above)
    except ValueError:
        msg = f"{above!r} in target {text!r} is no number"
        raise ValueError(msg) from None
    return Target((found["name"] or column).strip(), column, limit)


class ClassifierConfig(BaseModel):
    """What defines the network, its input and its labels; stored in `model.json` under "config"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: Annotated[tuple[str, ...], Field(min_length=2)] = Field(
        default=MCDONALD_TARGETS,
        description="Labels: [NAME=]COLUMN[>NUMBER] of the cases' metadata; without a number the column holds 0 and 1.",
    )
    architecture: Literal["regional", "densenet", "densenet121", "resnet18"] = Field(
        default="regional",
        description="Network: 'regional' is small and looks for bright or dark spots region by region; 'densenet' has "
        "the size that features, growth and blocks give it.",
    )
    spatial_dims: int = Field(default=3, ge=2, le=3, description="3 for volumes, 2 for single images (H, W, 1).")
    shape: tuple[Annotated[int, Field(ge=16, le=1024)], ...] = Field(
        default=(48, 60, 48),
        description="Voxels of the input: volumes are cropped or padded to it, single images are resized.",
    )
    spacing: float = Field(default=3.0, gt=0.2, le=10, description="Voxel edge, mm; volumes only.")
    surroundings: float = Field(
        default=7.5,
        ge=0,
        le=50,
        description="Volumes: intensity is taken against the mean of the surroundings, a Gaussian of this standard "
        "deviation in mm, so that spots stand out; 0 leaves it as it is.",
    )
    features: int = Field(
        default=16, ge=1, le=512, description="Channels of the first layer of 'densenet' and 'regional'."
    )
    growth: int = Field(default=8, ge=1, le=128, description="Channels that each layer of 'densenet' adds.")
    blocks: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=5)] = Field(
        default=(4, 4, 4), description="Layers of each block of 'densenet'."
    )
    pooling: Literal["average", "max"] = Field(
        default="average",
        description="How the last feature maps are pooled: 'max' lets a small finding in one place decide.",
    )
    cells: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Cells along each axis in which they are pooled; 1 forgets where something is. By default 4 for "
        "'regional' and 1 for the others.",
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Dropout in each layer of a densenet and before the last of 'regional'."
    )

    @field_validator("targets")
    @classmethod
    def _different_names(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        names = [parse_target(text).name for text in targets]
        if len(set(names)) != len(names):
            msg = f"two targets have one name in {', '.join(names)}; name them as NAME=COLUMN>NUMBER"
            raise ValueError(msg)
        return targets

    @model_validator(mode="after")
    def _as_many_edges_as_axes(self) -> Self:
        if len(self.shape) != self.spatial_dims:
            msg = f"shape needs {self.spatial_dims} edges for {self.spatial_dims} spatial dims, got {self.shape}"
            raise ValueError(msg)
        return self

    @property
    def pooled_cells(self) -> int:
        """Cells along each axis."""
        return self.cells or (4 if self.architecture == "regional" else 1)

    @property
    def parsed_targets(self) -> tuple[Target, ...]:
        """The labels in order."""
        return tuple(parse_target(text) for text in self.targets)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels in order."""
        return tuple(target.name for target in self.parsed_targets)


class ClassifierTrainingParameters(ClassifierConfig):
    """The single source of the command line's options, the server's schema and the stored provenance."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("FLAIR",), description="Modalities that the model reads, in order; the first one gives the grid."
    )
    epochs: int = Field(default=20, ge=1, le=10_000, description="Passes over the training cases.")
    batch: int = Field(default=4, ge=2, le=1024, description="Images in a step.")
    learning_rate: float = Field(default=1e-2, gt=0, le=1, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(default=1e-2, ge=0, le=1, description="Weight decay of AdamW.")
    positive_weights: bool = Field(
        default=False, description="Weigh the present cases of a label by how much rarer they are."
    )
    augmentation: float = Field(default=1.0, ge=0, le=2, description="Strength of the augmentation: 0 none.")
    validation_share: float = Field(
        default=0.3, gt=0, lt=1, description="Share of the subjects held out to choose the epoch and the thresholds."
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="Epoch whose network is kept: 'best' on the held-out subjects, or the 'last'."
    )
    snapshots: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Keep the weights of every so many epochs, and those before the first, to see what was learned "
        "when; 0 keeps none.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of weights, held-out subjects and augmentation.")

    @property
    def config(self) -> ClassifierConfig:
        """The part that a trained model keeps."""
        return ClassifierConfig.model_validate(self.model_dump(include=set(ClassifierConfig.model_fields)))
