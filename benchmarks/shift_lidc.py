"""Benchmark `shift_lidc`: real CT nodules across scanner vendors and annotation habits.

Protocol, fixed before the test patients were looked at; its network was set up on the source's training patients only.

- Nodules that two or more readers drew, in crops that are in place (`lidc_cases`). Readers are anonymous, so the
  annotation environments are habits: "generous" is the largest drawing of each nodule, "sparing" the smallest.
- The source is the vendor with most patients, generous drawings. Half of its patients, drawn by seed, train a small 2D
  U-Net; the others are the source's test cases. The target is the vendor with next to most patients, sparing drawings.
  Rows show the other vendors, targets in which only one of the two changes, and, with the very images of the source,
  a change of habit alone.
- Variables: population (panel's area, number of readers), image (noise, grain, lung level and spread, edges, pixel
  size, predicted area and doubt), mask (area and level against the image's own outline, roundness). Metric: Dice.
- Both habits are known on every image, so what the change of annotation costs can be read off: "paired" exchanges the
  drawings and estimates only the rest. It is the yardstick for "robust", "weighting" and "plain", which see one drawing
  of each image.

Figures are of "robust" on the target, in Dice points; `ess` is the least number of effective cases behind a value.
`--data` holds `lidc_2d.npz` and `nodules.csv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from monai.networks.nets.basic_unet import BasicUNet
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from benchmarks import lidc_cases
from benchmarks.lidc_cases import Habit, Nodule
from slicerxai import runtime
from slicerxai.data.metrics import dice
from slicerxai.errors import InputError
from slicerxai.models.fast_training import schedule
from slicerxai.shift.attribution import Attribution, attribute
from slicerxai.shift.estimators.robust import Swapped
from slicerxai.shift.options import EstimatorName, Options
from slicerxai.shift.samples import MINIMUM_SUBJECTS, Pair, Samples

Array = NDArray[np.float64]
SEED: Final = 0
LEAST_PATIENTS: Final = 2 * MINIMUM_SUBJECTS
STEPS, QUICK_STEPS = 300, 100
BATCH, RATE = 12, 4e-3
FEATURES: Final = (8, 12, 16, 24, 32, 8)
SCALE: Final = (-300.0, 700.0)
"""Centre and half-width of the intensities, HU."""
SHARES: Final = ("population", "acquisition", "annotation")


@dataclass(frozen=True)
class Scored:
    """A nodule with what the network finds in it."""

    nodule: Nodule
    probability: NDArray[np.float32]

    def dice(self, habit: Habit) -> float:
        """Agreement of the prediction with a drawing, in [0, 1]."""
        return dice(self.probability >= 0.5, self.nodule.drawing(habit))


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, predict, attribute. Returns figures, rows and notes."""
    del out
    if data is None:
        msg = "shift_lidc needs --data, a folder with lidc_2d.npz and nodules.csv"
        raise InputError(msg)
    runtime.configure()
    nodules = lidc_cases.read(data)
    names = lidc_cases.vendors(nodules, LEAST_PATIENTS)
    if len(names) < 2:
        msg = f"{data} has {len(names)} vendors of {LEAST_PATIENTS} patients or more; at least two are needed"
        raise InputError(msg)
    training, held_out = split([n for n in nodules if n.vendor == names[0]])
    network = train(training, QUICK_STEPS if quick else STEPS, runtime.device())
    sites = {names[0]: predict(network, held_out)}
    for name in names[1 : 2 if quick else None]:
        sites[name] = predict(network, [n for n in nodules if n.vendor == name])
    source, wanted = sites[names[0]], names[1]
    rows, figures = [], {}
    for name, target in sites.items():
        for habit in ("sparing", "generous"):
            if name == names[0] and habit == "generous":
                continue
            main = (name, habit) == (wanted, "sparing")
            estimators: tuple[EstimatorName, ...] = ("robust", "weighting", "plain") if main else ("robust",)
            found = {one: _attribute(source, target, habit, one) for one in estimators}
            paired = _attribute(source, target, habit, "robust", paired=True)
            rows += [_row(name, habit, one, result) for one, result in (found | {"paired": paired}).items()]
            print(rows[-1], flush=True)
            if main:
                figures = _figures(found["robust"], paired)
    notes = [
        f"Source {names[0]}, generous: {len(source)} nodules of {_patients(source)} patients; the network learnt from "
        f"{len(training)} nodules of {len({n.patient for n in training})} other patients of that vendor.",
        *(f"{name}: {len(site)} nodules of {_patients(site)} patients." for name, site in sites.items()),
        "Dice points; intervals at 95 %. On the source's own images, acquisition and population cost nothing in truth.",
    ]
    return {"figures": figures, "rows": rows, "notes": notes}


def _patients(site: Sequence[Scored]) -> int:
    return len({one.nodule.patient for one in site})


