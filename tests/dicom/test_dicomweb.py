"""The archive in this process, over a real Orthanc: what it lists, fetches, keeps and stores, and what goes wrong."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import RLELossless

from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import Algorithm
from slicerxai.dicom.example import Patient, example_study
from slicerxai.dicom.segmentation import segmentation
from slicerxai.errors import ConflictError, InputError, NotFoundError, UnavailableError
from slicerxai.models.store import ModelStore
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.server.dicomweb import archive as archives
from slicerxai.server.dicomweb.access import Access, checked_url, credentials
from slicerxai.server.dicomweb.archive import Archive, image_id
from slicerxai.server.dicomweb.cache import clean, trim, used
from slicerxai.server.dicomweb.client import DicomWeb
from slicerxai.server.dicomweb.multipart import joined, split
from slicerxai.server.dicomweb.storing import outcomes
from slicerxai.server.monailabel.dicom_datastore import DicomDatastore
from slicerxai.server.monailabel.dicom_labels import submitted
from slicerxai.server.monailabel.image_files import case_images, channel_paths
from slicerxai.server.sources import Sources
from slicerxai.server.worklists import Scored, Worklists
from slicerxai.settings import settings
from tests.support.orthanc import Orthanc

SHAPE = (12, 14, 10)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def volume(seed: int) -> Volume:
    return Volume(np.random.default_rng(seed).integers(0, 4096, SHAPE).astype(np.uint16), AFFINE)


def study(name: str, *modalities: str):
    patient = Patient(name=f"{name}^Test", id=name)
    return example_study({one: volume(number) for number, one in enumerate(modalities)}, patient, seed=name)


def another_t1(made):
    """The T1 series once more under other UIDs, as a repeated scan is."""
    again = []
    for dataset in made:
        if dataset.SeriesDescription == "3D T1 MPRAGE":
            content = BytesIO()
            dcmwrite(content, dataset, write_like_original=False)
            copy = dcmread(BytesIO(content.getvalue()))
            copy.SeriesInstanceUID += ".9"
            copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.9.{copy.InstanceNumber}"
            again.append(copy)
    return again


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Study "plain" of FLAIR and T1, study "twice" with two T1, and computed tomography."""
    with Orthanc(tmp_path_factory.mktemp("orthanc"), ("user", "pass:word")) as running:
        running.send(study("plain", "FLAIR", "T1"))
        twice = study("twice", "FLAIR", "T1")
        running.send([*twice, *another_t1(twice)])
        other = study("other", "T2")
        for dataset in other:
            dataset.Modality = "CT"
        running.send(other)
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


def archive_over(orthanc: Orthanc, home: Path, timeout: float = 10, **bounds: int) -> Archive:
    client = DicomWeb(Access(orthanc.url, orthanc.auth, timeout=timeout))
    limits = {"most": 100, "cache": 10**9, "largest": 10**8} | bounds
    return Archive(client, home / "dicom", {"Modality": "MR"}, **limits)


def of(archive: Archive, name: str, modality: str) -> list[str]:
    uid = str(study(name, "FLAIR")[0].StudyInstanceUID)
    return [one.id for one in archive.named(uid, None) if archive.sequence(one.id).modality == modality]


def test_mr_series_are_listed_under_pseudonyms_that_stay(orthanc: Orthanc, home: Path) -> None:
    archive = archive_over(orthanc, home)
    listing = archive.listing()
    assert len(listing) == 5
    assert len({one.study for one in listing.values()}) == 2
    for name, image in listing.items():
        assert archives._ID.fullmatch(name)
        assert image.instances == SHAPE[2]
        assert image.study_uid not in repr(image)
    assert archive_over(orthanc, home).listing() == listing
    assert len(archive_over(orthanc, home, most=3).listing()) == 3
    with pytest.raises(NotFoundError):
        archive.named("1.2.3", None)
    with pytest.raises(NotFoundError, match="no image"):
        archive.sequence("../../etc/passwd")


