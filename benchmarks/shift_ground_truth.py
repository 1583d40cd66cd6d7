"""Benchmark `shift_ground_truth`: shift attribution on the phantom, where every swapped mechanism is known.

Protocol, fixed beforehand: environments of 15 source and 38 target patients, as in MSSEG 2016, and of ten times as
many, are drawn from a pool (`shift_pool`, `shift_truth`) whose seed no setting was chosen on. Truth is the value over
the pool. Every estimator sees the same draws. Runs judged unreliable are left out of errors and coverage, but count in
the shares. `robust` was named the best of the weighting-based estimators on another pool, before these draws.

Besides estimates there are observed exchanges: "harmonise" carries every image over to the other site's look and runs
the model again; "paired" has both readers' masks on every image, the yardstick on real data.

Floors, which see what no estimator can: "exact" weighs with the mechanisms' own density ratios; "swapped" reads each
drawn patient's own metric under the swapped mechanisms, so that only the choice of patients is left.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.shift_exchange import harmonised, paired
from benchmarks.shift_pool import PoolParameters, generate, pool_folder
from benchmarks.shift_truth import MECHANISMS, SHIFTS, SOURCE, SOURCES, Draw, Pool, draw, true_drop
from slicerxai import runtime
from slicerxai.data.files import replaced_text
from slicerxai.shift.attribution import Attribution, attribute
from slicerxai.shift.options import EstimatorName, Options
from slicerxai.shift.shapley import shapley

Array = NDArray[np.float64]

ESTIMATORS: Final[tuple[EstimatorName, ...]] = ("plain", "weighting", "robust")
BEST: Final[EstimatorName] = "robust"
SMALL, LARGE = (15, 38), (150, 380)
PURE: Final = {"acquisition": 1, "annotation": 2, "population": 0}
"""Shifts of one mechanism and its index."""
OVERLAPPING: Final = ("neither", *PURE, "both")
SAME_SCANS: Final = (("neither", "annotation"), ("acquisition", "both"), ("population",))
"""Overlapping shifts whose draws of one seed hold the same images, which need to be carried over once."""


@dataclass(frozen=True)
class Size:
    """How much of everything: seeds of small draws, how many of them are harmonised too, seeds of large draws."""

    pool: PoolParameters
    small: int
    harmonised: int
    large: int


FULL = Size(PoolParameters(seed=101, patients=160), small=30, harmonised=10, large=20)
QUICK = Size(PoolParameters(seed=102, patients=40, training_patients=8, steps=200), small=3, harmonised=1, large=0)


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Generate what is missing of the pool, draw, attribute, compare. Returns figures, rows and notes.

    Args:
        data: root of pools made before; by default a folder in `out`.
    """
    runtime.configure()
    size = QUICK if quick else FULL
    workers = os.cpu_count() or 1
    root = data or out / f"shift-pools{'-quick' if quick else ''}"
    pool = Pool.load(generate(root, size.pool, workers, _printed))
    cache = out / f"shift_ground_truth{'-quick' if quick else ''}"
    estimate = partial(Job, root, size.pool, cache, harmonised=False)
    jobs = [estimate(seed=seed, sizes=SMALL, kinds=tuple(SHIFTS)) for seed in range(size.small)]
    jobs += [estimate(seed=seed, sizes=LARGE, kinds=OVERLAPPING) for seed in range(size.large)]
    jobs += [
        Job(root, size.pool, cache, harmonised=True, seed=seed, sizes=SMALL, kinds=kinds)
        for seed in range(size.harmonised)
        for kinds in SAME_SCANS
    ]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        answers = judged([answer for found in processes.map(answers_of, jobs) for answer in found])
    return {"figures": figures(answers), "rows": table(answers), "notes": _notes(pool, size)}


@dataclass(frozen=True)
class Job:
    """Draws of one seed: estimated, or harmonised. Its answers are kept in `cache`: an interrupted run goes on."""

    root: Path
    parameters: PoolParameters
    cache: Path
    harmonised: bool
    seed: int
    sizes: tuple[int, int]
    kinds: tuple[str, ...]

    def file(self, kind: str) -> Path:
        return (
            self.cache
            / f"{kind.replace(' ', '-')}-{self.sizes[0]}-{self.seed:03d}{'-harmonised' * self.harmonised}.json"
        )


