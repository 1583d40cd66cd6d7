"""Generated sequences on held-out slices: does the property that was asked for change, and nothing else?

Protocol, fixed before the figures of the test patients were seen.

- Patients: four phantom cohorts of different seeds, 2 mm, centres 01, 03, 07, 08: 160 to train the generator (lesion
  load, FLAIR), 64 to train the segmenter that measures, 24 for development (scale of the guidance, region), 24 to test.
  Of each test patient one slice: the one whose true lesion area is nearest to 2 cm², among heights at which loads were
  learned.
- Generator: `GeneratorParameters()` with `STEPS` steps; its training must stay below 30 minutes. It learns areas from
  the masks of the phantom's rater, and is told the area of that rater's mask as the slice's own.
- Sequence: nine equidistant loads from none to the slice's greatest one, max(2 · own, own + the usual area at its
  height), at most the 99th percentile of training. The same slice goes through four ways to make it:
  - *condition*: the default of the property "generated": inversion, condition interpolated at a fixed scale of
    guidance, known region put back at every step, difference added to the slice;
  - *guidance*: the same with the greatest load as condition and the scale of the guidance growing from −3 to 3;
  - *condition, no region*: as the first, without putting back the known region;
  - *without inversion*: drawn from random noise, the same at every step, under the interpolated condition.
- The property is measured by what the generator does not know: (a) expected lesion area, the sum of the probabilities
  of a segmenter trained on single slices of other patients; (b) area at probability .5 or more; (c) the
  brightness above the unchanged slice's 98th percentile, with no network and no mask. Spearman's coefficient between
  the nine values asked for and (a) is the figure `spearman`: mean over slices for *condition*.
- Identity: SSIM with the unchanged slice over the head outside the edited region, which is where the segmenter finds a
  lesion at any step or one truly is, and 4 mm about it – not the region that the generator itself declares, outside of
  which nothing can change. The *least* over the nine images counts; `ssim_outside` is its mean over slices for
  *condition*.
- Reported: mean, standard deviation, minimum and n over slices; share of slices with a coefficient of at least .9; how
  far the area goes (last minus first, over what was asked for). Beside it the error of the inversion itself, with and
  without its fixed-point iterations, and the minutes of training.

The scale and the region of the guidance were chosen on development slices, twice: the first choice (scale 4, region
from half of the largest change) reached a coefficient of .70 ± .51 on test slices of seed 7104, since it changed the
slice's own lesions alone; the second (2.5 and 0.3) is evaluated on test slices of a new seed.

`--quick`: 40 + 16 patients, 8 test slices, 150 steps: too few to learn; it shows that everything runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.property_diffusion_measures import (
    Array,
    Mask,
    edited_region,
    excess_brightness,
    lesion_probability,
    rank_correlation,
    similarity_outside,
    trained_segmenter,
)
from benchmarks.property_diffusion_picture import strip
from slicerxai import runtime
from slicerxai.data.case import Case
from slicerxai.data.phantom import PhantomParameters, write_cohort
from slicerxai.data.readers import read_cohort
from slicerxai.interventions.generator.conditions import LoadCondition, position_features
from slicerxai.interventions.generator.courses import Drawn
from slicerxai.interventions.generator.editing import EditSettings, SliceEditor
from slicerxai.interventions.generator.inversion import Inverted, draw, invert
from slicerxai.interventions.generator.parameters import GeneratorParameters
from slicerxai.interventions.generator.property import MOST_SCALE, SCALE
from slicerxai.interventions.generator.slices import Slices, slices_of
from slicerxai.interventions.generator.store import GeneratorStore, TrainedGenerator
from slicerxai.interventions.generator.training_slices import lesion_areas

SEEDS = {"train": 7101, "development": 7102, "segmenter": 7103, "test": 7105}
PATIENTS = {"train": 40, "development": 6, "segmenter": 16, "test": 6}
QUICK_PATIENTS = {"train": 10, "development": 2, "segmenter": 4, "test": 2}
STEPS, QUICK_STEPS = 1400, 150
VALUES = np.linspace(0, 1, 9)
AREA = 2.0
RATER = "consensus"
WAYS = ("condition", "guidance", "condition, no region", "without inversion")


@dataclass(frozen=True)
class Chosen:
    """One slice of each patient.

    Attributes:
        slices: the slices as if they were of one scan, (N, 1, H, W).
        own: area of the rater's mask, cm². most: greatest area of the sequence.
        truth: true lesions (N, H, W). patients: ids.
    """

    slices: Slices
    own: Array
    most: Array
    truth: Mask
    patients: tuple[str, ...]


class SliceCourse:
    """A course on which every slice has a range of its own; values are shares of it, or scales of the guidance."""

    title, units = "Lesion load", ""
    neutral = 0.0

    def __init__(self, condition: LoadCondition, chosen: Chosen, by: str, scale: float = SCALE) -> None:
        self._condition, self._most, self._by, self._scale = condition, chosen.most, by, scale
        self.limits = (0.0, 1.0)
        self.source = condition.encoded(chosen.own)
        self.active = np.ones(len(chosen.own), dtype=np.bool_)
        self.ends = tuple(Drawn(condition.encoded(share * chosen.most), scale) for share in (0.0, 1.0))

    def at(self, value: float) -> Drawn:
        if self._by == "guidance":
            return Drawn(self._condition.encoded(self._most), MOST_SCALE * (2 * value - 1))
        return Drawn(self._condition.encoded(value * self._most), self._scale)


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train what is not there yet, draw the sequences of the test slices and measure them."""
    work = out / "property_diffusion" / ("quick" if quick else "full")
    work.mkdir(parents=True, exist_ok=True)
    runtime.configure()
    generator = _generator(work, quick)
    network = _segmenter(work, quick, generator)
    chosen = choose(_cohort(work, "test", quick), generator)
    rows, images = [], {}
    for way in WAYS:
        images[way] = _kept(work, generator, way, partial(sequences, generator, chosen, way))
        rows.append(measured(way, images[way], chosen, network))
        print(rows[-1], flush=True)
    strip(images, chosen.slices, lambda pixels: lesion_probability(network, pixels), out / "property_diffusion.png")
    trained = generator.provenance
    rows += inversion_rows(generator, chosen)
    first = rows[0]
    return {
        "figures": {
            "spearman": first["Spearman"],
            "ssim_outside": first["SSIM outside, least"],
            "training_minutes": trained["training_seconds"] / 60,
            "training_cpu_minutes": trained["training_cpu_seconds"] / 60,
        },
        "rows": rows,
        "notes": [
            f"{len(chosen.own)} slices of as many patients, true areas {chosen.own.min():.2f} to "
            f"{chosen.own.max():.2f} cm², asked for up to {chosen.most.min():.2f} to {chosen.most.max():.2f} cm²",
            f"generator: {trained['slices']} slices of {len(trained['cases'])} patients, "
            f"{trained['parameters']['steps']} steps, {trained['precision']}, {trained['threads']} threads",
        ],
    }


