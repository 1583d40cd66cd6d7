"""The alarm over lesions: limits by trial of all, folds by patient, its saved form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from slicerxai.data.lesions import Lesion
from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError, InputError
from slicerxai.monitoring.lesion_alarm import LesionAlarm
from slicerxai.monitoring.lesion_alarm_fit import fit_lesion_alarm
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.monitoring.lesion_readings import LesionReadings, names

MODEL, OTHER = "a" * 64, "b" * 64


def case(rng: np.random.Generator, lesions: int, saliency=None) -> tuple[LesionReadings, np.ndarray]:
    """False lesions are faint and small, and otherwise like the others."""
    false = rng.random(lesions) < 0.3
    features = rng.normal(0, 1, (lesions, len(names(saliency))))
    features[:, 0] -= 1.5 * false
    features[:, 1] -= 1.5 * false
    numbered = Volume(np.zeros((2, 2, 2), np.int32), np.eye(4))
    found = tuple(Lesion(n + 1, 1.0, (0.0, 0.0, 0.0), 10) for n in range(lesions))
    return LesionReadings(found, numbered, features, saliency), false


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(0)
    pairs = [case(rng, int(rng.integers(0, 12))) for _ in range(30)]
    return [r for r, _ in pairs], [f for _, f in pairs], [f"case {n}" for n in range(30)]


def fitted(cohort, **changes) -> LesionAlarm:
    readings, false, cases = cohort
    return fit_lesion_alarm(readings, false, MODEL, LesionAlarmParameters(**changes), cases=cases)


def test_false_lesions_are_the_suspicious_ones(cohort):
    alarm = fitted(cohort)
    assert alarm.figures["auroc_held_out"] > 0.85
    assert alarm.figures["auroc_held_out"] > alarm.figures["auroc_mean_probability"] > 0.5
    assert alarm.figures["lesions"] == sum(len(r.lesions) for r in cohort[0])
    new, false = case(np.random.default_rng(7), 200)
    judged = alarm.judge(new)
    assert judged.suspicion[false].mean() > judged.suspicion[~false].mean() + 0.3
    assert np.all((judged.suspicion > 0) & (judged.suspicion < 1))
    assert 0.1 < judged.flagged.mean() < 0.3
    assert judged.suspicion[judged.flagged].min() > judged.suspicion[~judged.flagged].max()
    worst = int(judged.suspicion.argmax())
    assert judged.reasons[worst].startswith(("volume", "mean probability"))


def test_reasons_in_words(cohort):
    alarm = fitted(cohort)
    model = alarm.model.model_copy(
        update={"centre": (4.6, 0.8) + (0.0,) * 6, "scale": (1.0,) * 8, "weights": (-1.0, -3.0) + (0.0,) * 6}
    )
    alarm = alarm.model_copy(update={"model": model})
    new, _ = case(np.random.default_rng(1), 3)
    new.features[:] = [[2.0, 0.7] + [0.0] * 6, [4.6, 0.2] + [0.0] * 6, [9.0, 0.9] + [0.0] * 6]
    assert alarm.judge(new).reasons == (
        "volume 7 mm³, where 99 mm³ is usual",
        "mean probability 0.20, where 0.80 is usual",
        "nothing about it is more suspicious than usual",
    )


def test_budget_holds_on_the_fitting_cases(cohort):
    for budget in (0.05, 0.3):
        alarm = fitted(cohort, budget=budget)
        assert budget - 0.03 <= alarm.figures["flagged_held_out"] <= budget


def test_the_f1_limit_by_trial_of_all(cohort):
    readings, false, cases = cohort
    alarm = fitted(cohort, rule="f1", folds=3)
    features, wrong = np.concatenate([r.features for r in readings]), np.concatenate(false)
    patients = [n for n, r in enumerate(readings) for _ in r.lesions]
    from slicerxai.monitoring.logistic import fit_logistic

    present = sorted({cases[p] for p in patients})
    order = np.random.default_rng(0).permutation(len(present))
    place = {present[p]: n % 3 for n, p in enumerate(order)}
    folds = np.array([place[cases[p]] for p in patients])
    chance = np.array(
        [
            fit_logistic(features[folds != folds[n]], wrong[folds != folds[n]]).probability(features[n : n + 1])[0]
            for n in range(len(wrong))
        ]
    )
    best = max(
        (2 * np.sum(wrong & (chance >= limit)) / (np.sum(wrong) + np.sum(chance >= limit)), limit) for limit in chance
    )
    assert alarm.limit == pytest.approx(best[1])


def test_patients_stay_together(cohort):
    """Copies of a patient under other case names must not be judged by a fit to the same patient."""
    rng = np.random.default_rng(3)
    noise = [case(rng, 6) for _ in range(6)]
    readings = [LesionReadings(r.lesions, r.numbered, rng.normal(0, 1, r.features.shape)) for r, _ in noise] * 3
    false = [f for _, f in noise] * 3
    names_of = [f"scan {n}" for n in range(18)]
    parameters = LesionAlarmParameters(folds=6)
    apart = fit_lesion_alarm(readings, false, MODEL, parameters, cases=names_of)
    together = fit_lesion_alarm(
        readings, false, MODEL, parameters, cases=names_of, groups=[f"patient {n % 6}" for n in range(18)]
    )
    assert apart.figures["auroc_held_out"] > together.figures["auroc_held_out"] + 0.1


def test_saved_and_bound_to_its_model(cohort):
    alarm = fitted(cohort)
    again = LesionAlarm.parse(alarm.text(), MODEL)
    assert again == alarm
    new, _ = case(np.random.default_rng(1), 5)
    np.testing.assert_array_equal(again.judge(new).suspicion, alarm.judge(new).suspicion)
    with pytest.raises(ConflictError, match=f"{MODEL[:12]}.*{OTHER[:12]}"):
        LesionAlarm.parse(alarm.text(), OTHER)
    broken = json.loads(alarm.text())
    del broken["model"]
    for text in ("{", json.dumps(broken)):
        with pytest.raises(InputError, match="not an alarm"):
            LesionAlarm.parse(text, MODEL)


def test_readings_of_other_maps_are_refused(cohort):
    other, _ = case(np.random.default_rng(1), 4, "lrp")
    with pytest.raises(ConflictError, match="no maps, not by lrp"):
        fitted(cohort).judge(other)
    with pytest.raises(InputError, match="read with lrp"):
        fit_lesion_alarm([other], [np.zeros(4, bool)], MODEL, LesionAlarmParameters(), cases=["one"])


def test_too_little_to_fit(cohort):
    readings, false, cases = cohort
    with pytest.raises(InputError, match="both true and false"):
        fit_lesion_alarm(readings, [np.zeros_like(f) for f in false], MODEL, LesionAlarmParameters(), cases=cases)
    with pytest.raises(InputError, match="5 folds need"):
        fit_lesion_alarm(readings[:4], false[:4], MODEL, LesionAlarmParameters(), cases=cases[:4])
    with pytest.raises(InputError, match="one of each"):
        fit_lesion_alarm(readings, false[1:], MODEL, LesionAlarmParameters(), cases=cases)
    with pytest.raises(InputError, match="predicted lesions and the truth"):
        fit_lesion_alarm(readings, [np.zeros(99, bool), *false[1:]], MODEL, LesionAlarmParameters(), cases=cases)


def test_an_image_without_lesions_is_judged(cohort):
    empty, _ = case(np.random.default_rng(0), 0)
    judged = fitted(cohort).judge(empty)
    assert judged.suspicion.shape == judged.flagged.shape == (0,)
    assert judged.reasons == ()
