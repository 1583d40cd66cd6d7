"""Labelled images for the INFORMER table, in three forms that are told apart by the files of a folder.

- chest X-rays: `nih_cxr_64.npz` (`images` uint8 (N, 64, 64)) and `labels.csv` (a row for each image: `patient`, `view`,
  a column of 0 and 1 for each finding; "No Finding" is not used, it follows from the others);
- dermoscopy: `images/*.jpg` and `labels.csv` (`image`, seven artefacts, five attributes, and a malignant label, which
  is not used);
- a phantom cohort: `phantom.json` and `cases.csv`; labels are the McDonald regions that hold lesions, and nine lesions
  or more.

Each has a way to take validation and test images from different sides of a shift: views (PA, AP), images without and
with a ruler, and the first and second half of the centres.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import MCDONALD_TARGETS, ClassifierTrainingParameters
from slicerxai.models.classifier_targets import case_labels
from slicerxai.models.classifier_training import CasesInMemory

Flags = NDArray[np.bool_]
XRAY, LABELS, PHANTOM = "nih_cxr_64.npz", "labels.csv", "phantom.json"
NOT_FINDINGS = ("image", "split", "cls", "labels", "patient", "age", "sex", "view", "No Finding")
NOT_SIGNS = ("image", "label", "label_string")
RULER = "ruler"
TARGETS = (*MCDONALD_TARGETS, "nine lesions=lesions>8")


@dataclass(frozen=True)
class Source:
    """Labels of a data folder, and how its images are read.

    Attributes:
        form: "xray", "dermoscopy" or "phantom". digest: of the table of labels.
        labels: names. truth: (N, L). groups: patient of each image, (N,).
        far: (N,), the image belongs to the far side of the shift, from which only test images are taken there.
        shift: what changes, in words. tells: label that the shift consists of, left out there, or None.
        read: images (N, C, *spatial), float32, of the size that the parameters name.
    """

    form: str
    digest: str
    labels: tuple[str, ...]
    truth: Flags
    groups: NDArray[np.str_]
    far: Flags
    shift: str
    tells: str | None
    read: Callable[[ClassifierTrainingParameters], Tensor]


def source(folder: Path) -> Source:
    """The labelled images of a folder. Raises `InputError` for a folder in none of the three forms."""
    if (folder / XRAY).is_file() and (folder / LABELS).is_file():
        return _xrays(folder)
    if (folder / "images").is_dir() and (folder / LABELS).is_file():
        return _dermoscopy(folder)
    if (folder / PHANTOM).is_file():
        return _phantom(folder)
    msg = (
        f"{folder} holds none of the accepted forms: {XRAY} with {LABELS}; images/*.jpg with {LABELS}; a phantom "
        f"cohort with {PHANTOM}"
    )
    raise InputError(msg)


def _xrays(folder: Path) -> Source:
    rows, digest = _table(folder / LABELS)
    names = tuple(name for name in rows[0] if name not in NOT_FINDINGS)

    def read(parameters: ClassifierTrainingParameters) -> Tensor:
        with np.load(folder / XRAY) as stored:
            images = stored["images"]
        if len(images) != len(rows):
            msg = f"{folder / XRAY} has {len(images)} images, {LABELS} has {len(rows)} rows"
            raise InputError(msg)
        return _standard(_resized(torch.from_numpy(images)[:, None].float(), parameters.shape))

    views = np.array([row["view"] for row in rows])
    groups = np.array([row["patient"] for row in rows])
    truth = _truth(rows, names)
    return Source("xray", digest, names, truth, groups, views == "AP", "view: PA to AP", None, read)


def _dermoscopy(folder: Path) -> Source:
    rows, digest = _table(folder / LABELS)
    names = tuple(name for name in rows[0] if name not in NOT_SIGNS)
    truth = _truth(rows, names)

    def read(parameters: ClassifierTrainingParameters) -> Tensor:
        from PIL import Image

        images = torch.empty(len(rows), 3, *parameters.shape)
        for n, row in enumerate(rows):
            with Image.open(folder / "images" / f"{row['image']}.jpg") as image:
                pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
            images[n] = _resized(pixels, parameters.shape)[0]
        return _standard(images)

    far = truth[:, names.index(RULER)]
    groups = np.array([row["image"] for row in rows])
    return Source("dermoscopy", digest, names, truth, groups, far, "images without to with a ruler", RULER, read)


def _phantom(folder: Path) -> Source:
    from slicerxai.data.readers import read_cohort

    cases = read_cohort(folder).cases
    parameters = ClassifierTrainingParameters(targets=TARGETS)
    truth = case_labels(cases, parameters.parsed_targets)

    def read(parameters: ClassifierTrainingParameters) -> Tensor:
        from slicerxai.models.classifier import network_input, prepare

        images = []
        for case in cases:
            volumes = {channel: case.image(channel) for channel in parameters.channels}
            images.append(network_input(prepare(volumes, parameters.channels, parameters), parameters))
        return torch.stack(images)

    centres = np.array([str(case.metadata["centre"]) for case in cases])
    names = sorted(set(centres.tolist()))
    near = names[: (len(names) + 1) // 2]
    digest = hashlib.sha256((folder / "cases.csv").read_bytes()).hexdigest()
    far, words = ~np.isin(centres, near), f"centres {', '.join(near)} to {', '.join(names[len(near) :])}"
    groups = np.array([case.id for case in cases])
    return Source("phantom", digest, parameters.labels, truth, groups, far, words, None, read)


def _table(path: Path) -> tuple[list[dict[str, str]], str]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        msg = f"{path} has no rows"
        raise InputError(msg)
    return rows, hashlib.sha256(path.read_bytes()).hexdigest()


def _truth(rows: Sequence[dict[str, str]], names: Sequence[str]) -> Flags:
    return np.array([[row[name] == "1" for name in names] for row in rows])


def _resized(images: Tensor, shape: Sequence[int]) -> Tensor:
    if tuple(images.shape[2:]) == tuple(shape):
        return images
    return torch.nn.functional.interpolate(images, tuple(shape), mode="bilinear", align_corners=False, antialias=True)


def _standard(images: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all pixels and channels of each image."""
    axes = tuple(range(1, images.ndim))
    mean, spread = images.mean(axes, keepdim=True), images.std(axes, keepdim=True)
    return (images - mean) / spread.clamp_min(1e-6)


