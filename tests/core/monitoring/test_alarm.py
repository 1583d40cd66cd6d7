"""Fitting, judging, and the bond between an alarm and its model."""

import json
from dataclasses import replace

import numpy as np
import pytest

from slicerxai.errors import ConflictError, InputError
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_fit import fit_alarm, review_limit
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.distinctiveness import distinctiveness
from slicerxai.monitoring.evaluation import error_auroc, mean_f1
from slicerxai.monitoring.limits import swapped
from slicerxai.monitoring.readings import Readings
from slicerxai.monitoring.words import reasons

LABELS = ("effusion", "mass", "nodule", "hernia")
DIGEST = "a" * 64


def readings(seed, n=120, telling=1.0, kind="distinctiveness"):
    """Wrong predictions have maps that are close to each other by `telling`."""
    rng = np.random.default_rng(seed)
    classes = len(LABELS)
    truth = rng.random((n, classes)) < 0.35
    wrong = rng.random((n, classes)) < 0.25
    predicted = truth ^ wrong
    probabilities = np.where(predicted, rng.uniform(0.5, 1, truth.shape), rng.uniform(0, 0.4999, truth.shape))
    distances = rng.uniform(0.6, 1.0, (n, classes, classes)) - telling * 0.25 * (wrong[:, :, None] & wrong[:, None])
    distances -= telling * 0.25 * (wrong[:, :, None] | wrong[:, None])
    distances = (distances + distances.transpose(0, 2, 1)) / 2
    distances[:, range(classes), range(classes)] = 0
    thresholds = np.full(classes, 0.5)
    if kind == "distinctiveness":
        measure = distinctiveness(distances)
        return Readings(kind, "lrp", probabilities, thresholds, measure, distances), truth
    return Readings(kind, None, probabilities, thresholds, 2 - distinctiveness(distances) / 2), truth


def fitted(parameters, seed=0, **options):
    found, truth = readings(seed, **options)
    return fit_alarm(found, truth, LABELS, DIGEST, parameters, cases=[f"case{n}" for n in range(len(truth))])


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({}, "distinctiveness"),
        ({"folds": 0}, "distinctiveness"),
        ({"pooling": "sum", "margin": False}, "distinctiveness"),
        ({"rule": "steps"}, "distinctiveness"),
        ({"rule": "classifier"}, "distinctiveness"),
        ({"rule": "classifier", "margin": False}, "distinctiveness"),
        ({"score": "entropy"}, "entropy"),
        ({"score": "tta", "rule": "steps", "margin": True}, "tta"),
    ],
)
def test_a_telling_measure_repairs_predictions_of_unseen_cases(parameters, kind):
    alarm = fitted(AlarmParameters(action="swap", **parameters), kind=kind)
    test, truth = readings(1, n=300, kind=kind)
    judgement = alarm.judge(test)
    assert mean_f1(swapped(test.predicted, judgement.flagged), truth) > mean_f1(test.predicted, truth) + 0.05
    wrong = test.predicted ^ truth
    assert error_auroc(judgement.suspicion, wrong) > 0.85
    assert judgement.suspicion.mean() == pytest.approx(wrong.mean(), abs=0.06)
    assert judgement.expected_errors == pytest.approx(judgement.suspicion.sum(1))
    again = Alarm.parse(alarm.text(), DIGEST)
    assert again == alarm
    assert np.array_equal(again.judge(test).suspicion, judgement.suspicion)


def test_limits_of_a_measure_that_tells_nothing_are_set_aside():
    flagging = {folds: [0, 0] for folds in (0, 5)}
    for seed in range(12):
        found, truth = readings(seed, n=60, telling=0.0)
        for folds, counts in flagging.items():
            alarm = fit_alarm(
                found, truth, LABELS, DIGEST, AlarmParameters(folds=folds), cases=[str(n) for n in range(60)]
            )
            counts[0] += sum(bool(bands) for bands in alarm.bands)
            counts[1] += len(LABELS)
    assert flagging[0][0] > 0.25 * flagging[0][1]
    assert flagging[5][0] < 0.1 * flagging[5][1]


