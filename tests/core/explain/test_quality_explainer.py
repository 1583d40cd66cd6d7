"""Quality of a classifier's and a segmenter's predictions."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError, InputError, NotFoundError
from slicerxai.explain.case_parts import slugs
from slicerxai.explain.contract import Inputs
from slicerxai.explain.folder import load, save
from slicerxai.explain.quality import QualityExplainer
from slicerxai.explain.quality_checks import alarm_check, map_checks
from slicerxai.explain.quality_figures import graph_figure
from slicerxai.explain.quality_parameters import QualityParameters
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters
from slicerxai.models.store import ModelStore
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.monitoring.case_reading import ClassOutcome
from slicerxai.progress import silent
from slicerxai.saliency.class_attribution import ClassMaps
from slicerxai.settings import settings
from tests.support.classifier import LABELS, store_alarm, store_classifier

CPU = torch.device("cpu")
OBLIQUE = np.array(  # left-handed: the first axis is flipped
    [[-3.9392, -0.4079, 0.1781, 40.0], [-0.6946, 2.3135, -1.0105, -30.0], [0.0, 0.8551, 2.8191, -25.0], [0, 0, 0, 1]]
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def model(home):
    store = ModelStore(home / "models")
    store_classifier(store, "regions")
    return store.load("regions", CPU)


@pytest.fixture
def alarms(home):
    return AlarmStore(home / "alarms")


@pytest.fixture(scope="module")
def image():
    array = np.zeros((24, 26, 22), np.float32)
    array[3:-3, 3:-3, 3:-3] = np.random.default_rng(0).normal(100, 10, (18, 20, 16))
    array[8:12, 8:12, 8:12] += 80
    return Volume(array, OBLIQUE)


def explained(model, image, **parameters):
    inputs = Inputs("one", {"FLAIR": image}, {"FLAIR": "0" * 64}, model)
    return QualityExplainer().explain(inputs, QualityParameters(**parameters), silent)


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_every_class_has_a_map_on_the_image_that_adds_up_to_its_logit(model, image, alarms):
    store_alarm(alarms, "regions", model.info.digest)
    result = explained(model, image)
    logit = torch.logit(torch.tensor(model.predict({"FLAIR": image}).astype(np.float64))).numpy()
    bias = model.network.out.bias.detach().numpy()
    for index, label in enumerate(LABELS):
        overlay = result.overlays[f"saliency_{label}"]
        assert overlay.kind == "saliency"
        np.testing.assert_allclose(overlay.volume.affine, image.affine)
        assert overlay.volume.shape == image.shape
        integral = float(overlay.volume.array.sum()) * image.voxel_volume
        assert integral == pytest.approx(logit[index] - bias[index], rel=0.35), "interpolation and the border lose some"
    assert result.verdict == "reliable", [check.reason for check in result.checks]


def test_tables_flags_and_metrics_tell_the_same(model, image, alarms):
    store_alarm(alarms, "regions", model.info.digest, action="review", budget=0.99, folds=0)
    result = explained(model, image)
    classes, distances = result.tables["classes"], result.tables["distances"]
    assert sorted(column(classes, "class")) == sorted(LABELS)
    suspicion = column(classes, "suspicion")
    flagged = [name for name, flag in zip(column(classes, "class"), column(classes, "flagged"), strict=True) if flag]
    assert [flag.subject for flag in result.flags] == flagged
    assert result.metrics["flagged"] == len(flagged)
    assert result.metrics["expected_wrong_classes"] == pytest.approx(sum(suspicion), abs=1e-3)
    matrix = np.array([row[1:] for row in distances.rows], float)
    assert distances.columns == ["class", *LABELS]
    np.testing.assert_array_equal(matrix, matrix.T)
    summed = {label: row.sum() for label, row in zip(LABELS, matrix, strict=True)}
    for label, d in zip(column(classes, "class"), column(classes, "distinctiveness"), strict=True):
        assert d == pytest.approx(summed[label], abs=1e-3)
    maps = [name.removeprefix("saliency_") for name in result.overlays if name.startswith("saliency")]
    assert maps == column(classes, "class"), "the report draws the most suspicious ones"


def test_without_an_alarm_nothing_is_flagged_and_the_reader_is_told(model, image):
    result = explained(model, image)
    assert result.parameters["alarm"] == "none"
    assert result.flags == []
    assert set(column(result.tables["classes"], "suspicion")) == {None}
    assert "expected_wrong_classes" not in result.metrics
    (check,) = [check for check in result.checks if check.name == "alarm"]
    assert check.verdict == "caution"
    assert "slicerxai alarm" in check.reason
    assert result.verdict == "caution"


def test_an_alarm_that_needs_no_maps_judges_and_the_maps_are_shown_all_the_same(model, image, alarms):
    from slicerxai.monitoring.alarm_fit import fit_alarm
    from slicerxai.monitoring.alarm_parameters import AlarmParameters
    from slicerxai.monitoring.readings import Readings

    rng = np.random.default_rng(0)
    p = rng.random((30, 3))
    made = Readings("entropy", None, p, np.full(3, 0.5), rng.random((30, 3)))
    cases = [str(n) for n in range(30)]
    alarm = fit_alarm(
        made, rng.random((30, 3)) < 0.5, LABELS, model.info.digest, AlarmParameters(score="entropy"), cases=cases
    )
    alarms.save("regions", alarm)
    result = explained(model, image, saliency="input_x_gradient")
    assert set(column(result.tables["classes"], "distinctiveness")) == {None}
    assert "entropy" in column(result.tables["classes"], "reason")[0]
    assert "Input × Gradient" in result.overlays["saliency_left"].description
    assert any(check.name == "adding up" and check.verdict == "caution" for check in result.checks)


def test_the_alarm_is_resolved_to_an_id(model, alarms):
    digest = model.info.digest
    assert QualityParameters().resolved(digest).alarm == "none"
    first = store_alarm(alarms, "regions", digest)
    resolved = parse_parameters("quality", {}).resolved(digest)
    assert resolved.alarm == first
    second = store_alarm(alarms, "regions", digest, seed=1)
    assert resolved.resolved(digest) == resolved, "resolved parameters stay as they are"
    assert QualityParameters().resolved(digest).alarm == second
    assert QualityParameters(alarm="none").resolved(digest).alarm == "none"
    with pytest.raises(NotFoundError, match=second):
        QualityParameters(alarm="0" * 12).resolved(digest)
    with pytest.raises(ConflictError):
        QualityParameters(alarm=first).resolved("f" * 64)


@pytest.mark.parametrize("value", ["", "newest", "../x", 3, "0" * 11])
def test_what_is_no_alarm(value):
    with pytest.raises(InputError, match="alarm"):
        parse_parameters("quality", {"alarm": value})


def test_it_round_trips_and_the_report_shows_the_maps_side_by_side(model, image, alarms, tmp_path):
    store_alarm(alarms, "regions", model.info.digest)
    result = explained(model, image)
    save(result, tmp_path / "out")
    again = load(tmp_path / "out")
    assert again.tables == result.tables
    page = render(again)
    assert page.count('class="row columns-4 columnheads"') == 1
    assert "Maps on FLAIR" not in page, "a single table has no title of its own"
    for label in LABELS:
        assert f"saliency {label}" in page


def outcome(label, **fields):
    known = {"probability": 0.7, "threshold": 0.5, "predicted": True, "distinctiveness": 1.0, "suspicion": 0.1}
    return ClassOutcome(label=label, **known | {"flagged": False, "reason": "why"} | fields)


@pytest.mark.parametrize("count", [2, 3, 6, 7, 14])
def test_the_graph_is_a_picture_that_flags_change(count):
    distances = 1 - np.eye(count)
    plain = [outcome(f"class {n}") for n in range(count)]
    first = graph_figure(plain, distances)
    assert graph_figure(plain, distances).png == first.png
    flagged = graph_figure([outcome("class 0", flagged=True), *plain[1:]], distances)
    near = distances.copy()
    near[0, 1] = near[1, 0] = 0.05
    pictures = [first.png, flagged.png, graph_figure(plain, near).png]
    assert len(set(pictures)) == 3
    assert Image.open(io.BytesIO(first.png)).size[0] > 700
    assert ("Of" in first.caption) == (count > 6)


def maps_of(values, expected):
    tensor = torch.tensor(values, dtype=torch.float32).reshape(1, len(values), 1, -1)
    return ClassMaps(tensor, torch.zeros(1, len(values)), torch.tensor([expected]))


@pytest.mark.parametrize(
    ("values", "expected", "name", "verdict"),
    [
        ([[1.0, 2], [3, 4]], [3.0, 7.0], "adding up", "reliable"),
        ([[1.0, 2], [3, 4]], [3.0, 7.7], "adding up", "caution"),
        ([[1.0, 2], [3, 4]], [9.0, 7.0], "adding up", "unreliable"),
        ([[1.0, 2], [3, 4]], [np.nan, np.nan], "adding up", "caution"),
        ([[0.0, 0], [3, 4]], [0.0, 7.0], "finite maps", "unreliable"),
        ([[np.nan, 0], [3, 4]], [0.0, 7.0], "finite maps", "unreliable"),
    ],
)
def test_checks_of_the_maps(values, expected, name, verdict):
    (check,) = [one for one in map_checks(maps_of(values, expected), ["a", "b"], "lrp") if one.name == name]
    assert check.verdict == verdict


def test_a_layer_without_a_rule_is_named():
    maps = maps_of([[1.0, 2], [3, 4]], [3.0, 7.0])
    maps = ClassMaps(maps.maps, maps.logits, maps.expected, unruled=("odd",))
    (check,) = [one for one in map_checks(maps, ["a", "b"], "lrp") if one.name == "rule coverage"]
    assert (check.verdict, check.value) == ("unreliable", 1.0)
    assert "odd" in check.reason
    assert not any(one.name == "rule coverage" for one in map_checks(maps, ["a", "b"], "input_x_gradient"))


@pytest.mark.parametrize(
    ("figures", "cases", "verdicts"),
    [
        (None, 0, ["caution"]),
        ({"auroc_held_out": 0.9}, 40, ["reliable", "reliable"]),
        ({"auroc_held_out": 0.9}, 8, ["caution", "reliable"]),
        ({"auroc_held_out": 0.5}, 40, ["reliable", "caution"]),
        ({}, 40, ["reliable", "caution"]),
    ],
)
def test_checks_of_the_alarm(figures, cases, verdicts):
    assert [check.verdict for check in alarm_check(figures, cases)] == verdicts


def test_names_of_overlays_differ():
    assert slugs(["deep white matter", "a/b"]) == ["deep_white_matter", "a_b"]
    assert len({name.lower() for name in slugs(["a b", "a_b", "A_B", "1_a_b"])}) == 4
