"""Phantom pools in which every patient was scanned by every scanner and drawn by every rater.

All settings of an examination and of a reading are drawn from normal distributions that are known, so that exact
density ratios are known too. What is drawn from a pool is in `shift_truth`.

- Acquisition: settings of an examination are normal about the scanner's, see `SCANNERS`. "a" and "b" overlap as two
  hospitals' scanners do that differ by about 1.7 standard deviations of what happens within each; "c" is another
  world.
- Annotation: habits of a reading are normal about the rater's, see `READERS`; the same for "a", "b" and "c". Jitter of
  the boundary and missed lesions come on top, as in every phantom rater.

"""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from slicerxai import runtime
from slicerxai.data.case import Case
from slicerxai.data.files import replaced_bytes, replaced_text
from slicerxai.data.io import write_volume
from slicerxai.data.lesions import label_components
from slicerxai.data.metrics import dice, lesion_scores
from slicerxai.data.phantom.centres import AcquisitionStyle
from slicerxai.data.phantom.parameters import Population
from slicerxai.data.phantom.patient import Truth, simulate_truth
from slicerxai.data.phantom.raters import RATERS, AnnotationStyle
from slicerxai.data.volume import Volume
from slicerxai.models.fast import FastSegmenter
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.fast_training import CHECKPOINT
from slicerxai.models.protocols import Segmenter
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from slicerxai.models.unet import FastUNet
from slicerxai.progress import Progress, part, silent
from slicerxai.shift import features

Array = NDArray[np.float64]

SETTINGS: Final = ("log_gamma", "fluid", "log_in_plane", "log_slice", "log_noise", "log_bias")
HABITS: Final = ("offset_mm", "log_missed_mm3", "log_missed_contrast", "log_invented")


@dataclass(frozen=True)
class Spread:
    """Independent normal distributions, one for each setting or habit."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> Array:
        return np.asarray(self.mean) + np.asarray(self.sd) * rng.standard_normal(len(self.mean))

    def log_density(self, values: Array) -> Array:
        """Of values (..., d), up to a constant that all spreads of the same SDs share. Shape (...)."""
        z = (values - np.asarray(self.mean)) / np.asarray(self.sd)
        return np.asarray(-0.5 * (z**2).sum(axis=-1) - np.log(self.sd).sum())


def _scanner(gamma: float, fluid: float, in_plane: float, thickness: float, noise: float, bias: float) -> Spread:
    """Typical settings; what varies from examination to examination is the same for every scanner."""
    logs = [math.log(value) for value in (in_plane, thickness, noise, bias)]
    return Spread((math.log(gamma), fluid, *logs), SETTING_SD)


def _reader(offset_mm: float, missed_mm3: float, missed_contrast: float, invented: float) -> Spread:
    """Typical habits; what varies from reading to reading is the same for every reader."""
    return Spread((offset_mm, *(math.log(value) for value in (missed_mm3, missed_contrast, invented))), HABIT_SD)


SETTING_SD: Final = (0.12, 0.03, 0.10, 0.20, 0.30, 0.35)
HABIT_SD: Final = (0.35, 0.50, 0.25, 0.40)
SCANNERS: Final = {
    "a": _scanner(gamma=1.10, fluid=0.03, in_plane=1.0, thickness=1.6, noise=0.040, bias=0.050),
    "b": _scanner(gamma=0.93, fluid=0.03, in_plane=1.0, thickness=1.85, noise=0.050, bias=0.050),
    "c": _scanner(gamma=0.35, fluid=0.25, in_plane=2.5, thickness=6.0, noise=0.16, bias=0.12),
}
"""Site "b" has less contrast, more noise and thicker slices: 1.74 standard deviations from "a"; "c" is over 15 away."""
READERS: Final = {
    "a": _reader(offset_mm=0.25, missed_mm3=12, missed_contrast=0.090, invented=0.8),
    "b": _reader(offset_mm=-0.20, missed_mm3=18, missed_contrast=0.105, invented=0.8),
    "c": _reader(offset_mm=2.2, missed_mm3=60, missed_contrast=0.30, invented=2.5),
}
"""Reader "b" draws tighter and misses more: 1.64 standard deviations from "a"; "c" is over 8 away."""
JITTER_MM: Final = 0.35
POPULATION: Final = Population(age_mean=44, age_sd=11, load_median_ml=8, load_spread=1.0)

PANEL: Final = ("1", "2", "3", "4", "5", "6", "7")
"""Raters of the panel whose consensus measures disease burden, independently of the reader at hand."""


def scanner_style(settings: Array) -> AcquisitionStyle:
    """Settings of one examination, in the order of `SETTINGS`."""
    gamma, in_plane, thickness, noise, bias = np.exp(settings[[0, 2, 3, 4, 5]])
    # not validated: a rare draw beyond the limits of what a user may ask for keeps the distributions exactly normal
    return AcquisitionStyle(scanner="pool", grain_mm=1.0, scale=500).model_copy(
        update={
            "gamma": float(gamma),
            "fluid": float(settings[1]),
            "in_plane_mm": float(in_plane),
            "slice_mm": float(thickness),
            "noise": float(noise),
            "bias": float(bias),
        }
    )


def reader_style(habits: Array) -> AnnotationStyle:
    """Habits of one reading, in the order of `HABITS`."""
    missed_mm3, missed_contrast, invented = np.exp(habits[1:])
    return AnnotationStyle(jitter_mm=JITTER_MM).model_copy(
        update={
            "offset_mm": float(habits[0]),
            "missed_mm3": float(missed_mm3),
            "missed_contrast": float(missed_contrast),
            "invented": float(invented),
        }
    )


@dataclass(frozen=True)
class PoolParameters:
    """What a pool holds; the same parameters give the same rows.

    Attributes:
        seed: of the patients; below 100 for development.
        patients: how many.
        training_patients, steps: of the segmenter that the pool is scored with.
    """

    seed: int
    patients: int
    training_patients: int = 16
    steps: int = 400


WHOLE_BRAIN: Final = (80, 104, 88)
"""Voxels of 2 mm that hold every patient's brain."""
TRAINING_SEED: Final = 90_000
"""Seed of the segmenter's own patients, whom no pool holds."""