@dataclass(frozen=True)
class Answer:
    """One estimator's answer to one draw; shares in Dice points.

    Attributes:
        interval: (3, 2); None for floors.
        reliable: whether the verdict is anything but unreliable.
    """

    kind: str
    sizes: tuple[int, int]
    seed: int
    estimator: str
    phi: list[float]
    truth: list[float]
    interval: list[list[float]] | None
    reliable: bool

    @property
    def large(self) -> bool:
        return self.sizes == LARGE

    @property
    def disjoint(self) -> bool:
        return self.kind.startswith("disjoint")

    @property
    def error(self) -> Array:
        return np.subtract(self.phi, self.truth)


def answers_of(job: Job) -> list[Answer]:
    """All estimators on the draws of a job."""
    runtime.configure()
    torch.set_num_threads(1)
    answers = []
    for kind in job.kinds:
        file = job.file(kind)
        if not file.is_file():
            job.cache.mkdir(parents=True, exist_ok=True)
            replaced_text(file, json.dumps(_records(job, kind)) + "\n")
            print(f"{file.stem}: done", flush=True)
        answers += [Answer(kind, job.sizes, job.seed, **record) for record in json.loads(file.read_text())]
    return answers


@lru_cache(maxsize=1)
def _pool(folder: Path) -> Pool:
    return Pool.load(folder)


def _records(job: Job, kind: str) -> list[dict[str, Any]]:
    pool = _pool(pool_folder(job.root, job.parameters.seed))
    source, target = SOURCES.get(kind, SOURCE), SHIFTS[kind]
    drawn = draw(pool, source, target, job.sizes, job.seed)
    options = Options(estimator=BEST, seed=job.seed)
    if job.harmonised:
        swapped = harmonised(job.root, job.parameters, pool, drawn)
        records = [_record("harmonise", attribute(drawn.pair, options=options, swapped=swapped))]
    else:
        records = [
            _record(name, attribute(drawn.pair, options=Options(estimator=name, seed=job.seed))) for name in ESTIMATORS
        ]
        records.append(_record("paired", attribute(drawn.pair, options=options, swapped=paired(drawn))))
        for floor, values in (("exact", exact_values(drawn)), ("swapped", swapped_values(drawn))):
            phi = (-100 * shapley(values)).tolist()
            records.append({"estimator": floor, "phi": phi, "interval": None, "reliable": True})
    truth = (100 * true_drop(pool, source, target)).tolist()
    return [record | {"truth": truth} for record in records]


def _record(name: str, result: Attribution) -> dict[str, Any]:
    return {
        "estimator": name,
        "phi": (100 * result.phi).tolist(),
        "interval": (100 * result.interval).tolist(),
        "reliable": _reliable(result),
    }


def _reliable(result: Attribution) -> bool:
    return all(check.verdict != "unreliable" for check in result.checks)


def exact_values(drawn: Draw) -> Array:
    """Coalitions by the source's cases and their exact density ratios; all from the target is observed. (8,)."""
    n = len(drawn.pair.source)
    log_ratio, metric = drawn.log_ratio[:n], drawn.pair.source.metric
    values = np.empty(8)
    for coalition in range(8):
        chosen = [bit for bit in range(3) if coalition >> bit & 1]
        logs = log_ratio[:, chosen].sum(axis=1)
        weights = np.exp(logs - logs.max()) if np.isfinite(logs).any() else np.ones(n)
        values[coalition] = np.average(metric, weights=weights)
    values[7] = drawn.pair.target.metric.mean()
    return values


def swapped_values(drawn: Draw) -> Array:
    """Coalitions by the drawn patients' own metrics, of the target's patients where these are the population. (8,)."""
    n = len(drawn.pair.source)
    return np.array([(drawn.swapped[n:] if c & 1 else drawn.swapped[:n])[:, c].mean() for c in range(8)])


def judged(answers: Sequence[Answer]) -> list[Answer]:
    """The published estimator comes without a verdict: it is shown on the runs that the best one answers."""
    best = {(a.kind, a.sizes, a.seed): a.reliable for a in answers if a.estimator == BEST}
    return [replace(a, reliable=best[a.kind, a.sizes, a.seed]) if a.estimator == "plain" else a for a in answers]


