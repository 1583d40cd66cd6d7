"""Benchmark `cluster_speed`: every case of a phantom cohort predicted and judged, by one worker process and by two.

The two take turns on parts of the cohort, each case with one CPU thread, results written with their reports.
`ratio` is the time of one worker over that of two from nothing, the start of the processes and the loading of the model
among it; `ratio_warm` leaves both out. Results are compared with those of the same cases explained one after the other
in one process: `max_abs_difference` over all voxels of all overlays; parameters, checks, tables and the SHA-256 of
every file must be the same, or the benchmark ends. Then all of it again, with a worker killed in the middle of a case:
`lost` is the number of cases without the same result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from distributed import Client

from benchmarks.side_by_side import Disagreement
from slicerxai import runtime
from slicerxai.cluster.batch import run_batch
from slicerxai.cluster.folder import Row, folder_names
from slicerxai.cluster.request import Place, Request
from slicerxai.cluster.workers import local_workers
from slicerxai.data.cohort import Cohort
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.explain.folder import load
from slicerxai.explain.result import save_result
from slicerxai.explain.run import parse_parameters
from slicerxai.explain.run import run as explain
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from slicerxai.progress import Progress, silent
from slicerxai.settings import settings
from tests.support.batches import KillOneAtWork, content

METHOD = "prediction"
PARAMETERS: dict[str, str] = {}
MODEL = "small"
TRAINING = FastTrainingParameters(
    spacing=3.0, patch=32, features=(8, 16), batch=4, steps=150, lr=1e-2, augmentation=0.0, precision="float32"
)
TRAINED_ON = 4
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """What all runs compute."""

    cohort: Cohort
    request: Request
    place: Place
    root: Path

    def batch(self, client: Client, cases: Sequence[int], out: str, progress: Progress = silent) -> list[Row]:
        """Some of the cases, into a folder below `root`."""
        some = Cohort(self.cohort.name, tuple(self.cohort.cases[index] for index in cases))
        return run_batch(client, some, ["FLAIR"], self.request, self.place, self.root / out, progress=progress)

    def serial(self) -> dict[str, Path]:
        """The folder of every case's result, computed in this process one after the other."""
        model = ModelStore(self.place.home / "models").load(MODEL, CPU)
        parameters = parse_parameters(METHOD, self.request.parameters)
        names = folder_names([case.id for case in self.cohort])
        found = {case.id: self.root / "serial" / names[case.id] for case in self.cohort}
        for case in self.cohort:
            save_result(explain(METHOD, parameters, model, case.id, {"FLAIR": case.images["FLAIR"]}), found[case.id])
        return found


def prepare(root: Path, patients: int) -> Task:
    """A cohort of `patients` of four centres, and a model trained on other patients for a minute."""
    cohort = write_cohort(root / "cohort", PhantomParameters(patients=patients // 4, raters=("1",), seed=7))
    others = write_cohort(root / "others", PhantomParameters(patients=TRAINED_ON // 4, raters=("1",), seed=8))
    store = ModelStore(root / "home" / "models")
    info = train("fast", list(others), "consensus", TRAINING, store, MODEL, CPU)
    parameters = parse_parameters(METHOD, PARAMETERS).model_dump(mode="json")
    request = Request(METHOD, parameters, cohort.name, MODEL, info.digest)
    return Task(cohort, request, Place(root / "home", "cpu", 1, settings().voxel_limit), root)


@contextmanager
def ready(task: Task, number: int) -> Iterator[tuple[Client, float]]:
    """Workers that have loaded the model, and the seconds until then."""
    started = time.perf_counter()
    with local_workers(number, task.place.threads, {}) as client:
        task.batch(client, range(number), f"first of {number}")
        yield client, time.perf_counter() - started


def difference(folder: Path, expected: Path) -> float:
    """Largest difference of a voxel. Raises `Disagreement` where anything else is not the same."""
    ours, theirs = load(folder), load(expected)
    found = max(
        float(np.abs(np.subtract(overlay.volume.array, theirs.overlays[name].volume.array, dtype=np.float64)).max())
        for name, overlay in ours.overlays.items()
    )
    if found == 0 and content(folder) != content(expected):
        msg = f"{folder.name} differs from the serial run"
        raise Disagreement(msg)
    return found


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    threads = torch.get_num_threads()
    runtime.configure()
    torch.set_num_threads(1)
    try:
        return measure(patients=20 if quick else 200, parts=2 if quick else 5)
    finally:
        torch.set_num_threads(threads)


def measure(patients: int, parts: int) -> dict[str, Any]:
    """All figures for a cohort of `patients`, of which `parts` are computed by one and by two workers in turn."""
    with TemporaryDirectory(prefix="cluster-speed-") as folder, ExitStack() as stack:
        task = prepare(Path(folder), patients)
        began = time.perf_counter()
        expected = task.serial()
        serial = time.perf_counter() - began
        clients, starts = {}, {}
        for number in (1, 2):
            clients[number], starts[number] = stack.enter_context(ready(task, number))
        spent: dict[int, list[float]] = {1: [], 2: []}
        rows: dict[int, list[Row]] = {1: [], 2: []}
        for part in np.array_split(np.arange(len(task.cohort)), parts):
            for number, client in clients.items():
                began = time.perf_counter()
                rows[number] += task.batch(client, list(part), f"by {number}")
                spent[number].append(time.perf_counter() - began)
        differences = [
            difference(task.root / f"by {number}" / "cases" / row.folder, expected[row.case])
            for number in rows
            for row in rows[number]
        ]
        kill = KillOneAtWork(clients[2])
        after = task.batch(clients[2], range(len(task.cohort)), "killed", kill)
        lost = sum(not _is_same(task.root / "killed" / "cases" / row.folder, expected[row.case]) for row in after)
    if kill.killed is None:
        msg = "no worker was killed in the middle of a case"
        raise Disagreement(msg)
    warm = {number: sum(seconds) for number, seconds in spent.items()}
    whole = {number: warm[number] + starts[number] for number in warm}
    part_ratios = [one / two for one, two in zip(spent[1], spent[2], strict=True)]
    figures = {
        "ratio": whole[1] / whole[2],
        "ratio_warm": warm[1] / warm[2],
        "ratio_warm_least": min(part_ratios),
        "ratio_warm_most": max(part_ratios),
        "max_abs_difference": max(differences),
        "lost": float(lost),
        "cases": float(len(expected)),
        "attempts_after_kill": float(sum(row.attempts for row in after)),
    }
    table: list[dict[str, Any]] = [
        {
            "workers": number,
            "seconds": whole[number],
            "of them start": starts[number],
            "a case": warm[number] / len(expected),
        }
        for number in warm
    ]
    table.insert(0, {"workers": "none (serial)", "seconds": serial, "a case": serial / len(expected)})
    return {
        "figures": figures,
        "rows": table,
        "notes": [
            f"{len(expected)} phantom patients at 2 mm, method {METHOD} with report, one CPU thread "
            f"a case, {parts} turns, {os.cpu_count()} cores."
        ],
    }


def _is_same(folder: Path, expected: Path) -> bool:
    return folder.is_dir() and content(folder) == content(expected)