def _kept(work: Path, generator: TrainedGenerator, way: str, make: Callable[[], Array]) -> Array:
    """Images of one way, from the file of an interrupted run of the same generator and settings when there is one."""
    settings = f"{generator.digest[:12]}-{EditSettings()}-{SCALE}-{MOST_SCALE}-{way}"
    path = work / f"{hashlib.sha256(settings.encode()).hexdigest()[:12]}.npy"
    if path.is_file():
        found: Array = np.load(path)
        return found
    images = make()
    temporary = path.with_suffix(".tmp.npy")
    np.save(temporary, images)
    temporary.replace(path)
    return images


def sequences(
    generator: TrainedGenerator,
    chosen: Chosen,
    way: str,
    scale: float = SCALE,
    settings: EditSettings | None = None,
) -> Array:
    """Images (T, N, H, W) of every slice at `VALUES`, made in one of `WAYS`."""
    condition = generator.condition
    assert isinstance(condition, LoadCondition)
    settings = settings or EditSettings(guide=way != "condition, no region")
    course = SliceCourse(condition, chosen, way if way == "guidance" else "condition", scale)
    if way == "without inversion":
        return _from_noise(generator, chosen, course, settings.steps)
    editor = SliceEditor(generator, chosen.slices, course, settings)
    pixels = chosen.slices.pixels.numpy()
    images: Array = np.stack([(pixels + editor.change(float(value)))[:, 0] for value in VALUES])
    return images


def _from_noise(generator: TrainedGenerator, chosen: Chosen, course: SliceCourse, steps: int) -> Array:
    pixels = chosen.slices.pixels
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0)).to(generator.device)
    blank = torch.zeros((steps, *pixels.shape), device=generator.device)
    position = position_features(chosen.slices.height).to(generator.device)
    start = Inverted(torch.cat([blank, noise[None]]), course.source.to(generator.device), position)
    images = [draw(generator, start, course.at(float(value)).target, course.at(0.0).scale) for value in VALUES]
    found: Array = torch.stack(images)[:, :, 0].cpu().numpy()
    return found


def measured(way: str, images: Array, chosen: Chosen, network: torch.nn.Module) -> dict[str, Any]:
    """One row: rank correlations, range and similarity over all slices, from images (T, N, H, W)."""
    count = images.shape[1]
    pixel = float(np.prod(np.linalg.norm(chosen.slices.grid.affine[:3, :2], axis=0))) / 100
    found: dict[str, list[float]] = {key: [] for key in ("soft", "hard", "bright", "least", "mean", "reach")}
    for n in range(count):
        series, unchanged = images[:, n], chosen.slices.pixels[n, 0].numpy()
        head = chosen.slices.head[n]
        probability = lesion_probability(network, series)
        soft = probability.sum(axis=(1, 2)) * pixel
        found["soft"].append(rank_correlation(VALUES, soft))
        found["hard"].append(rank_correlation(VALUES, (probability >= 0.5).sum(axis=(1, 2)).astype(float)))
        found["bright"].append(rank_correlation(VALUES, excess_brightness(series, head, unchanged)))
        where = head & ~edited_region(probability, chosen.truth[n])
        similar = similarity_outside(series, unchanged, where)
        found["least"].append(float(similar.min()))
        found["mean"].append(float(similar.mean()))
        found["reach"].append(float((soft[-1] - soft[0]) / chosen.most[n]))
    value = {key: np.array(values) for key, values in found.items()}
    return {
        "way": way,
        "n": count,
        "Spearman": float(value["soft"].mean()),
        "sd": float(value["soft"].std(ddof=1)),
        "minimum": float(value["soft"].min()),
        "share ≥ .9": float((value["soft"] >= 0.9).mean()),
        "Spearman, area at .5": float(value["hard"].mean()),
        "Spearman, brightness": float(value["bright"].mean()),
        "area gained / asked": float(value["reach"].mean()),
        "SSIM outside, least": float(value["least"].mean()),
        "SSIM sd": float(value["least"].std(ddof=1)),
        "SSIM minimum": float(value["least"].min()),
        "SSIM outside, mean": float(value["mean"].mean()),
    }


