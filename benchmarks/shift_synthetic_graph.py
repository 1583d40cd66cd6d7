"""Benchmark `shift_synthetic_graph`: the synthetic problem of "Why did the model fail?" (Zhang et al., ICML 2023).

A binary group G and label Y agree with probability q, which falls from 0.9 in the source to 0.1 in the target; three
features carry the label, each through its own 25 % flips, and two of them the group:
X1 ~ N(Y', 1), X2 ~ N(Y'' + G, 1), X3 ~ N(Y''' + 3 G, 1). A gradient-boosted classifier of Y from X1, X2, X3 is trained
on 15000 source cases; its Brier score is attributed, on 5000 others of each environment, to P(G), P(Y | G), P(X1 | Y),
P(X2 | G, Y) and P(X3 | G, Y). Only P(Y | G) shifts. The publication gives 0.449 for it, of a rise of 0.456.

What differs: scikit-learn's boosting stands for XGBoost with a search over its depth; the ratios come from logistic
regression with products, cross-fitted on the 5000 cases instead of trained on the other 15000; and the random numbers
are others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from slicerxai.shift.attribution import attribute
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.options import EstimatorName, Options
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
    """Attribute over seeds with every estimator; figures are those of the weighting estimator on the first seed."""
    del data, out
    rows: list[dict[str, Any]] = []
    figures: dict[str, float] = {}
    estimators: tuple[EstimatorName, ...] = ("weighting", "robust", "plain")
    for seed in range(1 if quick else 5):
        pair = problem(seed)
        for estimator in estimators:
            options = Options(estimator=estimator, limit=100.0, repeats=1, permutations=199, seed=seed)
            result = attribute(pair, GRAPH, options)
            rise = result.drop
            rows.append({"seed": seed, "estimator": estimator, "rise": rise, "unresolved": result.unresolved})
            rows[-1] |= dict(zip(result.names, result.phi.tolist(), strict=True))
            if estimator == "weighting" and seed == 0:
                low, high = result.interval[GRAPH.index("P(Y|G)")].tolist()
                figures = {
                    "phi_y_given_g": float(result.phi[GRAPH.index("P(Y|G)")]),
                    "rise": rise,
                    "phi_low": low,
                    "phi_high": high,
                }
    figures["phi_y_given_g_robust"] = rows[1]["P(Y|G)"]
    return {"figures": figures, "rows": rows, "notes": ["Published: 0.449 of a rise of 0.456 (0.100 to 0.556)."]}
