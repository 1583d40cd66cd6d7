"""Benchmark `shift_vs_dowhy`: the multiply robust attribution beside DoWhy's own, on one tabular problem in one run.

A linear chain of six mechanisms, V1 to V5 and the metric M, each depending on all before it; every mean shifts.
DoWhy's `gcm.distribution_change_robust` (linear and logistic regression, five folds) and this package's estimator with
five folds attribute the change of the mean of M, both with exact Shapley values. They take turns, each turn with folds
of its own; shares are means over the turns, seconds medians. Seconds are of the computation alone, imports aside, of
one thread, in CPU time, on which other programs have no influence (`wall_ratio` is by the clock).
`fold_noise` is the largest standard error of such a mean, ours and theirs together. The two regress on other variables,
so they differ by more than that; a difference beyond √(2 / cases), the standard error of the change of M itself, is an
error.

DoWhy 0.14 runs in an environment of its own, whose Python is `$SLICERXAI_DOWHY_PYTHON`; without that one is made in the
output folder with `pip`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.side_by_side import agreed
from slicerxai.shift.discriminators import LogisticDiscriminator, subject_folds
from slicerxai.shift.estimators.robust import RobustGame
from slicerxai.shift.evidence import State
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.samples import Pair, Samples
from slicerxai.shift.shapley import shapley

Array = NDArray[np.float64]
NAMES = ("V1", "V2", "V3", "V4", "V5", "M")
SHIFTS = np.array([0.4, -0.3, 0.5, 0.2, -0.4, 0.3])
SLOPE = 0.4
DOWHY = "dowhy==0.14"
GRAPH = MechanismGraph(tuple(Mechanism(name, name, NAMES[:k]) for k, name in enumerate(NAMES)))
STATES: tuple[State, ...] = tuple("shifted" for _ in NAMES)
PEER = """
import json, sys, time
import networkx as nx, numpy as np, pandas as pd
from dowhy import gcm
data, names = np.load(sys.argv[1]), json.loads(sys.argv[2])
graph = nx.DiGraph([(a, b) for k, b in enumerate(names) for a in names[:k]])
old, new = (pd.DataFrame(data[key], columns=names) for key in ("source", "target"))
exact = gcm.shapley.ShapleyConfig(approximation_method=gcm.shapley.ShapleyApproximationMethods.EXACT, n_jobs=1)
started, used = time.perf_counter(), time.process_time()
result = gcm.distribution_change_robust(
    gcm.ProbabilisticCausalModel(graph), old, new, names[-1], split_random_state=int(sys.argv[3]), shapley_config=exact
)
spent = [time.process_time() - used, time.perf_counter() - started]
print(json.dumps({"seconds": spent, "phi": [float(result[n]) for n in names]}))
"""


def generate(cases: int, shift: Array, rng: np.random.Generator) -> Array:
    """(cases, 6): V1 to V5 and M."""
    columns: list[Array] = []
    for k in range(len(NAMES)):
        columns.append(rng.normal(shift[k], 1, cases) + SLOPE * sum(columns, start=np.zeros(cases)) / max(k, 1))
    return np.stack(columns, 1)


def ours(source: Array, target: Array, seed: int) -> tuple[Array, list[float]]:
    """Shares of the rise of M; CPU and wall-clock seconds."""

    def samples(values: Array, prefix: str) -> Samples:
        subjects = np.array([f"{prefix}{k}" for k in range(len(values))])
        return Samples({name: values[:, [k]] for k, name in enumerate(NAMES)}, values[:, -1], subjects)

    pair = Pair(samples(source, "s"), samples(target, "t"))
    started, used = time.perf_counter(), time.process_time()
    folds = subject_folds(pair.subjects, pair.labels, 5, seed)[None]
    ratios = RatioModel(pair, GRAPH, LogisticDiscriminator(components=12), folds)
    game = RobustGame(ratios, STATES, limit=np.inf)
    phi = shapley(game.values(np.ones((1, len(pair.labels)))))[0]
    return phi, [time.process_time() - used, time.perf_counter() - started]


def dowhy(source: Array, target: Array, seed: int, out: Path) -> tuple[Array, list[float]]:
    """As `ours`, from DoWhy."""
    python = os.environ.get("SLICERXAI_DOWHY_PYTHON") or str(_environment(out))
    data = out / "shift_vs_dowhy.npz"
    np.savez(data, source=source, target=target)
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [python, "-c", PEER, str(data), json.dumps(NAMES), str(seed)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_thread)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return np.array(answer["phi"]), answer["seconds"]


def _environment(out: Path) -> Path:
    """Python of DoWhy's own virtual environment, made when it is missing."""
    folder = (out / "dowhy-environment").resolve()
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", DOWHY], check=True)
    return python


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Both on the same cases. Returns figures, rows and notes."""
    del data
    cases = 500 if quick else 2000
    rng = np.random.default_rng(0)
    source, target = generate(cases, np.zeros(len(NAMES)), rng), generate(cases, SHIFTS, rng)
    turns = 2 if quick else 5
    with threadpool_limits(1):
        answers = [(ours(source, target, seed), dowhy(source, target, seed, out)) for seed in range(turns)]
    shares = np.array([[phi for phi, _ in both] for both in answers])
    (phi, theirs), noise = shares.mean(0), shares.std(0, ddof=1) / np.sqrt(turns)
    (seconds, wall), (their_seconds, their_wall) = np.median([[t for _, t in both] for both in answers], 0).tolist()
    difference = float(np.abs(phi - theirs).max())
    fold_noise = float(np.sqrt((noise**2).sum(0)).max())
    agreed(difference, float(np.sqrt(2 / cases)), "shares of the two")
    weights = np.array([_effect(k) for k in range(len(NAMES))])
    rows = [
        {"mechanism": name, "slicerxai": float(a), "dowhy": float(b), "truth": float(c)}
        for name, a, b, c in zip(NAMES, phi, theirs, weights * SHIFTS, strict=True)
    ]
    figures = {
        "ours": seconds,
        "peer": their_seconds,
        "ratio": their_seconds / seconds,
        "speed_ratio": their_seconds / seconds,
        "wall_ratio": their_wall / wall,
        "max_abs_difference": difference,
        "fold_noise": fold_noise,
        "max_abs_error": float(np.abs(phi - weights * SHIFTS).max()),
        "max_abs_error_dowhy": float(np.abs(theirs - weights * SHIFTS).max()),
        "seconds": seconds,
        "dowhy_seconds": their_seconds,
    }
    return {
        "figures": figures,
        "rows": rows,
        "notes": [f"{cases} cases of each environment; M has an SD of about 1; {turns} turns."],
    }


def _effect(k: int) -> float:
    """Mean of M per unit shift of mechanism k, in the linear chain."""
    change = np.zeros(len(NAMES))
    change[k] = 1.0
    for j in range(k + 1, len(NAMES)):
        change[j] = SLOPE * change[:j].sum() / j
    return float(change[-1])