def test_pages_are_fetched_until_nothing_new_comes(orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicerxai.server.dicomweb.client.PAGE", 2)
    client = DicomWeb(Access(orthanc.url, orthanc.auth))
    assert len({str(one.SeriesInstanceUID) for one in client.series({"Modality": "MR"}, 100)}) == 5


def test_a_volume_is_fetched_once_and_is_what_was_sent(orthanc: Orthanc, home: Path) -> None:
    archive = archive_over(orthanc, home)
    (image,) = of(archive, "plain", "FLAIR")
    path = archive.volume(image)
    found, sent = read_volume(path), volume(0)
    world = found.affine @ [0, 0, 0, 1]
    flipped = np.linalg.inv(sent.affine) @ world
    assert np.allclose(np.sort(found.array.ravel()), np.sort(sent.array.ravel()))
    assert found.array[0, 0, 0] == sent.array[tuple(np.rint(flipped[:3]).astype(int))]
    stamp = path.stat().st_mtime_ns
    assert archive.volume(image) == path
    assert path.stat().st_mtime_ns == stamp
    assert sorted(one.suffix for one in (home / "dicom").rglob("*") if one.is_file()) == [
        ".json",
        ".json",
        ".lock",
        ".nrrd",
    ]


def test_a_compressed_series_comes_uncompressed(orthanc: Orthanc, home: Path) -> None:
    made = study("compressed", "FLAIR")
    for dataset in made:
        dataset.compress(RLELossless)
    orthanc.send(made)
    archive = archive_over(orthanc, home)
    found = read_volume(archive.volume(image_id(made[0].StudyInstanceUID, made[0].SeriesInstanceUID)))
    orthanc.forget(made[0].StudyInstanceUID)
    assert np.array_equal(np.sort(found.array.ravel()), np.sort(volume(0).array.ravel()))
    with pytest.raises(NotFoundError):
        archive.volume("0" * 16 + "_" + "1" * 16)


def test_a_series_beyond_the_limit_is_not_fetched(orthanc: Orthanc, home: Path) -> None:
    archive = archive_over(orthanc, home, largest=2000)
    with pytest.raises(InputError, match="more than 2000 bytes"):
        archive.volume(of(archive, "plain", "FLAIR")[0])
    assert not list((home / "dicom" / "images").iterdir())
    assert not [one for one in (home / "dicom" / "incoming").iterdir() if one.is_dir()]


def test_channels_are_the_sequences_of_the_study(orthanc: Orthanc, home: Path) -> None:
    archive = archive_over(orthanc, home)
    datastore = DicomDatastore(archive)
    (flair,), (t1,) = of(archive, "plain", "FLAIR"), of(archive, "plain", "T1")
    assert datastore.channels(t1, ("FLAIR", "T1")) == {"FLAIR": flair, "T1": t1}
    paths = channel_paths(datastore, flair, ("FLAIR", "T1"))
    assert [path.name for path in paths.values()] == [f"{flair}.nrrd", f"{t1}.nrrd"]
    (ambiguous,) = of(archive, "twice", "FLAIR")
    with pytest.raises(InputError, match="2 T1 series"):
        channel_paths(datastore, ambiguous, ("FLAIR", "T1"))
    with pytest.raises(NotFoundError, match="no series that is clearly GADO"):
        channel_paths(datastore, flair, ("FLAIR", "GADO"))
    with pytest.raises(InputError, match="is T1; the model reads FLAIR"):
        channel_paths(datastore, t1, ("FLAIR",))
    with pytest.raises(NotFoundError):
        channel_paths(datastore, "../x", ("FLAIR",))
    assert case_images(datastore, ("FLAIR", "T1")) == sorted([flair, ambiguous])


def test_the_worklist_fetches_no_image_that_nobody_has_scored(orthanc: Orthanc, home: Path, tmp_path: Path) -> None:
    datastore = DicomDatastore(archive_over(orthanc, home))
    (image,) = of(datastore.archive, "plain", "FLAIR")
    alarms = AlarmStore(tmp_path / "alarms")
    worklists = Worklists(ModelStore(tmp_path), str, Sources(datastore, home / "dicom"), alarms)
    model = Scored("tiny", "0" * 64, "segmenter", ("FLAIR",), ("lesion",))
    listed = worklists.items(model)
    assert image in [one.image for one in listed]
    assert not list((home / "dicom" / "images").iterdir())


def test_labels_and_information_outlive_the_process(orthanc: Orthanc, home: Path, tmp_path: Path) -> None:
    archive = archive_over(orthanc, home)
    (image,) = of(archive, "plain", "FLAIR")
    mask = read_volume(archive.volume(image))
    mask = mask.with_array(np.zeros(SHAPE, np.uint8))
    write_volume(tmp_path / "prediction.nii.gz", mask)
    datastore = DicomDatastore(archive)
    datastore.save_label(image, str(tmp_path / "prediction.nii.gz"), "original", {"model": "tiny"})
    datastore.update_image_info(image, {"uncertainty": {"a": 1}})
    again = DicomDatastore(archive_over(orthanc, home))
    assert again.get_labels_by_image_id(image) == {"original": image}
    assert again.get_label_info(image, "original")["model"] == "tiny"
    assert again.get_image_info(image)["uncertainty"] == {"a": 1}
    assert again.get_image_info(image)["modality"] == "FLAIR"
    assert Path(again.get_label_uri(image, "original")).is_file()
    assert not again.get_labeled_images()

    # nothing found is a finding too: a Segmentation without a voxel
    again.save_label(
        image, str(tmp_path / "prediction.nii.gz"), "final", {"label_info": [{"name": "lesion", "idx": 1}]}
    )
    assert again.get_labeled_images() == [image]
    (stored,) = orthanc.instances(Modality="SEG")
    assert stored.SegmentSequence[0].SegmentLabel == "lesion"
    assert not stored.pixel_array.any()
    first = again.get_label_info(image, "final")["sop_instance_uid"]
    again.save_label(
        image, str(tmp_path / "prediction.nii.gz"), "final", {"label_info": [{"name": "lesion", "idx": 1}]}
    )
    assert again.get_label_info(image, "final")["sop_instance_uid"] == first
    other = np.zeros(SHAPE, np.uint8)
    other[4, 4, 4] = 1
    write_volume(tmp_path / "other.nii.gz", mask.with_array(other))
    again.save_label(image, str(tmp_path / "other.nii.gz"), "final", {})
    again.save_label(image, str(tmp_path / "prediction.nii.gz"), "final", {})  # back to the first: the last word
    assert len(orthanc.instances(Modality="SEG")) == 3
    elsewhere = DicomDatastore(archive_over(orthanc, tmp_path / "elsewhere"))
    assert not read_volume(Path(elsewhere.get_label_uri(image, "final"))).array.any()
    again.remove_label(image, "original")
    assert list(again.get_labels_by_image_id(image)) == ["final"]
    with pytest.raises(ConflictError):
        again.add_image("x", "x.nii.gz", {})
    with pytest.raises(ConflictError):
        again.remove_image(image)


def test_a_label_that_a_person_stored_there_by_other_means_counts(orthanc: Orthanc, home: Path, tmp_path: Path) -> None:
    archive = archive_over(orthanc, home)
    (image,) = of(archive, "twice", "FLAIR")
    with archive.series(image) as series:
        array = np.zeros(series.grid().shape, np.uint8)
        array[2:5, 3:6, 4:6], array[7, 7, 7] = 1, 2
        label = Volume(array, series.grid().affine)
        by_model = segmentation(series, label, {"lesion": 1}, Algorithm("tiny", "0" * 64))
        by_hand = submitted(series, label, {1: "lesion", 2: "vessel"})
    archive.send([by_model])
    assert image not in DicomDatastore(archive).get_labeled_images()
    assert archive.send([by_hand])[0].state == "stored"
    assert archive.send([by_hand])[0].state == "present"

    datastore = DicomDatastore(archive)
    assert image in datastore.get_labeled_images()
    assert image not in datastore.get_unlabeled_images()
    assert datastore.get_labels_by_image_id(image) == {"final": image}
    found = read_volume(Path(datastore.get_label_uri(image, "final")))
    assert np.array_equal(found.array, array)
    assert np.allclose(found.affine, label.affine)
    assert datastore.get_label_info(image, "final")["label_info"][1] == {"name": "vessel", "idx": 2}
    assert datastore.status()["label_tags"] == {"final": len(datastore.get_labeled_images())}
    assert len(datastore.datalist()) == len(datastore.get_labeled_images())

    # the archive decides: what is deleted there counts no more, what is drawn later counts instead
    orthanc.forget_series(by_hand.SeriesInstanceUID)
    again = DicomDatastore(archive)
    assert image not in again.get_labeled_images()
    assert again.get_label_uri(image, "final") == ""
    assert again.get_labels_by_image_id(image) == {}
    with archive.series(image) as series:
        later = submitted(series, label.with_array(array[::-1].copy()), {})
    archive.send([later])
    found = read_volume(Path(DicomDatastore(archive).get_label_uri(image, "final")))
    assert np.array_equal(found.array, array[::-1])


def test_objects_that_are_refused_are_told_from_those_that_are_stored(orthanc: Orthanc) -> None:
    good, bad = study("partial", "T2")[:2]
    del bad.StudyInstanceUID
    found = DicomWeb(Access(orthanc.url, orthanc.auth)).store([good, bad])
    assert [one.state for one in found] == ["stored", "failed"]
    assert "cannot be understood" in found[1].reason


def test_a_server_that_is_down_slow_or_refuses_is_unavailable_in_words(orthanc: Orthanc, home: Path) -> None:
    archive = archive_over(orthanc, home, timeout=5)
    before = archive.listing()
    orthanc.stop()
    try:
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            archive.listing(within=0)
        assert "cannot be reached" in archive.client.trouble(1)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            archive.listing(within=0)  # not asked again, so that nobody waits in turn
        status = DicomDatastore(archive).status()
        assert status["total"] == len(before)
        assert "cannot be reached" in status["unavailable"]
        assert time.monotonic() - started < 30
    finally:
        orthanc.start()
    time.sleep(archives.FAILED_SECONDS)
    assert archive.listing(within=0).keys() >= before.keys()
    assert not archive.client.trouble(5)
    with pytest.raises(UnavailableError, match="refuses this server's credentials") as refused:
        DicomWeb(Access(orthanc.url, ("user", "wrong"))).series({}, 1)
    assert "wrong" not in str(refused.value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=silent.accept, daemon=True).start()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/dicom-web"
        with pytest.raises(UnavailableError, match="does not answer in time"):
            DicomWeb(Access(address, timeout=0.5)).series({}, 1)


def test_outcomes_are_read_from_every_kind_of_answer() -> None:
    first, second = study("x", "T2")[:2]

    def failed(dataset, code: int):
        return {"00081155": {"vr": "UI", "Value": [dataset.SOPInstanceUID]}, "00081197": {"vr": "US", "Value": [code]}}

    def states(status: int, said) -> list[str]:
        return [one.state for one in outcomes([first, second], status, said)]

    sequence = {"00081198": {"vr": "SQ", "Value": [failed(first, 0x0111), failed(second, 0xA700)]}}
    assert states(409, sequence) == ["present", "failed"]
    assert "out of resources (failure reason A700H)" in outcomes([first, second], 409, sequence)[1].reason
    assert states(200, None) == ["stored", "stored"]
    assert states(200, {"nonsense": 3}) == ["stored", "stored"]
    assert states(400, None) == ["failed", "failed"]
    assert states(202, {"00081198": {"vr": "SQ", "Value": [failed(second, 0x0110)]}}) == ["failed", "failed"]


def test_parts_are_split_by_the_boundary_and_a_cut_body_is_told(tmp_path: Path) -> None:
    made = study("x", "T2")[:3]
    content, kind = joined(made)
    body = tmp_path / "body"
    body.write_bytes(content)
    files = split(body, kind, tmp_path)
    assert [dcmread(one).SOPInstanceUID for one in files] == [one.SOPInstanceUID for one in made]
    for short in (content[: len(content) // 2], content[:-6], b"", b"--"):
        body.write_bytes(short)
        with pytest.raises(UnavailableError, match="broke off"):
            split(body, kind, tmp_path)
    body.write_bytes(content)
    for other in ("application/json", "multipart/related", 'multipart/related; boundary="a\r\nb"'):
        with pytest.raises(UnavailableError):
            split(body, other, tmp_path)


def test_the_files_used_last_stay(tmp_path: Path) -> None:
    files = []
    for number in range(4):
        path = tmp_path / f"{number}.nrrd"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 + number, 500))
        files.append(path)
    used(files[0])
    assert files[0].stat().st_mtime == 500
    trim(tmp_path, 200, kept=0)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["0.nrrd", "3.nrrd"]
    trim(tmp_path, 0)
    assert [one.name for one in tmp_path.iterdir()] == ["0.nrrd"]  # wanted a moment ago


def test_what_a_killed_process_was_fetching_is_deleted(tmp_path: Path) -> None:
    for name in (f"{os.getpid()}-mine", f"{os.getppid()}-lives", "99999999-dead"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.dcm").write_bytes(b"header")
    clean(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [f"{os.getppid()}-lives"]


@pytest.mark.parametrize(
    "url", ["ftp://host", "https://", "https://user:secret@host/x", "https://host/x?y=1", "http://[::1", "host/x"]
)
def test_a_bad_address_is_refused_and_its_password_not_shown(url: str) -> None:
    with pytest.raises(InputError) as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)


def test_credentials_come_from_a_private_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text("me:with:colon\n")
    file.chmod(0o600)
    assert credentials(file) == ("me", "with:colon")
    assert "with:colon" not in repr(Access("https://host", credentials(file)))
    file.chmod(0o644)
    with pytest.raises(InputError, match="others can read it"):
        credentials(file)
    file.chmod(0o600)
    file.write_text("nothing")
    with pytest.raises(InputError, match="does not hold USER:PASSWORD"):
        credentials(file)
    assert credentials(None) is None
    monkeypatch.setenv("SLICERXAI_DICOM_USER", "me")
    with pytest.raises(InputError, match="set both"):
        credentials(None)
    monkeypatch.setenv("SLICERXAI_DICOM_PASSWORD", "pass")
    assert credentials(None) == ("me", "pass")
