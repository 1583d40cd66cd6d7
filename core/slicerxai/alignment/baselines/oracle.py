"""Oracle: a classifier that sees nothing but the inside of the expert's mask, in training and afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.models.classifier_fitting import FitResult, fit_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class InsideOnly:
    """Images times their masks; the `LabelledImages` that an oracle is fitted to and tested on."""

    masked: MaskedImages

    def __len__(self) -> int:
        return len(self.masked)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, labels, mask = self.masked[index]
        return image * mask, labels


def fit_oracle(
    network: nn.Module,
    train: MaskedImages,
    validation: MaskedImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
) -> tuple[nn.Module, FitResult]:
    """Fit to images times masks; what the network is given later must be masked too (`InsideOnly`).

    Arguments, result and errors as of `slicerxai.models.classifier_fitting.fit_network`.
    """
    found = fit_network(network, InsideOnly(train), InsideOnly(validation), parameters, device, progress)
    return network, found