@pytest.mark.parametrize("rule", ["threshold", "steps"])
@pytest.mark.parametrize("folds", [0, 4])
def test_no_class_is_worse_on_validation_than_without_the_alarm(rule, folds):
    for seed in range(4):
        found, truth = readings(seed, n=50, telling=0.4)
        parameters = AlarmParameters(action="swap", rule=rule, folds=folds)
        alarm = fit_alarm(found, truth, LABELS, DIGEST, parameters, cases=[str(n) for n in range(50)])
        after = swapped(found.predicted, alarm.judge(found).flagged)
        for c in range(len(LABELS)):
            assert mean_f1(after[:, [c]], truth[:, [c]]) >= mean_f1(found.predicted[:, [c]], truth[:, [c]])


@pytest.mark.parametrize("budget", [0.02, 0.1, 0.3])
def test_a_review_budget_is_kept_and_spent_on_the_most_suspicious(budget):
    parameters = AlarmParameters(budget=budget)
    found, _ = readings(0)
    alarm = fitted(parameters)
    judgement = alarm.judge(found)
    assert 0.8 * budget < judgement.flagged.mean() <= budget
    assert judgement.suspicion[judgement.flagged].min() >= judgement.suspicion[~judgement.flagged].max()
    test, truth = readings(1, n=400)
    flags = alarm.judge(test).flagged
    assert flags.mean() == pytest.approx(budget, abs=0.05)
    assert (test.predicted ^ truth)[flags].mean() > 0.6


def test_a_budget_that_one_tie_exceeds_flags_nothing():
    assert review_limit(np.full((10, 3), 0.2), 0.5) is None
    assert review_limit(np.array([[0.1, 0.2], [0.3, 0.3]]), 0.5) == 0.3
    assert review_limit(np.array([[0.1, 0.2], [0.3, 0.3]]), 0.4) is None


def test_an_alarm_of_another_model_is_refused_by_name():
    text = fitted(AlarmParameters(folds=0)).text()
    with pytest.raises(ConflictError, match=r"aaaaaaaaaaaa.*bbbbbbbbbbbb"):
        Alarm.parse(text, "b" * 64)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.pop("bands"), "bands"),
        (lambda d: d["bands"].pop(), "bands"),
        (lambda d: d.update(extra=1), "extra"),
        (lambda d: d["parameters"].update(rule="magic"), "rule"),
    ],
)
def test_what_is_no_alarm_is_refused(change, field):
    document = json.loads(fitted(AlarmParameters(folds=0)).text())
    change(document)
    with pytest.raises(InputError, match=field):
        Alarm.parse(json.dumps(document), DIGEST)
    with pytest.raises(InputError, match="not an alarm"):
        Alarm.parse("{", DIGEST)


def test_readings_of_another_kind_are_refused():
    alarm = fitted(AlarmParameters(folds=0))
    other, _ = readings(0, kind="entropy")
    with pytest.raises(ConflictError, match=r"lrp maps.*entropy"):
        alarm.judge(other)


@pytest.mark.parametrize("parameters", [{}, {"rule": "classifier"}])
def test_readings_without_their_distances_are_refused(parameters):
    found, _ = readings(0)
    with pytest.raises(InputError, match="distances between maps"):
        fitted(AlarmParameters(**parameters)).judge(replace(found, distances=None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "classifier", "score": "entropy"}, "distances between maps"),
        ({"folds": 1}, "folds"),
        ({"rule": "classifier", "folds": 0}, "folds"),
        ({"budget": 0.0}, "budget"),
        ({"score": "guess"}, "score"),
    ],
)
def test_bad_parameters(values, message):
    with pytest.raises(ValueError, match=message):
        AlarmParameters(**values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": np.zeros((119, 4), bool)}, "truth"),
        ({"truth": np.zeros((120, 4))}, "true or false"),
        ({"cases": ["one"]}, "cases"),
        ({"groups": ["one"] * 119}, "groups"),
        ({"groups": ["one"] * 120}, "folds"),
        ({"labels": LABELS[:3]}, "labels"),
    ],
)
def test_bad_cases(change, message):
    found, truth = readings(0)
    arguments = {"truth": truth, "labels": LABELS, "cases": [str(n) for n in range(120)], "groups": None} | change
    with pytest.raises(InputError, match=message):
        fit_alarm(found, model_digest=DIGEST, parameters=AlarmParameters(), **arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"measure": np.zeros((3, 4))},
        {"measure": np.full((2, 4), np.nan)},
        {"thresholds": np.zeros(3)},
        {"distances": np.zeros((2, 4, 3))},
        {"probabilities": np.full((2, 4), 1.5)},
    ],
)
def test_readings_that_do_not_belong_together(change):
    values = {
        "probabilities": np.zeros((2, 4)),
        "thresholds": np.zeros(4),
        "measure": np.zeros((2, 4)),
        "distances": np.zeros((2, 4, 4)),
    }
    with pytest.raises(InputError):
        Readings("distinctiveness", "lrp", **(values | change))


