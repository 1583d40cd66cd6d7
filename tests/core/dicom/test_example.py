"""The made study is a valid one, and identifiers follow from content."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from slicerxai.data.volume import Volume
from slicerxai.dicom.example import MAXIMUM, Patient, example_study, write_study
from slicerxai.dicom.sequences import MODALITIES, recognise
from slicerxai.dicom.uids import content_uid
from slicerxai.errors import InputError

VOLUME = Volume(np.arange(60, dtype=np.uint16).reshape(5, 4, 3), np.diag([1.0, 1.5, 3.0, 1.0]))


def test_every_sequence_is_recognised_and_valid(tmp_path):
    datasets = example_study(dict.fromkeys(MODALITIES, VOLUME), Patient("A^B", "7", "19900101", "M"))
    assert [recognise(one).modality for one in datasets[::3]] == list(MODALITIES)
    assert {one.StudyInstanceUID for one in datasets} == {datasets[0].StudyInstanceUID}
    assert len({one.SeriesInstanceUID for one in datasets}) == 5
    assert len({one.SOPInstanceUID for one in datasets}) == 15
    files = write_study(datasets, tmp_path)
    assert pydicom.dcmread(files[0]).PatientName == "A^B"
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    for file in files[::3]:
        found = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert "Error" not in found.stderr


def test_instances_do_not_share_elements():
    first, second = example_study({"FLAIR": VOLUME})[:2]
    first.SeriesDescription = "another"
    assert second.SeriesDescription == "3D FLAIR"


def test_another_seed_is_another_study():
    one, same, other = (example_study({"T1": VOLUME}, seed=seed)[0] for seed in ("a", "a", "b"))
    assert one == same
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert one[keyword].value != other[keyword].value


def test_values_beyond_the_stored_range_are_scaled():
    wide = VOLUME.with_array(np.linspace(-2.0, 9.0, 60).reshape(5, 4, 3))
    stored = np.stack([np.frombuffer(one.PixelData, "<u2") for one in example_study({"T2": wide})])
    assert (stored.min(), stored.max()) == (0, MAXIMUM)


def test_volumes_that_no_scanner_makes_are_refused():
    with pytest.raises(InputError, match=r"'CT'.*FLAIR, T1"):
        example_study({"CT": VOLUME})
    sheared = VOLUME.affine.copy()
    sheared[0, 2] = 1.0
    with pytest.raises(InputError, match="right angles"):
        example_study({"T1": Volume(VOLUME.array, sheared)})


def test_identifiers_follow_from_content():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    one = content_uid("a", {"x": 1, "y": None}, array)
    assert one == content_uid("a", {"y": None, "x": 1}, array.copy())
    assert UID(one).is_valid
    others = [
        ("b", {}, array),
        ("a", {"x": 1, "y": None}, array.T),
        ("a", {"x": 1, "y": None}, array.astype(np.uint16)),
    ]
    assert len({one, *(content_uid(*other) for other in others)}) == 4
