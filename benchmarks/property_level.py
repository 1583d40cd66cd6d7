"""Benchmark `property_level`: how often tests of a property reject, with nothing to be found and with something.

Protocol, written before the figures:

*Curves.* A curve of 21 predictions from a process that has nothing to do with a property: independent noise; AR(1) with
ρ = 0.5 and 0.9 (stationary); a random walk; smooth drift (a random walk's second sum: straight or gently curved).
Planted: 0.9 of the range in a logistic step at a random place in the middle half, of random steepness and direction,
plus noise of SD 0.02, so that it crosses 0.5. Tests of it:

- *permutation* – the published one: shuffled predictions, mean |∇F|, two-sided, 999 permutations.
- *increments* – flipped signs of the increments, range of the curve, 999 draws.
- *controls* – against 99 curves of the same process (for the planted curve: each process in turn), mean departure from
  the first prediction; for the planted curve scaled to a root mean square departure of 0.1. Curve and controls are
  exchangeable here by construction: these rows test the code, not the controls. The next part does that.
- *controls, sequential* – the same, ended at the fifth exceedance.

*Networks.* Small CNNs are trained; properties are unrelated to their labels by construction, controls are drawn by
`ControlPaths` from each path itself: see `property_level_networks`. Two other ways to draw controls are run beside it,
on fewer paths.

A rate has a Wilson interval at 95 %; where trials share a path (the four networks that read it), with the number of
independent trials that the variance between paths stands for. Ours is the test against controls. Targets: level at most
1.5 times nominal on all nulls, at 0.01 and 0.05; power at 0.05 of 80 % on planted effects that flip the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.printer import Printer
from benchmarks.property_level_networks import (
    NULLS,
    Draw,
    Task,
    Trials,
    null_path,
    planted_path,
    random_phases,
    smooth_signs,
    tasks,
    tested,
    wavelet_rotations,
)
from slicerxai.interventions.control_paths import control_test
from slicerxai.interventions.effect import departure
from slicerxai.interventions.increments import increment_test
from slicerxai.interventions.permutation import permutation_test

Array = NDArray[np.float64]
Row = dict[str, Any]
STEPS, CONTROLS, PERMUTATIONS, SIGNS, BLOCK = 21, 99, 999, 999, 50
LEVELS = (0.01, 0.05)


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    torch.set_num_threads(1)
    printer = Printer("property_level")
    rows = curve_rows(500 if quick else 2000)
    learned = list(tasks(printer))
    rows += network_rows(learned, 3 if quick else 40, printer)
    level = {(row["data"], row["test"]): row["at 0.05"] for row in rows if row["kind"] == "null"}
    ours = [row for row in rows if row["test"] == "controls" and row["kind"] == "null"]
    power = [row for row in rows if row["test"] == "controls" and row["kind"] == "planted"]
    figures = {
        "level_paper_iid": level["independent noise", "permutation"],
        "level_paper_ar09": level["AR(1), 0.9", "permutation"],
        "level_ours_worst": max(row["at 0.05"] for row in ours),
        "level_ours_worst_at_001": max(row["at 0.01"] for row in ours),
        "power_ours": min(row["at 0.05"] for row in power),
        "power_ours_at_001": min(row["at 0.01"] for row in power),
    }
    accuracy = {task.name: [round(one, 3) for one in task.accuracy] for task in learned}
    notes = [
        f"accuracy of the networks by what their labels depend on: {accuracy}",
        f"the smallest p of {CONTROLS} controls is {1 / (CONTROLS + 1):g}",
    ]
    return {"figures": figures, "rows": rows, "notes": notes}


def processes() -> dict[str, Callable[[np.random.Generator, int], Array]]:
    """Null processes by name: (generator, count) to curves (STEPS, count)."""
    return {
        "independent noise": partial(_autoregressive, 0.0),
        "AR(1), 0.5": partial(_autoregressive, 0.5),
        "AR(1), 0.9": partial(_autoregressive, 0.9),
        "random walk": lambda generator, count: generator.normal(size=(STEPS, count)).cumsum(0),
        "smooth drift": lambda generator, count: generator.normal(size=(STEPS, count)).cumsum(0).cumsum(0) / STEPS,
    }


def curve_rows(count: int) -> list[Row]:
    """Rejections of single curves."""
    rows = []
    for number, (name, process) in enumerate(processes().items()):
        curves = process(np.random.default_rng(number), count)
        rows += _curve_tests(name, "null", curves, partial(process, np.random.default_rng(100 + number), count), number)
    planted = logistic_steps(np.random.default_rng(50), count)
    for number, (name, process) in enumerate(processes().items()):
        control = partial(_small, process, np.random.default_rng(200 + number), count)
        found = _curve_tests(f"logistic step; controls: {name}", "planted", planted, control, 50 + number)
        rows += found if number == 0 else found[2:]
    return rows


def logistic_steps(generator: np.random.Generator, count: int) -> Array:
    """Planted curves (STEPS, count) that cross 0.5."""
    place = generator.uniform(0.25, 0.75, count)
    width = np.exp(generator.uniform(np.log(0.01), np.log(0.1), count))
    way = generator.choice([-1.0, 1.0], count)
    position = np.linspace(0, 1, STEPS)[:, None]
    noise = generator.normal(0, 0.02, (STEPS, count))
    return np.asarray(0.5 + 0.45 * way * np.tanh((position - place) / (2 * width)) + noise, np.float64)


def network_rows(learned: list[Task], paths: int, printer: Printer) -> list[Row]:
    """Rejections on networks: all nulls and the planted effects, then the other controls on fewer paths."""
    few = max(1, paths // 5)
    ways: list[tuple[str, Draw, int]] = [
        ("controls", wavelet_rotations, paths),
        ("controls by smooth signs", smooth_signs, few),
        ("controls by random phases", random_phases, few),
    ]
    rows = []
    for test, draw, count in ways:
        for kind, name in enumerate(NULLS):
            printer(kind / (len(NULLS) + 1), f"networks, {test}: {name}")
            trials = [
                tested(task, partial(null_path, task, name), count, 5001 + 10 * kind + number, draw)
                for number, task in enumerate(learned)
            ]
            rows.append(_network_row(f"networks: {name}", "null", test, trials))
            print(rows[-1], flush=True)
        rows += _planted_rows(learned, test, draw, max(2, count // 2))
        print(rows[-1 - len(learned)], flush=True)
    for kind, name in enumerate(("smooth, 2 px", "smooth, 4 px")):
        trials = [
            tested(task, partial(null_path, task, name, overlap=True), few, 2901 + 10 * kind + n, wavelet_rotations)
            for n, task in enumerate(learned)
        ]
        rows.append(_network_row(f"networks: {name}, overlap left in", "random", "controls", trials))
    return rows


def _planted_rows(learned: list[Task], test: str, draw: Draw, count: int) -> list[Row]:
    trials = []
    for number, task in enumerate(learned):
        found = tested(task, partial(planted_path, task), count, 2501 + number, draw)
        trials.append(Trials(np.where(found.flips, found.p, np.nan), found.flips))
    parts = [
        _network_row(f"networks: {task.name}, flips", "planted (part)", test, [one])
        for task, one in zip(learned, trials, strict=True)
    ]
    return [_network_row("networks: own property, flips", "planted", test, trials), *parts]


def wilson(rate: float, trials: float) -> tuple[float, float]:
    """Wilson's interval of a rate at 95 %."""
    z = 1.959964
    centre = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return centre - half, centre + half


