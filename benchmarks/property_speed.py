"""Benchmark `property_speed`: the permutation test beside SciPy's, and paths that are read in batches.

Protocol. K = 10 000 permutations of a curve of 11 predictions, mean |∇F| with unit spacing, one thread; turns of ours
and of `scipy.stats.permutation_test` follow one another; the ratio is that of the medians of their CPU seconds, which
do not depend on what else the machine does (wall clock beside it).

- *plain*: SciPy is given the statistic of the publication's code, `numpy.abs(numpy.gradient(y)).mean()`, one
  permutation at a time. `ratio` is SciPy's median over ours.
- *vectorised*: SciPy is given the same statistic with an axis (`vectorized=True`), the quickest way to use it.
- *16 curves*: a whole table (properties × outputs) in one call of each, vectorised.

The same p: (i) for curves of 2 to 8 predictions, all permutations visited by both – SciPy enumerates them, ours is
`exact_permutation_p`; (ii) on the *same* random permutations, recomputed one by one. `max_abs_difference` is the
largest difference over all of these. Two-sided means another thing in SciPy (twice the smaller tail), so "greater" is
compared, and the two-sided p with a plain loop over all permutations. (iii) With draws of their own, the two p of
K = 10 000 differ by chance: largest difference in standard errors.

Paths: a convolutional network reads 100 paths of 11 images of 64 × 64 – the property's and 99 controls – image by image
and path by path.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import permutation_test as scipy_test
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks.side_by_side import agreed, ratios, side_by_side
from slicerxai.interventions.permutation import exact_permutation_p, mean_over_permutations, permutation_test

Array = NDArray[np.float64]
STEPS, DRAWS, CURVES = 11, 10_000, 16
TOLERANCE = 1e-12


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    torch.set_num_threads(1)
    turns = 3 if quick else 11
    with threadpool_limits(1):
        generator = np.random.default_rng(0)
        one = generator.normal(size=(STEPS, 1)).cumsum(0)
        many = generator.normal(size=(STEPS, CURVES)).cumsum(0)
        exact = agreed(_exhaustive(generator), TOLERANCE, "p over all permutations")
        same = agreed(_same_draws(generator), TOLERANCE, "p over the same permutations")
        rows = [
            _timed("plain", lambda: _ours(one), lambda: _scipy(one, vectorised=False), turns),
            _timed("vectorised", lambda: _ours(one), lambda: _scipy(one, vectorised=True), turns),
            _timed(f"{CURVES} curves", lambda: _ours(many), lambda: _scipy(many, vectorised=True), turns),
        ]
        errors = _by_chance(many)
        rows += [
            {"p compared": "all permutations, 2 to 8 predictions", "largest difference": exact},
            {"p compared": "the same 10 000 permutations", "largest difference": same},
            {"p compared": "permutations of their own, in standard errors", "largest difference": errors},
        ]
        read = _reading(turns)
    figures = {
        "ours": rows[0]["ours CPU ms"] / 1e3,
        "peer": rows[0]["SciPy CPU ms"] / 1e3,
        "ratio": rows[0]["ratio"],
        "ratio_vectorised": rows[1]["ratio"],
        "ratio_table": rows[2]["ratio"],
        "max_abs_difference": max(exact, same),
        "ratio_batched_reading": read["ratio"],
    }
    return {"figures": figures, "rows": [*rows, read], "notes": [f"Medians of {turns} turns, one thread."]}


def _ours(curves: Array) -> Array:
    return permutation_test(curves, DRAWS, 0, "greater").p


def _scipy(curves: Array, vectorised: bool, draws: float = DRAWS, seed: int = 0) -> Array:
    """p of curves (N, O)."""
    statistic = _along_axis if vectorised else _plain
    sample = curves.T if vectorised else curves[:, 0]
    found = scipy_test(
        (sample,),
        statistic,
        permutation_type="pairings",
        vectorized=vectorised,
        n_resamples=draws,
        alternative="greater",
        axis=-1,
        rng=np.random.default_rng(seed),
    )
    return np.atleast_1d(found.pvalue)


def _plain(curve: Array) -> float:
    return float(np.abs(np.gradient(curve)).mean())


def _along_axis(curves: Array, axis: int) -> Array:
    return np.asarray(np.abs(np.gradient(curves, axis=axis)).mean(axis))


def _timed(what: str, ours: Callable[[], object], theirs: Callable[[], object], turns: int) -> dict[str, Any]:
    """Median seconds of interleaved turns, wall and CPU."""
    found = side_by_side({"ours": ours, "SciPy": theirs}, turns)
    mine, other = found["ours"], found["SciPy"]
    return {
        "test": what,
        "ours ms": 1e3 * mine.seconds,
        "SciPy ms": 1e3 * other.seconds,
        "ours CPU ms": 1e3 * mine.cpu_seconds,
        "SciPy CPU ms": 1e3 * other.cpu_seconds,
        "ratio": ratios(mine, other, clock="cpu_seconds")["ratio"],
        "ratio of wall clock": ratios(mine, other)["ratio"],
    }


def _exhaustive(generator: np.random.Generator) -> float:
    """Largest difference of p over all permutations: SciPy's, a plain loop's, ours."""
    worst = 0.0
    for steps in range(2, 9):
        for shape in ("rough", "monotone"):
            curve = generator.normal(size=(steps, 1))
            curve = np.sort(curve, axis=0) if shape == "monotone" else curve
            worst = max(worst, abs(float((_scipy(curve, True, np.inf) - exact_permutation_p(curve, "greater"))[0])))
            if steps <= 6:
                worst = max(worst, abs(_two_sided(curve[:, 0]) - float(exact_permutation_p(curve)[0])))
    return worst


def _two_sided(curve: Array) -> float:
    """p by a plain loop."""
    values = [_plain(curve[list(order)]) for order in permutations(range(len(curve)))]
    centre, own = sum(values) / len(values), _plain(curve)
    return sum(abs(value - centre) >= abs(own - centre) - 1e-12 for value in values) / len(values)


def _same_draws(generator: np.random.Generator) -> float:
    """Ours against a plain loop over the very permutations that it draws."""
    curves = generator.normal(size=(STEPS, 3)).cumsum(0)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(STEPS), (DRAWS, 1)), axis=1)
    centre = mean_over_permutations(curves)
    worst = 0.0
    for output, curve in enumerate(curves.T):
        values = np.array([_plain(curve[order]) for order in orders])
        own = _plain(curve)
        greater = ((values >= own - 1e-12).sum() + 1) / (DRAWS + 1)
        distance = abs(own - centre[output])
        sided = ((np.abs(values - centre[output]) >= distance - 1e-12).sum() + 1) / (DRAWS + 1)
        worst = max(worst, abs(greater - permutation_test(curves, DRAWS, 0, "greater").p[output]))
        worst = max(worst, abs(sided - permutation_test(curves, DRAWS, 0).p[output]))
    return float(worst)


def _by_chance(curves: Array) -> float:
    ours, theirs = _ours(curves), _scipy(curves, True, seed=1)
    return float((np.abs(ours - theirs) / np.sqrt(2 * np.maximum(ours * (1 - ours), 1 / DRAWS) / DRAWS)).max())


def _reading(turns: int) -> dict[str, Any]:
    """Images of paths one by one, and a path at a time."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    paths = torch.randn(100, STEPS, 1, 64, 64)

    def single() -> None:
        with torch.inference_mode():
            for image in paths.flatten(0, 1):
                model(image[None])

    def batched() -> None:
        with torch.inference_mode():
            for path in paths:
                model(path)

    found = _timed("", batched, single, min(turns, 5))
    return {
        "reading": "100 paths of 11 images",
        "path by path CPU ms": found["ours CPU ms"],
        "image by image CPU ms": found["SciPy CPU ms"],
        "ratio": found["ratio"],
    }
