from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from slicerxai.errors import Cancelled, InputError
from slicerxai.models.classifier_augmentation import augmentation
from slicerxai.models.classifier_fitting import fit_network, predict_logits
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters, parse_target
from slicerxai.models.classifier_scores import roc_auc, youden

CPU = torch.device("cpu")


class Corners:
    """Noise; label l is present where corner l is bright."""

    def __init__(self, count: int, dims: int, seed: int) -> None:
        generator = Generator().manual_seed(seed)
        self.images = torch.randn(count, 1, *[24] * dims, generator=generator)
        self.labels = (torch.rand(count, 2, generator=generator) < 0.5).float()
        for image, labels in zip(self.images, self.labels, strict=True):
            for label in range(2):
                image[(0, *[slice(3 + 12 * label, 9 + 12 * label)] * dims)] += 3 * labels[label]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


def quick(dims: int, **changes: object) -> ClassifierTrainingParameters:
    values = {
        "spatial_dims": dims,
        "shape": (24,) * dims,
        "architecture": "densenet",
        "features": 8,
        "growth": 4,
        "blocks": (2, 2),
        "epochs": 4,
        "batch": 8,
        "learning_rate": 1e-2,
        "augmentation": 0.1,
    }
    return ClassifierTrainingParameters.model_validate(values | changes)


def fitted(parameters: ClassifierTrainingParameters, **options: object):
    torch.manual_seed(parameters.seed)
    network = build_network(parameters, 1, 2)
    dims = parameters.spatial_dims
    result = fit_network(network, Corners(48, dims, 0), Corners(24, dims, 1), parameters, CPU, **options)
    return network, result


@pytest.mark.parametrize("dims", [2, 3])
def test_learns_bright_corners(dims: int) -> None:
    network, result = fitted(quick(dims, epochs=8, pooling="average", cells=2))
    assert (result.auc > 0.9).all()
    assert not network.training
    np.testing.assert_allclose(result.logits, predict_logits(network, Corners(24, dims, 1), CPU), rtol=1e-5, atol=1e-5)
    predicted = result.probabilities >= np.array(result.thresholds)
    assert (predicted == result.truth).mean() > 0.8


def test_same_seed_same_network_whatever_the_global_randomness() -> None:
    first, a = fitted(quick(2))
    torch.manual_seed(99)
    second, b = fitted(quick(2))
    np.testing.assert_array_equal(a.logits, b.logits)
    assert all(
        torch.equal(p, q) for p, q in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    _, c = fitted(quick(2, seed=1))
    assert not np.array_equal(a.logits, c.logits)


def test_fit_leaves_the_callers_random_numbers_alone() -> None:
    parameters = quick(2, epochs=1, dropout=0.2)
    network = build_network(parameters, 1, 2)
    before = torch.random.get_rng_state()
    fit_network(network, Corners(16, 2, 0), Corners(16, 2, 1), parameters, CPU)
    assert torch.equal(before, torch.random.get_rng_state())


def test_keeps_the_epoch_with_the_best_auc() -> None:
    _, result = fitted(quick(2, epochs=6))
    aucs = [auc for _, _, auc in result.history]
    assert aucs[result.epoch - 1] == max(aucs) == pytest.approx(result.auc.mean())


def test_own_augmentation_is_used() -> None:
    seen = []

    def remember(images: Tensor, generator: Generator) -> Tensor:
        seen.append(images.shape)
        return images

    fitted(quick(2, epochs=1), augment=remember)
    assert seen == [torch.Size([8, 1, 24, 24])] * 6


def test_cancelling_stops_within_a_step() -> None:
    calls = []

    def cancel(fraction: float, message: str) -> None:
        calls.append(fraction)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fitted(quick(2), progress=cancel)
    assert len(calls) == 3


def test_constant_label_is_refused() -> None:
    parameters = quick(2)
    training = Corners(16, 2, 0)
    training.labels[:, 1] = 1
    with pytest.raises(InputError, match="training images: label 1 in all"):
        fit_network(build_network(parameters, 1, 2), training, Corners(16, 2, 1), parameters, CPU)


@pytest.mark.parametrize("architecture", ["regional", "densenet", "densenet121", "resnet18"])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_networks_give_logits_without_working_in_place(architecture: str, dims: int, pooling: str) -> None:
    parameters = quick(dims, architecture=architecture, pooling=pooling, shape=(32,) * dims)
    network = build_network(parameters, 2, 3).eval()
    steps: list[tuple[Tensor, Tensor]] = []
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, output: steps.append((output, output.clone())))
    with torch.no_grad():
        assert network(torch.randn(1, 2, *[32] * dims)).shape == (1, 3)
    assert steps
    assert all(torch.equal(output, then) for output, then in steps)


def test_youden_against_every_threshold() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random((40, 3)) < 0.4
    scores = np.round(rng.random((40, 3)) * 0.6 + 0.3 * truth, 2)

    def index(label: int, threshold: float) -> float:
        found = scores[:, label] >= threshold
        t = truth[:, label]
        return found[t].mean() + (~found[~t]).mean() - 1

    for label, threshold in enumerate(youden(scores, truth)):
        best = max(index(label, t) for t in np.linspace(0.0005, 0.9995, 1000))
        assert index(label, threshold) == pytest.approx(best)


def test_auc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(4)
    truth, scores = rng.random((30, 2)) < 0.5, np.round(rng.random((30, 2)), 1)
    for label, auc in enumerate(roc_auc(scores, truth)):
        present, absent = scores[truth[:, label], label], scores[~truth[:, label], label]
        pairs = [(p > a) + 0.5 * (p == a) for p in present for a in absent]
        assert auc == pytest.approx(np.mean(pairs))


def test_augmentation_of_no_strength_changes_nothing_and_mirrors_volumes() -> None:
    images = torch.rand(6, 1, 16, 20, 18) + 0.5
    assert torch.equal(augmentation(0, 3)(images, Generator().manual_seed(0)), images)
    changed = augmentation(1e-6, 3)(images, Generator().manual_seed(0))
    same = (changed - images).abs().flatten(1).amax(1) < 1e-3
    mirrored = (changed - images.flip(2)).abs().flatten(1).amax(1) < 1e-3
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_augmentation_rotates_without_shearing_in_oblong_images() -> None:
    """A disc stays a disc: its second moments along both axes keep their ratio."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(80.0), indexing="ij")
    disc = (((y - 20) ** 2 + (x - 40) ** 2) < 100).float()[None, None].repeat(16, 1, 1, 1)
    moved = augmentation(1.0, 2)(disc, Generator().manual_seed(1))[:, 0]
    weights = moved / moved.sum((1, 2), keepdim=True)
    for one in weights:
        cy, cx = (one * y).sum(), (one * x).sum()
        ratio = (one * (y - cy) ** 2).sum() / (one * (x - cx) ** 2).sum()
        assert float(ratio) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize(
    ("text", "name", "column", "above"),
    [
        ("big=load_ml>1.5", "big", "load_ml", 1.5),
        ("load_ml > 0", "load_ml", "load_ml", 0.0),
        ("deep white matter=present", "deep white matter", "present", None),
    ],
)
def test_targets(text: str, name: str, column: str, above: float | None) -> None:
    target = parse_target(text)
    assert (target.name, target.column, target.above) == (name, column, above)


@pytest.mark.parametrize("text", ["", "a=b=c", "a>b>1", "a>x", "=b"])
def test_bad_targets(text: str) -> None:
    with pytest.raises(ValueError, match=r"target|number"):
        parse_target(text)