def train_segmenter(root: Path, parameters: PoolParameters, progress: Progress = silent) -> Segmenter:
    """The fixed model: learns from scanner "a" and reader "a" on patients of its own; trained once per root."""
    store = ModelStore(root / "models")
    name = f"segmenter-{parameters.training_patients}-{parameters.steps}"
    if name not in store.names():
        cases = [_training_case(root / "training", n) for n in range(1, parameters.training_patients + 1)]
        options = FastTrainingParameters(
            spacing=2.0,
            patch=48,
            features=(16, 32, 64),
            steps=parameters.steps,
            augmentation=0.25,
            validation_share=0.15,
            precision="float32",
        )
        resume = (store.root / f".training-{name}" / CHECKPOINT).is_file()
        train("fast", cases, "a", options, store, name, runtime.device(), progress, resume=resume)
    model = store.load(name, runtime.device())
    assert isinstance(model, FastSegmenter)
    # one patch that holds a whole brain: half the time of overlapping ones
    config = model.config.model_copy(update={"patch_size": WHOLE_BRAIN, "overlap": 0.0})
    network = model.network
    assert isinstance(network, FastUNet)
    return FastSegmenter(model.info, network, config, model.device)


def _training_case(folder: Path, number: int) -> Case:
    image, mask = folder / f"{number:03d}-FLAIR.nii.gz", folder / f"{number:03d}-mask.nii.gz"
    truth = patient(TRAINING_SEED, number)
    write_volume(image, scan(truth, "a").image)
    write_volume(mask, read(truth, "a").mask)
    return Case(f"{number:03d}", {"FLAIR": image}, {"a": mask})


def patient(seed: int, number: int) -> Truth:
    """What is true of a patient of a pool."""
    return simulate_truth(seed, "20", number, spacing=2.0, population=POPULATION, load_range_ml=(0.5, 45.0))


def _settings_rng(truth: Truth, mechanism: int) -> np.random.Generator:
    """Random settings of a mechanism: the same normal numbers whatever the scanner or reader."""
    return np.random.default_rng(np.random.SeedSequence(truth.seed, spawn_key=(truth.number, 100 + mechanism)))


@dataclass(frozen=True)
class Scan:
    """An examination and the settings that it was made with."""

    image: Volume
    settings: Array


@dataclass(frozen=True)
class Reading:
    """A drawing and the habits of that day."""

    mask: Volume
    habits: Array


def scan(truth: Truth, scanner: str) -> Scan:
    """The patient in a scanner."""
    settings = SCANNERS[scanner].draw(_settings_rng(truth, 0))
    return Scan(truth.images(scanner_style(settings))["FLAIR"], settings)


def read(truth: Truth, reader: str) -> Reading:
    """The patient's lesions as a reader draws them; readers differ in their boundary's jitter too."""
    habits = READERS[reader].draw(_settings_rng(truth, 1))
    number = str(1 + list(READERS).index(reader))
    return Reading(truth.mask(number, reader_style(habits)), habits)


def generate(root: Path, parameters: PoolParameters, workers: int = 1, progress: Progress = silent) -> Path:
    """Simulate, scan, draw, segment and measure every patient of a pool; those that are there already are kept.

    Args:
        root: holds a folder for each pool, and the segmenter that they share.
        workers: processes; each computes with one thread.

    Returns:
        The pool's folder.
    """
    folder = pool_folder(root, parameters.seed)
    _claim(folder, parameters)
    train_segmenter(root, parameters, part(progress, 0, 0.1))
    missing = [n for n in range(1, parameters.patients + 1) if not _row_file(folder, n).is_file()]
    started = time.perf_counter()
    for done, _ in enumerate(_made(root, parameters, missing, workers), start=1):
        pace = (time.perf_counter() - started) / done
        message = f"pool {parameters.seed}: {len(missing) - done} patients left, {pace:.1f} s each"
        progress(0.1 + 0.9 * (1 - (len(missing) - done) / parameters.patients), message)
    return folder


