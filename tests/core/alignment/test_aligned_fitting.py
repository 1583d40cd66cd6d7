from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Generator, Tensor, nn

from slicerxai.alignment.aligned_fitting import AlignedFit, fit_aligned
from slicerxai.alignment.aligned_objective import AlignedObjective, evaluating, outer_change
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.alignment_loss import off_mask, off_mask_share
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.distances import DistanceName, feature_scale
from slicerxai.alignment.losses import label_loss
from slicerxai.alignment.masked_images import MaskedArrays, WithoutMasks, masked_augmentation
from slicerxai.alignment.smooth import has_kinks, smooth
from slicerxai.errors import Cancelled, InputError
from slicerxai.models.classifier_fitting import fit_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters

CPU = torch.device("cpu")
SIDE = 8


def patches(count: int, seed: int, *, shortcut: bool, dims: int = 2) -> MaskedArrays:
    """The label is the sign of a faint patch in the mask; a bright corner is the label, or drawn by lot."""
    generator = Generator().manual_seed(seed)
    labels = (torch.arange(count) % 2)[torch.randperm(count, generator=generator)][:, None].float()
    images = 0.3 * torch.randn(count, 1, *[SIDE] * dims, generator=generator)
    masks = torch.zeros(count, 1, *[SIDE] * dims)
    inside = (slice(None), slice(None), *[slice(4, 7)] * dims)
    corner = (slice(None), 0, *[0] * dims)
    masks[inside] = 1
    signs = 2 * labels - 1
    images[inside] += 0.3 * signs.view(-1, *[1] * (dims + 1))
    lot = torch.where(torch.rand(count, generator=generator) < 0.5, 1.0, -1.0)
    images[corner] = 3 * (signs[:, 0] if shortcut else lot)
    return MaskedArrays(images, labels, masks)


def network(dims: int = 2, seed: int = 0, activation: type[nn.Module] = nn.SiLU) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(1), nn.Linear(SIDE**dims, 16), activation(), nn.Linear(16, 1))


def parameters(**changes: object) -> ClassifierTrainingParameters:
    values = {"spatial_dims": 2, "shape": (16, 16), "epochs": 8, "batch": 16, "augmentation": 0.0}
    return ClassifierTrainingParameters.model_validate(values | changes)


TRAIN, VALIDATION = patches(96, 0, shortcut=True), WithoutMasks(patches(64, 1, shortcut=False))


def fitted(
    alignment: AlignmentParameters, net: nn.Module | None = None, **options: object
) -> tuple[nn.Module, AlignedFit]:
    net = net or network()
    epochs = options.pop("epochs", 8)
    found = fit_aligned(net, TRAIN, VALIDATION, parameters(epochs=epochs), alignment, CPU, **options)
    return net, found


def accuracy(net: nn.Module) -> float:
    test = patches(200, 2, shortcut=False)
    return float(((net(test.images) > 0) == (test.labels > 0.5)).float().mean())


def test_decides_from_inside_where_plain_training_takes_the_shortcut() -> None:
    plain = network()
    fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(keep="last"), CPU)
    net, found = fitted(AlignmentParameters())
    assert accuracy(plain) < 0.85
    assert accuracy(net) > 0.95
    assert found.off_mask[-1] < 0.2
    assert len(found.off_mask) == len(found.support) == len(found.residual) == len(found.history) == 8
    assert not net.training


def test_without_any_alignment_it_is_plain_training() -> None:
    plain = network()
    expected = fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(epochs=2), CPU)
    for options in ({"invariance": 0}, {"warm_up": 2}):
        net, found = fitted(AlignmentParameters(**options), epochs=2)
        np.testing.assert_array_equal(found.logits, expected.logits)
        assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain.parameters(), strict=True))