def inversion_rows(generator: TrainedGenerator, chosen: Chosen) -> list[dict[str, Any]]:
    """Mean absolute error in the head of slices drawn from their inversion under their own condition."""
    condition, slices = generator.condition, chosen.slices
    assert isinstance(condition, LoadCondition)
    source, head = condition.encoded(chosen.own), slices.head
    rows = []
    for iterations in (0, EditSettings().iterations):
        inverted = invert(
            generator, slices.pixels, source, position_features(slices.height), EditSettings().steps, iterations
        )
        error = (draw(generator, inverted, inverted.source, 0.0).cpu() - slices.pixels)[:, 0].abs().numpy()
        rows.append(
            {
                "inversion": "usual" if iterations == 0 else f"with {iterations} iterations of each step",
                "slices": len(error),
                "error, share of signal": float(error[head].mean()),
            }
        )
    return rows


def choose(cases: Sequence[Case], generator: TrainedGenerator) -> Chosen:
    """The slice of each patient whose true lesion area is nearest to `AREA`."""
    condition, config = generator.condition, generator.config
    assert isinstance(condition, LoadCondition)
    parts: list[tuple[Slices, int, float, Mask]] = []
    for case in cases:
        slices = slices_of({"FLAIR": case.image("FLAIR")}, config)
        true = slices.on_grid(case.mask("truth"))
        area = np.where(condition.usual(slices.height) > 0, lesion_areas(slices, true), np.inf)
        index = int(np.abs(area - AREA).argmin())
        drawn = float(lesion_areas(slices, slices.on_grid(case.mask(RATER)))[index])
        parts.append((slices, index, drawn, true[index] >= 0.5))
    own = np.array([area for _, _, area, _ in parts])
    height = np.array([slices.height[index] for slices, index, _, _ in parts], dtype=np.float32)
    usual = condition.usual(height)
    joined = Slices(
        pixels=torch.stack([slices.pixels[index] for slices, index, _, _ in parts]),
        head=np.stack([slices.head[index] for slices, index, _, _ in parts]),
        height=height,
        grid=parts[0][0].grid,
        thickness=parts[0][0].thickness,
        gain=(1.0,),
    )
    most = np.minimum(np.maximum(2 * own, own + usual), np.maximum(condition.most, own))
    return Chosen(joined, own, most, np.stack([true for *_, true in parts]), tuple(case.id for case in cases))


def _cohort(work: Path, part: str, quick: bool) -> list[Case]:
    folder = work / part
    patients = (QUICK_PATIENTS if quick else PATIENTS)[part]
    parameters = PhantomParameters(patients=patients, seed=SEEDS[part], raters=("1",))
    description = folder / "phantom.json"
    if not (description.is_file() and json.loads(description.read_text())["complete"]):
        print(f"simulating {parameters.count} patients: {part}", flush=True)
        write_cohort(folder, parameters)
    return list(read_cohort(folder))


def _generator(work: Path, quick: bool) -> TrainedGenerator:
    store = GeneratorStore(work / "generators")
    if "load" not in store.names():
        parameters = GeneratorParameters(steps=QUICK_STEPS if quick else STEPS)
        resume = (store.root / ".training-load" / "checkpoint.pt").is_file()
        store.train("load", _cohort(work, "train", quick), RATER, parameters, runtime.device(), _shown, resume=resume)
    return store.load("load", runtime.device())


def _shown(fraction: float, message: str) -> None:
    if message.startswith("step ") and message.split()[1].endswith("00"):
        print(message, flush=True)


def _segmenter(work: Path, quick: bool, generator: TrainedGenerator) -> torch.nn.Module:
    kept = work / "segmenter.pt"
    pixels, masks = [], []
    for case in [] if kept.is_file() else _cohort(work, "segmenter", quick):
        slices = slices_of({"FLAIR": case.image("FLAIR")}, generator.config)
        index = np.flatnonzero(slices.head.mean(axis=(1, 2)) > 0.05)
        pixels.append(slices.pixels[index])
        masks.append(torch.from_numpy(slices.on_grid(case.mask(RATER))[index, None]))
    empty = torch.zeros(0)
    return trained_segmenter(torch.cat(pixels) if pixels else empty, torch.cat(masks) if masks else empty, kept)
