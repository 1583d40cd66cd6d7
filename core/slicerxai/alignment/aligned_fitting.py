"""Fitting of a network that decides from inside the masks of its training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.masked_images import MaskedAugmentation, MaskedImages, WithoutMasks, check_masked
from slicerxai.models.classifier_fitting import FitResult, LabelledImages, fit_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class AlignedFit(FitResult):
    """What an aligned fit found; the network itself holds the best state, in eval mode.

    Attributes:
        off_mask: of each epoch: mean share of the counterfactual change outside of the masks; NaN where none was made.
        residual: of each epoch: mean relative residual of the linear solve; NaN where there was none.
        support: of each epoch: mean number of values that a counterfactual changes; NaN where none was made.
    """

    off_mask: tuple[float, ...] = ()
    residual: tuple[float, ...] = ()
    support: tuple[float, ...] = ()


def fit_aligned(
    network: nn.Module,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    alignment: AlignmentParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    augment: MaskedAugmentation | None = None,
    checkpoint: Path | None = None,
) -> AlignedFit:
    """First form: no alignment yet, the masks are only checked."""
    check_masked(train)
    found = fit_network(network, WithoutMasks(train), validation, parameters, device, progress)
    return AlignedFit(**vars(found))
