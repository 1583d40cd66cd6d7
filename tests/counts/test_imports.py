"""What is imported at a start, against `expected`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.counts.expected import HEAVY, STARTS

LOADED = """
import json, sys
print()
print(json.dumps([name for name, module in sys.modules.items() if module is not None]))
"""


@pytest.mark.parametrize("name", STARTS)
def test_a_start_imports_no_more_than_it_needs(name: str, tmp_path: Path) -> None:
    start = STARTS[name]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    shown = subprocess.run(
        [sys.executable, "-c", start.program + LOADED],
        capture_output=True,
        text=True,
        check=True,
        env=plain | {"SLICERXAI_HOME": str(tmp_path)},
    )
    modules = json.loads(shown.stdout.splitlines()[-1])
    packages = {module.split(".")[0] for module in modules}
    assert packages & HEAVY <= start.heavy, start.why
    assert len(modules) <= start.modules, start.why
