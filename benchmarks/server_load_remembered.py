"""Part "remembered" of benchmark `server_load`: what the list of jobs that a server remembers takes, and where it ends.

A server answers from memory while its disk is full, and therefore remembers its newest jobs. Here the same list is
filled far beyond that number, in a process of its own, with jobs of the size that the load makes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

JOBS = (0, 500, 1000, 1500, 2000, 3000, 4000, 8000)
NOTE_CHARACTERS = 700
"""In the request, so that a job takes as much of the list as one of the load."""


def measure() -> dict[str, Any]:
    """Resident memory against the number of jobs."""
    told = subprocess.run([sys.executable, "-m", __name__], check=True, capture_output=True, text=True).stdout
    megabytes = {int(jobs): float(mb) for jobs, mb in (line.split() for line in told.splitlines())}
    rows = [{"jobs so far": jobs, "memory more than at first, MB": round(mb, 2)} for jobs, mb in megabytes.items()]
    figures = {"remembered_mb": megabytes[2000], "beyond_mb": megabytes[8000] - megabytes[2000]}
    return {"server": "list", "figures": figures, "rows": rows, "notes": []}


def fill() -> None:
    """Print the memory for each number of jobs."""
    from slicerxai.server.jobs import Job, JobStore

    process, before, first = psutil.Process(), 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        store = JobStore(Path(folder) / "jobs.sqlite3", remembers=True)
        for until in JOBS:
            for number in range(before, until):
                request = {"image": f"image{number}", "parameters": {"seed": number, "note": "x" * NOTE_CHARACTERS}}
                job = Job(kind="explain", method="saliency", request=request, owner="server", key=f"{number:064}")
                store.add(job)
                store.begin(job.computation, 1)
                store.finish(job.computation, "done", "done")
            before = until
            taken = process.memory_info().rss / 1e6
            first = first or taken
            print(until, taken - first)


if __name__ == "__main__":
    fill()
