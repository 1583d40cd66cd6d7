"""The slices of a cohort with what the generator is told of them, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Generator, Tensor

from slicerxai.data.case import Case
from slicerxai.errors import InputError
from slicerxai.interventions.generator.conditions import (
    CentreCondition,
    Condition,
    LoadCondition,
    height_bins,
    position_features,
)
from slicerxai.interventions.generator.parameters import GeneratorParameters
from slicerxai.interventions.generator.slices import Slices, slices_of
from slicerxai.progress import Progress

LEAST_HEAD = 0.05
"""Share of a slice's pixels that the head fills, below which the slice is not learned."""

BINS = 24
"""Parts of the head, from low to high, in which loads are balanced."""

LEAST_USUAL = 0.02
"""Mean lesion area, as a share of the largest one of any part of the head, below which loads are not learned there."""


@dataclass(frozen=True)
class TrainingSlices:
    """Slices in random access.

    Attributes:
        pixels: (N, C, H, W) float16, as `Slices.pixels`.
        features: (N, F) the known condition.
        position: (N, P).
        groups: indices of slices; each is as probable in a batch. Centres, or slices with and without lesions at the
            same height, so that a load does not tell the height.
        part: (N,) which part of the head each slice is from. weights: (BINS, H, W) of the pixels there, mean 1.
    """

    pixels: Tensor
    features: Tensor
    position: Tensor
    groups: tuple[Tensor, ...]
    part: Tensor
    weights: Tensor

    def batch(self, generator: Generator, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pixels (B, C, H, W) float32, features, positions and pixels' weights (B, 1, H, W) of random slices, half of
        them mirrored."""
        chosen = torch.randint(len(self.groups), (size,), generator=generator).tolist()
        index = torch.stack(
            [self.groups[group][torch.randint(len(self.groups[group]), (), generator=generator)] for group in chosen]
        )
        mirrored = torch.rand(size, generator=generator) < 0.5
        pixels = self.pixels[index].float()
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(2), pixels)
        return pixels, self.features[index], self.position[index], self.weights[self.part[index], None]


def read_slices(
    cases: Sequence[Case], rater: str, parameters: GeneratorParameters, progress: Progress
) -> tuple[TrainingSlices, Condition]:
    """Slices of all cases. Raises `InputError` naming a case that cannot be read, or if the condition never varies."""
    loads = parameters.condition == "lesion_load"
    pixels, heights, areas, owners = [], [], [], []
    lesions = np.zeros((BINS, *parameters.shape))
    for number, case in enumerate(cases):
        progress(number / len(cases), f"reading {case.id}")
        try:
            slices = slices_of({channel: case.image(channel) for channel in parameters.channels}, parameters)
            kept = np.flatnonzero(slices.head.mean(axis=(1, 2)) >= LEAST_HEAD)
            if loads:
                share = slices.on_grid(case.mask(rater))
                areas.append(lesion_areas(slices, share)[kept])
                np.add.at(lesions, height_bins(slices.height[kept], BINS), share[kept])
        except InputError as error:
            msg = f"case {case.id!r} cannot be trained on: {error}"
            raise InputError(msg) from error
        pixels.append(slices.pixels[torch.from_numpy(kept)].half())
        heights.append(slices.height[kept])
        owners += [_centre(case)] * len(kept)
    height = np.concatenate(heights)
    condition: Condition
    if loads:
        area = np.concatenate(areas)
        condition = learned_loads(area, height)
        features, groups = condition.encoded(area), load_groups(area, height, condition)
    else:
        condition = _centres(owners)
        features = condition.encoded(owners)
        groups = [np.flatnonzero(np.array(owners) == name) for name in condition.names]
    slices_in_memory = TrainingSlices(
        pixels=torch.cat(pixels),
        features=features,
        position=position_features(height),
        groups=tuple(torch.from_numpy(group) for group in groups),
        part=torch.from_numpy(height_bins(height, BINS)),
        weights=pixel_weights(lesions, parameters.focus),
    )
    return slices_in_memory, condition


def pixel_weights(lesions: NDArray[np.float64], focus: float) -> Tensor:
    """Weight of each pixel in the loss, (P, H, W) float32 with mean 1 in each part of the head.

    A lesion is a hundredth of a slice, and a network that is trained for minutes learns it last. What counts more is
    the place, whether or not this slice has a lesion there: weights by its own mask would teach to expect one.

    Args:
        lesions: how often each pixel was lesion, (P, H, W).
        focus: weight of the most frequent place is 1 + focus times that of a place without, before scaling.
    """
    both = ndimage.gaussian_filter(lesions + lesions[:, ::-1], (0, 1, 1))
    peak = both.max(axis=(1, 2), keepdims=True)
    weights = 1 + focus * np.divide(both, peak, out=np.zeros_like(both), where=peak > 0)
    return torch.from_numpy((weights / weights.mean(axis=(1, 2), keepdims=True)).astype(np.float32))


def _centre(case: Case) -> str:
    """The case's centre; a number, as tables have them, without decimals. Empty when it is not known."""
    centre = case.metadata.get("centre", "")
    return centre if isinstance(centre, str) else f"{centre:g}"


def _centres(owners: Sequence[str]) -> CentreCondition:
    names = sorted(set(owners))
    if len(names) < 2:
        msg = f"every case is of centre {names[0]!r}; at least two centres are needed"
        raise InputError(msg)
    return CentreCondition(names=tuple(names))


def lesion_areas(slices: Slices, share: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lesion area (K,) of each slice, cm², from the share (K, H, W) of its pixels."""
    height, width = np.linalg.norm(slices.grid.affine[:3, :2], axis=0)
    area: NDArray[np.float64] = share.sum(axis=(1, 2), dtype=np.float64) * height * width / 100
    return area


def learned_loads(area: NDArray[np.float64], height: NDArray[np.floating]) -> LoadCondition:
    """The condition's scale from the areas (N,), cm², at heights (N,), and where loads can be learned: where slices
    with and without lesions are found and lesions are not rare. Raises `InputError` where that is nowhere."""
    bins = height_bins(height, BINS)
    total, count = np.bincount(bins, weights=area, minlength=BINS), np.bincount(bins, minlength=BINS)
    hit = np.bincount(bins, weights=area > 0, minlength=BINS)
    mean = total / np.maximum(count, 1)
    learned = (hit > 0) & (hit < count) & (mean >= LEAST_USUAL * mean.max())
    if not learned.any():
        msg = (
            f"{int(hit.sum())} of {len(area)} slices hold lesions; needed are some with and some without at one height"
        )
        raise InputError(msg)
    with_lesions = area[(area > 0) & learned[bins]]
    return LoadCondition(
        typical=float(np.median(with_lesions)),
        most=float(np.percentile(with_lesions, 99)),
        profile=tuple(np.where(learned, mean, 0.0).tolist()),
    )


def load_groups(area: NDArray[np.float64], height: NDArray[np.floating], load: LoadCondition) -> list[NDArray[np.intp]]:
    """Indices of the slices with and of those without lesions in each part of the head where loads are learned."""
    bins = height_bins(height, len(load.profile))
    return [
        np.flatnonzero((bins == number) & ((area > 0) == present))
        for number in np.flatnonzero(load.profile)
        for present in (False, True)
    ]
