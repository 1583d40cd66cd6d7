"""Two steps from image to label: their counterfactuals, and the gradient of both alignment losses."""

from __future__ import annotations

import copy
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.hierarchy import HierarchicalClassifier, attribute_step, explain, image_step
from slicerxai.alignment.hierarchy_fitting import HierarchyParameters, alignment_terms, fit_hierarchical, learn_decision
from slicerxai.alignment.masked_images import MaskedArrays, WithoutMasks
from slicerxai.alignment.networks import attribute_mlp, seven_layer_cnn
from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters

EXACT = HierarchyParameters(
    share=False,
    attribute_search=SolverParameters(alpha=0.2, steps=2000, tolerance=1e-10),
    image_search=SolverParameters(alpha=0.2, steps=2000, tolerance=1e-10),
    linear=LinearSolve(iterations=200, tolerance=1e-12),
)


class Pixels(nn.Module):
    """A small smooth network of 3 × 3 images."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.Softplus(), nn.Linear(6, outputs))

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layers(images)
        return result


def small(seed: int) -> HierarchicalClassifier:
    torch.manual_seed(seed)
    decide = attribute_mlp(3, 1, width=4, activation="softplus", seed=seed)
    network = HierarchicalClassifier(Pixels(3), decide).double().eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2)
    return network


def batch(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, 1, 3, 3, generator=generator).double()
    labels = (torch.rand(count, 1, generator=generator) < 0.5).double()
    masks = (torch.rand(count, 1, 3, 3, generator=generator) < 0.4).double()
    annotations = (torch.rand(count, 3, generator=generator) < 0.4).double()
    return images, labels, masks, annotations


def test_counterfactual_attributes_are_a_minimum() -> None:
    network = small(0)
    images, labels, _, _ = batch(4)
    estimated = network.attributes(images).detach()
    step = attribute_step(network.decide, estimated, 1 - labels, EXACT.attribute_search)

    def objective(attributes: Tensor) -> Tensor:
        loss = nn.functional.binary_cross_entropy_with_logits(network.decide(attributes), 1 - labels, reduction="none")
        return loss.sum(1) + step.found.alpha * (attributes - estimated).abs().sum(1)

    best = objective(step.found.images).detach()
    for place in range(3):
        for size in (-0.02, 0.02):
            other = step.found.images.clone()
            other[:, place] += size
            assert (objective(other) > best - 1e-9).all()


def test_the_image_accounts_for_the_change_of_attributes_alone() -> None:
    network = small(0)
    images, _, _, _ = batch(4)
    estimated = network.attributes(images).detach()
    same = image_step(network.describe, images, estimated, EXACT.image_search)
    assert (same.found.change == 0).all()
    other = estimated.clone()
    other[:, 1] = 1 - other[:, 1].round()
    found = image_step(network.describe, images, other, EXACT.image_search).found
    before, after = (estimated - other).abs(), (network.attributes(found.images) - other).abs()
    assert (after[:, 1] < before[:, 1]).all()


@pytest.mark.parametrize("step", ["decide", "describe"])
def test_gradients_are_those_of_finite_differences(step: Literal["decide", "describe"]) -> None:
    """Of each published alignment loss in its own step's weights, with a*, α and the other step held fixed."""
    network = small(2)
    images, labels, masks, annotations = batch(3)
    estimated = network.attributes(images).detach()
    first = attribute_step(network.decide, estimated, 1 - labels, EXACT.attribute_search)
    second = image_step(network.describe, images, first.found.images, EXACT.image_search)
    alpha = (first if step == "decide" else second).found.alpha
    assert ((first if step == "decide" else second).found.support.flatten(1).any(1)).all()
    terms = alignment_terms(network, images, labels, masks, annotations, EXACT)
    module = getattr(network, step)
    (terms.attributes if step == "decide" else terms.images).sum().backward()
    other = network.describe if step == "decide" else network.decide
    assert all(weight.grad is None or not weight.grad.any() for weight in other.parameters())
    exact = torch.cat([weight.grad.flatten() for weight in module.parameters()])

    def off(changed: HierarchicalClassifier) -> Tensor:
        """The loss after the network changed, each image with the α that it had."""
        total = torch.zeros((), dtype=torch.float64)
        for n in range(len(images)):
            search = SolverParameters(alpha_absolute=float(alpha[n]), steps=2000, tolerance=1e-10)
            if step == "decide":
                found = attribute_step(changed.decide, estimated[n : n + 1], 1 - labels[n : n + 1], search).found
                total += (found.change * (1 - annotations[n])).abs().sum()
            else:
                wanted = first.found.images[n : n + 1]
                found = image_step(changed.describe, images[n : n + 1], wanted, search).found
                total += (found.change * (1 - masks[n])).abs().sum()
        return total

    generator = torch.Generator().manual_seed(4)
    sizes = []
    for _ in range(4):
        direction = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in module.parameters()]
        values = []
        for sign in (1, -1):
            changed = copy.deepcopy(network)
            with torch.no_grad():
                for weight, along in zip(getattr(changed, step).parameters(), direction, strict=True):
                    weight.add_(sign * 1e-5 * along)
            values.append(off(changed))
        numeric = (values[0] - values[1]) / 2e-5
        assert float(exact @ torch.cat([d.flatten() for d in direction])) == pytest.approx(float(numeric), rel=1e-3)
        sizes.append(abs(float(numeric)))
    assert max(sizes) > 1e-3