def pool_folder(root: Path, seed: int) -> Path:
    """Where a pool is kept."""
    return root / f"pool-{seed:04d}"


def _made(root: Path, parameters: PoolParameters, numbers: list[int], workers: int) -> Iterator[None]:
    if workers == 1:
        for number in numbers:
            make_patient(root, parameters, number)
            yield
        return
    # started afresh: a fork would inherit the locks of this process's numerical libraries
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for job in as_completed([pool.submit(make_patient, root, parameters, number) for number in numbers]):
            job.result()
            yield


def _claim(folder: Path, parameters: PoolParameters) -> None:
    """Write what the folder is for, or see that it is for this; more patients may be added later."""
    description = folder / "pool.json"
    wanted = asdict(parameters) | {"scanners": _plain(SCANNERS), "readers": _plain(READERS)}
    if description.is_file():
        known = json.loads(description.read_text())
        if any(known[key] != value for key, value in json.loads(json.dumps(wanted)).items() if key != "patients"):
            msg = f"{folder} holds a pool of other parameters: {known}; give another folder"
            raise ValueError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    replaced_text(description, json.dumps(wanted, indent=2) + "\n")


def _plain(spreads: dict[str, Spread]) -> dict[str, Any]:
    return {name: asdict(spread) for name, spread in spreads.items()}


def _row_file(folder: Path, number: int) -> Path:
    return folder / "rows" / f"{number:04d}.json"


def make_patient(root: Path, parameters: PoolParameters, number: int) -> None:
    """One patient in every environment: its numbers in `rows`, its images and masks in `volumes`."""
    folder = pool_folder(root, parameters.seed)
    runtime.configure()
    torch.set_num_threads(1)
    started = time.process_time()
    model = _segmenter(root, parameters)
    truth = patient(parameters.seed, number)
    panel = truth.masks({rater: RATERS[rater] for rater in PANEL})["consensus"]
    scans = {name: scan(truth, name) for name in SCANNERS}
    readings = {name: read(truth, name) for name in READERS}
    row = measure(model, truth, panel, scans, readings)
    arrays: dict[str, NDArray[np.generic]] = {f"scan_{name}": item.image.array for name, item in scans.items()}
    arrays |= {f"mask_{name}": item.mask.array for name, item in readings.items()} | {"panel": panel.array}
    _save_arrays(folder / "volumes" / f"{number:04d}.npz", arrays | {"affine": panel.affine})
    file = _row_file(folder, number)
    file.parent.mkdir(parents=True, exist_ok=True)
    replaced_text(file, json.dumps(row | {"number": number, "seconds": time.process_time() - started}) + "\n")


@lru_cache(maxsize=1)
def _segmenter(root: Path, parameters: PoolParameters) -> Segmenter:
    return train_segmenter(root, parameters)


def _save_arrays(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    replaced_bytes(path, buffer.getvalue())


def measure(
    model: Segmenter, truth: Truth, panel: Volume, scans: dict[str, Scan], readings: dict[str, Reading]
) -> dict[str, Any]:
    """Features and metrics of one patient in every environment, as plain values."""
    burden = float(np.count_nonzero(panel.array)) * panel.voxel_volume / 1000
    lesions = label_components(np.asarray(panel.array) != 0)[1]
    row: dict[str, Any] = {
        "population": features.population_features({"age": truth.age, "sex": truth.sex}, burden, lesions),
        "true_load_ml": truth.load_ml,
        "scans": {},
        "readings": {},
        "pairs": {},
    }
    for reader, reading in readings.items():
        against = features.reference_features(reading.mask, panel)
        row["readings"][reader] = {"habits": reading.habits.tolist(), "reference": against}
    for scanner, examination in scans.items():
        images = {"FLAIR": examination.image}
        found = model.predict(images)
        row["scans"][scanner] = {
            "settings": examination.settings.tolist(),
            "acquisition": features.acquisition_features(examination.image),
            "prediction": features.prediction_features(found),
            "embedding": features.embedding(model, images).tolist(),
        }
        for reader, reading in readings.items():
            row["pairs"][scanner + reader] = {
                "metric": score(found.labelmap, reading.mask),
                "style": features.style_features(examination.image, reading.mask),
                "agreement": features.agreement_features(reading.mask, found.labelmap),
            }
    return row


def score(found: Volume, mask: Volume) -> dict[str, float]:
    """Dice and lesion-wise F1 of one prediction."""
    predicted, drawn = np.asarray(found.array) != 0, np.asarray(mask.array) != 0
    return {"dice": dice(predicted, drawn), "f1": lesion_scores(predicted, drawn, found.voxel_volume).f1}
