"""Training cases in memory: image and mask on the working grid, and the places to take patches from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from slicerxai.data.case import Case
from slicerxai.data.digests import known_digest
from slicerxai.data.lesions import label_components
from slicerxai.data.resample import resample, same_grid
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.augmentation import augment, random_grid, sample, uniform
from slicerxai.models.fast import FastConfig, antialiased, prepare
from slicerxai.models.working_grid import WorkingGrid
from slicerxai.progress import Progress


@dataclass(frozen=True)
class TrainingCase:
    """One case on the working grid.

    Attributes:
        images: by modality, on their own grids; kept for validation.
        truth: bool, on the grid of the first channel's image.
        volume: (C + 1, I, J, K) float32: normalised channels, then the lesion share of each voxel in [0, 1].
        lesions: indices (N, 3) of each lesion's voxels, to centre patches on; may be empty.
        brain_voxels: indices (N, 3), likewise.
    """

    id: str
    images: dict[str, Volume]
    truth: Volume
    volume: Tensor
    lesions: tuple[Tensor, ...]
    brain_voxels: Tensor


def subject(case: Case) -> str:
    """What must not be split between training and validation: the subject where it is known, else the case."""
    return str(case.metadata.get("subject", case.id))


def held_out(cases: Sequence[Case], share: float, seed: int) -> set[str]:
    """Subjects held out for validation, chosen by the seed.

    None when the share is 0 or there is one subject only; else at least one, and never all.
    """
    subjects = sorted({subject(case) for case in cases})
    if share == 0 or len(subjects) < 2:
        return set()
    count = min(max(1, round(share * len(subjects))), len(subjects) - 1)
    order = torch.randperm(len(subjects), generator=Generator().manual_seed(seed))
    return {subjects[index] for index in order[:count]}


def case_digests(cases: Sequence[Case], channels: Sequence[str], rater: str | None = None) -> dict[str, str]:
    """SHA-256 over the image files of the channels and, where masks are learned, the rater's mask, by case id.

    Raises:
        InputError: a case lacks a channel or the rater, or an id repeats.
    """
    digests: dict[str, str] = {}
    for case in cases:
        missing = [key for key in channels if key not in case.images]
        if missing or (rater is not None and rater not in case.masks):
            msg = (
                f"case {case.id!r} cannot be trained on: it has images {', '.join(sorted(case.images)) or 'none'} and "
                f"masks of {', '.join(sorted(case.masks)) or 'nobody'}; needed are {', '.join(channels)}"
                + ("" if rater is None else f" and {rater!r}")
            )
            raise InputError(msg)
        if case.id in digests:
            msg = f"two cases have the id {case.id!r}"
            raise InputError(msg)
        total = hashlib.sha256()
        for path in (*(case.images[key] for key in channels), *(() if rater is None else (case.masks[rater],))):
            total.update(bytes.fromhex(known_digest(path)))
        digests[case.id] = total.hexdigest()
    return digests


def load_cases(
    cases: Sequence[Case], channels: tuple[str, ...], rater: str, config: FastConfig, progress: Progress
) -> list[TrainingCase]:
    """Read and prepare the cases."""
    loaded = []
    for index, case in enumerate(cases):
        progress(index / len(cases), f"reading {case.id}")
        loaded.append(load_case(case, channels, rater, config))
    return loaded


def load_case(case: Case, channels: tuple[str, ...], rater: str, config: FastConfig) -> TrainingCase:
    """Read and prepare one case. Raises `InputError` when its files are unusable or no lesion voxel is in the image."""
    images = {channel: case.image(channel) for channel in channels}
    prepared = prepare(images, channels, config)
    mask = case.mask(rater)
    mask = mask.with_array((np.asarray(mask.array) != 0).astype(np.float32))
    i, j, k = prepared.tensor.shape[1:]
    grid = WorkingGrid((i, j, k), prepared.affine)
    share = torch.from_numpy(resample(antialiased(mask, grid), grid.affine, grid.shape).array.astype(np.float32))
    reference = prepared.reference
    if not same_grid(mask, reference.affine, reference.shape):
        mask = resample(mask, reference.affine, reference.shape, order=0)
    return TrainingCase(
        id=case.id,
        images=images,
        truth=mask.with_array(np.asarray(mask.array) != 0),
        volume=torch.cat([prepared.tensor, share[None]]),
        lesions=_lesions(share >= 0.5),
        brain_voxels=(prepared.tensor[0] != 0).nonzero().to(torch.int16),
    )


def _lesions(mask: Tensor) -> tuple[Tensor, ...]:
    numbered, count = label_components(mask.numpy())
    voxels = torch.from_numpy(np.argwhere(numbered > 0))
    number = torch.from_numpy(numbered[numbered > 0])
    return tuple(voxels[number == n + 1] for n in range(count))


def _random_lesion(generator: Generator, lesions: Sequence[Tensor]) -> Tensor:
    """A lesion, drawn by the square root of its size: neither do large ones drown the small nor the other way round."""
    weights = torch.tensor([float(len(voxels)) for voxels in lesions]).sqrt()
    return lesions[int(torch.multinomial(weights, 1, generator=generator))]


def random_batch(
    generator: Generator, cases: Sequence[TrainingCase], batch: int, patch: int, lesion_share: float, strength: float
) -> tuple[Tensor, Tensor]:
    """Patches from random cases.

    Returns:
        Images (B, C, P, P, P) and lesion masks (B, 1, P, P, P) in {0, 1}, float32.
    """
    images, masks = [], []
    for _ in range(batch):
        case = cases[int(uniform(generator, 0, len(cases)))]
        on_lesion = uniform(generator, 0, 1) < lesion_share and len(case.lesions) > 0
        places = _random_lesion(generator, case.lesions) if on_lesion else case.brain_voxels
        place = places[int(torch.randint(len(places), (), generator=generator))]
        jitter = torch.randint(-patch // 4, patch // 4 + 1, (3,), generator=generator)
        grid = random_grid(generator, (place + jitter).tolist(), patch, strength)
        sampled = sample(case.volume, grid)
        images.append(augment(generator, sampled[:-1], sampled[-1], strength))
        masks.append((sampled[-1:] >= 0.5).float())
    return torch.stack(images), torch.stack(masks)