def test_attributes_off_the_annotation_are_unlearned() -> None:
    """Two attributes say the same; the one that did not make the label stops deciding."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(96, 1, generator=generator) < 0.5).float()
    images = 0.2 * torch.rand(96, 1, 16, 16, generator=generator) + labels[:, :, None, None]
    masks = torch.ones_like(images)
    attributes, annotations = labels.repeat(1, 2), torch.tensor([[0.0, 1.0]]).repeat(96, 1)
    parameters = ClassifierTrainingParameters(
        spatial_dims=2, shape=(16, 16), epochs=12, batch=16, learning_rate=2e-2, augmentation=0
    )

    def share(weight: float) -> float:
        network = HierarchicalClassifier(
            seven_layer_cnn(1, 2, (16, 16), width=2, seed=1), attribute_mlp(2, 1, width=4, seed=1)
        )
        train = MaskedArrays(images, labels, masks)
        hierarchy = HierarchyParameters(
            attribute_alignment=weight,
            image_alignment=0.0,
            decision_steps=0,
            surroundings=AlignmentParameters(invariance=0),
        )
        validation, device = WithoutMasks(train), torch.device("cpu")
        found = fit_hierarchical(network, train, attributes, annotations, validation, parameters, hierarchy, device)
        assert found.fit.auc[0] > 0.95
        last = alignment_terms(network, images, labels, masks, annotations, hierarchy)
        return float(last.attribute_share.mean())

    assert share(3.0) < 0.5 * share(0.0)


def test_explanation_names_the_attributes_that_would_turn() -> None:
    network = small(3)
    images, labels, _, _ = batch(4)
    found = explain(network, images, 1 - labels, SolverParameters(alpha=0.01), SolverParameters(alpha=0.1))
    assert found.flipped.shape == (4, 3)
    assert ((found.attributes >= 0) & (found.attributes <= 1)).all()
    assert found.images.change.shape == images.shape


def test_the_second_step_learns_from_readers_first() -> None:
    attributes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    labels = attributes[:, :1] * (1 - attributes[:, 1:2])
    decide = attribute_mlp(3, 1, width=8, seed=0)
    learn_decision(decide, attributes, labels, 300)
    assert ((decide(attributes) > 0) == (labels > 0.5)).all()


def test_attributes_that_do_not_fit_are_named() -> None:
    images, labels, masks, _ = (part.float() for part in batch(4))
    parameters = ClassifierTrainingParameters(spatial_dims=2, shape=(16, 16), batch=2)
    train = MaskedArrays(images, labels, masks)
    with pytest.raises(InputError, match="attributes have shape"):
        fit_hierarchical(
            small(0),
            train,
            torch.ones(3, 3),
            torch.ones(4, 3),
            WithoutMasks(train),
            parameters,
            HierarchyParameters(),
            torch.device("cpu"),
        )
