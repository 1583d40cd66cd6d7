import json

import pytest

from slicerxai.errors import ConflictError, InputError, NotFoundError
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_store import AlarmStore
from tests.support.classifier import store_alarm

DIGEST, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path):
    return AlarmStore(tmp_path / "alarms")


def test_an_alarm_comes_back_whole(store):
    identifier = store_alarm(store, "regions", DIGEST)
    kept = store.load(identifier, DIGEST)
    assert (kept.id, kept.kind, kept.model) == (identifier, "classes", "regions")
    assert isinstance(kept.alarm, Alarm)
    assert store.save("regions", kept.alarm) == identifier
    assert store.newest(DIGEST).alarm == kept.alarm


def test_the_newest_is_the_one_saved_last(store):
    assert store.newest(DIGEST) is None
    first, second = (store_alarm(store, "regions", DIGEST, seed=seed) for seed in (0, 1))
    assert first != second
    assert store.newest_id(DIGEST) == second
    assert store_alarm(store, "regions", DIGEST, seed=0) == first
    assert store.newest_id(DIGEST) == first, "saved again, it is the newest"
    assert store.newest(OTHER) is None


def test_the_alarm_of_another_model_is_refused_naming_both(store):
    identifier = store_alarm(store, "regions", DIGEST)
    with pytest.raises(ConflictError, match=r"aaaaaaaaaaaa.*bbbbbbbbbbbb"):
        store.load(identifier, OTHER)


@pytest.mark.parametrize("identifier", ["", "../x", "*", "g" * 12, "0" * 13, "0" * 11])
def test_what_is_no_id(store, identifier):
    with pytest.raises(InputError, match="12 hexadecimal digits"):
        store.load(identifier, DIGEST)


def test_an_unknown_alarm_and_a_bad_digest(store):
    known = store_alarm(store, "regions", DIGEST)
    with pytest.raises(NotFoundError, match=known):
        store.load("0" * 12, DIGEST)
    with pytest.raises(InputError, match="64 hexadecimal"):
        store.newest("../alarms")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: "{",
        lambda c: "[]",
        lambda c: json.dumps(c | {"format": 2}),
        lambda c: json.dumps(c | {"kind": "pixels"}),
        lambda c: json.dumps({k: v for k, v in c.items() if k != "alarm"}),
        lambda c: json.dumps(c | {"alarm": {"labels": []}}),
        lambda c: json.dumps(c | {"created": "yesterday"}),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(store, change):
    identifier = store_alarm(store, "regions", DIGEST)
    (path,) = store.root.rglob("*.json")
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(InputError):
        store.load(identifier, DIGEST)
