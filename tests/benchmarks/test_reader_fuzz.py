"""Damaged and hostile files, documents and parameters: read, or refused in words. Well over a thousand of them."""

import gzip

import numpy as np
import pytest

from benchmarks.reader_fuzz import kinds, part
from benchmarks.reader_fuzz_judge import Judge
from slicerxai.errors import InputError

EACH = 60


def test_inputs_of_every_kind_are_read_or_refused_in_words():
    found = part(dict.fromkeys(kinds(), EACH), seed=7)
    faults = {name: one["failures"][:3] for name, one in found.items() if one["failures"]}
    assert not faults
    assert all(one["inputs"] >= EACH for one in found.values())
    accepted = sum(one["accepted"] for one in found.values())
    assert EACH < accepted < sum(one["inputs"] for one in found.values())


def crash(_):
    raise KeyError("x")


def refuse(_):
    raise InputError("bad")


def endless(_):
    raise InputError("sample.bin: " + "x" * 10_000)


def control(_):
    raise InputError("sample.bin: \x1b[31m")


def write(folder):
    (folder / "left").write_text("x")


def spy(folder):
    (folder.parent / "secret.raw").read_bytes()


def hoard(_):
    return np.ones(48 * 1024**2)


def unpack(folder):
    return gzip.decompress((folder / "sample.bin").read_bytes())


JUDGED = [
    (crash, "KeyError"),
    (refuse, "does not name"),
    (endless, "characters"),
    (control, "cannot be shown"),
    (write, "left"),
    (spy, "did"),
    (hoard, "memory"),
    (unpack, "BadGzipFile"),
]


@pytest.fixture
def judge(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    made = Judge(tmp_path, crash, "sample.bin")
    made.measures = True
    return made


@pytest.mark.parametrize(("read", "fault"), JUDGED)
def test_the_judge_finds(judge, read, fault):
    judge.read = read
    judge.judge({"sample.bin": b"x"})
    assert len(judge.found.failures) == 1
    assert fault in judge.found.failures[0]["fault"]


def test_the_judge_accepts_a_clean_refusal(judge):
    def refuses(_):
        raise InputError("sample.bin: no image")

    judge.read = refuses
    judge.judge({"sample.bin": b"x"})
    assert (judge.found.inputs, judge.found.failures) == (1, [])
