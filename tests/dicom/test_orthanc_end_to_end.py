"""An MR study in a real Orthanc: found, inferred, explained, labelled, and what came out stored back and read again."""

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from slicerxai.data.io import read_volume
from slicerxai.data.volume import Volume
from tests.dicom.conftest import PASSWORD, PATIENTS, USER, Hospital

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88"


def infer(hospital: Hospital, image: str, tmp_path: Path) -> Volume:
    answer = hospital.server.request(
        "POST",
        "/infer/tiny",
        params={"image": image, "output": "image"},
        data={"params": '{"result_extension": ".nrrd"}'},
    )
    assert answer.ok, answer.text
    (tmp_path / "label.nrrd").write_bytes(answer.content)
    return read_volume(tmp_path / "label.nrrd")


def study(hospital: Hospital, number: int) -> str:
    return list(hospital.images)[number]


def test_a_study_is_picked_inferred_explained_and_its_results_come_back(hospital: Hospital, tmp_path: Path) -> None:
    uid = study(hospital, 0)
    image = hospital.image(uid, "FLAIR")
    sent = hospital.images[uid]

    fetched = hospital.server.request("GET", "/datastore/image", params={"image": image})
    (tmp_path / "image.nrrd").write_bytes(fetched.content)
    volume = read_volume(tmp_path / "image.nrrd")
    assert same_voxels(volume, sent)

    label = infer(hospital, image, tmp_path)
    assert label.shape == volume.shape
    assert label.array.any()

    job = hospital.server.request("POST", "/explain/saliency", json={"image": image}).json()
    job = hospital.server.wait(job["id"], lambda one: one["state"] not in {"queued", "running"})
    assert job["state"] == "done", job
    answer = hospital.server.request("POST", f"/explain/jobs/{job['id']}/dicom")
    assert answer.ok, answer.text
    stored = answer.json()["instances"]
    assert {one["state"] for one in stored} == {"stored"}
    kinds = {one["kind"] for one in stored}
    assert any("SR" in kind for kind in kinds), kinds
    assert any("Parametric Map" in kind for kind in kinds), kinds

    # found by QIDO, in the study of the patient, and read from what Orthanc holds
    found = hospital.orthanc.query(f"studies/{uid}/instances")
    assert {one["sop_instance_uid"] for one in stored} <= {str(one.SOPInstanceUID) for one in found}
    for one in stored:
        (dataset,) = hospital.orthanc.instances(SOPInstanceUID=one["sop_instance_uid"])
        assert (dataset.PatientID, dataset.StudyInstanceUID) == (PATIENTS[0].id, uid)
        assert str(dataset.PatientName) == PATIENTS[0].name
        assert "research use only" in str(dataset).lower()

    again = hospital.server.request("POST", f"/explain/jobs/{job['id']}/dicom").json()["instances"]
    assert {one["state"] for one in again} == {"present"}
    assert len(hospital.orthanc.query(f"studies/{uid}/instances")) == len(found)


def test_a_submitted_label_is_a_segmentation_on_the_slices_of_the_series(hospital: Hospital, tmp_path: Path) -> None:
    uid = study(hospital, 1)
    image = hospital.image(uid, "FLAIR")
    offered = hospital.server.request("POST", "/activelearning/random").json()["id"]
    assert offered in {hospital.image(one, name) for one in hospital.images for name in ("FLAIR", "T1")}
    label = infer(hospital, image, tmp_path)
    mine = (label.array > 0).astype(np.uint8)
    mine[2:5, 2:5, 2:5] = 1
    answer = submit(hospital, image, label.with_array(mine))
    assert answer.ok, answer.text

    (dataset,) = hospital.orthanc.instances(StudyInstanceUID=uid, Modality="SEG")
    assert str(dataset.PatientName) == PATIENTS[1].name
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert "SegmentAlgorithmName" not in dataset.SegmentSequence[0]
    assert same_voxels(segmented(dataset), label.with_array(mine))

    status = hospital.server.request("GET", "/datastore/").json()
    assert (status["total"], status["completed"]) == (4, 1)
    offers = [hospital.server.request("POST", "/activelearning/random") for _ in range(4)]
    assert all(one.ok for one in offers), [one.text for one in offers]
    assert image not in {one.json()["id"] for one in offers}
    kept = hospital.server.request("GET", "/datastore/label", params={"label": image, "tag": "final"})
    (tmp_path / "kept.nrrd").write_bytes(kept.content)
    assert np.array_equal(read_volume(tmp_path / "kept.nrrd").array, mine)
    assert submit(hospital, image, label.with_array(mine)).ok
    assert len(hospital.orthanc.instances(StudyInstanceUID=uid, Modality="SEG")) == 1
    refused = hospital.server.request("DELETE", "/datastore/label", params={"id": image, "tag": "final"})
    assert refused.status_code == 409, refused.text


