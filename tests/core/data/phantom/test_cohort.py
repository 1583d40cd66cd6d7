from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from slicerxai.data.cohort import Cohort
from slicerxai.data.phantom import PhantomParameters, simulate, write_cohort
from slicerxai.data.readers import read_cohort
from slicerxai.errors import Cancelled, InputError

SMALL = PhantomParameters(patients=1, centres=("01", "08"), raters=("1", "3", "5"), seed=3)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cohort]:
    out = tmp_path_factory.mktemp("phantom") / "cohort"
    return out, write_cohort(out, SMALL)


def test_layout_of_msseg_2016(written: tuple[Path, Cohort]) -> None:
    out, _ = written
    patient = [
        "Masks/Consensus.nii.gz",
        *(f"Masks/ManualSegmentation_{rater}.nii.gz" for rater in (1, 3, 5)),
        "Masks/Regions.nii.gz",
        "Masks/Truth.nii.gz",
        "Preprocessed_Data/FLAIR_preprocessed.nii.gz",
        "Preprocessed_Data/T1_preprocessed.nii.gz",
    ]
    expected = {f"Center_{centre}/Patient_01/{file}" for centre in ("01", "08") for file in patient}
    assert set(_digests(out)) == expected | {"phantom.json", "cases.csv"}


def test_files_hold_the_simulated_patient(written: tuple[Path, Cohort]) -> None:
    patient = simulate(SMALL, 1)
    case = written[1]["08_01"]
    for name, image in patient.images.items():
        volume = case.image(name)
        np.testing.assert_array_equal(volume.array, image.array)
        np.testing.assert_array_equal(volume.affine, image.affine)
    for rater, mask in patient.masks.items():
        np.testing.assert_array_equal(case.mask(rater).array, mask.array)
    np.testing.assert_array_equal(case.mask("truth").array, patient.lesions.array)
    assert case.metadata == patient.metadata


def test_reader_finds_the_same_cohort(written: tuple[Path, Cohort]) -> None:
    out, cohort = written
    for read, case in zip(read_cohort(out), cohort, strict=True):
        assert read.id == case.id
        assert dict(read.images) == dict(case.images)
        assert dict(read.masks) == dict(case.masks)
        assert dict(read.metadata) == dict(case.metadata)


def test_description_restores_the_parameters(written: tuple[Path, Cohort]) -> None:
    out, cohort = written
    description = json.loads((out / "phantom.json").read_text())
    assert description["complete"] is True
    assert PhantomParameters.model_validate(description["parameters"]) == SMALL
    with (out / "cases.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == [case.id for case in cohort]


def test_same_seed_same_bytes_other_seed_other_bytes(written: tuple[Path, Cohort], tmp_path: Path) -> None:
    write_cohort(tmp_path / "again", SMALL)
    assert _digests(tmp_path / "again") == _digests(written[0])
    # an earlier phantom cohort is replaced as a whole
    write_cohort(tmp_path / "again", SMALL.model_copy(update={"seed": 4, "centres": ("01",)}))
    after = _digests(tmp_path / "again")
    assert not any(name.startswith("Center_08") for name in after)
    flair = "Center_01/Patient_01/Preprocessed_Data/FLAIR_preprocessed.nii.gz"
    assert after[flair] != _digests(written[0])[flair]


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        write_cohort(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_real_cohort_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Center_01" / "Patient_01").mkdir(parents=True)
    with pytest.raises(InputError, match="Center_01"):
        write_cohort(tmp_path, SMALL)
    assert (tmp_path / "Center_01" / "Patient_01").is_dir()


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_cohort(path, SMALL)


def test_cancelling_leaves_whole_patients_and_says_incomplete(tmp_path: Path) -> None:
    def cancel(fraction: float, message: str) -> None:
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_cohort(tmp_path / "cohort", SMALL, cancel)
    names = set(_digests(tmp_path / "cohort"))
    assert "Center_01/Patient_01/Masks/Truth.nii.gz" in names
    assert not any(name.startswith("Center_08") for name in names)
    assert json.loads((tmp_path / "cohort" / "phantom.json").read_text())["complete"] is False
