"""The task runner: which pytest process gets which arguments, and what is missing on a bare machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import tasks


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [[], ["tests/slicer"]]),
        (["-k", "name"], [["-k", "name"], ["-k", "name", "tests/slicer"]]),
        (["tests", "-q"], [["tests", "-q"], ["-q", "tests/slicer"]]),
        (["tests/core/data", "-k", "name"], [["tests/core/data", "-k", "name"]]),
        (["tests/slicer", "-x"], [["tests/slicer", "-x"]]),
        (["tests/slicer/test_cmake.py::test_name"], [["tests/slicer/test_cmake.py::test_name"]]),
        (["tests/core", "./tests/slicer/", "-q"], [["tests/core", "-q"], ["./tests/slicer/", "-q"]]),
    ],
)
def test_each_test_process_gets_its_own_paths_and_all_options(arguments: list[str], expected: list[list[str]]) -> None:
    assert tasks.suites(arguments) == expected


@pytest.mark.parametrize(("codes", "code"), [([0, 1], 1), ([1, 0], 1), ([5, 5], 5), ([5, 2], 2)])
def test_a_failure_of_either_process_fails_the_task(
    monkeypatch: pytest.MonkeyPatch, codes: list[int], code: int
) -> None:
    for name in ("install", "install_system_packages", "run"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "run_tests", lambda _: codes)
    with pytest.raises(SystemExit) as failure:
        tasks.test([])
    assert failure.value.code == code


@pytest.mark.parametrize("codes", [[0, 0], [0, 5], [5, 0]])
def test_no_match_in_one_of_two_processes_is_fine(monkeypatch: pytest.MonkeyPatch, codes: list[int]) -> None:
    for name in ("install", "install_system_packages", "run"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "run_tests", lambda _: codes)
    tasks.test([])


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for Python")
def test_both_processes_run_at_once_and_what_they_say_is_not_mixed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    other = f"until test -e {tmp_path}/began; do sleep 0.05; done; echo other; touch {tmp_path}/ended; exit 3"
    first = f"touch {tmp_path}/began; until test -e {tmp_path}/ended; do sleep 0.05; done; echo first; exit 0"
    python.write_text(f'#!/bin/sh\ncase "$*" in *slicer*) {other};; *) {first};; esac\n')
    python.chmod(0o755)
    monkeypatch.setattr(tasks, "PYTHON", python)
    assert tasks.run_tests([["-x"], ["-x", "tests/slicer"]]) == [0, 3]
    said = capfd.readouterr().out.splitlines()
    assert said[-2:] == ["first", "other"]


def test_missing_libraries_are_named_as_debian_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.sys, "platform", "linux")
    monkeypatch.setattr(tasks.shutil, "which", lambda _: "/usr/bin/chromium")
    monkeypatch.setattr(tasks, "find_library", lambda name: None if name in {"EGL", "Xcursor"} else f"lib{name}.so")
    assert set(tasks.missing_system_packages()) - {"libgl1-mesa-dri"} == {"libegl1", "libxcursor1"}
