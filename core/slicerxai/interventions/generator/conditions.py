"""What a generator is told of a slice: numbers to the features of its network.

The last feature says whether the condition is known; all zeros are the unconditional case. Mixtures of two conditions
are conditions, so that a sequence can go from one to the other in equal steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from slicerxai.errors import InputError

WAVES = (1, 2, 4)
"""Half turns over the head of the waves that tell a slice's height."""

POSITION_FEATURES = 2 + 2 * len(WAVES)


class LoadCondition(BaseModel):
    """Area of the lesions in a slice, cm² (which is ml for each cm of its thickness).

    Its feature is the square root of the area over that of `typical`, so that small areas are told apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["lesion_load"] = "lesion_load"
    typical: float = Field(gt=0, description="Median area of the training slices that hold lesions, cm².")
    most: float = Field(gt=0, description="99th percentile of the same, cm²: more than that was hardly learned.")
    profile: tuple[float, ...] = Field(
        description="Mean area in training, cm², from the lowest to the highest slices; 0 where none were learned."
    )

    @property
    def features(self) -> int:
        """Length of an encoded condition."""
        return 2

    def encoded(self, area: NDArray[np.floating]) -> Tensor:
        """Features (B, 2) of areas (B,), cm², at least 0."""
        root = np.sqrt(np.asarray(area, dtype=np.float64) / self.typical) / 2
        return torch.from_numpy(np.stack([root, np.ones_like(root)], axis=1).astype(np.float32))

    def usual(self, height: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean area (K,), cm², that training slices at these heights (K,) in [0, 1] had; 0 where none were learned."""
        return np.asarray(self.profile)[height_bins(height, len(self.profile))]


class CentreCondition(BaseModel):
    """Which centre a slice is from, one feature for each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["centre"] = "centre"
    names: tuple[str, ...] = Field(min_length=2, description="The centres of the training, sorted.")

    @property
    def features(self) -> int:
        """Length of an encoded condition."""
        return len(self.names) + 1

    def encoded(self, names: Sequence[str]) -> Tensor:
        """Features (B, N + 1). Raises `InputError` for a name that was not learned."""
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            msg = f"the generator knows no centre {unknown[0]!r}; it was trained on {', '.join(self.names)}"
            raise InputError(msg, accepted=self.names)
        features = torch.zeros(len(names), self.features)
        features[:, -1] = 1
        for row, name in enumerate(names):
            features[row, self.names.index(name)] = 1
        return features


Condition = LoadCondition | CentreCondition


def height_bins(height: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Which of `count` equal parts of the head (K,) holds each height in [0, 1]; NaN, unknown, is the middle one."""
    return np.clip((np.nan_to_num(height, nan=0.5) * count).astype(np.intp), 0, count - 1)


def position_features(height: NDArray[np.floating]) -> Tensor:
    """Features (K, POSITION_FEATURES) of heights in the head (K,) in [0, 1]: whether it is known, the height, and its
    first waves; all zeros where the height is NaN, unknown."""
    known = np.isfinite(height)
    place = np.where(known, height, 0.0)
    waves = [wave(np.pi * turns * place) for turns in WAVES for wave in (np.sin, np.cos)]
    features = np.stack([np.ones_like(place), place, *waves], axis=1) * known[:, None]
    return torch.from_numpy(features.astype(np.float32))
