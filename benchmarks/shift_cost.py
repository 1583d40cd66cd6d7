"""Benchmark `shift_cost`: seconds and memory of shift attribution's computations.

1. Exact Shapley values of 12 mechanisms in 1000 bootstrap draws, given the density ratios: once with ratios that are
   the same in all draws (500 cases), once with ratios of every draw's own (53 cases).
2. Training of the discriminators of 2 to 32 mechanisms, each with one parent, cross-fitted on 53 cases in 20 draws:
   the exponent of seconds over the number of mechanisms, 1 being linear.
3. Shapley values of 18 mechanisms from sampled coalitions: the error on a game whose values are known.

Sizes are visited in turn and the turns repeated; medians are reported, of one thread. CPU seconds do not depend on what
else the machine does.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from slicerxai.shift.bootstrap import draw
from slicerxai.shift.discriminators import LogisticDiscriminator, subject_folds
from slicerxai.shift.estimators.weighting import weighted_values
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.samples import Pair, Samples
from slicerxai.shift.shapley import coalitions, shapley

Array = NDArray[np.float64]
MECHANISMS, DRAWS = 12, 1000
COUNTS = (2, 4, 8, 16, 32)
SOURCE, TARGET = 15, 38
SAMPLED = 18


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    turns = 2 if quick else 5
    with threadpool_limits(1):
        shared = _shapley(*_ratios(500, own=False))
        own = _shapley(*_ratios(SOURCE + TARGET, own=True))
        rows = [_measured("12 mechanisms, 1000 draws, 500 cases, shared ratios", shared, turns)]
        rows.append(_measured("12 mechanisms, 1000 draws, 53 cases, own ratios", own, turns))
        models = {count: _model(count) for count in COUNTS}
        seconds: dict[int, list[float]] = {count: [] for count in COUNTS}
        for _ in range(turns):
            for count, model in models.items():
                weights = draw(model.pair.subjects, model.pair.labels, 20, 0)
                seconds[count].append(_cpu(partial(model.log_ratios, weights)))
    typical = {count: median(values) for count, values in seconds.items()}
    rows += [{"what": f"discriminators of {n} mechanisms", "CPU seconds": typical[n]} for n in COUNTS]
    exponent = np.polyfit(np.log(list(typical)), np.log(list(typical.values())), 1)[0]
    error, claimed = _sampling_error()
    figures = {
        "shapley_seconds": rows[0]["seconds"],
        "shapley_cpu_seconds": rows[0]["CPU seconds"],
        "shapley_peak_mb": rows[0]["peak MB"],
        "shapley_seconds_own_ratios": rows[1]["seconds"],
        "shapley_cpu_seconds_own_ratios": rows[1]["CPU seconds"],
        "shapley_peak_mb_own_ratios": rows[1]["peak MB"],
        "training_exponent": float(exponent),
        "sampled_error": error,
        "sampled_standard_error": claimed,
    }
    return {"figures": figures, "rows": rows, "notes": [f"Medians of {turns} turns, one thread."]}


def _ratios(cases: int, own: bool) -> tuple[Array, Array, Array]:
    """Log ratios ([draws,] mechanisms, cases), metric (cases,) and case weights (draws, cases)."""
    rng = np.random.default_rng(0)
    shape = (DRAWS, MECHANISMS, cases) if own else (MECHANISMS, cases)
    names = np.array([f"{k}" for k in range(cases)])
    return rng.normal(0, 0.3, shape), rng.random(cases), draw(names, np.zeros(cases), DRAWS, 0)


def _shapley(log_ratios: Array, metric: Array, weights: Array) -> Callable[[], Array]:
    limit = float(np.sqrt(len(metric)))

    def compute() -> Array:
        """In blocks of 100 draws, as the attribution does it."""
        blocks = []
        for start in range(0, DRAWS, 100):
            rows = slice(start, start + 100)
            of_draws = log_ratios[rows] if log_ratios.ndim == 3 else log_ratios
            blocks.append(shapley(-weighted_values(of_draws, metric, weights[rows], limit)))
        return np.concatenate(blocks)

    return compute


def _measured(what: str, compute: Callable[[], Array], turns: int) -> dict[str, Any]:
    """Median seconds, and the peak of what numpy allocates in a run of its own."""
    wall, cpu = [], []
    for _ in range(turns):
        started, used = time.perf_counter(), time.process_time()
        compute()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    tracemalloc.start()
    compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"what": what, "seconds": median(wall), "CPU seconds": median(cpu), "peak MB": peak / 1e6}


def _cpu(compute: Callable[[], object]) -> float:
    started = time.process_time()
    compute()
    return time.process_time() - started


def _model(count: int) -> RatioModel:
    """A chain of mechanisms with three features each, all shifted a little."""
    graph = MechanismGraph(tuple(Mechanism(f"m{k}", f"v{k}", (f"v{k - 1}",) if k else ()) for k in range(count)))
    rng = np.random.default_rng(0)

    def site(cases: int, shift: float, prefix: str) -> Samples:
        names = np.array([f"{prefix}{k}" for k in range(cases)])
        return Samples({v: rng.normal(shift, 1, (cases, 3)) for v in graph.variables}, rng.random(cases), names)

    pair = Pair(site(SOURCE, 0.0, "s"), site(TARGET, 0.2, "t"))
    return RatioModel(pair, graph, LogisticDiscriminator(), subject_folds(pair.subjects, pair.labels, 5, 0)[None])


def _sampling_error() -> tuple[float, float]:
    """Largest error and largest claimed standard error on a game whose Shapley values are known.

    Worths of single mechanisms, and a product of three of them, which sampling does not get exactly: a third each.
    """
    chosen = coalitions(SAMPLED, seed=0)
    worth = np.random.default_rng(0).normal(size=SAMPLED)
    values = chosen.members @ worth + 3.0 * chosen.members[:, :3].all(1)
    truth = worth + np.where(np.arange(SAMPLED) < 3, 1.0, 0.0)
    return float(np.abs(chosen.shapley(values) - truth).max()), float(chosen.error(values).max())
