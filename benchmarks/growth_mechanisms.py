"""Benchmark `growth_mechanisms`: shift attribution against the number of mechanisms.

A chain of mechanisms with three features each, 60 cases, weighting, one thread, a process of its own for each number.
Shapley values are a sum over all 2ⁿ coalitions: up to 16 mechanisms every coalition is valued, and time and memory are
given against the number of *coalitions*. Beyond, a fixed number of orders is drawn, and they are given against the
number of *mechanisms*. There the exponent lies between 1 and 2: an order has a coalition for each mechanism, whose
weight has a ratio for each; and each mechanism is tested at one level for all of them (Bonferroni), for which the
relabellings of a test are 20 times the number of mechanisms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.growth import Point, grown, spent
from benchmarks.side_by_side import alone
from slicerxai.shift.shapley import EXACT_LIMIT

EXACT, SAMPLED = (8, 10, 12, 14, 16), (20, 40, 80)
QUICK_EXACT, QUICK_SAMPLED = (8, 10, 12), (20, 40)
CASES = 30
"""At each of the two sites."""
FEATURES = 3


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    exact, drawn = (QUICK_EXACT, QUICK_SAMPLED) if quick else (EXACT, SAMPLED)
    found = {count: alone(spent, count, attribution, 2) for count in (*exact, *drawn)}
    coalitions = [
        Point(2**count, found[count].seconds, found[count].cpu_seconds, found[count].memory) for count in exact
    ]
    result = grown("coalitions", "coalitions", coalitions)
    beyond = grown("mechanisms", "mechanisms", [found[count] for count in drawn])
    result["figures"] |= beyond["figures"]
    result["rows"] += beyond["rows"]
    result["notes"] = [
        f"Every coalition up to {EXACT_LIMIT} mechanisms, drawn orders beyond.",
        "Relabellings rise with the mechanisms, as a test of each of them at one level for all demands, and so do the "
        "coalitions of an order, which has a ratio for each mechanism: these parts grow with the square.",
    ]
    return result


def attribution(count: int) -> Callable[[], object]:
    """The attribution of a drop to so many mechanisms."""
    from slicerxai.shift.attribution import attribute
    from slicerxai.shift.graph import Mechanism, MechanismGraph
    from slicerxai.shift.options import Options
    from slicerxai.shift.samples import Pair, Samples

    threadpool_limits(1)
    names = [f"{number}" for number in range(count)]
    graph = MechanismGraph(
        tuple(Mechanism(name, f"v{name}", (f"v{number - 1}",) if number else ()) for number, name in enumerate(names))
    )
    random = np.random.default_rng(0)

    def site(shift: float, prefix: str) -> Samples:
        variables = {f"v{name}": random.normal(shift, 1, (CASES, FEATURES)) for name in names}
        subjects = np.array([f"{prefix}{case}" for case in range(CASES)])
        return Samples(variables, random.random(CASES), subjects)

    options = Options(estimator="weighting", permutations=20 * count)
    return partial(attribute, Pair(site(0.0, "s"), site(0.3, "t")), graph, options)
