"""MONAI Label's datastore with a file that is replaced whole, and with what the worklist keeps."""

import json
import multiprocessing
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from monailabel.datastore.local import LocalDatastore

from slicerxai.server.monailabel.datastore import harden
from slicerxai.server.worklist_schemas import Review
from slicerxai.server.worklist_store import FOLDER, KeptReview, Record, WorklistStore

NAMES = [f"image{number}" for number in range(12)]
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def studies(tmp_path):
    for name in NAMES:
        (tmp_path / f"{name}.nii.gz").write_bytes(b"x")
    opened(tmp_path)
    return tmp_path


def opened(studies, **options):
    datastore = LocalDatastore(str(studies), extensions=("*.nii.gz",), **options)
    harden(datastore)
    return datastore


def write_for_ever(studies):
    datastore = opened(Path(studies))
    while True:
        for name in NAMES:
            datastore.update_image_info(name, {"note": "y" * 30_000})


def test_a_process_that_is_killed_while_it_writes_leaves_a_whole_file(studies):
    """With MONAI Label's own writing, all of 15 kills left a file with which no server starts."""
    context = multiprocessing.get_context("fork")
    for attempt in range(8):
        writer = context.Process(target=write_for_ever, args=(str(studies),))
        writer.start()
        time.sleep(0.3 + 0.01 * attempt)
        writer.kill()
        writer.join()
        assert json.loads((studies / "datastore_v2.json").read_text())["objects"].keys() == set(NAMES)
    assert sorted(opened(studies).list_images()) == sorted(NAMES)


def test_records_and_reviews_are_shown_as_image_information(studies):
    datastore, kept = opened(studies), WorklistStore(studies / FOLDER)
    datastore.update_image_info(NAMES[0], {"note": "mine"})
    digest = "a" * 64
    kept.keep_record(digest, Record(image=NAMES[0], files={}, alarm="0" * 12, suspicion=0.5, classes=[], time=NOW))
    review = Review(decision="wrong", labels=None, comment="no", time=NOW)
    kept.keep_review(digest, KeptReview(image=NAMES[0], files={}, model="m", review=review))
    info = datastore.get_image_info(NAMES[0])
    assert info["note"] == "mine"
    assert info["quality"][digest]["suspicion"] == 0.5
    assert info["review"][digest]["review"]["decision"] == "wrong"
    assert "quality" not in datastore.get_image_info(NAMES[1])
    stored = json.loads((studies / "datastore_v2.json").read_text())["objects"][NAMES[0]]
    assert "quality" not in stored["image"]["info"]


def test_what_another_process_wrote_is_seen(studies):
    watching, other = opened(studies, auto_reload=True), opened(studies)
    other.update_image_info(NAMES[0], {"note": "theirs"})
    deadline = time.monotonic() + 20
    while watching.get_image_info(NAMES[0]).get("note") != "theirs":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (studies / "arriving").write_bytes(b"x")
    (studies / "arriving").rename(studies / "arrived.nii.gz")
    while "arrived" not in watching.list_images():
        assert time.monotonic() < deadline + 20
        time.sleep(0.05)
