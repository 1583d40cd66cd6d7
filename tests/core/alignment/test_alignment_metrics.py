import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from slicerxai.alignment.metrics import (
    accuracy,
    auc,
    cam_precision,
    counterfactual_precision,
    energy_inside,
    size_controlled,
)
from slicerxai.errors import InputError


def maps_and_masks():
    generator = torch.Generator().manual_seed(0)
    cam = torch.rand(3, 5, 7, generator=generator)
    cam[2] = 0
    return cam, (torch.rand(3, 5, 7, generator=generator) > 0.6).float()


def test_cam_precision_counts_lit_places():
    cam, mask = maps_and_masks()
    expected = []
    for image, inside in zip(cam, mask, strict=True):
        lit = [(i, j) for i in range(5) for j in range(7) if image.max() > 0 and image[i, j] >= 0.3 * image.max()]
        expected.append(sum(float(inside[place]) for place in lit) / max(1, len(lit)))
    torch.testing.assert_close(cam_precision(cam, mask, 0.3), torch.tensor(expected))
    torch.testing.assert_close(cam_precision(cam[:, None], mask[:, None], 0.3), torch.tensor(expected))
    torch.testing.assert_close(cam_precision(cam, mask[:, None], 0.3), torch.tensor(expected))


def test_threshold_matters():
    cam, mask = torch.tensor([[[1.0, 0.6, 0.2]]]), torch.tensor([[[1.0, 0.0, 0.0]]])
    assert cam_precision(cam, mask, 0.9).item() == 1
    assert cam_precision(cam, mask, 0.5).item() == 0.5


def test_energy_and_counterfactual_precision():
    change, mask = torch.randn(2, 3, 4, 5), torch.zeros(2, 1, 4, 5)
    mask[:, :, :2] = 1
    expected = change[:, :, :2].abs().sum((1, 2, 3)) / change.abs().sum((1, 2, 3))
    torch.testing.assert_close(energy_inside(change, mask), expected)
    torch.testing.assert_close(counterfactual_precision(change, mask), expected)
    assert counterfactual_precision(torch.zeros(1, 1, 4, 5), mask[:1]).isnan().all()
    assert energy_inside(torch.zeros(1, 1, 4, 5), mask[:1]).item() == 0


def test_volumes_with_and_without_channels():
    change, mask = torch.randn(2, 1, 3, 4, 5), (torch.rand(2, 1, 3, 4, 5) > 0.5).float()
    torch.testing.assert_close(energy_inside(change, mask), energy_inside(change[:, 0], mask[:, 0]))


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="mask"):
        cam_precision(torch.rand(2, 4, 4), torch.rand(2, 5, 4))


def test_accuracy_and_auc():
    logits, truth = np.array([[1.0], [-1.0], [2.0], [-0.5]]), np.array([[True], [True], [True], [False]])
    assert accuracy(logits, truth) == 0.75
    assert auc(logits, truth) == pytest.approx(2 / 3)


def cohort(slope: float, signal: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(3, 1, 600))
    truth = rng.random(600) < 1 / (1 + np.exp(-slope * (np.log(size) - 3)))
    scores = np.log(size) + signal * truth + 0.1 * rng.normal(size=600)
    return scores, truth, size


def test_scores_that_are_size_lose_everything_under_control():
    found = size_controlled(*cohort(slope=2.5, signal=0))
    assert found.auc > 0.85
    assert abs(found.size_auc - found.auc) < 0.03
    assert abs(found.matched_auc - 0.5) < 0.08
    assert abs(found.matched_size_auc - 0.5) < 0.08
    assert found.stratified_auc < found.auc - 0.1


def test_scores_beyond_size_stay():
    found = size_controlled(*cohort(slope=2.5, signal=2.0))
    assert found.matched_auc > 0.9
    assert found.stratified_auc > 0.9
    assert found.partial > 1


def test_strata_and_matching_against_loops():
    scores, truth, size = cohort(slope=1.0, signal=0.5, seed=3)
    scores, truth, size = scores[:60], truth[:60], size[:60]
    found = size_controlled(scores, truth, size, strata=3)
    order = np.argsort(size)
    won = pairs = 0
    for part in np.array_split(order, 3):
        for a in part:
            for b in part:
                if truth[a] and not truth[b]:
                    pairs += 1
                    won += float(scores[a] > scores[b])
    assert found.pairs == pairs
    assert found.stratified_auc == pytest.approx(won / pairs)
    assert found.auc == pytest.approx(roc_auc_score(truth, scores))
    assert 0 < found.matched <= min(truth.sum(), (~truth).sum())


def test_one_value_of_the_label():
    with pytest.raises(InputError, match="with and without"):
        size_controlled(np.arange(3.0), np.ones(3, bool), np.ones(3))
