"""LIDC-IDRI nodules as two-dimensional cases: reading, and features of image, prediction and drawing.

A data folder holds `lidc_2d.npz` (`crops` int16, stored value about HU + 1024; `rater_masks` bool (n, readers, I, J),
empty where a reader did not mark the nodule; `noduleID`) and `nodules.csv`. Readers are anonymous and differ from scan
to scan, so an annotation environment is not a person but a habit: the most generous reader of each nodule, or the most
sparing one. Both are known for every nodule that two or more readers drew.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.errors import InputError

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Habit = Literal["generous", "sparing"]
LARGEST_MISALIGNMENT, LEAST_INSIDE = 0.5, 0.99
LUNG = (-1000.0, -600.0)
"""HU that count as aerated lung."""


@dataclass(frozen=True)
class Nodule:
    """One nodule on its largest slice.

    Attributes:
        image: HU, (I, J). spacing: mm, of both axes.
        drawings: masks of the readers who drew it, two or more.
    """

    patient: str
    vendor: str
    image: Image
    spacing: float
    drawings: tuple[Mask, ...]

    def drawing(self, habit: Habit) -> Mask:
        """The largest drawing, or the smallest."""
        ordered = sorted(self.drawings, key=lambda mask: int(mask.sum()))
        return ordered[-1] if habit == "generous" else ordered[0]


def read(folder: Path) -> list[Nodule]:
    """Nodules with well-placed crops that two or more readers drew.

    Raises:
        InputError: files that are missing or do not belong together.
    """
    table, arrays = folder / "nodules.csv", folder / "lidc_2d.npz"
    missing = [path.name for path in (table, arrays) if not path.is_file()]
    if missing:
        msg = f"{folder} has no {' and no '.join(missing)}; accepted: a folder with lidc_2d.npz and nodules.csv"
        raise InputError(msg)
    with np.load(arrays) as stored:
        crops, masks, numbers = stored["crops"], stored["rater_masks"], stored["noduleID"]
    place = {int(number): row for row, number in enumerate(numbers)}
    found = []
    with table.open(newline="") as file:
        for line in csv.DictReader(file):
            row = place.get(int(line["noduleID"]))
            if row is None:
                msg = f"nodule {line['noduleID']} of {table} is not in {arrays.name}"
                raise InputError(msg)
            well = float(line["align_err"]) < LARGEST_MISALIGNMENT and float(line["frac_in"]) > LEAST_INSIDE
            drawings = tuple(mask for mask in masks[row] if mask.any())
            if well and len(drawings) > 1:
                image = crops[row].astype(np.float32) - 1024
                vendor, spacing = line["manufacturer"], float(line["pixel_spacing"])
                found.append(Nodule(line["patient"], vendor, image, spacing, drawings))
    return found


def population(nodule: Nodule) -> list[float]:
    """Log area (mm²), median over all readers, and number of readers: the panel is the same for either habit."""
    areas = [mask.sum() * nodule.spacing**2 for mask in nodule.drawings]
    return [float(np.log(np.median(areas))), float(len(areas))]


def acquisition(nodule: Nodule) -> list[float]:
    """Log noise (HU), its correlation between neighbours, level and spread of lung, log of the steepest edges, mm."""
    image = nodule.image.astype(np.float64)
    lung = (image > LUNG[0]) & (image < LUNG[1])
    if lung.sum() < 100:
        lung = image <= np.quantile(image, 0.25)
    residual = image - ndimage.median_filter(image, 3)
    inside = residual[lung]
    noise = 1.4826 * np.median(np.abs(inside - np.median(inside))) + 1.0
    pairs = lung[:, 1:] & lung[:, :-1]
    cut = np.clip(residual, -4 * noise, 4 * noise)
    grain = float((cut[:, 1:] * cut[:, :-1])[pairs].mean() / np.mean(cut[lung] ** 2)) if pairs.any() else 0.0
    low, middle, high = np.percentile(image[lung], (25, 50, 75)) / 100
    steepest = np.percentile(ndimage.gaussian_gradient_magnitude(image, 1.0), 99) / nodule.spacing
    return [float(np.log(noise)), grain, float(middle), float(high - low), float(np.log(steepest)), nodule.spacing]


def prediction(nodule: Nodule, probability: Image) -> list[float]:
    """Log predicted area (mm²), and the share of it that is unsure."""
    area = float(probability.sum())
    unsure = float(((probability > 0.1) & (probability < 0.9)).sum())
    return [float(np.log(area * nodule.spacing**2 + 1)), unsure / (area + 1)]


def style(nodule: Nodule, mask: Mask) -> list[float]:
    """Log area over that of the image's own outline, level at the border, log of outline length over a circle's.

    The image's own outline is half-way between the bright part of the nodule and what surrounds it; level 0 is that of
    the surroundings, 1 that of the bright part.
    """
    image = nodule.image.astype(np.float64)
    near = ndimage.binary_dilation(mask, iterations=5)
    around = near & ~ndimage.binary_dilation(mask, iterations=2)
    bright = float(np.percentile(image[mask], 90))
    dark = float(np.median(image[around])) if around.any() else float(image.min())
    contrast = max(bright - dark, 50.0)
    own = near & (image > dark + contrast / 2)
    border = mask & ~ndimage.binary_erosion(mask)
    level = (float(image[border].mean()) - dark) / contrast
    roundness = border.sum() / np.sqrt(4 * np.pi * mask.sum())
    return [float(np.log((mask.sum() + 1) / (own.sum() + 1))), level, float(np.log(roundness))]


def vendors(nodules: Sequence[Nodule], least: int) -> list[str]:
    """Vendors of at least so many patients, most patients first."""
    patients = {name: {n.patient for n in nodules if n.vendor == name} for name in {n.vendor for n in nodules}}
    kept = [name for name, who in patients.items() if len(who) >= least]
    return sorted(kept, key=lambda name: (-len(patients[name]), name))