def independent(rejected: Array) -> float:
    """How many independent trials a rate stands for: (clusters, trials in each) of 0, 1 or NaN (left out)."""
    trials = float(np.isfinite(rejected).sum())
    rate = float(np.nanmean(rejected))
    residual = np.nansum(rejected - rate, 1)
    variance = float((residual**2).sum()) / trials**2
    return min(trials, rate * (1 - rate) / variance) if variance > 0 else trials


def _autoregressive(correlation: float, generator: np.random.Generator, count: int) -> Array:
    """Stationary AR(1) of unit variance."""
    noise = generator.normal(size=(STEPS, count))
    found = np.empty_like(noise)
    found[0] = noise[0]
    for step in range(1, STEPS):
        found[step] = correlation * found[step - 1] + math.sqrt(1 - correlation**2) * noise[step]
    return found


def _curve_tests(name: str, kind: str, curves: Array, control: Callable[[], Array], seed: int) -> list[Row]:
    blocks = [curves[:, start : start + BLOCK] for start in range(0, curves.shape[1], BLOCK)]
    published = [permutation_test(one, PERMUTATIONS, 1000 * seed + n).p for n, one in enumerate(blocks)]
    increments = [increment_test(one, SIGNS, 1000 * seed + n).p for n, one in enumerate(blocks)]
    statistic = departure(curves, curves[0])
    drawn = [_departed(control()) for _ in range(CONTROLS)]
    found = {
        "permutation": np.concatenate(published),
        "increments": np.concatenate(increments),
        "controls": control_test(statistic, drawn.__getitem__, CONTROLS).p,
        "controls, sequential": control_test(statistic, drawn.__getitem__, CONTROLS, stop_after=5).p,
    }
    return [_row(name, kind, test, p[:, None]) for test, p in found.items()]


def _small(process: Callable[[np.random.Generator, int], Array], generator: np.random.Generator, count: int) -> Array:
    curves = process(generator, count)
    return np.asarray(curves * (0.1 / np.sqrt(np.square(curves - curves[0]).mean())), np.float64)


def _departed(curves: Array) -> Array:
    return departure(curves, curves[0])


def _network_row(name: str, kind: str, test: str, trials: list[Trials]) -> Row:
    return _row(name, kind, test, np.concatenate([one.p for one in trials]))


def _row(name: str, kind: str, test: str, p: Array) -> Row:
    """Of p (clusters, trials in each); NaN is left out."""
    row: Row = {"data": name, "kind": kind, "test": test, "trials": int(np.isfinite(p).sum())}
    if not row["trials"]:
        return row | {f"at {level}": None for level in LEVELS}
    for level in LEVELS:
        rejected = np.where(np.isfinite(p), p <= level, np.nan)
        rate = float(np.nanmean(rejected))
        low, high = wilson(rate, independent(rejected))
        row |= {f"at {level}": rate, f"interval at {level}": f"{max(0, low):.4f}–{high:.4f}"}
    return row
