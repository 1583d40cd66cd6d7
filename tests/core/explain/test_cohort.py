"""A model explained on a cohort: what may be read, what is hashed, and how the result is shown."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from slicerxai.data import digests
from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment
from slicerxai.data.readers import read_cohort
from slicerxai.errors import ConflictError, InputError
from slicerxai.explain import inputs, registry
from slicerxai.explain.folder import load, save
from slicerxai.explain.overview import overview
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters, run_cohort
from tests.support.cohort_method import NAME, MaskVolumeParameters, write_cohort

FLAIR_MODEL = SimpleNamespace(
    info=SimpleNamespace(name="tiny", digest="d" * 64, channels=("FLAIR",)), device=torch.device("cpu")
)
CENTRES = {
    "source": {"where": {"centre": {"values": ["01"]}}, "rater": "1"},
    "target": {"where": {"centre": {"values": ["07"]}}, "rater": "2"},
}


@pytest.fixture
def folder(tmp_path):
    return write_cohort(tmp_path / "patients")


@pytest.fixture
def explained(folder, cohort_method):
    return run_cohort(NAME, parse_parameters(NAME, CENTRES), FLAIR_MODEL, read_cohort(folder))


@pytest.mark.parametrize("name", registry.METHODS)
def test_every_entry_says_what_its_explainer_says(name):
    entry, explainer = registry.entry(name), registry.explainer(name)
    for field in ("subject", "name", "title", "summary"):
        assert getattr(entry, field) == getattr(explainer, field)
    assert registry.parameters_class(name) is explainer.Parameters


def test_the_explanation_is_of_the_two_environments(explained):
    # masks of 10 (i + 1) + rater voxels of 1 mm³ for patients i
    assert explained.metrics["difference_mm3"] == pytest.approx(np.mean([42, 52, 62]) - np.mean([11, 21, 31]))
    assert explained.image_id == "patients"


def test_provenance_holds_every_file_that_may_be_read(explained, folder):
    cohort = inputs.readable(read_cohort(folder), ["FLAIR"])
    files = inputs.cohort_files(cohort)
    assert len(files) == 18
    expected = {f"patients/{name}": digests.file_digest(path) for name, path in files.items()}
    assert {name: explained.provenance.inputs[name] for name in expected} == expected
    assert set(explained.provenance.inputs) - set(expected) == {"patients/metadata"}


def test_images_that_the_model_does_not_take_cannot_be_read(folder):
    case = Case("a", images={"FLAIR": folder / "f", "T1": folder / "t"}, masks={"1": folder / "m"})
    other = Case("b", images={"T1": folder / "t"})
    kept = inputs.readable(Cohort("c", (case, other)), ["FLAIR"])
    assert [set(case.images) for case in kept] == [{"FLAIR"}, set()]
    assert set(inputs.cohort_files(kept)) == {"a/FLAIR", "a/mask-1"}


@pytest.mark.parametrize(
    ("channels", "repeat", "words"), [(["T1"], 1, "its images are FLAIR"), (["FLAIR"], 2, "several cases named p0")]
)
def test_unfit_cohorts_are_named(folder, channels, repeat, words):
    cohort = read_cohort(folder)
    with pytest.raises(InputError, match=words):
        inputs.readable(Cohort("c", cohort.cases * repeat), channels)


def test_known_files_are_not_read_again(folder, monkeypatch):
    read = []
    whole = digests.file_digest
    monkeypatch.setattr(digests, "file_digest", lambda path: read.append(path) or whole(path))
    cohort = read_cohort(folder)
    first = inputs.cohort_digests(cohort)
    assert len(read) == 18
    assert inputs.cohort_digests(read_cohort(folder)) == first
    assert len(read) == 18
    mask = folder / "p0_mask1.nii.gz"
    mask.write_bytes(mask.read_bytes()[::-1])
    assert inputs.changed(first, inputs.cohort_digests(cohort)) == ["p0/mask-1"]
    assert len(read) == 19


def test_metadata_and_ids_are_part_of_the_digests(folder):
    cohort = read_cohort(folder)
    before = inputs.cohort_digests(cohort)
    older = [replace(case, metadata={**case.metadata, "age": 99.0}) for case in cohort]
    assert inputs.changed(before, inputs.cohort_digests(Cohort("c", tuple(older)))) == ["metadata"]


def test_a_file_that_is_gone_is_named_without_its_path(folder):
    (folder / "p1_mask2.nii.gz").unlink()
    with pytest.raises(InputError, match="p1/mask-2") as error:
        inputs.cohort_digests(read_cohort(folder))
    assert str(folder) not in str(error.value)


def test_an_environment_that_selects_nothing_is_named_with_what_there_is(folder):
    nowhere = Environment.model_validate({"where": {"centre": {"values": ["03"]}}, "rater": "1"})
    parameters = MaskVolumeParameters(source=nowhere, target=Environment(rater="1"))
    with pytest.raises(InputError, match=r"^source: .*centre is one of 01, 07"):
        inputs.check_environments(parameters, read_cohort(folder))


def test_a_change_meanwhile_is_a_conflict(folder, cohort_method, monkeypatch):
    def explain_and_disturb(self, given, parameters, progress):
        (folder / "p0_image.nii.gz").write_bytes(b"other")

    monkeypatch.setattr("tests.support.cohort_method.MaskVolumeExplainer.explain", explain_and_disturb)
    with pytest.raises(ConflictError, match="p0/FLAIR"):
        run_cohort(NAME, parse_parameters(NAME, CENTRES), FLAIR_MODEL, read_cohort(folder))


def test_progress_rises_to_one(folder, cohort_method):
    seen = []
    parameters = parse_parameters(NAME, CENTRES)
    run_cohort(NAME, parameters, FLAIR_MODEL, read_cohort(folder), lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_it_survives_its_folder(explained, tmp_path):
    save(explained, tmp_path / "out")
    assert load(tmp_path / "out") == explained
    json.loads((tmp_path / "out" / "explanation.json").read_text())


def test_the_report_shows_a_cohort(explained):
    page = render(explained)
    assert "Slices" not in page
    assert "Mask volume · cohort" in page
    assert "centre is 01; masks of rater 1" in page
    assert "19 inputs, each with its digest" in page
    for name in explained.provenance.inputs:
        assert name in page


def test_the_overview_is_the_first_figure_or_the_measurements(explained):
    figure = Image.open(io.BytesIO(overview(explained)))
    blue = (np.asarray(figure.convert("RGB")) == [0x00, 0x72, 0xB2]).all(axis=-1)
    assert blue.sum() > 10_000
    measurements = Image.open(io.BytesIO(overview(replace(explained, figures={}))))
    bare = Image.open(io.BytesIO(overview(replace(explained, figures={}, metrics={}))))
    assert bare.height < measurements.height < figure.height
