"""Right for the right reasons: input gradients kept inside the expert's mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from slicerxai.alignment.baselines.masked_fitting import MaskedBatch, fit_masked
from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.models.classifier_fitting import FitResult, LabelledImages
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.modular import logits_of
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class RrrWeights:
    """Weight λ₁ of the gradients outside of the mask; the publication's experiments use 1000."""

    gradient: float = 1000.0


def outside_gradient(network: nn.Module, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_d (A_d ∂/∂x_d Σ_k log p_k)² of each image, (B,), A = 1 outside of the mask; and the logits (B, L).

    (Ross, Hughes & Doshi-Velez, IJCAI 2017, arXiv:1703.03717, eq. 1, "right reasons".) Each label of logits BL is a
    decision between two classes, whose log-probabilities are both summed. Differentiable with respect to the weights.

    Args:
        images: (B, C, *spatial).
        masks: (B, 1, *spatial), 0 or 1.
    """
    x = images.detach().requires_grad_()
    logits = logits_of(network, x)
    total = (functional.logsigmoid(logits) + functional.logsigmoid(-logits)).sum()
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return (gradient * (1 - masks)).square().flatten(1).sum(1), logits


def fit_rrr(
    network: nn.Module,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    weights: RrrWeights = RrrWeights(),
) -> tuple[nn.Module, FitResult]:
    """Fit with cross-entropy + λ₁ · mean `outside_gradient`; the publication's λ₂‖θ‖² is the weight decay.

    Arguments, result and errors as of `slicerxai.models.classifier_fitting.fit_network`.
    """

    def objective(batch: MaskedBatch) -> Tensor:
        outside, logits = outside_gradient(network, batch.images, batch.masks)
        return batch.cross_entropy(logits) + weights.gradient * outside.mean()

    return network, fit_masked(network, train, validation, parameters, device, progress, objective=objective)