@dataclass(frozen=True)
class Split:
    """Indices of images, no patient in two parts; the labels that can be evaluated with it, and the others."""

    training: NDArray[np.int_]
    validation: NDArray[np.int_]
    test: NDArray[np.int_]
    kept: tuple[int, ...]
    dropped: tuple[str, ...]


SHARES = (0.5, 0.75)
"""Where training ends and where validation ends, as shares of the images."""
TRIALS = 500
LEAST, LEAST_LABELS = 10, 5


def split(data: Source, seed: int) -> Split:
    """Half of the images to train, a quarter to validate, a quarter to test, whole patients together.

    Of random assignments of the patients, the one in which the fifth-best label comes nearest to ten images with and
    without it in every part; then the one in which most labels do; then the one with the most even shares. Labels with
    fewer are left out, but five remain: the least number is lowered, to 1 at worst, where a small data set needs that.
    Validation and test images that have none of the labels are left out, as in the publication.

    Raises:
        InputError: fewer than five labels can be had, even so.
    """
    rng = np.random.default_rng(seed)
    _, place = np.unique(data.groups, return_inverse=True)
    count = np.bincount(place)
    found: list[tuple[tuple[float, ...], NDArray[np.int_], NDArray[np.int_]]] = []
    for _ in range(TRIALS):
        order = rng.permutation(len(count))
        ends = np.cumsum(count[order]) - count[order] / 2
        part = np.empty(len(count), int)
        part[order] = np.searchsorted(np.array(SHARES) * len(place), ends)
        if len(np.unique(part)) < 3:
            continue
        least = np.minimum(_least(data.truth, part[place]), LEAST)
        means = np.stack([data.truth[part[place] == p].mean(0) for p in range(3)])
        uneven = float((np.ptp(means, axis=0) / (data.truth.mean(0) + 0.02)).mean())
        needed = float(np.sort(least)[::-1][min(LEAST_LABELS, len(least)) - 1])
        found.append(((-needed, -float((least == LEAST).sum()), uneven), part[place], least))
    if not found:
        msg = f"{len(count)} patients cannot be split into training, validation and test"
        raise InputError(msg)
    _, part_of, least = min(found, key=lambda item: item[0])
    limit = next((n for n in range(LEAST, 0, -1) if (least >= n).sum() >= min(LEAST_LABELS, len(least))), 0)
    kept = tuple(np.flatnonzero(least >= limit).tolist()) if limit else ()
    if not kept:
        rare = ", ".join(f"{name} {n}" for name, n in zip(data.labels, least, strict=True))
        msg = f"fewer than {LEAST_LABELS} labels occur in training, validation and test alike; least of each: {rare}"
        raise InputError(msg)
    dropped = tuple(name for n, name in enumerate(data.labels) if n not in kept)
    training, validation, test = (np.flatnonzero(part_of == p) for p in range(3))
    shown = data.truth[:, kept].any(1)
    return Split(training, validation[shown[validation]], test[shown[test]], kept, dropped)


def _least(truth: Flags, part: NDArray[np.int_]) -> NDArray[np.int_]:
    """Of each label, the least number of images with it, or without it, in any part."""
    inside = [truth[part == p] for p in range(3)]
    return np.min([np.minimum(one.sum(0), (~one).sum(0)) for one in inside], axis=0)


def in_memory(images: Tensor, truth: Flags, rows: NDArray[np.int_]) -> CasesInMemory:
    """Some of the images with their labels, as a training takes them."""
    return CasesInMemory([images[n] for n in rows], truth[rows])
