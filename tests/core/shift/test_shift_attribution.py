"""Whole attributions whose answer is known."""

import numpy as np
import pytest

from slicerxai.data.cohort import Environment
from slicerxai.errors import Cancelled, InputError
from slicerxai.explain.shift_parameters import ShiftParameters
from slicerxai.shift import attribution
from slicerxai.shift.attribution import attribute
from slicerxai.shift.estimators.robust import Swapped
from slicerxai.shift.graph import DEFAULT_GRAPH, Mechanism, MechanismGraph
from slicerxai.shift.options import Options
from slicerxai.shift.samples import Pair, Samples

PLAIN = Options(estimator="plain")
QUICK = {"permutations": 99, "repeats": 1}
PAIRED = MechanismGraph((Mechanism("acquisition", "X"), Mechanism("annotation", "Y", ("X",))))


def site(n, shifts, prefix, seed, informative=True):
    """Patients S, images X and masks Y; the metric depends on all, and more on the patient than on anything else."""
    rng = np.random.default_rng([seed, ord(prefix)])
    ds, dx, dy = shifts
    s = rng.normal(size=(n, 2)) + np.array([0, ds])
    x = rng.normal(size=(n, 3)) + np.outer(0.3 * s[:, 1], [1, 0, 0]) + np.array([dx, 0.5 * dx, 0])
    y = rng.normal(size=(n, 2)) + np.outer(0.4 * x[:, 0], [1, 0]) + np.array([dy, 0.5 * dy])
    metric = 0.65 + 0.1 * s[:, 1] - 0.05 * x[:, 0] - 0.06 * y[:, 0] - 0.03 * y[:, 1] + rng.normal(0, 0.05, n)
    noise = rng.normal(size=(n, 7))
    seen = {"S": s, "X": x, "Y": y} if informative else {"S": noise[:, :2], "X": noise[:, 2:5], "Y": noise[:, 5:]}
    return Samples(seen, metric, np.array([f"{prefix}{k}" for k in range(n)]))


def pair_of(shifts, seed, ns=15, nt=38, **options):
    return Pair(site(ns, (0, 0, 0), "s", seed, **options), site(nt, shifts, "t", seed, **options))


def verdicts(result):
    return {check.name: check.verdict for check in result.checks}


@pytest.mark.parametrize("estimator", ["robust", "weighting"])
def test_two_halves_of_one_site_show_nothing(estimator):
    significant = []
    for seed in range(20):
        result = attribute(pair_of((0, 0, 0), seed), options=Options(estimator=estimator, seed=seed, **QUICK))
        significant.append(bool(((result.interval[:, 0] > 0) | (result.interval[:, 1] < 0)).any()))
    assert np.mean(significant) <= 0.05


@pytest.mark.parametrize("estimator", ["robust", "weighting"])
@pytest.mark.parametrize("graph", [DEFAULT_GRAPH, PAIRED])
def test_another_rater_on_the_same_images_leaves_the_acquisition_alone(estimator, graph):
    for seed in range(3):
        source = site(20, (0, 0, 0), "s", seed)
        drawn = {**source.variables, "Y": source.variables["Y"] + np.array([1.5, 0.5])}
        target = Samples(drawn, source.metric - 0.06 * 1.5 - 0.03 * 0.5, source.subjects)
        result = attribute(Pair(source, target), graph, Options(estimator=estimator, seed=seed, **QUICK))
        assert abs(result.phi[graph.index("acquisition")]) <= 0.005
        assert result.phi[graph.index("annotation")] == pytest.approx(0.105, abs=0.005)
        assert abs(result.unresolved) <= 0.005


@pytest.mark.parametrize("estimator", ["robust", "weighting", "plain"])
def test_shares_add_up_and_the_remainder_is_not_hidden(estimator):
    result = attribute(pair_of((0, 1.3, 1.3), 1), options=Options(estimator=estimator, **QUICK))
    assert result.phi.sum() == pytest.approx(result.values[0] - result.values[-1], abs=1e-9)
    assert result.phi.sum() + result.unresolved == pytest.approx(result.drop, abs=1e-12)
    pair = pair_of((0, 1.3, 1.3), 1)
    assert result.drop == pytest.approx(pair.source.metric.mean() - pair.target.metric.mean(), abs=1e-12)
    assert verdicts(result)["shares add up"] == "reliable"


def test_features_that_show_nothing_leave_the_drop_unresolved():
    result = attribute(pair_of((0, 1.5, 1.5), 3, 40, 60, informative=False), options=Options(**QUICK))
    assert (np.abs(result.phi) < 0.25 * result.drop).all()
    assert result.unresolved > 0.5 * result.drop
    assert verdicts(result)["unresolved remainder"] == "unreliable"