@pytest.mark.parametrize("objective", ["published", "share"])
def test_gradient_of_the_objective_is_that_of_its_value(objective: str) -> None:
    """Central differences over one weight, with the counterfactual solved anew each time."""
    net = network().double()
    solver = SolverParameters(alpha_absolute=0.05, steps=3000, tolerance=1e-9, distance="l2")
    alignment = AlignmentParameters(
        invariance=0,
        objective=objective,
        weight=0.7,
        solver=solver,
        linear=LinearSolve(iterations=500, tolerance=1e-10),
    )
    images, labels, masks = TRAIN.images[:4].double(), TRAIN.labels[:4].double(), TRAIN.masks[:4].double()
    objective_of = AlignedObjective(net, alignment, None, (-50, 50))

    def value() -> float:
        from slicerxai.alignment.counterfactual import counterfactual

        found = counterfactual(label_loss(net, 1 - labels, torch.ones(4, 1, dtype=torch.bool)), images, solver)
        measure = off_mask if objective == "published" else off_mask_share
        entropy = nn.functional.binary_cross_entropy_with_logits(net(images), labels)
        return float(entropy + 0.7 * measure(found.change, masks).mean())

    record = objective_of.backward(images, labels, masks, Generator().manual_seed(0), aligned=True, implicitly=True)
    weight = net[1].weight
    place = int(weight.grad.abs().argmax())
    step = 1e-5
    with torch.no_grad():
        weight.view(-1)[place] += step
        ahead = value()
        weight.view(-1)[place] -= 2 * step
        behind = value()
    assert float(weight.grad.view(-1)[place]) == pytest.approx((ahead - behind) / (2 * step), rel=1e-2)
    assert record.residual < 1e-6


def test_change_is_outside_sparse_within_the_values_and_against_the_label() -> None:
    plain = network()
    fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(keep="last"), CPU)
    loss = label_loss(plain, 1 - TRAIN.labels, torch.ones(len(TRAIN), 1, dtype=torch.bool))
    low, high = float(TRAIN.images.min()), float(TRAIN.images.max())
    change = outer_change(loss, TRAIN.images, TRAIN.masks, AlignmentParameters(steps=20), (low, high))
    assert ((change * TRAIN.masks) == 0).all()
    assert 0 < (change != 0).float().mean() < 0.5
    moved = TRAIN.images + change
    assert moved.min() >= low - 1e-5
    assert moved.max() <= high + 1e-5
    assert (loss(moved) < loss(TRAIN.images)).float().mean() > 0.95
    dear = outer_change(loss, TRAIN.images, TRAIN.masks, AlignmentParameters(cost=100), (low, high))
    assert (dear == 0).all()


@pytest.mark.parametrize("distance", ["l1", "l2", "scaled_l1", "scaled_l2"])
def test_one_value_across_the_range_costs_what_is_stated(distance: DistanceName) -> None:
    """A loss of slope g at one place: the change is worth its cost from g = cost per range on."""
    images = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4), 2 * torch.ones(1, 4, 4)])
    scale = feature_scale(images, distance)
    masks = torch.zeros(3, 1, 4, 4)
    parameters = AlignmentParameters(distance=distance, cost=0.5, steps=200)

    def change(gain: float) -> float:
        found = outer_change(lambda x: -gain / 2 * x[:, 0, 1, 1] + 10, images, masks, parameters, (0.0, 2.0), scale)
        return float(found[0, 0, 1, 1])

    # squared: the gain is spent on g · r / (2 · cost) of the range r
    for gain in (0.3, 0.7):
        expected = 2.0 * (gain > 0.5) if distance.endswith("l1") else 2 * min(1, gain / 2 / 0.5)
        assert change(gain) == pytest.approx(expected, abs=0.02)


def test_objective_runs_in_training_and_its_solve_is_noted() -> None:
    alignment = AlignmentParameters(
        objective="share", every=2, solver=SolverParameters(alpha=0.1, steps=20, tolerance=1e-2)
    )
    _, found = fitted(alignment, epochs=2)
    assert all(value >= 0 for value in found.residual), found.residual
    _, without = fitted(AlignmentParameters(), epochs=1)
    assert math.isnan(without.residual[0])


def test_interrupted_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    path = tmp_path / "fit.pt"
    whole, expected = fitted(AlignmentParameters(), epochs=4)

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        fitted(AlignmentParameters(), epochs=4, checkpoint=path, progress=stop)
    assert [file.name for file in tmp_path.iterdir()] == ["fit.pt"]
    seen: list[float] = []
    again, found = fitted(
        AlignmentParameters(), epochs=4, checkpoint=path, progress=lambda fraction, _message: seen.append(fraction)
    )
    assert seen[0] >= 0.5
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    np.testing.assert_array_equal(found.logits, expected.logits)
    assert found.history == expected.history
    assert found.off_mask == expected.off_mask
    with pytest.raises(InputError, match="other parameters"):
        fitted(AlignmentParameters(cost=1), epochs=4, checkpoint=path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="damaged"):
        fitted(AlignmentParameters(), epochs=4, checkpoint=path)


