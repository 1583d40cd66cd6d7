"""A classifier in two steps, image to attributes to label, and the counterfactuals of each step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slicerxai.alignment.counterfactual import Counterfactuals, counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.losses import RowLoss, label_loss


class HierarchicalClassifier(nn.Module):
    """f2 ∘ f1: (B, C, *spatial) to logits (B, L), through probabilities of attributes â = σ(f1(x)), (B, P).

    Attributes:
        describe: f1, (B, C, *spatial) to logits of attributes (B, P).
        decide: f2, attributes in [0, 1] (B, P) to logits (B, L).
    """

    def __init__(self, describe: nn.Module, decide: nn.Module) -> None:
        super().__init__()
        self.describe = describe
        self.decide = decide

    def attributes(self, images: Tensor) -> Tensor:
        """â: probability of each attribute, (B, P)."""
        return torch.sigmoid(self.describe(images))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.decide(self.attributes(images))
        return logits


@dataclass(frozen=True)
class Step:
    """Counterfactuals of one step and the loss that they minimise.

    Attributes:
        loss: of what is changed: attributes (B, P) or images (B, C, *spatial).
        found: its counterfactuals.
    """

    loss: RowLoss
    found: Counterfactuals


def attribute_step(decide: nn.Module, estimated: Tensor, wanted: Tensor, parameters: SolverParameters) -> Step:
    """a*: the smallest change of the attributes for which f2 gives the wanted labels (eq. 6).

    Args:
        decide: f2, in eval mode.
        estimated: (B, P), â.
        wanted: (B, L), labels in [0, 1].
        parameters: of the search. Bounds are best left open: at a bound nothing moves with the network, so that no
            gradient comes from there.
    """
    loss = label_loss(decide, wanted, torch.ones_like(wanted, dtype=torch.bool))
    return Step(loss, counterfactual(loss, estimated, parameters))


def image_step(describe: nn.Module, images: Tensor, attributes: Tensor, parameters: SolverParameters) -> Step:
    """x*: the smallest change of the image for which f1 gives the attributes a* (eq. 7).

    Attributes that a* leaves at â have no gradient at x, so that the change accounts for |a* − â| alone.

    Args:
        describe: f1, in eval mode.
        images: (B, C, *spatial).
        attributes: (B, P), a*; taken as 0 or 1 where it lies beyond.
        parameters: of the search.
    """
    wanted = attributes.detach().clamp(0, 1)
    loss = label_loss(describe, wanted, torch.ones_like(wanted, dtype=torch.bool))
    return Step(loss, counterfactual(loss, images, parameters))


@dataclass(frozen=True)
class Explained:
    """What would have to be different, in both steps.

    Attributes:
        estimated: (B, P), â.
        attributes: (B, P), a* in [0, 1].
        flipped: (B, P) bool, attributes on the other side of one half in a*.
        images: the counterfactuals x* of eq. 7.
    """

    estimated: Tensor
    attributes: Tensor
    flipped: Tensor
    images: Counterfactuals


def explain(
    network: HierarchicalClassifier,
    images: Tensor,
    wanted: Tensor,
    attribute_search: SolverParameters,
    image_search: SolverParameters,
) -> Explained:
    """Counterfactual attributes for the wanted labels (B, L), and the counterfactual images that account for them."""
    with torch.no_grad():
        estimated = network.attributes(images)
    changed = attribute_step(network.decide, estimated, wanted, attribute_search).found.images.clamp(0, 1)
    found = image_step(network.describe, images, changed, image_search).found
    return Explained(estimated, changed, (changed > 0.5) != (estimated > 0.5), found)
