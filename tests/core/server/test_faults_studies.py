"""The studies and the sessions while their folder is away, their disk is full, or a process was killed."""

import json
import shutil
import threading
import time

import pytest
from monailabel.datastore.local import LocalDatastore

from slicerxai.errors import UnavailableError
from slicerxai.server.monailabel.datastore import harden
from slicerxai.server.monailabel.sessions import WholeSessions
from tests.support.small_disk import filled, small_disk


def opened(studies, **options):
    datastore = LocalDatastore(str(studies), extensions=("*.nii.gz",), **options)
    harden(datastore)
    return datastore


def label(folder, content):
    path = folder / "label.nii.gz"
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def studies(tmp_path):
    folder = tmp_path / "studies"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.nii.gz").write_bytes(b"x")
    return folder


@pytest.mark.parametrize("leaves", ["nothing", "an empty folder"])
def test_studies_that_are_away_for_a_while_lose_no_entry(studies, tmp_path, leaves):
    datastore, aside = opened(studies, auto_reload=True), tmp_path / "aside"
    datastore.save_label("one", label(tmp_path, b"mask"), "final", {"annotator": "a"})
    studies.rename(aside)
    if leaves == "an empty folder":
        studies.mkdir()
    datastore.refresh()
    assert sorted(datastore.list_images()) == ["one", "two"]
    for change in (
        lambda: datastore.save_label("two", label(tmp_path, b"mask"), "final", {}),
        lambda: datastore.update_image_info("one", {"note": "lost"}),
        lambda: datastore.add_image("three", label(tmp_path, b"x"), {}),
    ):
        with pytest.raises(UnavailableError, match="gone"):
            change()
    if leaves == "an empty folder":
        assert list(studies.iterdir()) == []
        studies.rmdir()
    time.sleep(2.5)  # longer than the watch takes to see it
    shutil.copyfile(label(tmp_path, b"x"), aside / "three.nii.gz")
    aside.rename(studies)
    deadline = time.monotonic() + 20
    while "three" not in datastore.list_images():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert datastore.get_label_info("one", "final")["annotator"] == "a"
    shutil.copyfile(label(tmp_path, b"x"), studies / "four.nii.gz")  # seen by the watch that was set up anew
    while "four" not in datastore.list_images():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_studies_that_leave_while_their_files_are_followed_lose_no_entry(studies, tmp_path, monkeypatch):
    datastore, aside = opened(studies, auto_reload=False), tmp_path / "aside"
    follow, before = datastore._add_non_existing_images, (studies / "datastore_v2.json").read_bytes()

    def leaves():
        studies.rename(aside)
        return follow()

    monkeypatch.setattr(datastore, "_add_non_existing_images", leaves)
    datastore.refresh()
    assert sorted(datastore.list_images()) == ["one", "two"]
    assert (aside / "datastore_v2.json").read_bytes() == before
    assert not studies.exists()


def test_a_full_disk_leaves_label_image_and_list_as_they_were(tmp_path):
    with small_disk(tmp_path / "studies", 400) as studies:
        (studies / "one.nii.gz").write_bytes(b"x")
        datastore = opened(studies)
        datastore.save_label("one", label(tmp_path, b"old"), "final", {"annotator": "a"})
        before = (studies / "datastore_v2.json").read_bytes()
        with filled(studies, left=8192):
            for change in (
                lambda: datastore.save_label("one", label(tmp_path, b"n" * 20_000), "final", {"annotator": "b"}),
                lambda: datastore.add_image("new", label(tmp_path, b"n" * 20_000), {}),
                lambda: datastore.update_image_info("one", {"note": "n" * 20_000}),
            ):
                with pytest.raises(OSError, match="No space"):
                    change()
        assert (studies / "datastore_v2.json").read_bytes() == before
        assert (studies / "labels" / "final" / "one.nii.gz").read_bytes() == b"old"
        assert datastore.list_images() == ["one"]
        assert datastore.get_label_info("one", "final")["annotator"] == "a"
        assert "note" not in datastore.get_image_info("one")
        assert not list(studies.rglob(".*.new"))


def test_two_servers_do_not_overwrite_each_others_entries(studies, tmp_path):
    servers = [opened(studies), opened(studies)]

    def write(number):
        for step in range(10):
            servers[number].update_image_info("one", {f"{number}-{step}": True})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    info = json.loads((studies / "datastore_v2.json").read_text())["objects"]["one"]["image"]["info"]
    assert {f"{number}-{step}" for number in range(2) for step in range(10)} <= info.keys()


@pytest.mark.parametrize("meta", [None, "", "{", "{}"])
def test_a_session_that_was_cut_off_does_not_stop_a_start(tmp_path, meta):
    """MONAI Label's own raises AttributeError or JSONDecodeError here, and its server does not start."""
    image = tmp_path / "upload.nii.gz"
    image.write_bytes(b"x")
    sessions = WholeSessions(str(tmp_path / "sessions"), 3600)
    whole, _ = sessions.add_session(str(image))
    cut = tmp_path / "sessions" / "cut"
    cut.mkdir()
    if meta is not None:
        (cut / "meta.info").write_text(meta)
    fresh = WholeSessions(str(tmp_path / "sessions"), 3600)
    assert fresh.get_session("cut") is None
    assert [fresh.remove_expired(), cut.exists()] == [0, True]  # it might be on its way
    assert [fresh.remove_expired(), cut.exists()] == [1, False]
    assert fresh.get_session(whole).image.endswith("upload.nii.gz")


def test_a_session_can_be_read_when_its_last_use_cannot_be_noted(tmp_path):
    image = tmp_path / "upload.nii.gz"
    image.write_bytes(b"x")
    with small_disk(tmp_path / "disk", 64) as disk:
        sessions = WholeSessions(str(disk), 3600)
        name, _ = sessions.add_session(str(image))
        with filled(disk):
            assert sessions.get_session(name) is not None
        assert WholeSessions(str(disk), 3600).get_session(name) is not None