def test_three_dimensions_several_labels_empty_masks_and_frozen_norms() -> None:
    arrays = patches(32, 3, shortcut=True, dims=3)
    labels = torch.cat([arrays.labels, arrays.labels.roll(1, 0)], 1)
    masks = arrays.masks.clone()
    masks[::2] = 0
    train = MaskedArrays(arrays.images, labels, masks)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.SiLU(), nn.Flatten(1), nn.Linear(4 * 6**3, 2))
    before = net[1].running_mean.clone()
    options = {"spatial_dims": 3, "shape": (16, 16, 16), "epochs": 1, "augmentation": 1.0}
    fit_aligned(net, train, WithoutMasks(train), parameters(**options), AlignmentParameters(frozen_norms=True), CPU)
    assert torch.equal(net[1].running_mean, before)
    fit_aligned(net, train, WithoutMasks(train), parameters(**options), AlignmentParameters(), CPU)
    assert not torch.equal(net[1].running_mean, before)


def test_images_without_masks_count_in_classification_alone() -> None:
    arrays = MaskedArrays(TRAIN.images, TRAIN.labels, torch.zeros_like(TRAIN.masks))
    plain, net = network(), network()
    fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(epochs=1), CPU)
    found = fit_aligned(net, arrays, VALIDATION, parameters(epochs=1), AlignmentParameters(), CPU)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain.parameters(), strict=True))
    assert math.isnan(found.off_mask[0])


def test_masks_move_with_their_images() -> None:
    generator = Generator().manual_seed(0)
    masks = torch.zeros(6, 1, 24, 24)
    masks[:, :, 6:14, 10:20] = 1
    images = 5 * masks
    changed, moved = masked_augmentation(1.0, 2)(images, masks, generator)
    assert not torch.equal(moved, masks)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    half = changed.flatten(1).amax(1).view(-1, 1, 1, 1) / 2
    assert ((changed > half) == (moved > 0)).float().mean() > 0.97


class Odd:
    """Masked images that are not as they should be."""

    def __init__(self, **parts: Tensor) -> None:
        self.parts = {"images": TRAIN.images, "labels": TRAIN.labels, "masks": TRAIN.masks} | parts

    def __len__(self) -> int:
        return len(TRAIN)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.parts["images"][index], self.parts["labels"][index], self.parts["masks"][index]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Odd(masks=TRAIN.masks[..., :-1]), "mask 0 has shape"),
        (Odd(masks=0.5 * TRAIN.masks), "mask 0 hold"),
        (Odd(labels=TRAIN.labels[:, 0]), "labels"),
        (Odd(labels=2 * TRAIN.labels), "labels 0 hold|labels . hold"),
        (Odd(labels=torch.ones_like(TRAIN.labels)), "in all"),
        (Odd(images=torch.zeros_like(TRAIN.images)), "every value"),
    ],
)
def test_bad_images_are_named(train: Odd, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_aligned(network(), train, VALIDATION, parameters(), AlignmentParameters(), CPU)


def test_arrays_must_fit_each_other() -> None:
    with pytest.raises(InputError, match="masks have shape"):
        MaskedArrays(TRAIN.images, TRAIN.labels, TRAIN.masks[:3])
    with pytest.raises(InputError, match="labels have shape"):
        MaskedArrays(TRAIN.images, TRAIN.labels[:, 0], TRAIN.masks)


def test_kinks_are_refused_or_smoothed() -> None:
    kinked = network(activation=nn.ReLU)
    with pytest.raises(InputError, match="ReLU"):
        fitted(AlignmentParameters(objective="share"), kinked)
    soft = smooth(kinked)
    assert has_kinks(kinked)
    assert not has_kinks(soft)
    assert torch.allclose(soft(TRAIN.images), kinked(TRAIN.images), atol=0.5)
    assert torch.equal(soft[1].weight, kinked[1].weight)
    with pytest.raises(ValidationError):
        AlignmentParameters(cost=0)


def test_evaluating_gives_each_layer_its_mode_back() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2)).train()
    net[2].eval()
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net] == [True, True, False]
