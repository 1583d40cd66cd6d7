"""Known Gaussian ratios: S ~ N(e a, 1) and X | S ~ N(b S + e c, 1), e the environment.

log r_S = a S - a²/2 and log r_X = c (X - b S) - c²/2.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from slicerxai.shift.discriminators import LogisticDiscriminator, subject_folds
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.samples import Pair, Samples
from slicerxai.shift.weights import effective_sample_size

GRAPH = MechanismGraph((Mechanism("population", "S"), Mechanism("acquisition", "X", ("S",))))
B = 0.8


def gaussian(n, a, c, e, seed):
    rng = np.random.default_rng([seed, e])
    s = rng.normal(e * a, 1, n)
    x = rng.normal(B * s + e * c, 1)
    names = np.array([f"{e}-{k}" for k in range(n)])
    return Samples({"S": s[:, None], "X": x[:, None]}, np.zeros(n), names)


def fitted(ns, nt, a, c, seed, kind="conditional"):
    pair = Pair(gaussian(ns, a, c, 0, seed), gaussian(nt, a, c, 1, seed))
    folds = subject_folds(pair.subjects, pair.labels, 5, seed)[None]
    model = RatioModel(pair, GRAPH, LogisticDiscriminator(), folds, kind=kind)
    found = model.log_ratios(np.ones((1, ns + nt)))[0]
    s, x = pair.variable("S")[:, 0], pair.variable("X")[:, 0]
    truth = np.stack([a * s - a**2 / 2, c * (x - B * s) - c**2 / 2])
    return pair, found, truth


def rmse(found, truth):
    return float(np.sqrt(np.mean((found - truth) ** 2)))


def test_conditional_ratio_is_right_where_the_joint_is_not():
    _, conditional, truth = fitted(1500, 3000, 1.0, 0.0, 0)
    _, joint, _ = fitted(1500, 3000, 1.0, 0.0, 0, kind="joint")
    assert rmse(conditional[0], truth[0]) < 0.1
    assert rmse(conditional[1], 0 * truth[1]) < 0.1  # the image given the patient has not shifted
    assert rmse(joint[1], 0 * truth[1]) > 0.7  # the joint counts the population a second time
    assert rmse(joint[1], truth[0]) < 0.15


def test_both_ratios_when_both_shift():
    pair, found, truth = fitted(3000, 3000, 0.5, 0.7, 1)
    assert rmse(found[0], truth[0]) < 0.1
    assert rmse(found[1], truth[1]) < 0.12
    source = pair.labels == 0
    assert np.exp(found[:, source]).mean(1) == pytest.approx([1, 1], abs=0.06)


def test_distance_from_the_oracle_shrinks_with_the_cases():
    """At 15 and 38 cases the estimated log ratio is no nearer than its own spread; ten times that is usable."""

    def distance(ns, nt, seeds):
        pairs = [fitted(ns, nt, 0.0, 1.0, seed) for seed in seeds]
        return np.mean([rmse(found[1], truth[1]) for _, found, truth in pairs])

    small, large = distance(15, 38, range(12)), distance(150, 380, range(6))
    assert large < 0.45 * small
    assert large < 0.3
    assert small < 1.0  # the spread of the truth itself, which knowing nothing would give


def test_uninformative_features_give_weights_near_one():
    """And so an effective sample size near all cases, which is no sign of good weights."""
    spread, ess = [], []
    for seed in range(10):
        pair, found, _ = fitted(15, 38, 0.0, 0.0, seed)
        spread.append(np.abs(found[1]).mean())
        ess.append(effective_sample_size(np.exp(found[1, pair.labels == 0])) / 15)
    assert np.mean(spread) < 0.35
    assert np.mean(ess) > 0.85


def test_swapped_rater_on_identical_images_gives_ratio_one():
    source = gaussian(20, 0, 0, 0, 3)
    pair = Pair(source, Samples(source.variables, source.metric, source.subjects))
    folds = subject_folds(pair.subjects, pair.labels, 5, 0)[None]
    model = RatioModel(pair, GRAPH, LogisticDiscriminator(), folds)
    np.testing.assert_allclose(model.log_ratios(np.ones((1, 40))), 0, atol=1e-9)


@dataclass(frozen=True)
class Counting:
    """A discriminator that counts its fits."""

    calls: list = field(default_factory=list)
    refits: bool = True

    def scores(self, train, labels, weights, offset, test):
        self.calls.append(train.shape)
        return np.zeros((len(weights), len(test)))


@pytest.mark.parametrize("mechanisms", [2, 4, 8])
def test_training_grows_linearly_with_the_mechanisms(mechanisms):
    names = [f"V{k}" for k in range(mechanisms)]
    graph = MechanismGraph(tuple(Mechanism(v, v, tuple(names[max(k - 1, 0) : k])) for k, v in enumerate(names)))
    rng = np.random.default_rng(0)

    def cases(prefix):
        values = {v: rng.normal(size=(20, 1)) for v in names}
        return Samples(values, np.zeros(20), np.array([f"{prefix}{k}" for k in range(20)]))

    pair, counting = Pair(cases("s"), cases("t")), Counting()
    folds = subject_folds(pair.subjects, pair.labels, 5, 0)[None]
    RatioModel(pair, graph, counting, folds).log_ratios(np.ones((1, 40)))
    assert len(counting.calls) == 5 * (2 * mechanisms - 1)


def test_auc_given_the_parents_and_with_the_variable():
    pair, _, _ = fitted(200, 200, 0.0, 2.0, 0)
    folds = subject_folds(pair.subjects, pair.labels, 5, 0)[None]
    found = RatioModel(pair, GRAPH, LogisticDiscriminator(), folds).held_out_auc()
    assert found[0, 0] == pytest.approx(0.5)
    assert found[1, 0] == pytest.approx(0.5, abs=0.1)
    assert found[1, 1] == pytest.approx(0.92, abs=0.04)  # Φ(2 / √2)