def test_figures_of_a_review_are_those_of_its_flags():
    found, truth = readings(0)
    wrong = found.predicted ^ truth
    alarm = fitted(AlarmParameters(budget=0.2))
    assert alarm.figures["flagged"] == alarm.judge(found).flagged.mean()
    assert alarm.figures["wrong"] == wrong.mean()
    assert alarm.figures["flagged_wrong_held_out"] > 2 * wrong.mean()
    assert 0.2 < alarm.figures["wrong_flagged_held_out"] < 1
    nothing = fitted(AlarmParameters(budget=1e-6))
    assert nothing.limit is None
    assert nothing.figures["flagged"] == nothing.figures["wrong_flagged_held_out"] == 0


def test_reasons_name_the_pair_and_the_limit():
    found, _ = readings(0)
    alarm = fitted(AlarmParameters(action="swap", folds=0, pooling="sum"))
    row = 3
    text = reasons(LABELS, found, alarm.judge(found), alarm, row)
    assert list(text) == list(LABELS)
    for c, label in enumerate(LABELS):
        others = [(found.distances[row, c, j], LABELS[j]) for j in range(4) if j != c]
        nearest, name = min(others)
        assert f"{label} and {name}" in text[label]
        assert f"cosine {1 - nearest:.2f}" in text[label]
        assert f"mean of all others {1 - np.mean([d for d, _ in others]):.2f}" in text[label]
        assert f"(limit {1 - alarm.bands[c][0].high / 3:.2f})" in text[label]


def test_reasons_of_the_nearest_map_compare_it_with_its_own_limit():
    found, _ = readings(0)
    alarm = fitted(AlarmParameters(action="swap", folds=0, pooling="nearest"))
    judgement = alarm.judge(found)
    text = reasons(LABELS, found, judgement, alarm, 5)
    for c, label in enumerate(LABELS):
        nearest = min(found.distances[5, c, j] for j in range(4) if j != c)
        assert judgement.measure[5, c] == nearest
        assert text[label].endswith(f"cosine {1 - nearest:.2f} (limit {1 - alarm.bands[c][0].high:.2f})")


@pytest.mark.parametrize(
    ("parameters", "kind", "words"),
    [
        ({"action": "swap", "rule": "steps", "folds": 0}, "distinctiveness", "cosine"),
        ({"action": "swap", "rule": "classifier"}, "distinctiveness", "by its distances, wrong with probability"),
        ({}, "distinctiveness", "chance of an error"),
        ({"score": "entropy"}, "entropy", "bits"),
        ({"score": "tta"}, "tta", "spread of the logit"),
    ],
)
def test_reasons_of_every_kind_of_alarm(parameters, kind, words):
    found, _ = readings(0, kind=kind)
    alarm = fitted(AlarmParameters(**parameters), kind=kind)
    judgement = alarm.judge(found)
    for row in range(5):
        assert all(words in sentence for sentence in reasons(LABELS, found, judgement, alarm, row).values())
    assert all("limit" not in sentence for sentence in reasons(LABELS, found).values())
