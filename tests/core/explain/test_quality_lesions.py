"""Quality of a segmenter's lesions, on a hand-weighted one whose small lesions are false."""

from datetime import UTC, datetime

import numpy as np
import pytest

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.errors import ConflictError, InputError
from slicerxai.explain.contract import Inputs
from slicerxai.explain.quality import QualityExplainer
from slicerxai.explain.quality_parameters import QualityParameters
from slicerxai.explain.report import render
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.alarm_store import AlarmStore, StoredAlarm
from slicerxai.monitoring.case_reading import judged_lesions
from slicerxai.monitoring.fitting import fit_for
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.progress import silent
from slicerxai.server.monailabel.quality import judged
from slicerxai.server.worklist import item, why
from slicerxai.server.worklist_store import Record
from slicerxai.settings import settings
from tests.support.classifier import store_alarm
from tests.support.spots import SPOTS, SpotSegmenter, scan

MODEL = SpotSegmenter()


@pytest.fixture
def alarms(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    yield AlarmStore(tmp_path / "alarms")
    settings.cache_clear()


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Five scans in whose masks the smaller of the two spots is missing."""
    folder, found = tmp_path_factory.mktemp("cohort"), []
    for number in range(5):
        image = scan(bright=4.0 + 0.3 * number)
        near = np.indices(image.shape) - np.reshape(SPOTS[1], (3, 1, 1, 1))
        mask = ((near**2).sum(0) < 12).astype(np.uint8)
        paths = folder / f"{number}.nii.gz", folder / f"{number}_mask.nii.gz"
        write_volume(paths[0], image)
        write_volume(paths[1], image.with_array(mask))
        found.append(Case(f"case{number}", {"FLAIR": paths[0]}, {"consensus": paths[1]}))
    return found


@pytest.fixture(scope="module")
def alarm(cases):
    return fit_for(MODEL, cases, LesionAlarmParameters(budget=0.5))


def explained(**parameters):
    image = scan()
    inputs = Inputs("one", {"FLAIR": image}, {"FLAIR": "0" * 64}, MODEL)
    return QualityExplainer().explain(inputs, QualityParameters(**parameters), silent)


def test_false_lesions_of_the_fit_are_the_suspicious_ones(alarm):
    first, second = judged_lesions(MODEL, {"FLAIR": scan()}, alarm)
    assert first.lesion.volume_ml > second.lesion.volume_ml
    assert second.suspicion > 0.8
    assert first.suspicion < 0.2
    assert (first.flagged, second.flagged) == (False, True)


def test_scoring_keeps_the_lesions_of_an_image(cases, alarm):
    found = judged(MODEL, cases[0].images, StoredAlarm("0" * 12, "lesions", "spots", 0.0, alarm))
    first, second = found["lesions"]
    assert found["suspicion"] == pytest.approx(first.suspicion + second.suspicion)
    assert (first.lesion, second.lesion, first.flagged, second.flagged) == (1, 2, False, True)
    at = (scan().affine @ [*SPOTS[2], 1])[:3]
    np.testing.assert_allclose(second.centre, at, atol=3)
    record = Record(image="one", files={}, alarm="0" * 12, time=datetime.now(UTC), **found)
    assert why(item("one", record, None)) == second.reason


def test_scoring_refuses_an_alarm_of_the_other_kind(cases, alarms):
    store_alarm(alarms, "spots", MODEL.info.digest)
    with pytest.raises(InputError, match="not of the model's kind"):
        judged(MODEL, cases[0].images, alarms.newest(MODEL.info.digest))


def test_flags_table_overlays_and_report(alarms, alarm):
    identifier = alarms.save("spots", alarm)
    assert alarms.newest(MODEL.info.digest).kind == "lesions"
    result = explained()
    assert result.parameters["alarm"] == identifier
    table = result.tables["lesions"]
    assert [row[0] for row in table.rows] == [2, 1], "most suspicious first"
    assert [row[table.columns.index("flagged")] for row in table.rows] == [True, False]
    assert [flag.subject for flag in result.flags] == ["lesion 2"]
    overlays = result.overlays
    assert overlays["flagged_lesions"].volume.array[SPOTS[2]] == 1
    assert overlays["flagged_lesions"].volume.array[SPOTS[1]] == 0
    assert overlays["lesions"].volume.array[SPOTS[1]] == 1
    suspicion = overlays["suspicion"].volume.array
    assert suspicion[SPOTS[2]] > 0.8
    assert np.count_nonzero(suspicion) == np.count_nonzero(
        overlays["lesions"].volume.array + overlays["flagged_lesions"].volume.array
    )
    assert result.metrics["expected_false_lesions"] == pytest.approx(
        sum(row[table.columns.index("suspicion")] for row in table.rows), abs=1e-3
    )
    assert any("missed are not looked for" in check.reason for check in result.checks)
    page = render(result)
    assert "strongest suspicion" in page
    assert "flagged lesions" in page


def test_without_an_alarm_lesions_are_listed_and_nothing_is_flagged(alarms):
    result = explained()
    assert result.flags == []
    assert [row[-3:] for row in result.tables["lesions"].rows] == [[None, False, "no alarm is fitted"]] * 2
    assert "expected_false_lesions" not in result.metrics
    assert result.verdict == "caution"


def test_an_alarm_over_classes_is_refused(alarms):
    store_alarm(alarms, "spots", MODEL.info.digest)
    with pytest.raises(ConflictError, match="judges classes"):
        explained()


def test_parameters_of_the_other_kind_and_missing_masks(cases):
    with pytest.raises(InputError, match="does not take AlarmParameters"):
        fit_for(MODEL, cases, AlarmParameters())
    with pytest.raises(InputError, match="no rater '3'"):
        fit_for(MODEL, cases, rater="3")
