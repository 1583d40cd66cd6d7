"""Benchmark `alignment_sensitivity`: what becomes of aligned training when its settings change, and with what shortcut.

Images, network, training and measures are those of `benchmarks.alignment_shortcut`; seeds 200 and 201, which nothing
was chosen on. One setting is changed at a time, the others stay at their defaults:

- cost: what one value's way across the range costs the search outside of the mask, the α of eq. 2; invariance: the
  weight of the loss after that change, the λ of the total loss; steps of the search; distance of eq. 2;
- symbol: "+" or "−", a corner brighter or darker by 0.15, none; each also with plain training;
- share: the share of the counterfactual change outside of the mask as well, by its implicit gradient, on each fourth
  step.

A finished (setting, seed) is kept as OUT/alignment_sensitivity/SETTING_SEED.json and not fitted again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benchmarks.alignment_data import Symbol
from benchmarks.alignment_shortcut import COUNTS, METHODS, TRAINING, Fit, kept, one, row_of
from benchmarks.alignment_synthetic import synthetic_task
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters

SEEDS: Final = (200, 201)
SETTINGS: Final[dict[str, AlignmentParameters | None]] = {
    "default": AlignmentParameters(),
    "cost 0.05": AlignmentParameters(cost=0.05),
    "cost 0.1": AlignmentParameters(cost=0.1),
    "cost 0.4": AlignmentParameters(cost=0.4),
    "cost 0.8": AlignmentParameters(cost=0.8),
    "invariance 0.3": AlignmentParameters(invariance=0.3),
    "invariance 3": AlignmentParameters(invariance=3),
    "steps 2": AlignmentParameters(steps=2),
    "steps 10": AlignmentParameters(steps=10),
    "distance l2": AlignmentParameters(distance="l2"),
    "distance scaled_l1": AlignmentParameters(distance="scaled_l1"),
    "distance scaled_l2": AlignmentParameters(distance="scaled_l2"),
    "share": AlignmentParameters(
        objective="share",
        every=4,
        solver=SolverParameters(alpha=0.1, steps=40, tolerance=1e-2),
        linear=LinearSolve(ridge=0.1, iterations=10, tolerance=1e-2),
    ),
}
SYMBOLS: Final[tuple[Symbol, ...]] = ("plus_minus", "intensity", "none")
QUICK: Final = ("default", "cost 0.1", "cost 0.4")


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """All settings. `data` is not used. Quick: one seed, the cost alone, fewer epochs."""
    del data
    seeds, epochs = (SEEDS[:1], 10) if quick else (SEEDS, TRAINING.epochs)
    folder = out / ("alignment_sensitivity_quick" if quick else "alignment_sensitivity")
    trials: list[tuple[str, AlignmentParameters | None, Symbol]] = [
        (name, parameters, "plus_minus") for name, parameters in SETTINGS.items() if not quick or name in QUICK
    ]
    if not quick:
        others = [(f"symbol {symbol}", AlignmentParameters(), symbol) for symbol in SYMBOLS[1:]]
        trials += [*others, *((f"plain, symbol {symbol}", None, symbol) for symbol in SYMBOLS)]
    rows: list[dict[str, Any]] = []
    for name, parameters, symbol in trials:
        values = [
            kept(folder / f"{name.replace(' ', '_')}_{seed}.json", _Trial(name, parameters, symbol, seed, epochs))
            for seed in seeds
        ]
        rows.append(
            {"setting": name, "seeds": len(values), "lowest": min(v["accuracy"] for v in values)} | row_of(values)
        )
    aligned = [row for row in rows if not row["setting"].startswith("plain")]
    return {
        "rows": rows,
        "figures": {
            "lowest_accuracy": min(row["accuracy"] for row in aligned),
            "lowest_cam_precision": min(row["cam"] for row in aligned),
        },
    }


class _Trial:
    """One fit of one setting; None: plain training."""

    def __init__(
        self, name: str, parameters: AlignmentParameters | None, symbol: Symbol, seed: int, epochs: int
    ) -> None:
        self.name, self.parameters, self.symbol, self.seed, self.epochs = name, parameters, symbol, seed, epochs

    def __call__(self) -> dict[str, float]:
        task = synthetic_task(self.seed, COUNTS, self.symbol)
        return one(self._fit, task, self.seed, f"{self.name} {self.seed}", masked=False, epochs=self.epochs)

    def _fit(self, fit: Fit) -> None:
        if self.parameters is None:
            METHODS["plain"](fit)
        else:
            fit.aligned(self.parameters)
