import numpy as np
import pytest
from scipy.special import expit
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from slicerxai.shift.discriminators import (
    BoostedDiscriminator,
    LogisticDiscriminator,
    auc,
    calibrate,
    cross_fit,
    prior_log_odds,
    reduce_features,
    subject_folds,
)

ZERO = np.zeros((1, 1))


@pytest.fixture
def cases():
    rng = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0], [20, 40])
    return rng.normal(size=(60, 3)) + labels[:, None] * [2.0, 0, 0], labels


def test_folds_keep_subjects_together_and_environments_spread():
    subjects = np.array([f"{k // 2}" for k in range(40)] + [f"t{k}" for k in range(30)])
    labels = np.repeat([0.0, 1.0], [40, 30])
    folds = subject_folds(subjects, labels, 5, seed=0)
    assert (folds[0:40:2] == folds[1:40:2]).all()
    for fold in range(5):
        assert (labels[folds == fold] == 0).sum() == 8
        assert (labels[folds == fold] == 1).sum() == 6


def test_no_more_folds_than_subjects():
    subjects = np.array([f"{k}" for k in range(9)])
    folds = subject_folds(subjects, np.array([0, 0, 0, 1, 1, 1, 1, 1, 1.0]), 5, seed=0)
    assert set(folds) == {0, 1, 2}


def test_logistic_scores_are_those_of_scikit_learn(cases):
    features, labels = cases
    scores = LogisticDiscriminator(ridge=2.0).scores(features[10:], labels[10:], np.ones((1, 50)), ZERO, features[:10])[
        0
    ]
    fitted, asked = reduce_features(features[10:], features[:10], 8)
    peer = LogisticRegression(C=0.5, tol=1e-10).fit(fitted, labels[10:])
    np.testing.assert_allclose(scores, peer.decision_function(asked), atol=2e-3)


def test_many_features_become_principal_components():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(30, 50)), rng.normal(size=(5, 50))
    fitted, asked = reduce_features(train, test, 4)
    pca = PCA(4).fit((train - train.mean(0)) / train.std(0))
    peer = pca.transform((test - train.mean(0)) / train.std(0))
    correlation = [abs(np.corrcoef(asked[:, k], peer[:, k])[0, 1]) for k in range(4)]
    np.testing.assert_allclose(correlation, 1, atol=1e-6)
    assert fitted.std(0).max() == pytest.approx(1)


def test_constant_features_say_nothing():
    fitted, asked = reduce_features(np.full((10, 2), 3.0), np.full((4, 2), 7.0), 8)
    assert not fitted.any()
    assert not asked.any()


@pytest.mark.parametrize("discriminator", [LogisticDiscriminator(), BoostedDiscriminator()])
def test_held_out_cases_are_held_out(cases, discriminator):
    features, labels = cases
    folds = subject_folds(np.array([f"{k}" for k in range(60)]), labels, 5, seed=0)
    scores = cross_fit(discriminator, features, labels, np.ones((1, 60)), ZERO, folds)
    out = folds == 2
    m = int((~out).sum())
    alone = discriminator.scores(features[~out], labels[~out], np.ones((1, m)), np.zeros((1, m)), features[out])
    np.testing.assert_allclose(scores[:, out], alone)
    changed = labels.copy()
    changed[np.flatnonzero(out)[0]] = 1 - changed[np.flatnonzero(out)[0]]
    again = cross_fit(discriminator, features, changed, np.ones((1, 60)), ZERO, folds)
    np.testing.assert_allclose(again[:, out], scores[:, out])
    assert auc(scores[0], labels) > 0.6


def test_boosting_learns_a_product_and_respects_the_known_part():
    rng = np.random.default_rng(0)
    x = rng.choice([0.0, 1.0], size=(800, 2)) + 1e-3 * rng.normal(size=(800, 2))
    labels = (rng.random(800) < np.where((x[:, 0] > 0.5) == (x[:, 1] > 0.5), 0.15, 0.85)).astype(float)
    ones = np.ones((1, 400))
    found = BoostedDiscriminator().scores(x[:400], labels[:400], ones, np.zeros((1, 400)), x[400:])[0]
    assert roc_auc_score(labels[400:], found) > 0.8
    known = np.where((x[:, 0] > 0.5) == (x[:, 1] > 0.5), -1.73, 1.73)
    rest = BoostedDiscriminator().scores(x[:400], labels[:400], ones, known[None, :400], x[400:])[0]
    assert np.abs(rest).mean() < 0.35 * np.abs(found).mean()


def test_calibration_repairs_overconfidence_on_held_out_folds(cases):
    _, labels = cases
    rng = np.random.default_rng(1)
    signal = labels + rng.normal(size=60)
    folds = np.arange(60) % 5
    raw = 8 * (signal - 0.5)[None]
    calibrated = calibrate(raw, labels, np.ones((1, 60)), ZERO, folds)[0]
    assert log_loss(labels, expit(calibrated)) < log_loss(labels, expit(raw[0]))
    noise = calibrate(rng.normal(size=(200, 60)), labels, np.ones((200, 60)), np.full((1, 60), np.log(2.0)), folds)
    assert np.median(np.abs(noise)) < 0.15  # a discriminator that knows nothing says so


def test_auc_equals_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 50).astype(float), rng.integers(0, 2, 50).astype(float)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_prior_comes_from_the_training_counts():
    labels, folds = np.array([0, 0, 0, 1, 1, 1.0]), np.array([0, 1, 1, 0, 0, 1])
    prior = prior_log_odds(labels, np.ones((1, 6)), folds)[0]
    np.testing.assert_allclose(prior, np.log([1 / 2, 2 / 1, 2 / 1, 1 / 2, 1 / 2, 2 / 1]))
