"""The order of the worklist, and what is kept of every image."""

import itertools
import os
import random
from datetime import UTC, datetime, timedelta

import pytest

from slicerxai.server.worklist import item, ordered, why
from slicerxai.server.worklist_schemas import ClassView, Item, LesionView, Review
from slicerxai.server.worklist_store import KeptReview, Record, WorklistStore, stamps

DIGEST, OTHER = "a" * 64, "b" * 64
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def review(decision="accepted", labels=None, time=NOW):
    return Review(decision=decision, labels=labels, comment="", time=time)


def one_class(label="left", suspicion=0.1, flagged=False):
    return ClassView(
        label=label,
        probability=0.8,
        predicted=True,
        distinctiveness=1.2,
        suspicion=suspicion,
        flagged=flagged,
        reason=f"why {label}",
    )


def listed(image, suspicion=None, reviewed=False, **fields):
    empty = {"scored": suspicion is not None, "classes": None, "lesions": None, "error": None}
    found = review() if reviewed else None
    return Item(image=image, suspicion=suspicion, review=found, **empty | fields)


def record(files=None, **fields):
    return Record(**{"image": "one", "files": files or {}, "alarm": "0" * 12, "time": NOW} | fields)


def test_unreviewed_come_first_then_the_most_suspicious_then_what_is_not_scored():
    wanted = [
        listed("c", 2.5),
        listed("d", 0.5),
        listed("e", 0.5),
        listed("f", 0.0),
        listed("a"),
        listed("b", error="no such file"),
        listed("z", 3.0, reviewed=True),
        listed("y", 1.0, reviewed=True),
        listed("x", reviewed=True),
    ]
    shuffled = list(wanted)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert ordered(shuffled) == wanted


def test_the_order_agrees_with_a_plain_comparison_of_all_pairs():
    def before(a, b):
        if (a.review is None) != (b.review is None):
            return a.review is None
        if (a.suspicion is None) != (b.suspicion is None):
            return a.suspicion is not None
        if a.suspicion != b.suspicion:
            return a.suspicion > b.suspicion
        return a.image < b.image

    rng = random.Random(0)
    items = [listed(str(n), rng.choice([None, 0.0, 0.3, 1.7]), rng.random() < 0.5) for n in range(40)]
    for a, b in itertools.pairwise(ordered(items)):
        assert before(a, b)


def test_an_item_says_what_scoring_found_or_why_there_is_nothing():
    scored = item("one", record(suspicion=0.1, classes=[one_class()]), None)
    assert (scored.scored, scored.suspicion, scored.error) == (True, 0.1, None)
    failed = item("one", record(error="no contrast"), review())
    assert (failed.scored, failed.suspicion, failed.error) == (False, None, "no contrast")
    assert failed.review is not None
    assert not item("one", None, None).scored


def test_reasons_are_those_of_the_flagged_most_suspicious_first():
    classes = [one_class("left", 0.4, flagged=True), one_class("right", 0.9, flagged=True), one_class("middle", 0.95)]
    assert why(item("one", record(suspicion=1.3, classes=classes), None)) == "why right; why left"
    quiet = why(item("one", record(suspicion=0.3, classes=[one_class("left", 0.1), one_class("right", 0.2)]), None))
    assert quiet == "nothing flagged; most suspicious: why right"
    lesion = LesionView(
        lesion=1, volume_ml=0.1, probability=0.6, suspicion=0.7, flagged=True, reason="small", centre=(1, 2, 3)
    )
    assert why(item("one", record(suspicion=0.7, lesions=[lesion]), None)) == "small"
    assert "nothing is predicted" in why(item("one", record(suspicion=0.0, lesions=[]), None))
    assert why(item("one", None, None)) == "not scored yet"
    assert why(item("one", record(error="no contrast"), None)) == "no contrast"


@pytest.fixture
def store(tmp_path):
    return WorklistStore(tmp_path / "worklist")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "one.nii.gz"
    path.write_bytes(b"voxels")
    return path


@pytest.mark.parametrize("name", ["one", "a b (c)", "ünï", "x" * 250, "Case", "case", "a.b"])
def test_what_is_kept_comes_back_under_its_image_and_model_alone(store, name):
    kept = record(image=name, suspicion=0.5, classes=[one_class()])
    store.keep_record(DIGEST, kept)
    store.keep_review(DIGEST, KeptReview(image=name, files={}, model="m", review=review()))
    assert store.record(DIGEST, name) == kept
    assert store.review(DIGEST, name).review == review()
    assert store.record(OTHER, name) is None
    assert store.review(DIGEST, name.swapcase()) is None
    store.remove_review(DIGEST, name)
    store.remove_review(DIGEST, name)
    assert store.review(DIGEST, name) is None
    assert store.record(DIGEST, name) == kept


def test_reviews_under_several_models_newest_first(store):
    for days, digest in enumerate((OTHER, DIGEST)):
        one = review(time=NOW + timedelta(days=days))
        store.keep_review(digest, KeptReview(image="one", files={}, model=digest[:1], review=one))
    assert [kept.model for kept in store.reviews("one")] == ["a", "b"]
    assert store.information("one").keys() == {"review"}
    assert store.information("one")["review"].keys() == {DIGEST, OTHER}
    assert store.information("two") == {}


def test_a_record_is_of_the_very_file(store, image):
    kept = record(files=stamps({"FLAIR": image}))
    assert kept.is_of({"FLAIR": image})
    assert not kept.is_of({"T1": image})
    os.utime(image, ns=(0, 0))
    assert kept.is_of({"FLAIR": image}), "another time, the same content"
    image.write_bytes(b"others")
    assert not kept.is_of({"FLAIR": image}), "another content of the same size"
    image.write_bytes(b"more voxels")
    assert not kept.is_of({"FLAIR": image})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"image": "one"}'])
def test_a_damaged_file_is_left_out_with_a_line_in_the_log(store, caplog, content):
    store.keep_review(DIGEST, KeptReview(image="one", files={}, model="m", review=review()))
    (path,) = (store.root / DIGEST / "review").iterdir()
    path.write_text(content)
    assert store.review(DIGEST, "one") is None
    assert store.reviews("one") == []
    assert path.name in caplog.text


def test_nothing_but_whole_files_is_left(store):
    for number in range(3):
        store.keep_record(DIGEST, record(suspicion=float(number)))
    (path,) = (store.root / DIGEST / "quality").iterdir()
    assert path.suffix == ".json"
    assert store.record(DIGEST, "one").suspicion == 2.0
