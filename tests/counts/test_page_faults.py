"""Page faults of a process that computes: each costs about as much as a few thousand multiplications."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MEBIBYTES = 64
PAGES = MEBIBYTES * 2**20 // os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
PROGRAM = f"""
import json, resource
from slicerxai import runtime
runtime.configure()
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.ones(1000).sum()
start = faults()
empty = torch.empty({MEBIBYTES} * 2**18)
made = faults()
empty.fill_(1.0)
print(json.dumps([made - start, faults() - made]))
"""


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """Page faults of making a large tensor, and of writing to all of it."""
    if not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text():
        pytest.skip("this system gives no huge pages to those who ask for them")
    home = {"SLICERXAI_HOME": str(tmp_path_factory.mktemp("home"))}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=plain | home
    )
    made, written = json.loads(shown.stdout.splitlines()[-1])
    return made, written


def test_determinism_does_not_write_what_is_written_anyway(faults: tuple[int, int]) -> None:
    assert faults[0] < PAGES / 100


def test_large_tensors_lie_on_huge_pages(faults: tuple[int, int]) -> None:
    assert faults[1] < PAGES / 8
