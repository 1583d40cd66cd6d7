"""The network discriminator: its penalty, its mirrored averaging, and what it may and may not learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.fast import FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo
from slicerxai.models.unet import FastUNet
from slicerxai.shift.attribution import attribute
from slicerxai.shift.discriminator3d import (
    MultiScaleNetwork,
    NetworkDiscriminator,
    NetworkSettings,
    Views,
    averaged_log_odds,
    fit,
    gradient_penalty,
)
from slicerxai.shift.discriminators import auc, calibrate, subject_folds
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.options import Options
from slicerxai.shift.samples import Pair, Samples
from slicerxai.shift.views import IMAGE, case_views, network_discriminator

CPU = torch.device("cpu")
TINY = NetworkSettings(edge=8, patches=4, features=(4, 8), steps=60, batch=8, rate=1e-2)
QUICK = replace(TINY, steps=20)
GRAPH = MechanismGraph((Mechanism("acquisition", "X"), Mechanism("annotation", "Y", ("X",))))


def textures(count: int, spread: float, seed: int) -> list[Views]:
    """Cases of white noise."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return (spread * torch.randn(*shape, generator=generator)).half()

    return [Views(noise(1, 8, 8, 8), noise(4, 1, 8, 8, 8)) for _ in range(count)]


class Linear(nn.Module):
    """Its gradient is its weights, whatever the input."""

    def __init__(self, whole: float, patches: float) -> None:
        super().__init__()
        self.whole, self.patches = nn.Parameter(torch.tensor(whole)), nn.Parameter(torch.tensor(patches))

    def forward(self, whole: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        return self.whole * whole.flatten(1).sum(1) + self.patches * patches.flatten(1).sum(1)


def test_penalty_of_a_linear_network_by_hand():
    network = Linear(0.2, 0.3)
    penalty = gradient_penalty(network, torch.zeros(2, 1, 4, 4, 4), torch.zeros(2, 3, 1, 4, 4, 4))
    norm = np.sqrt(0.2**2 * 64 + 0.3**2 * 192)
    assert float(penalty.detach()) == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert float(network.whole.grad) == pytest.approx(2 * (norm - 1) * 0.2 * 64 / norm, rel=1e-5)
    flat = gradient_penalty(Linear(0.01, 0.01), torch.zeros(2, 1, 4, 4, 4), torch.zeros(2, 3, 1, 4, 4, 4))
    assert float(flat.detach()) == 0


def test_penalty_of_the_network_by_finite_differences():
    torch.manual_seed(0)
    network = MultiScaleNetwork(1, (2, 3)).double()
    network.head.weight.data *= 50
    whole, patches = torch.randn(1, 1, 4, 4, 4).double(), torch.randn(1, 2, 1, 4, 4, 4).double()
    step, squares = 1e-6, 0.0
    with torch.no_grad():
        for values in (whole, patches):
            flat = values.view(-1)
            for index in range(flat.numel()):
                kept = flat[index].item()
                flat[index] = kept + step
                above = float(network(whole, patches))
                flat[index] = kept - step
                below = float(network(whole, patches))
                flat[index] = kept
                squares += ((above - below) / (2 * step)) ** 2
    assert np.sqrt(squares) > 1
    assert float(gradient_penalty(network, whole, patches).detach()) == pytest.approx(
        (np.sqrt(squares) - 1) ** 2, rel=1e-4
    )


def test_score_is_the_mean_over_the_mirror_images():
    class Corner(nn.Module):
        def forward(self, whole: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
            return whole[:, 0, 0, 0, 0] + 10 * patches[:, 1, 0, 0, 0, 0]

    view = textures(1, 1.0, 0)[0]
    corners = [(0, -1)[a] for a in range(2)]
    whole = [float(view.whole[0, i, j, k]) for i in corners for j in corners for k in corners]
    patch = [float(view.patches[1, 0, i, j, k]) for i in corners for j in corners for k in corners]
    assert averaged_log_odds(Corner(), view, CPU) == pytest.approx(np.mean(whole) + 10 * np.mean(patch), rel=1e-4)


def test_penalty_keeps_the_discriminator_flat():
    views, labels = textures(8, 0.3, 0) + textures(8, 1.0, 1), np.repeat([0.0, 1.0], 8)

    def steepness(penalty: float) -> float:
        network = fit(views, labels, np.zeros(16), replace(TINY, penalty=penalty), CPU)
        inputs = [torch.stack([getattr(v, name).float() for v in views]) for name in ("whole", "patches")]
        inputs = [values.requires_grad_() for values in inputs]
        gradients = torch.autograd.grad(network(*inputs).sum(), inputs)
        return float(sum(g.flatten(1).square().sum(1) for g in gradients).sqrt().mean())

    assert steepness(10.0) < 0.7 * steepness(0.0)


@pytest.fixture
def scanners() -> tuple[NetworkDiscriminator, np.ndarray, np.ndarray]:
    """Two scanners of different noise, 12 subjects each: discriminator, environments, folds."""
    views, labels = textures(12, 0.5, 0) + textures(12, 1.0, 1), np.repeat([0.0, 1.0], 12)
    folds = subject_folds(np.array([f"{k}" for k in range(24)]), labels, 3, 0)
    return NetworkDiscriminator({IMAGE: views}, TINY, CPU), labels, folds


def test_clearly_different_scanners_are_told_apart(scanners):
    discriminator, labels, folds = scanners
    assert auc(discriminator.held_out(("X",), labels, np.zeros(24), folds), labels) > 0.9


def test_nothing_is_learnt_from_the_held_out_subjects(scanners):
    discriminator, labels, folds = scanners
    out = folds == 1
    one, other = (NetworkDiscriminator(discriminator.views, QUICK, CPU) for _ in range(2))
    as_is = one.held_out(("X",), labels, np.zeros(24), folds)[out]
    turned = other.held_out(("X",), np.where(out, 1 - labels, labels), np.zeros(24), folds)[out]
    np.testing.assert_array_equal(as_is, turned)


def test_random_environments_cannot_be_told_apart():
    views, names = textures(10, 0.5, 2) + textures(10, 1.0, 3), np.array([f"{k}" for k in range(20)])
    found = []
    for seed in range(6):
        labels = np.random.default_rng(seed).permutation(np.repeat([0.0, 1.0], 10))
        folds = subject_folds(names, labels, 2, seed)
        scores = NetworkDiscriminator({IMAGE: views}, QUICK, CPU).held_out(("X",), labels, np.zeros(20), folds)
        found.append(auc(scores, labels))
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)


def test_what_is_known_already_is_not_counted_again(scanners):
    discriminator, labels, folds = scanners
    discriminator = NetworkDiscriminator(discriminator.views, QUICK, CPU)

    def added(offset: np.ndarray) -> float:
        scores = discriminator.held_out(("X",), labels, offset, folds)[None]
        return float(np.abs(calibrate(scores, labels, np.ones((1, 24)), offset, folds)).mean())

    assert added(12 * (labels - 0.5)) < 0.2 * added(np.zeros(24))


class Prepares(FastSegmenter):
    """Only its way to prepare images is used."""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Twenty heads, half of them from a noisier scanner; the target's reader draws wider. (segmenter, cases)."""
    folder, affine = tmp_path_factory.mktemp("heads"), np.diag([3.0, 3.0, 3.0, 1.0])
    shape = (20, 24, 20)
    axes = np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij")
    brain, cases = np.sqrt(sum(axis**2 for axis in axes)) < 9, []
    for n in range(20):
        rng, noisy = np.random.default_rng(n), n >= 10
        centre = rng.uniform(-3, 3, 3)
        away = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
        tissue = 1 + 0.1 * ndimage.gaussian_filter(rng.standard_normal(shape), 2) / 0.05
        image = 300 * (tissue + 0.6 * (away < 3) + (0.3 if noisy else 0.05) * rng.standard_normal(shape))
        write_volume(folder / f"{n}.nii.gz", Volume(np.where(brain, image.clip(30), 0).astype(np.float32), affine))
        write_volume(folder / f"{n}-r.nii.gz", Volume((away < (4.5 if noisy else 3)).astype(np.uint8), affine))
        cases.append((Case(f"c{n}", {"FLAIR": folder / f"{n}.nii.gz"}, {"r": folder / f"{n}-r.nii.gz"}), "r"))
    config = FastConfig(spacing=3.0, patch_size=(16, 16, 16), features=(4, 8))
    info = ModelInfo("prepares", "fast", ("FLAIR",), ("background", "lesion"), "digest", {})
    return Prepares(info, FastUNet(1, 2, config.features), config, CPU), cases


def test_views_are_what_the_segmenter_prepares(phantoms):
    segmenter, cases = phantoms
    image, both = case_views(segmenter, *cases[0], TINY)
    assert image.whole.shape == (1, 8, 8, 8)
    assert image.patches.shape == (4, 1, 8, 8, 8)
    assert both.patches.shape == (4, 2, 8, 8, 8)
    prepared = segmenter.prepare({"FLAIR": cases[0][0].image("FLAIR")}).tensor
    assert float(image.whole.mean()) == pytest.approx(float(prepared.mean()), abs=0.05)
    assert float(both.patches[:, 1].float().mean()) > 2 * float(both.whole[1].float().mean()) > 0
    other_rater = cases[0][0].masks | {"other": cases[1][0].masks["r"]}
    again, other = case_views(segmenter, replace(cases[0][0], masks=other_rater), "other", TINY)
    assert torch.equal(image.patches, again.patches)
    assert not torch.equal(both.patches, other.patches)


def test_attribution_with_networks_sees_the_scanner(phantoms):
    """The features say nothing; the network finds the noise, and the metric follows it."""
    segmenter, cases = phantoms
    discriminator = network_discriminator(segmenter, cases, TINY)
    rng = np.random.default_rng(0)

    def site(first: int, metric: float, prefix: str) -> Samples:
        names = np.array([f"{prefix}{k}" for k in range(first, first + 10)])
        features = {"X": rng.normal(size=(10, 2)), "Y": rng.normal(size=(10, 2))}
        return Samples(features, metric + 0.02 * rng.normal(size=10), names)

    pair = Pair(site(0, 0.8, "s"), site(10, 0.6, "t"))
    options = Options(repeats=1, permutations=99)
    result = attribute(pair, GRAPH, options, discriminator=discriminator)
    assert result.auc[0, 1] > 0.8
    assert result.states[0] == "shifted"
    assert attribute(pair, GRAPH, options).states[0] != "shifted"
    assert result.phi.sum() + result.unresolved == pytest.approx(result.drop, abs=1e-12)
