"""Attribution maps as baselines, and rules that turn a score into a prediction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.interventions.attribution_maps import BASELINES, Baseline, MapSettings, attribution_maps
from slicerxai.interventions.colour_patches import COLOURS, Patch, draw_patch, patch_opacity, random_patch, with_patch
from slicerxai.interventions.local_bias import Rule, fit_rule, logistic_accuracy, map_scores, split_accuracy

EDGE = 16


def test_scores_of_maps_by_hand() -> None:
    before, after = np.zeros((1, 2, 2)), np.array([[[3.0, -1.0], [0.0, 0.0]]])
    found = map_scores(before, after, np.array([[[1.0, 0.0], [0.5, 0.0]]]))
    assert found["difference"] == pytest.approx([10 / 4])
    assert found["share"] == pytest.approx([0.75])
    assert found["inside"] == pytest.approx([3])
    nothing = map_scores(before, before, np.ones((1, 2, 2)))
    assert all((values == 0).all() for values in nothing.values())
    with pytest.raises(InputError, match=r"\(1, 3, 2\)"):
        map_scores(before, after, np.ones((1, 3, 2)))


def tried(scores: np.ndarray, truth: np.ndarray) -> float:
    """Most right answers of any threshold and side, by trying all."""
    cuts = [-np.inf, *scores.tolist()]
    return max(float(((scores > cut) == (truth == side)).mean()) for cut in cuts for side in (True, False))


@pytest.mark.parametrize("seed", range(20))
def test_no_rule_is_right_more_often(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(15) < rng.random()
    scores = np.round(rng.normal(size=15) + rng.normal() * truth, 1)
    rule, right = fit_rule(scores, truth)
    assert right == pytest.approx((rule(scores) == truth).mean())
    assert right == pytest.approx(tried(scores, truth))


def test_the_threshold_lies_in_the_widest_gap() -> None:
    rule, right = fit_rule(np.array([0.0, 1.0, 5.0, 6.0]), np.array([False, False, True, True]))
    assert (rule, right) == (Rule(3.0, above=True), 1.0)
    below, _ = fit_rule(np.array([0.0, 1.0, 5.0, 6.0]), np.array([True, True, False, False]))
    assert below == Rule(3.0, above=False)
    with pytest.raises(InputError, match="1 not finite"):
        fit_rule(np.array([0.0, np.nan]), np.array([True, False]))


def test_accuracy_of_a_telling_score_and_of_noise() -> None:
    rng = np.random.default_rng(0)
    truth = np.tile(rng.random(200) < 0.5, 2)
    groups = np.tile(np.arange(200), 2)
    noise, telling = rng.normal(size=400), truth + 0.1 * rng.random(400)
    both = split_accuracy({"noise": noise, "telling": telling}, truth, groups)
    assert both.accuracy.min() == 1
    assert set(both.chosen) == {"telling"}
    assert 0.4 < split_accuracy({"noise": noise}, truth, groups).accuracy.mean() < 0.6


def test_a_regression_uses_scores_together() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 400))
    truth, groups = first + second > 0, np.arange(400)
    alone = split_accuracy({"first": first, "second": second}, truth, groups).accuracy.mean()
    together = logistic_accuracy({"first": first, "second": second}, truth, groups).accuracy.mean()
    assert together > 0.95 > alone
    never = logistic_accuracy({"first": first}, np.zeros(400, bool), groups)
    assert (never.accuracy == 1).all()


def test_a_group_is_never_in_both_halves() -> None:
    """A score that names the group and nothing else cannot be used when groups are kept together."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 10)
    truth = (rng.random(60) < 0.5)[groups]
    code = rng.permutation(60)[groups].astype(float)
    assert split_accuracy({"code": code}, truth, groups).accuracy.mean() < 0.65
    with pytest.raises(InputError, match="1 groups"):
        split_accuracy({"code": code}, truth, np.zeros(600, int))


class Additive(nn.Module):
    """Logit that is the sum of the red channel of one quarter, through a layer of its own for Grad-CAM."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 1, 1, bias=False)
        self.relu = nn.ReLU()
        with torch.no_grad():
            self.stem.weight.copy_(torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.stem(x))[:, :, : EDGE // 2, : EDGE // 2].sum((2, 3))


def quarters() -> Tensor:
    part = torch.arange(EDGE) // (EDGE // 2)
    return (2 * part[:, None] + part[None])[None]


@pytest.mark.parametrize("method", BASELINES)
def test_every_baseline_finds_the_part_that_decides(method: Baseline) -> None:
    network = Additive().eval()
    image = torch.rand(1, 3, EDGE, EDGE, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.7
    image[:, 0, EDGE // 2 :] *= 0.02  # Grad-CAM shows where a feature is active, not where it is used
    image[:, 0, :, EDGE // 2 :] *= 0.02
    settings = MapSettings(layer=network.stem, absent=(0, 0, 0), samples=40, window=4, stride=4)
    before = torch.random.get_rng_state()
    found = attribution_maps(method, network, image, quarters(), settings)
    assert torch.equal(before, torch.random.get_rng_state())
    assert found.shape == (1, EDGE, EDGE)
    inside = np.abs(found[0, : EDGE // 2, : EDGE // 2]).sum() / np.abs(found).sum()
    assert inside > 0.8
    if method in {"integrated_gradients", "deeplift"}:
        assert found.sum() == pytest.approx(float(network(image)), rel=1e-4)
    if method in {"lime", "kernel_shap"}:
        again = attribution_maps(method, network, image, quarters(), settings)
        assert (again == found).all()


def test_a_patch_has_the_wanted_size_colour_and_place() -> None:
    image = np.full((3, 100, 100), 0.6, np.float32)
    made = draw_patch(image, (0.5, 0.4), 0.3, (0.1, 0.2, 0.9))
    changed = np.abs(made - image).max(0) > 1e-6
    rows, columns = np.nonzero(changed)
    assert patch_opacity((100, 100), Patch((0.5, 0.4), (0, 0, 0)), 0.3).sum() == pytest.approx(np.pi * 15**2, rel=0.01)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((50, 40), abs=0.1)
    assert made[:, 50, 40] == pytest.approx([0.1, 0.2, 0.9], abs=1e-6)
    assert (draw_patch(image, (0.5, 0.4), 0, (0.1, 0.2, 0.9)) == image).all()
    with pytest.raises(ValueError, match=r"diameter 1\.5"):
        draw_patch(image, (0.5, 0.4), 1.5, (0, 0, 0))
    with pytest.raises(ValueError, match=r"\(100, 100\)"):
        draw_patch(image[0], (0.5, 0.4), 0.1, (0, 0, 0))


def test_a_patch_grows_by_degrees() -> None:
    patch = random_patch(np.random.default_rng(3))
    image = np.full((3, 40, 40), 0.5, np.float32)
    path = [with_patch(image, patch, value) for value in np.linspace(0, 0.4, 161)]
    steps = [np.abs(b - a).sum() for a, b in itertools.pairwise(path)]
    assert max(steps) < 0.05 * np.abs(path[-1] - path[0]).sum()


def test_a_random_patch_keeps_away_from_the_lesion() -> None:
    lesion = np.zeros((64, 64), bool)
    lesion[:, :40] = True
    for seed in range(20):
        patch = random_patch(np.random.default_rng(seed), lesion, ("green",))
        assert patch.centre[1] > 0.75
        assert np.abs(np.subtract(patch.colour, COLOURS["green"])).max() < 0.3
    assert random_patch(np.random.default_rng(5), lesion) == random_patch(np.random.default_rng(5), lesion)
