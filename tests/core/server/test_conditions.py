import os
import threading
from pathlib import Path

import pytest

from slicerxai.server import conditions as subject
from slicerxai.server.conditions import Condition, check_folder


def test_a_usable_folder_has_no_fault_and_keeps_no_probe(tmp_path):
    assert check_folder(tmp_path, "studies") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_told_without_its_path(tmp_path):
    fault = check_folder(tmp_path / "away", "studies")
    assert "studies" in fault
    assert "gone" in fault
    assert str(tmp_path) not in fault


@pytest.mark.skipif(
    not Path("/dev/full").exists() or os.geteuid() != 0, reason="needs a file system that may be mounted"
)
def test_a_full_folder_says_so(tmp_path):
    import subprocess

    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount")
    try:
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "filler").write_bytes(bytes(128 * 1024))
        assert "full" in check_folder(tmp_path, "jobs and results")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_little_space_is_a_fault_before_it_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "LOW_SPACE_BYTES", 2**62)
    assert "MiB left" in check_folder(tmp_path, "studies")


def test_a_check_that_hangs_is_a_fault_and_is_started_once(monkeypatch):
    started, release = [], threading.Event()

    def hang():
        started.append(1)
        release.wait()
        return ""

    monkeypatch.setattr(subject, "PATIENCE_SECONDS", 0.05)
    for _ in range(3):
        found = subject._checked("hang", hang)
        assert not found.ok
        assert "does not answer" in found.detail
    assert started == [1]
    release.set()
    monkeypatch.setattr(subject, "PATIENCE_SECONDS", 5.0)
    assert subject._checked("hang", hang) == Condition("hang", True)


def test_a_check_that_fails_is_a_fault():
    assert subject._checked("bad", lambda: 1 / 0).detail.startswith("it cannot be checked (ZeroDivisionError)")
