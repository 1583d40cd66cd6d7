"""The truth beside the estimates, against slow computations of its own."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from slicerxai.data.cohort import Cohort
from slicerxai.data.metrics import dice
from slicerxai.data.phantom import PhantomParameters, simulate_truth, write_cohort
from slicerxai.data.phantom.parameters import Population
from slicerxai.errors import InputError
from slicerxai.progress import silent
from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.experiments.truth import PhantomTruth, observed, phantom_parameters, swapped
from tests.support.toy_shift import threshold

PHANTOM = PhantomParameters(patients=1, centres=("01", "03"), raters=("1", "5"), seed=12)
METRICS = ("dice", "f1", "precision", "recall", "volume_error_ml", "surface_distance_mm")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    return folder, write_cohort(folder, PHANTOM)


@pytest.fixture
def folder(tmp_path):
    folder = ExperimentFolder(tmp_path / "out")
    with folder.held():
        yield folder


def test_every_patient_in_every_scanner_against_every_rater(phantom, folder):
    path, cohort = phantom
    model = threshold()
    parameters = phantom_parameters(path)
    assert parameters == PHANTOM
    truth = PhantomTruth(parameters, (("01",), ("03",)), ("1", "5"))
    scans = truth.measure(cohort, model, folder, silent)
    assert model.calls == 4
    for case in cohort:
        patient = simulate_truth(12, case.id[:2], 1, spacing=2.0, population=Population())
        for scanner in ("01", "03"):
            image = patient.images(PHANTOM.acquisition[scanner])["FLAIR"].array.astype(np.float32)
            found = image > 1.35 * np.median(image[image > 0])
            for rater in ("1", "5"):
                drawn = patient.mask(rater, PHANTOM.annotation[rater]).array
                assert scans[case.id][scanner][rater]["dice"] == pytest.approx(dice(found, drawn))
                assert tuple(scans[case.id][scanner][rater]) == METRICS
    assert scans["01_01"]["01"]["1"]["dice"] != scans["01_01"]["03"]["1"]["dice"]
    assert truth.measure(cohort, model, folder, silent) == scans
    assert model.calls == 4
    model.info = type(model.info)(**{**model.info.__dict__, "digest": "another"})
    truth.measure(cohort, model, folder, silent)
    assert model.calls == 8


def test_only_the_scanners_that_are_needed(phantom, folder):
    _, cohort = phantom
    model = threshold()
    truth = PhantomTruth(PHANTOM, (("01", "07", "08"), ("03",)), ("1",))
    scans = truth.measure(cohort, model, folder, silent)
    assert {case: sorted(scans[case]) for case in scans} == {"01_01": ["01", "03"], "03_01": ["01", "03", "07", "08"]}
    assert model.calls == 6


def test_a_changed_image_has_no_truth(phantom, folder):
    _, cohort = phantom
    other = PHANTOM.model_copy(update={"seed": 13})
    with pytest.raises(InputError, match=r"FLAIR of case '01_01' is not what phantom.json describes"):
        PhantomTruth(other, (("01",), ("03",)), ("1",)).measure(cohort, threshold(), folder, silent)
    strange = Cohort("strange", (type(cohort.cases[0])("patient", {}, {}),))
    with pytest.raises(InputError, match="'patient' is not one of the phantom"):
        PhantomTruth(PHANTOM, (("01",), ("03",)), ("1",)).measure(strange, threshold(), folder, silent)
    assert list((folder.path / "truth").iterdir()) == []


def test_only_a_phantom_knows(tmp_path):
    assert phantom_parameters(tmp_path) is None
    (tmp_path / "phantom.json").write_text('{"format": "something else"}')
    assert phantom_parameters(tmp_path) is None
    assert phantom_parameters(Path("nowhere")) is None


def scores(value):
    return dict.fromkeys(METRICS, value)


def test_shares_are_the_average_over_all_orders():
    """Six patients of three source centres and two of the target, two raters: every coalition by hand."""
    rng = np.random.default_rng(4)
    sides = ({"a": "01", "b": "01", "c": "07"}, {"x": "03", "y": "03"})
    scans = {
        case: {scanner: {rater: scores(rng.random()) for rater in ("1", "2")} for scanner in ("01", "03", "07")}
        for case in "abcxy"
    }
    share = ({"01": 2 / 3, "07": 1 / 3}, {"03": 1.0})

    def performance(population, acquisition, annotation):
        total = 0.0
        for case, home in sides[population].items():
            rater = "12"[annotation]
            if population == acquisition:
                total += scans[case][home][rater]["dice"]
            else:
                total += sum(w * scans[case][scanner][rater]["dice"] for scanner, w in share[acquisition].items())
        return 100 * total / len(sides[population])

    expected = dict.fromkeys(("population", "acquisition", "annotation"), 0.0)
    names = list(expected)
    for order in permutations(range(3)):
        state = [0, 0, 0]
        for mechanism in order:
            before = performance(*state)
            state[mechanism] = 1
            expected[names[mechanism]] += (before - performance(*state)) / 6
    found = swapped(scans, sides, ("1", "2"), "dice")
    assert found.shares == pytest.approx(expected)
    assert found.drop == pytest.approx(performance(0, 0, 0) - performance(1, 1, 1))
    assert sum(found.shares.values()) == pytest.approx(found.drop)


def test_errors_turn_their_sign_and_keep_their_unit():
    sides = ({"a": "01"}, {"x": "03"})
    scans = {case: {s: {"1": scores(3.0 if s == "03" else 1.0)} for s in ("01", "03")} for case in "ax"}
    found = swapped(scans, sides, ("1", "1"), "volume_error_ml")
    assert found.drop == pytest.approx(2.0)
    assert found.shares == pytest.approx({"population": 0.0, "acquisition": 2.0, "annotation": 0.0})
    same = observed({"a": scores(1.0)}, {"a": scores(4.0)}, "surface_distance_mm")
    assert same.shares == pytest.approx({"population": 0.0, "acquisition": 0.0, "annotation": 3.0})


def test_cases_without_a_meaningful_metric_do_not_count():
    one = {"a": scores(0.5), "b": scores(None), "c": scores(0.9)}
    other = {"a": scores(0.2), "b": scores(0.3)}
    assert observed(one, other, "recall").drop == pytest.approx(30.0)
    assert observed({"b": scores(None)}, other, "recall") is None
    sides = ({"a": "01", "b": "01"}, {"x": "03"})
    scans = {"a": scores(0.5), "b": scores(None), "x": scores(0.25)}
    whole = {case: {s: {"1": value} for s in ("01", "03")} for case, value in scans.items()}
    assert swapped(whole, sides, ("1", "1"), "dice").shares["population"] == pytest.approx(25.0)
    whole["x"] = {s: {"1": scores(None)} for s in ("01", "03")}
    assert swapped(whole, sides, ("1", "1"), "dice") is None
