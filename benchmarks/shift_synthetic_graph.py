"""Benchmark `shift_synthetic_graph`: the synthetic problem of "Why did the model fail?" (Zhang et al., ICML 2023).

A binary group G and label Y agree with probability q, which falls from 0.9 in the source to 0.1 in the target; three
features carry the label, each through its own 25 % flips, and two of them the group:
X1 ~ N(Y', 1), X2 ~ N(Y'' + G, 1), X3 ~ N(Y''' + 3 G, 1). A gradient-boosted classifier of Y from X1, X2, X3 is trained
on 15000 source cases; its Brier score is attributed, on 5000 others of each environment, to P(G), P(Y | G), P(X1 | Y),
P(X2 | G, Y) and P(X3 | G, Y). Only P(Y | G) shifts. The publication gives 0.449 for it, of a rise of 0.456.

Protocol, fixed beforehand on seeds from 100 on: the figures are those of the default options on seed 0; rows show four
more seeds, and on seed 0 the other estimators and the default one with every mechanism taken as shifted, whatever the
test of evidence says.

What differs: scikit-learn's boosting stands for XGBoost with a search over its depth; the ratios come from logistic
regression with products, cross-fitted on the 5000 cases instead of trained on the other 15000; and the random numbers
are others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from slicerxai.shift.attribution import Attribution, attribute
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.options import Options
from slicerxai.shift.samples import Pair, Samples

Array = NDArray[np.float64]
CASES, HELD_OUT = 20000, 5000
Q_SOURCE, Q_TARGET = 0.9, 0.1
FLIPS, GROUP_WEIGHT = 0.25, 3.0
GRAPH = MechanismGraph(
    (
        Mechanism("P(G)", "G"),
        Mechanism("P(Y|G)", "Y", ("G",)),
        Mechanism("P(X1|Y)", "X1", ("Y",)),
        Mechanism("P(X2|G,Y)", "X2", ("G", "Y")),
        Mechanism("P(X3|G,Y)", "X3", ("G", "Y")),
    )
)


def generate(cases: int, q: float, seed: int) -> dict[str, Array]:
    """G, Y, X1, X2, X3 of each case, (cases,) each."""
    rng = np.random.default_rng(seed)
    group = rng.random(cases) >= 0.5
    label = group ^ (rng.random(cases) >= q)
    flipped = [label ^ (rng.random(cases) <= FLIPS) for _ in range(3)]
    means = flipped[0] * 1.0, flipped[1] * 1.0 + group, flipped[2] + GROUP_WEIGHT * group
    features = {f"X{k + 1}": rng.normal(mean) for k, mean in enumerate(means)}
    return {"G": group.astype(np.float64), "Y": label.astype(np.float64), **features}


def inputs(data: dict[str, Array]) -> Array:
    """What the model sees, (cases, 3)."""
    return np.stack([data[name] for name in ("X1", "X2", "X3")], 1)


def samples(data: dict[str, Array], model: GradientBoostingClassifier, name: str) -> Samples:
    """The variables and the negative squared error of every case: a rise of the Brier score is a drop."""
    error = (model.predict_proba(inputs(data))[:, 1] - data["Y"]) ** 2
    subjects = np.array([f"{name}{k}" for k in range(len(error))])
    return Samples({key: values[:, None] for key, values in data.items()}, -error, subjects)


def problem(seed: int) -> Pair:
    """Train the model and evaluate it in both environments."""
    source = generate(CASES, Q_SOURCE, 2 * seed)
    target = generate(HELD_OUT, Q_TARGET, 2 * seed + 1)
    training = {key: values[HELD_OUT:] for key, values in source.items()}
    model = GradientBoostingClassifier(max_depth=3, n_estimators=100, random_state=0)
    model.fit(inputs(training), training["Y"])
    held_out = {key: values[:HELD_OUT] for key, values in source.items()}
    return Pair(samples(held_out, model, "s"), samples(target, model, "t"))


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Attribute. Returns figures, rows and notes."""
    del data, out
    default = Options(repeats=1, permutations=99)
    others = {
        "robust, all taken as shifted": replace(default, evidence_level=1.0),
        "weighting": replace(default, estimator="weighting"),
        "plain": replace(default, estimator="plain"),
    }
    pair = problem(0)
    result = attribute(pair, GRAPH, default)
    shared = GRAPH.index("P(Y|G)")
    rows = [_row(0, default.estimator, result)]
    figures = {
        "phi_y_given_g": float(result.phi[shared]),
        "rise": result.drop,
        "phi_low": float(result.interval[shared, 0]),
        "phi_high": float(result.interval[shared, 1]),
    }
    rows += [_row(0, name, attribute(pair, GRAPH, options)) for name, options in others.items()]
    more = [] if quick else [attribute(problem(seed), GRAPH, replace(default, seed=seed)) for seed in range(1, 5)]
    rows += [_row(seed + 1, default.estimator, one) for seed, one in enumerate(more)]
    if more:
        shares = np.array([one.phi[shared] for one in (result, *more)])
        figures |= {"phi_mean": float(shares.mean()), "phi_sd": float(shares.std(ddof=1))}
    return {"figures": figures, "rows": rows, "notes": ["Published: 0.449 of a rise of 0.456 (0.100 to 0.556)."]}


def _row(seed: int, estimator: str, result: Attribution) -> dict[str, Any]:
    shares = dict(zip(result.names, result.phi.tolist(), strict=True))
    return {"seed": seed, "estimator": estimator, "rise": result.drop, **shares, "unresolved": result.unresolved}
