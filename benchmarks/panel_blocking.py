"""Benchmark `panel_blocking`: how long Slicer's window does not answer while its panels are at work.

The jobs that the tests of the panels run, on the real server and the real scene, each panel in a process of its own,
without coverage, whose tracing makes all Python slower. Their watchdog measures how long Qt's events wait: computing,
sleeping, waiting for anything. Not counted are drawing by software OpenGL, collecting Python's garbage, time in which
the machine gave no processor, and waits in which it read code from the disk again that it had thrown out of memory
(`tests/slicer/slicer_double/watchdog.py`).

`over_limit` counts waits of more than 0.1 s, which people notice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from slicerxai.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "slicer"
LIMIT = 0.1
"""Seconds."""
PARTS = {
    "This image": ("panel/test_panel_run.py", "panel/test_panel_large.py"),
    "Worklist": ("review/test_review_run.py", "review/test_review_large.py"),
    "MSSEG Cohort": ("cohort/test_cohort_panel.py", "cohort/test_cohort_large.py"),
    "Counterfactuals": ("counterfactual/test_counterfactual_run.py", "counterfactual/test_counterfactual_retrain.py"),
    "What if?": ("property/test_property_run.py", "property/test_property_panel.py"),
    "Shift Attribution": ("shift/test_shift_run.py",),
    "All Methods": ("methods/test_methods_run.py",),
    "Jobs": ("tray/test_tray_panels.py",),
    "all, step by step": ("walk/test_walk_roles.py",),
}
"""Tests that run jobs, by the panel that runs them."""
QUICK = ("This image", "What if?")


@dataclass(frozen=True)
class Wait:
    """What the watchdog saw in one test.

    Attributes:
        test: its name.
        seconds: the longest that events waited.
        over_limit: number of waits of more than `LIMIT`.
    """

    test: str
    seconds: float
    over_limit: int


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Run the tests of the panels. Returns figures, rows and notes."""
    del data
    found = {part: _measured(part, out) for part in (QUICK if quick else PARTS)}
    waits = [wait for part in found.values() for wait in part]
    figures = {
        "longest_ms": 1000 * max(wait.seconds for wait in waits),
        "over_limit": sum(wait.over_limit for wait in waits),
        "tests": len(waits),
    }
    notes = [f"Waits of more than {1000 * LIMIT:.0f} ms are over the limit."]
    return {"figures": figures, "rows": [_row(part, waits) for part, waits in found.items()], "notes": notes}


def _row(part: str, waits: list[Wait]) -> dict[str, Any]:
    longest = max(waits, key=lambda wait: wait.seconds)
    return {
        "panel": part,
        "tests": len(waits),
        "longest ms": 1000 * longest.seconds,
        "over the limit": sum(wait.over_limit for wait in waits),
        "in": longest.test,
    }


def _measured(part: str, out: Path) -> list[Wait]:
    name = "".join(letter if letter.isalnum() else "_" for letter in part.lower())
    report = (out / f"panel_blocking_{name}.xml").resolve()
    command = [sys.executable, "-m", "pytest", "-q", f"--block-limit={LIMIT}", f"--junit-xml={report}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [*command, *(str(TESTS / path) for path in PARTS[part])],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if not report.is_file():
        msg = f"{part}: pytest wrote no report: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise UserError(msg)
    return waits_of(report)


def waits_of(report: Path) -> list[Wait]:
    """What pytest wrote about the tests that used a window.

    Args:
        report: as `--junit-xml` writes it.

    Raises:
        UserError: a test failed for another reason than waits, or none used a window.
    """
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        kept = {one.get("name"): float(one.get("value", "0")) for one in case.iter("property")}
        name = f"{case.get('classname')}.{case.get('name')}"
        faults = [*case.iter("failure"), *(one for one in case.iter("error") if not kept.get("blocked"))]
        if faults:
            msg = f"{name} failed: {faults[0].get('message')}"
            raise UserError(msg)
        if "longest_wait" in kept:
            found.append(Wait(name.removeprefix("tests.slicer."), kept["longest_wait"], int(kept["blocked"])))
    if not found:
        msg = f"{report}: no test used a window; is slicer-core installed?"
        raise UserError(msg)
    return found