def test_sites_without_overlap_are_not_answered():
    result = attribute(pair_of((0, 8.0, 1.3), 0, 30, 40), options=Options(**QUICK))
    checks = {check.name: check for check in result.checks}
    separation = checks["sites resemble each other"]
    assert separation.verdict == "unreliable"
    assert "Cannot be answered from these data, because" in separation.reason
    assert "What would help" in separation.reason
    assert result.states[2] == "untestable"


def test_a_clear_shift_of_one_mechanism_is_found_with_many_cases():
    result = attribute(pair_of((0, 0, 1.3), 0, 150, 380), options=Options(**QUICK))
    assert result.phi[2] == pytest.approx(0.0975, abs=0.03)
    assert np.abs(result.phi[:2]).max() < 0.02
    assert result.interval[2, 0] > 0
    assert result.interval[2, 0] < 0.0975 < result.interval[2, 1]


def test_bootstrap_and_jackknife_agree_about_the_width():
    pair = pair_of((0, 0, 1.3), 2, 40, 60)
    widths = [
        np.diff(attribute(pair, options=Options(interval=kind, bootstraps=200, **QUICK)).interval)[2, 0]
        for kind in ("jackknife", "bca")
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.4)


def test_both_raters_on_every_image_measure_the_annotation():
    source, target = site(15, (0, 0, 0), "s", 5), site(38, (0, 1.0, 0), "t", 5)
    swapped = Swapped("annotation", source.metric - 0.08, target.metric)
    target = Samples(target.variables, target.metric - 0.08, target.subjects)
    result = attribute(Pair(source, target), PAIRED, Options(**QUICK), swapped)
    assert result.phi[1] == pytest.approx(0.08, abs=1e-9)
    assert result.unresolved == pytest.approx(0, abs=1e-9)


def many_mechanisms(count):
    graph = MechanismGraph(tuple(Mechanism(f"m{k}", f"v{k}") for k in range(count)))

    def independent(n, shift, prefix):
        values = np.random.default_rng([3, ord(prefix)]).normal(size=(n, count))
        values[:, 4] += shift
        names = np.array([f"{prefix}{k}" for k in range(n)])
        return Samples({f"v{k}": values[:, [k]] for k in range(count)}, -0.1 * values[:, 4], names)

    return graph, Pair(independent(40, 0.0, "s"), independent(60, 1.0, "t"))


def test_more_mechanisms_than_can_be_enumerated(monkeypatch):
    graph, pair = many_mechanisms(18)
    worth = np.random.default_rng(0).normal(size=18)
    game_class = type(attribution._game(attribution._ratio_model(pair, graph, Options(), None), (), PLAIN, None))
    monkeypatch.setattr(game_class, "values", lambda self, w, members: np.tile(0.4 - members @ worth, (len(w), 1)))
    result = attribute(pair, graph, PLAIN)
    np.testing.assert_allclose(result.phi, worth, atol=1e-12)
    assert result.phi.sum() == pytest.approx(result.values[0] - result.values[-1], abs=1e-9)
    assert (result.sampling_error < 1e-12).all()
    assert result.coalitions.shape == (len(result.values), 18)
    assert len(result.values) < 2000


def test_sampled_coalitions_find_the_one_that_shifted():
    graph, pair = many_mechanisms(18)
    result = attribute(pair, graph, Options(estimator="weighting", permutations=499, repeats=1))
    assert result.phi[4] == pytest.approx(0.1, abs=0.05)
    assert np.abs(np.delete(result.phi, 4)).max() < 0.03
    assert ("coalitions sampled" in verdicts(result)) == result.sampling_error.any()
    assert result.phi.sum() + result.unresolved == pytest.approx(result.drop, abs=1e-12)
    with pytest.raises(InputError, match="weighting"):
        attribute(pair, graph, Options(estimator="robust"))
    with pytest.raises(InputError, match=r"permutations 99.*359"):
        attribute(pair, graph, Options(estimator="weighting", **QUICK))


def test_cancelling_stops():
    def stop(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        attribute(pair_of((0, 0, 0), 0), progress=stop)


def test_observed_exchange_and_plain_do_not_mix():
    source = site(15, (0, 0, 0), "s", 5)
    swapped = Swapped("annotation", source.metric, source.metric)
    with pytest.raises(InputError, match="plain"):
        attribute(Pair(source, source), PAIRED, Options(estimator="plain"), swapped)


def test_parameters_for_users_cover_all_options():
    parameters = ShiftParameters(source=Environment(), target=Environment())
    assert Options(**parameters.options()) == Options()
    assert all(field.description for field in ShiftParameters.model_fields.values())