def test_nothing_here_tells_whose_images_these_are(hospital: Hospital, tmp_path: Path) -> None:
    image = hospital.image(study(hospital, 0), "FLAIR")
    infer(hospital, image, tmp_path)
    hospital.server.request("GET", "/datastore/image/info", params={"image": image})
    hospital.server.request("GET", "/explain/worklist", params={"model": "tiny"})
    secrets = [PASSWORD, *hospital.images]
    for patient in PATIENTS:
        secrets += [patient.name, *patient.name.split("^"), patient.id, patient.birth_date]
    root = hospital.server.root
    looked = 0
    for path in [*hospital.server.home.rglob("*"), root / "stdout", root / "stderr"]:
        shown = str(path.relative_to(root))
        content = path.read_bytes() if path.is_file() else b""
        looked += bool(content)
        for secret in secrets:
            assert secret not in shown
            for encoding in ("utf-8", "utf-16-le", "latin-1"):
                assert secret.encode(encoding, "ignore") not in content or not secret.encode(encoding, "ignore"), shown
    assert looked > 10
    assert not list((hospital.server.home / "dicom").rglob("*.dcm"))
    assert not list((hospital.server.home / "dicom").glob("*/incoming/*-*"))
    command = Path(f"/proc/{hospital.server.process.pid}/cmdline").read_bytes()
    assert PASSWORD.encode() not in command
    assert USER.encode() + b":" not in command


def submit(hospital: Hospital, image: str, label: Volume):
    from slicerxai.data.io import write_volume

    path = hospital.server.root / "label.nrrd"
    write_volume(path, label)
    files = {"label": ("label.nrrd", io.BytesIO(path.read_bytes()))}
    return hospital.server.request("PUT", "/datastore/label", params={"image": image, "tag": "final"}, files=files)


def segmented(dataset: Dataset) -> Volume:
    """The first segment's mask where its frames say that they are, in RAS, by a plain loop over the frames."""
    frames = dataset.PerFrameFunctionalGroupsSequence
    shared = dataset.SharedFunctionalGroupsSequence[0]
    row, column = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    spacing = [float(one) for one in shared.PixelMeasuresSequence[0].PixelSpacing]
    positions = np.array([one.PlanePositionSequence[0].ImagePositionPatient for one in frames], float)
    normal = np.cross(row, column)
    distance = float(shared.PixelMeasuresSequence[0].SpacingBetweenSlices)
    along = positions @ normal
    slices = np.rint((along - along.min()) / distance).astype(int)  # those without any label are left out
    pixels = dataset.pixel_array.reshape(len(frames), dataset.Rows, dataset.Columns)
    array = np.zeros((dataset.Columns, dataset.Rows, slices.max() + 1), np.uint8)
    for frame, k in zip(pixels, slices, strict=True):
        array[:, :, k] = frame.T
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing[1], column * spacing[0]
    affine[:3, 2] = normal * distance
    affine[:3, 3] = positions[along.argmin()]
    return Volume(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def same_voxels(found: Volume, expected: Volume) -> bool:
    """Whether every non-zero voxel of one lies where the other has the same value, whatever the axes' directions."""
    there = np.argwhere(expected.array != 0)
    world = there @ expected.affine[:3, :3].T + expected.affine[:3, 3]
    inverse = np.linalg.inv(found.affine)
    exact = world @ inverse[:3, :3].T + inverse[:3, 3]
    index = np.rint(exact).astype(int)
    assert np.abs(exact - index).max() < 0.01
    assert (index >= 0).all()
    assert (index < found.shape).all()
    values = found.array[tuple(index.T)]
    return bool((values == expected.array[tuple(there.T)]).all()) and np.count_nonzero(found.array) == len(there)


@pytest.mark.parametrize("number", [0, 1])
def test_the_wrong_sequence_is_refused_in_words(hospital: Hospital, number: int) -> None:
    image = hospital.image(study(hospital, number), "T1")
    answer = hospital.server.request("POST", "/infer/tiny", params={"image": image})
    assert answer.status_code == 422
    assert "is T1; the model reads FLAIR" in answer.json()["detail"]
