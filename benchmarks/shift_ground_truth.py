"""Benchmark `shift_ground_truth`: shift attribution on the phantom, where every swapped mechanism is known.

Protocol, fixed beforehand: environments of 15 source and 38 target patients, as in MSSEG 2016, and of ten times as
many, are drawn from a pool (`shift_pool`, `shift_truth`) whose seed no setting was chosen on. Truth is the value over
the pool. Every estimator sees the same draws. Runs judged unreliable are left out of errors and coverage, but count in
the shares.

Floors, which see what no estimator can: "exact" weighs with the mechanisms' own density ratios; "swapped" reads each
drawn patient's own metric under the swapped mechanisms, so that only the choice of patients is left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.shift_pool import PoolParameters, generate
from benchmarks.shift_truth import MECHANISMS, SHIFTS, SOURCE, SOURCES, Draw, Pool, draw, true_drop
from slicerxai import runtime
from slicerxai.data.files import replaced_text
from slicerxai.shift.attribution import Attribution, attribute
from slicerxai.shift.options import EstimatorName, Options
from slicerxai.shift.shapley import shapley

Array = NDArray[np.float64]

ESTIMATORS: Final[tuple[EstimatorName, ...]] = ("plain", "weighting", "robust")
FLOORS: Final = ("exact", "swapped")
SMALL, LARGE = (15, 38), (150, 380)
PURE: Final = {"acquisition": 1, "annotation": 2, "population": 0}
"""Shifts of one mechanism and its index."""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    pool: PoolParameters
    seeds: int
    sizes: tuple[tuple[int, int], ...]


FULL = Size(PoolParameters(seed=101, patients=600), seeds=20, sizes=(SMALL, LARGE))
QUICK = Size(PoolParameters(seed=101, patients=60, training_patients=8, steps=200), seeds=3, sizes=(SMALL,))


def run(data: Path | None, out: Path, quick: bool, workers: int = 1) -> dict[str, Any]:
    """Generate what is missing of the pool, draw, attribute, compare. Returns figures, rows and notes.

    Args:
        data: root of pools made before; by default a folder in `out`.
        workers: processes that generate the pool.
    """
    runtime.configure()
    size = QUICK if quick else FULL
    root = data or out / f"shift-pools{'-quick' if quick else ''}"
    pool = Pool.load(generate(root, size.pool, workers, _printed))
    answers = [
        answer
        for sizes in size.sizes
        for kind in SHIFTS
        for seed in range(size.seeds)
        for answer in _answers(pool, kind, sizes, seed, out / "shift_ground_truth")
    ]
    return {"figures": figures(answers), "rows": table(answers), "notes": _notes(pool, size)}


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


def _answers(pool: Pool, kind: str, sizes: tuple[int, int], seed: int, cache: Path) -> list[Answer]:
    """All estimators on one draw; kept, so that an interrupted run goes on."""
    file = cache / f"{kind.replace(' ', '-')}-{sizes[0]}-{seed:03d}.json"
    if not file.is_file():
        source, target = SOURCES.get(kind, SOURCE), SHIFTS[kind]
        truth = 100 * true_drop(pool, source, target)
        drawn = draw(pool, source, target, sizes, seed)
        found = {name: attribute(drawn.pair, options=Options(estimator=name, seed=seed)) for name in ESTIMATORS}
        records = [
            {
                "estimator": name,
                "phi": (100 * result.phi).tolist(),
                "interval": (100 * result.interval).tolist(),
                "reliable": _reliable(result),
            }
            for name, result in found.items()
        ]
        for name in FLOORS:
            values = exact_values(drawn) if name == "exact" else swapped_values(drawn)
            phi = (-100 * shapley(values)).tolist()
            records.append({"estimator": name, "phi": phi, "interval": None, "reliable": True})
        cache.mkdir(parents=True, exist_ok=True)
        replaced_text(file, json.dumps([record | {"truth": truth.tolist()} for record in records]) + "\n")
        print(f"{kind}, {sizes[0]} + {sizes[1]} patients, seed {seed}: done", flush=True)
    return [Answer(kind=kind, sizes=sizes, seed=seed, **record) for record in json.loads(file.read_text())]


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


def figures(answers: Sequence[Answer]) -> dict[str, float]:
    """The named figures; one is left out where no run speaks to it."""
    found: dict[str, float] = {}
    small = [a for a in answers if not a.large and not a.disjoint]
    for name in ESTIMATORS:
        found |= _rmse(f"rmse_{name}", [a for a in small if a.estimator == name and a.reliable])
    found |= _rmse("rmse_floor", [a for a in small if a.estimator == "exact"])
    found |= _rmse("rmse_floor_swapped", [a for a in small if a.estimator == "swapped"])
    best = min(("weighting", "robust"), key=lambda name: found.get(f"rmse_{name}", np.inf))
    large = [a for a in answers if a.large and not a.disjoint and a.estimator == best and a.reliable]
    found |= _rmse("rmse_best_large", large)
    mine = [a for a in small if a.estimator == best]
    answered = [a for a in mine if a.reliable]
    found["answered_share"] = len(answered) / len(mine)
    if answered:
        found["coverage_95"] = float(np.mean([_covers(a) for a in answered]))
    pure = [a for a in answered if a.kind in PURE]
    if pure:
        found["dominant_right"] = float(np.mean([np.argmax(np.abs(a.phi)) == PURE[a.kind] for a in pure]))
    apart = [a for a in answers if a.disjoint and a.estimator == best]
    found["unreliable_recall"] = float(np.mean([not a.reliable for a in apart]))
    return found


def _rmse(name: str, answers: Sequence[Answer]) -> dict[str, float]:
    return {name: float(np.sqrt(np.mean([a.error**2 for a in answers])))} if answers else {}


def _covers(answer: Answer) -> Array:
    assert answer.interval is not None
    low, high = np.transpose(answer.interval)
    truth = np.asarray(answer.truth)
    return np.asarray((low <= truth) & (truth <= high))


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
            if kept and kept[0].interval is not None:
                row["coverage"] = float(np.mean([_covers(a)[index] for a in kept]))
            rows.append(row)
    return rows


def _notes(pool: Pool, size: Size) -> list[str]:
    return [
        f"Pool {size.pool.seed} of {len(pool)} patients; {size.seeds} draws of each shift and size; φ in Dice points, "
        "positive where the mechanism cost performance.",
        "The floors see exact density ratios or swapped mechanisms, which no estimator can.",
    ]


def _printed(fraction: float, message: str) -> None:
    print(f"{fraction:4.0%} {message}", flush=True)
