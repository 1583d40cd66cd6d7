from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.panel_blocking import PARTS, QUICK, TESTS, Wait, waits_of
from slicerxai.errors import UserError

CASE = '<testcase classname="tests.slicer.panel.test_a" name="test_b">{}</testcase>'
PROPERTIES = (
    '<properties><property name="longest_wait" value="{}" /><property name="blocked" value="{}" /></properties>'
)


def written(folder: Path, *cases: str) -> Path:
    path = folder / "report.xml"
    path.write_text(f"<testsuites><testsuite>{''.join(map(CASE.format, cases))}</testsuite></testsuites>")
    return path


def test_every_part_is_there_and_every_panel_has_one() -> None:
    paths = {path for part in PARTS.values() for path in part}
    assert all((TESTS / path).is_file() for path in paths)
    with_jobs = {path.parent.name for path in TESTS.glob("*/test_*_run.py")}
    assert with_jobs <= {path.split("/")[0] for path in paths}
    assert set(QUICK) <= set(PARTS)


def test_waits_of_tests_with_and_without_a_window(tmp_path: Path) -> None:
    late = f'<error message="the guard found" />{PROPERTIES.format(0.31, 2)}'
    report = written(tmp_path, PROPERTIES.format(0.0125, 0), "", late)
    assert waits_of(report) == [Wait("panel.test_a.test_b", 0.0125, 0), Wait("panel.test_a.test_b", 0.31, 2)]


@pytest.mark.parametrize(
    "case",
    [
        f'<failure message="AssertionError" />{PROPERTIES.format(0.31, 2)}',
        f'<error message="a thread still runs" />{PROPERTIES.format(0.01, 0)}',
    ],
)
def test_a_test_that_failed_for_another_reason_ends_it(tmp_path: Path, case: str) -> None:
    with pytest.raises(UserError, match=r"panel\.test_a\.test_b failed"):
        waits_of(written(tmp_path, case))


def test_without_windows_nothing_was_measured(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="slicer-core"):
        waits_of(written(tmp_path, ""))
