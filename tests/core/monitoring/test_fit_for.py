"""Fitting a model's alarm on the cases that it was not trained on."""

import numpy as np
import pytest
import torch

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import ModelInfo
from slicerxai.models.store import ModelStore
from slicerxai.models.training_case import case_digests
from slicerxai.monitoring.after_training import fit_after_training
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.monitoring.case_reading import judged_case
from slicerxai.monitoring.fitting import fit_for
from slicerxai.monitoring.held_out import left_aside, separate, unseen_cases
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from tests.support.classifier import LABELS, store_classifier

CPU = torch.device("cpu")


def box(seed):
    array = np.zeros((24, 26, 22), np.float32)
    rng = np.random.default_rng(seed)
    array[3:-3, 3:-3, 3:-3] = rng.normal(100, 10, (18, 20, 16))
    array[5:9, 5:9, 5:9] += 100 * rng.random()
    return Volume(array, np.diag([4.0, 4, 4, 1]))


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Two scans of each of six subjects, with labels."""
    folder, rng, found = tmp_path_factory.mktemp("cohort"), np.random.default_rng(0), []
    for number in range(12):
        path = folder / f"case{number}.nii.gz"
        write_volume(path, box(number))
        values = {f"{label}_ml": float(rng.random() < 0.5) for label in LABELS}
        found.append(Case(f"case{number}", {"FLAIR": path}, {}, {"subject": str(number // 2)} | values))
    return found


def provenance(cases, aside=()):
    return {"cases": case_digests(cases, ["FLAIR"]), "validation_cases": [case.id for case in aside]}


def info(**fields):
    return ModelInfo("m", "classifier", ("FLAIR",), LABELS, "0" * 64, fields)


@pytest.fixture
def model(tmp_path):
    def make(**fields):
        store = ModelStore(tmp_path / "models")
        store_classifier(store, "regions", provenance=fields)
        return store.load("regions", CPU)

    return make


def test_the_alarm_of_a_classifier_judges_as_its_readings_say(model, cases):
    loaded = model()
    alarm = fit_for(loaded, cases, AlarmParameters(folds=3))
    assert (alarm.labels, alarm.model_digest) == (LABELS, loaded.info.digest)
    assert alarm.cases == tuple(case.id for case in cases)
    outcomes = judged_case(loaded, {"FLAIR": cases[0].image("FLAIR")}, alarm)
    predicted = loaded.predict({"FLAIR": cases[0].image("FLAIR")})
    np.testing.assert_allclose([one.probability for one in outcomes], predicted, rtol=1e-5)
    assert [one.label for one in outcomes] == list(LABELS)
    assert all(0 <= one.suspicion <= 1 and one.reason for one in outcomes)


@pytest.mark.parametrize("score", ["entropy", "tta"])
def test_alarms_without_maps(model, cases, score):
    loaded = model()
    alarm = fit_for(loaded, cases[:6], AlarmParameters(folds=0, score=score))
    (one, *_) = judged_case(loaded, {"FLAIR": cases[0].image("FLAIR")}, alarm)
    assert one.distinctiveness is None
    assert one.reason


def test_folds_keep_the_scans_of_a_subject_together(model, cases):
    with pytest.raises(InputError, match="got 6"):
        fit_for(model(), cases, AlarmParameters(folds=7))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda cases: [], "got none"),
        (lambda cases: [Case("x", cases[0].images)], "left_ml"),
        (lambda cases: [Case("x", {}, {}, cases[0].metadata)], "no modality 'FLAIR'"),
    ],
)
def test_cases_that_cannot_be_used(model, cases, change, says):
    with pytest.raises(InputError, match=says):
        fit_for(model(), change(cases), AlarmParameters())


def test_parameters_of_the_other_kind(model, cases):
    with pytest.raises(InputError, match="does not take LesionAlarmParameters"):
        fit_for(model(), cases, LesionAlarmParameters())


def test_cases_are_told_apart_by_their_files(cases, tmp_path):
    trained = info(**provenance(cases[:6], aside=cases[4:6]))
    found = separate(trained, cases)
    assert found.known
    assert [case.id for case in found.trained] == ["case0", "case1", "case2", "case3"]
    assert left_aside(trained, cases) == cases[4:6]
    write_volume(tmp_path / "other.nii.gz", box(99))
    namesake = Case("case0", {"FLAIR": tmp_path / "other.nii.gz"})
    assert separate(trained, [namesake]).unseen == [namesake], "the id of a case of another cohort"
    renamed = Case("anything", cases[0].images)
    assert separate(trained, [renamed]).trained == [renamed], "a copy under another id"


def test_a_corrected_mask_makes_no_new_case(cases, tmp_path):
    for name in ("first", "corrected"):
        write_volume(tmp_path / f"{name}.nii.gz", box(len(name)))
    first, corrected = (
        Case("case", cases[0].images, {"1": tmp_path / f"{name}.nii.gz"}) for name in ("first", "corrected")
    )
    both = {"cases": case_digests([first], ["FLAIR"], "1"), "rater": "1"}
    assert separate(info(**both), [first, corrected]).trained == [first]
    now = info(**both, images=case_digests([first], ["FLAIR"]))
    assert separate(now, [first, corrected]).trained == [first, corrected]


def test_a_model_that_says_nothing_of_its_training(cases):
    found = separate(info(), cases)
    assert (found.known, found.trained) == (False, [])
    assert found.unseen == cases


def test_all_cases_trained_on_are_refused_by_name(cases):
    with pytest.raises(InputError, match=r"all 3 cases \(case0, case1, case2\)"):
        unseen_cases(info(**provenance(cases)), cases[:3])


def test_after_training_the_cases_left_aside_make_an_alarm(model, cases, tmp_path):
    store = AlarmStore(tmp_path / "alarms")
    loaded = model(**provenance(cases, aside=cases[2:]))
    fitted = fit_after_training(loaded, cases, store)
    assert fitted.id == store.newest_id(loaded.info.digest)
    assert "10 cases" in fitted.message
    kept = store.newest(loaded.info.digest).alarm
    assert kept.cases == tuple(case.id for case in cases[2:])
    assert kept.parameters.action == "review"


@pytest.mark.parametrize(("aside", "says"), [(0, "none was left aside"), (4, "2 subjects")])
def test_after_training_with_too_few_cases_it_says_why_there_is_no_alarm(model, cases, tmp_path, aside, says):
    store = AlarmStore(tmp_path / "alarms")
    fitted = fit_after_training(model(**provenance(cases, aside=cases[:aside])), cases, store)
    assert fitted.id is None
    assert says in fitted.message
    assert "slicerxai alarm regions COHORT" in fitted.message
    assert not store.root.exists()