def figures(answers: Sequence[Answer]) -> dict[str, float]:
    """The named figures; one is left out where no run speaks to it."""
    found: dict[str, float] = {}
    overlapping = [a for a in answers if a.kind in OVERLAPPING]
    small = [a for a in overlapping if not a.large]
    for name in (*ESTIMATORS, "harmonise", "paired"):
        found |= _rmse(f"rmse_{name}", [a for a in small if a.estimator == name and a.reliable])
    found |= _rmse("rmse_plain_all", [a for a in small if a.estimator == "plain"])
    found |= _rmse("rmse_floor", [a for a in small if a.estimator == "exact"])
    found |= _rmse("rmse_floor_swapped", [a for a in small if a.estimator == "swapped"])
    large = [a for a in overlapping if a.large and a.estimator == BEST and a.reliable]
    found |= _rmse("rmse_best_large", large)
    mine = [a for a in small if a.estimator == BEST]
    answered = [a for a in mine if a.reliable]
    found["answered_share"] = len(answered) / len(mine)
    if answered:
        found["coverage_95"] = float(np.mean([_covers(a) for a in answered]))
    pure = [a for a in answered if a.kind in PURE]
    if pure:
        found["dominant_right"] = float(np.mean([_largest(a.phi) == PURE[a.kind] for a in pure]))
    apart = [a for a in answers if a.disjoint and a.estimator == BEST]
    null = [a for a in small if a.kind == "neither" and a.estimator == BEST]
    if null:
        found["null_silent"] = float(np.mean([not _significant(a) for a in null]))
    found["unreliable_recall"] = float(np.mean([not a.reliable for a in apart]))
    return found


def _rmse(name: str, answers: Sequence[Answer]) -> dict[str, float]:
    return {name: float(np.sqrt(np.mean([a.error**2 for a in answers])))} if answers else {}


def _covers(answer: Answer) -> Array:
    assert answer.interval is not None
    low, high = np.transpose(answer.interval)
    truth = np.asarray(answer.truth)
    return np.asarray((low <= truth) & (truth <= high))


def _significant(answer: Answer) -> bool:
    """Whether the interval of any share leaves out zero."""
    assert answer.interval is not None
    return any(low > 0 or high < 0 for low, high in answer.interval)


def _largest(phi: list[float]) -> int:
    return int(np.argmax(np.abs(phi)))


def table(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """One row for each shift, size, estimator and mechanism, over the runs that are not judged unreliable."""
    rows = []
    for key in dict.fromkeys((a.kind, a.sizes, a.estimator) for a in answers):
        runs = [a for a in answers if (a.kind, a.sizes, a.estimator) == key]
        kept = [a for a in runs if a.reliable]
        for index, mechanism in enumerate(MECHANISMS):
            row: dict[str, Any] = {
                "shift": key[0],
                "patients": f"{key[1][0]} + {key[1][1]}",
                "estimator": key[2],
                "mechanism": mechanism,
                "true φ": runs[0].truth[index],
                "answered": len(kept) / len(runs),
            }
            if kept:
                error = np.array([a.error[index] for a in kept])
                row |= {
                    "estimated φ": float(np.mean([a.phi[index] for a in kept])),
                    "bias": float(error.mean()),
                    "RMSE": float(np.sqrt((error**2).mean())),
                }
                if index == 0 and any(runs[0].truth):
                    row["largest named right"] = float(np.mean([_largest(a.phi) == _largest(a.truth) for a in kept]))
            if kept and kept[0].interval is not None:
                row["coverage"] = float(np.mean([_covers(a)[index] for a in kept]))
            rows.append(row)
    return rows


def _notes(pool: Pool, size: Size) -> list[str]:
    return [
        f"Pool {size.pool.seed} of {len(pool)} patients; {size.small} draws of each shift at {SMALL[0]} + {SMALL[1]} "
        f"patients ({size.harmonised} for harmonise), {size.large} at {LARGE[0]} + {LARGE[1]}; φ in Dice points, "
        "positive where the mechanism cost performance.",
        "The floors see exact density ratios or swapped mechanisms, which no estimator can.",
        f"The published estimator (plain) has no verdict and is shown on the runs that {BEST} answers; "
        "`rmse_plain_all` is over all.",
    ]


def _printed(fraction: float, message: str) -> None:
    print(f"{fraction:4.0%} {message}", flush=True)
