"""The task runner: which pytest process gets which arguments, and what is missing on a bare machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import tasks

OTHERS = [f"--ignore={folder}" for part in tasks.PARTS for folder in part]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [OTHERS, ["tests/slicer"], ["tests/viewer"], *([*part] for part in tasks.PARTS)]),
        (
            ["-x"],
            [["-x", *OTHERS], ["-x", "tests/slicer"], ["-x", "tests/viewer"], *(["-x", *part] for part in tasks.PARTS)],
        ),
        (["tests", "-q"], [["tests", "-q"], ["-q", "tests/slicer"], ["-q", "tests/viewer"]]),
        (["-x", "tests/viewer", "tests/slicer"], [["-x", "tests/slicer"], ["-x", "tests/viewer"]]),
        (["tests/core", "tests/viewer"], [["tests/core"], ["tests/viewer"]]),
        (["tests/core/data", "-k", "name"], [["tests/core/data", "-k", "name"]]),
        (["tests/slicer", "-x"], [["tests/slicer", "-x"]]),
        (["tests/slicer/test_cmake.py::test_name"], [["tests/slicer/test_cmake.py::test_name"]]),
        (["tests/core", "./tests/slicer/", "-q"], [["tests/core", "-q"], ["./tests/slicer/", "-q"]]),
    ],
)
def test_each_test_process_gets_its_own_paths_and_all_options(arguments: list[str], expected: list[list[str]]) -> None:
    assert tasks.suites(arguments) == expected


@pytest.mark.parametrize(("codes", "code"), [([0, 1, 0], 1), ([1, 0], 1), ([5, 5], 5), ([5, 2], 2), ([0, 0, 3], 3)])
def test_a_failure_of_any_process_fails_the_task(monkeypatch: pytest.MonkeyPatch, codes: list[int], code: int) -> None:
    for name in ("install", "install_system_packages", "run"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "run_tests", lambda _: codes)
    with pytest.raises(SystemExit) as failure:
        tasks.test([])
    assert failure.value.code == code


@pytest.mark.parametrize("codes", [[0, 0], [0, 5, 5], [5, 0]])
def test_no_match_in_some_processes_is_fine(monkeypatch: pytest.MonkeyPatch, codes: list[int]) -> None:
    for name in ("install", "install_system_packages", "run"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "run_tests", lambda _: codes)
    tasks.test([])


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for Python")
def test_processes_run_at_once_and_what_they_say_is_not_mixed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    other = f"until test -e {tmp_path}/began; do sleep 0.05; done; echo other; touch {tmp_path}/ended; exit 3"
    first = f"touch {tmp_path}/began; until test -e {tmp_path}/ended; do sleep 0.05; done; echo first; exit 0"
    python.write_text(f'#!/bin/sh\ncase "$*" in *slicer*) {other};; *holes*) echo third; exit 0;; *) {first};; esac\n')
    python.chmod(0o755)
    monkeypatch.setattr(tasks, "PYTHON", python)
    assert tasks.run_tests([["-x"], ["-x", "tests/slicer"], ["tests/holes"]]) == [0, 3, 0]
    said = [line for line in capfd.readouterr().out.splitlines() if not line.startswith("+")]
    assert said == ["first", "other", "third"]


def test_missing_libraries_are_named_as_debian_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.sys, "platform", "linux")
    monkeypatch.setattr(tasks.shutil, "which", lambda name, path: f"/usr/bin/{name}")
    monkeypatch.setattr(tasks, "SYSTEM_FILES", {__file__: "present", "/no/such/file": "absent"})
    monkeypatch.setattr(tasks, "find_library", lambda name: None if name in {"EGL", "Xcursor"} else f"lib{name}.so")
    assert set(tasks.missing_system_packages()) - {"libgl1-mesa-dri"} == {"absent", "libegl1", "libxcursor1"}


@pytest.mark.skipif(os.name == "nt", reason="services of Debian")
def test_what_is_installed_starts_no_service_now_or_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy, ran = tmp_path / "policy-rc.d", []

    def run(*command: object, **_: str) -> None:
        asked = subprocess.call([policy]) if policy.exists() else None
        ran.append((" ".join(map(str, command[:2])), asked))

    monkeypatch.setattr(tasks, "POLICY", policy)
    monkeypatch.setattr(tasks, "run", run)
    monkeypatch.setattr(tasks, "missing_system_packages", lambda: ["chromium", "orthanc"])
    monkeypatch.setattr(tasks.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(tasks.os, "geteuid", lambda: 0)
    tasks.install_system_packages()
    assert ran == [("apt-get update", None), ("apt-get install", 101), ("update-rc.d orthanc", None)]
    assert not policy.exists()


def test_a_policy_of_the_machine_itself_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("of the machine")
    with tasks.no_service_starts(policy):
        pass
    assert policy.read_text() == "of the machine"
