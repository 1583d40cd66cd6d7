"""Benchmark `cli_start`: seconds until `slicerxai --help` has printed, beside `monailabel --help`.

Both are started as a shell starts them, in turns, by the Python that runs this. The limit is that Python importing
click, of which the command line is made, and ending. Checked first: every command that the page lists without
importing it can be imported and has that name; `max_abs_difference` is the number of those of which it is not so.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import ratios, side_by_side
from slicerxai.cli.main import COMMANDS

STARTS: dict[str, Sequence[str]] = {
    "slicerxai": ("-m", "slicerxai.cli.main", "--help"),
    "monailabel": ("-m", "monailabel.main", "--help"),
    "limit": ("-c", "import click"),
}


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    wrong = _wrong_commands(_said("slicerxai"))
    if wrong:
        msg = f"the page and the commands do not agree: {', '.join(wrong)}"
        raise RuntimeError(msg)
    times = side_by_side({name: lambda name=name: _said(name) for name in STARTS}, turns=3 if quick else 15)  # type: ignore[misc]
    figures = ratios(times["slicerxai"], times["monailabel"], times["limit"])
    figures |= {"seconds": figures["ours"], "max_abs_difference": len(wrong)}
    rows = [
        {
            "who": name,
            "seconds": t.seconds,
            "lower quartile": t.low,
            "upper quartile": t.high,
            "CPU seconds": t.cpu_seconds,
        }
        for name, t in times.items()
    ]
    return {"figures": figures, "rows": rows, "notes": [f"Medians of {times['slicerxai'].turns} turns."]}


def _said(name: str) -> str:
    return subprocess.run([sys.executable, *STARTS[name]], check=True, capture_output=True, text=True).stdout


def _wrong_commands(page: str) -> list[str]:
    """Listed commands that cannot be imported under their name, and others that the page leaves out."""
    listed = {words[0] for line in page.splitlines() if line.startswith("  ") and (words := line.split())}
    imported = {name: import_module(f"slicerxai.cli.{name}").command.name for name in COMMANDS}
    return [name for name, own in imported.items() if own != name or name not in listed]
