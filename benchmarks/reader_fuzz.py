"""Benchmark `reader_fuzz`: damaged and hostile files, documents and parameters.

Sound examples (made here, and files of scanners that come with nibabel and pydicom) are damaged under hypothesis with
fixed seeds: NIfTI, MGH, NRRD, MetaImage and DICOM files, plain, packed and detached; tables of cohorts; results,
multipart bodies, model folders, alarms and worklists; the parameters of every method, and requests to explain. Each
must be read, or refused with a `UserError` that is fit to be shown, within 5 s of CPU time and 256 MiB beside what the
process had; nothing is written, started or read elsewhere (`reader_fuzz_judge`). Every part runs in a process of its
own, so that a crash of native code counts, and the run goes on with the next part.

Figures: `inputs`; `accepted`, those that were read; `failures`; `crashes` of the process; `slowest_seconds` of CPU
time; `memory_mb`, the largest rise of resident memory. Inputs that failed are kept in OUT/reader_fuzz.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.reader_fuzz_judge import Kind

PART = 2_500
"""Inputs of one process."""
QUICK = 20
"""Share of the inputs that `--quick` leaves: one in so many."""
PART_SECONDS = 1_800


def kinds() -> dict[str, Kind]:
    """All kinds by name."""
    from benchmarks.reader_fuzz_documents import document_kinds
    from benchmarks.reader_fuzz_requests import request_kinds
    from benchmarks.reader_fuzz_volumes import volume_kinds

    return volume_kinds() | document_kinds() | request_kinds()


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Fuzz every kind. Returns figures, rows and notes."""
    del data
    rows = [fuzz(name, kind.inputs // (QUICK if quick else 1), out / "reader_fuzz") for name, kind in kinds().items()]
    figures = {key: sum(row[key] for row in rows) for key in ("inputs", "accepted", "failures", "crashes")}
    figures |= {key: max(row[key] for row in rows) for key in ("slowest_seconds", "memory_mb")}
    return {"figures": figures, "rows": rows, "notes": ["Fixed seeds; one process for 2,500 inputs."]}


def fuzz(name: str, inputs: int, keep: Path) -> dict[str, Any]:
    """One kind; what failed is kept in a folder."""
    row: dict[str, Any] = dict.fromkeys(("inputs", "accepted", "failures", "crashes"), 0)
    row |= {"kind": name, "slowest_seconds": 0.0, "memory_mb": 0.0}
    for seed, start in enumerate(range(0, inputs, PART)):
        found = part({name: min(PART, inputs - start)}, seed)[name]
        row["inputs"] += found["inputs"]
        row["accepted"] += found["accepted"]
        row["failures"] += len(found["failures"])
        row["crashes"] += found["crashes"]
        row["slowest_seconds"] = max(row["slowest_seconds"], found["slowest"])
        row["memory_mb"] = max(row["memory_mb"], found["memory_mb"])
        if found["failures"]:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}-{seed}.json").write_text(json.dumps(found["failures"], indent=1))
    return {"kind": row.pop("kind")} | row


def part(wanted: dict[str, int], seed: int) -> dict[str, dict[str, Any]]:
    """The findings of one process by kind. When it crashes, that is a failure of the input which lay in its folder."""
    with tempfile.TemporaryDirectory(prefix="reader-fuzz-") as temporary:
        folder = Path(temporary)
        words = [f"{name}={inputs}" for name, inputs in wanted.items()]
        command = [sys.executable, "-m", "benchmarks.reader_fuzz_process", temporary, str(seed), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PART_SECONDS, check=False)
            code, output, said = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            code, output, said = -1, "", f"no end within {PART_SECONDS} s"
        if code == 0:
            found: dict[str, Any] = json.loads(output.splitlines()[-1])
            return {name: one | {"crashes": 0} for name, one in found.items()}
        files = [path for path in (folder / "in").rglob("*") if path.is_file()]
        sample = {str(path.relative_to(folder)): path.read_bytes().hex() for path in files}
    failure = {"fault": f"the process ended with {code}: {said[-1000:]}", "input": sample}
    empty = {"inputs": 0, "accepted": 0, "failures": [failure], "crashes": 1, "slowest": 0.0, "memory_mb": 0.0}
    return dict.fromkeys(wanted, empty)