def split(nodules: Sequence[Nodule]) -> tuple[list[Nodule], list[Nodule]]:
    """Those of one half of the patients, drawn by the seed, and the others."""
    patients = sorted({n.patient for n in nodules})
    chosen = set(np.random.default_rng(SEED).permutation(patients)[: len(patients) // 2].tolist())
    return [n for n in nodules if n.patient in chosen], [n for n in nodules if n.patient not in chosen]


def train(nodules: Sequence[Nodule], steps: int, device: torch.device) -> nn.Module:
    """A small 2D U-Net of the generous drawings, with flips and turns by 90°."""
    images = torch.stack([_input(n) for n in nodules])
    masks = torch.stack([_padded(n.drawing("generous").astype(np.float32)) for n in nodules])
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = BasicUNet(2, 1, 1, features=FEATURES, norm=("batch", {"affine": True})).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    loss_of = DiceCELoss(sigmoid=True, batch=True)
    generator = Generator().manual_seed(SEED)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * schedule(step, steps)
        drawn = torch.randint(len(nodules), (BATCH,), generator=generator)
        turns, flip = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
        batch = torch.cat([images[drawn], masks[drawn]], 1).rot90(turns, (2, 3))
        batch = (batch.flip(3) if flip else batch).to(device)
        loss = loss_of(network(batch[:, :1]), batch[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 99:
            print(f"step {step + 1} of {steps}, loss {float(loss.detach()):.3f}", flush=True)
    return network.eval()


@torch.no_grad()
def predict(network: nn.Module, nodules: Sequence[Nodule]) -> list[Scored]:
    """Probability of nodule in every pixel."""
    device = next(network.parameters()).device
    scored = []
    for nodule in nodules:
        logits = network(_input(nodule)[None].to(device))[0, 0].cpu()
        height, width = nodule.image.shape
        scored.append(Scored(nodule, torch.sigmoid(logits)[:height, :width].numpy()))
    return scored


def _input(nodule: Nodule) -> Tensor:
    centre, half = SCALE
    return _padded(np.clip((nodule.image - centre) / half, -1, 1))


def _padded(array: NDArray[np.float32]) -> Tensor:
    """(1, I, J) with I and J multiples of 16."""
    more = [-size % 16 for size in array.shape]
    return nn.functional.pad(torch.from_numpy(array)[None], (0, more[1], 0, more[0]), mode="replicate")


def samples(site: Sequence[Scored], habit: Habit) -> Samples:
    """Variables S, X and Y, and Dice, with the drawings of one habit."""
    columns = {
        "S": [lidc_cases.population(one.nodule) for one in site],
        "X": [lidc_cases.acquisition(one.nodule) + lidc_cases.prediction(one.nodule, one.probability) for one in site],
        "Y": [lidc_cases.style(one.nodule, one.nodule.drawing(habit)) for one in site],
    }
    metric = np.array([one.dice(habit) for one in site])
    return Samples({k: np.array(v) for k, v in columns.items()}, metric, np.array([one.nodule.patient for one in site]))


def _attribute(
    source: Sequence[Scored], target: Sequence[Scored], habit: Habit, estimator: EstimatorName, *, paired: bool = False
) -> Attribution:
    pair = Pair(samples(source, "generous"), samples(target, habit))
    exchanged = [np.array([one.dice(other) for one in site]) for site, other in ((source, habit), (target, "generous"))]
    swapped = Swapped("annotation", *exchanged) if paired else None
    return attribute(pair, options=Options(estimator=estimator, seed=SEED), swapped=swapped)


def _row(name: str, habit: Habit, estimator: str, result: Attribution) -> dict[str, Any]:
    shares: dict[str, float | str] = {}
    for k, share in enumerate(result.names):
        shares |= {share: 100 * float(result.phi[k]), f"{share} interval": _interval(result.interval[k])}
    return {
        "target": f"{name}, {habit}",
        "estimator": estimator,
        "drop": 100 * result.drop,
        "drop interval": _interval(result.drop_interval),
        **shares,
        "unresolved": 100 * result.unresolved,
        "effective cases": _effective(result),
        "states": ", ".join(result.states),
        "verdict": _verdict(result),
    }


def _figures(estimated: Attribution, paired: Attribution) -> dict[str, float]:
    figures = {"delta_dice": 100 * estimated.drop, "ess": _effective(estimated)}
    for k, name in enumerate(SHARES):
        figures[f"phi_{name}"] = 100 * float(estimated.phi[k])
        figures[f"phi_{name}_low"], figures[f"phi_{name}_high"] = (100 * float(v) for v in estimated.interval[k])
    paired_shares = {f"phi_{name}_paired": 100 * float(paired.phi[k]) for k, name in enumerate(SHARES)}
    return figures | {"unresolved": 100 * estimated.unresolved} | paired_shares


def _effective(result: Attribution) -> float:
    return float((result.overlap.ess * result.overlap.cases)[result.relevant].min())


def _interval(bounds: Array) -> str:
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def _verdict(result: Attribution) -> str:
    given = {check.verdict for check in result.checks}
    return next(one for one in ("unreliable", "caution", "reliable") if one in given)
