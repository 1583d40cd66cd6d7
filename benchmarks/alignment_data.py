"""Lesions with experts' masks and attributes, and a symbol in the corner that coincides with the label in training.

Two forms of data folder, told apart by their files:

- CT nodules: `lidc_2d.npz` (`crops` int16 (N, 71, 71), HU + 1024, in some scans HU; `mask`; `noduleID`), `nodules.csv`
  (`patient`, `malignancy` and attributes from 1 to 5, `align_err`, `frac_in`, `pixel_spacing`). Rows with
  `align_err` < 0.5 and `frac_in` > 0.99 count. Malignancy 1–3 is benign, 4–5 malignant. The middle 48 × 48 pixels at
  their own resolution, −1000 to 400 HU as 0 to 1.
- Breast ultrasound: `busi_128.npz` (`images` uint8 (N, 128, 128), `masks`, `label`, `name`); images without a lesion
  are left out. Averaged over areas to 48 × 48. No patient is known: each image is a patient of its own, though some
  resemble each other closely. No reader described the lesions: six descriptors are computed from image and mask.

A seed decides which lesions train and which validate. The test patients are the same for all seeds: those whose
identity's SHA-256 falls into a quarter of all values, so that nothing that is chosen on any seed's training and
validation images has seen them. In each part as many benign lesions as malignant ones, drawn at random.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from slicerxai.alignment.masked_images import MaskedArrays
from slicerxai.errors import InputError

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Symbol = Literal["plus_minus", "intensity", "none"]
SIZE: Final = 48
SYMBOL: Final = 7
"""Edge of the symbol, pixels; it stands `EDGE` pixels off the corner where both indices are smallest."""
EDGE: Final = 2
CORNER: Final = slice(EDGE, EDGE + SYMBOL)
KEPT_FREE: Final = EDGE + SYMBOL + 1
"""Lesions that reach into the corner of so many pixels are left out."""
TEST_SHARE, VALIDATION_SHARE = 0.25, 0.2
LARGEST_MISALIGNMENT, LEAST_INSIDE = 0.5, 0.99
LUNG_WINDOW = (-1000.0, 400.0)
LEAST_CONTRAST = 1e-3
STORED_AS_HU: Final = -200
"""Crops whose darkest pixels (second percentile) lie below it hold HU as they are; the others HU + 1024."""

READ: Final[dict[str, Callable[[float], bool]]] = {
    "subtlety": lambda value: value >= 5,
    "calcification": lambda value: value >= 6,
    "margin": lambda value: value <= 4,
    "spiculation": lambda value: value >= 2,
    "lobulation": lambda value: value >= 2,
    "texture": lambda value: value >= 4,
}
"""Attributes of nodules as present, so that presence speaks for malignancy: obvious, without calcification, margin not
sharp, spiculated, lobulated, solid or nearly so."""
COMPUTED: Final = ("large", "irregular", "taller than wide", "little contrast", "uneven", "indistinct margin")
"""Descriptors of ultrasound lesions, present above the median of the lesions that do not test."""


@dataclass(frozen=True)
class Lesions:
    """All usable lesions of a folder, without a symbol.

    Attributes:
        form: "lidc" or "busi".
        images: (N, 1, 48, 48) float32 in [0, 1]. masks: (N, 1, 48, 48) float32, 0 or 1; none is empty.
        malignant: (N,). attributes: (N, P), present or not. names: of the attributes.
        patients: (N,). area: (N,) mm² of nodules, share of the image of ultrasound lesions.
        left_out: lesions that reach into the symbol's corner or vanish on the grid, and blank images.
    """

    form: str
    images: Tensor
    masks: Tensor
    malignant: Flags
    attributes: Flags
    names: tuple[str, ...]
    patients: NDArray[np.str_]
    area: Floats
    left_out: int


@dataclass(frozen=True)
class Part:
    """Lesions of one part with their symbols drawn.

    Attributes:
        arrays: images, labels (N, 1) and masks.
        attributes: (N, P) 0 or 1. signs: (N,) the symbol drawn: True that of malignant lesions. area: (N,).
        flipped: (N, 1, 48, 48) the images with the other symbol.
    """

    arrays: MaskedArrays
    attributes: Tensor
    signs: Flags
    area: Floats
    flipped: Tensor


@dataclass(frozen=True)
class Task:
    """The three parts of one seed; the symbol is the label in training and drawn by lot in the other two."""

    train: Part
    validation: Part
    test: Part


def read(folder: Path) -> Lesions:
    """The lesions of a folder. Raises `InputError` for a folder in neither form, or files that do not fit."""
    if (folder / "lidc_2d.npz").is_file() and (folder / "nodules.csv").is_file():
        return _nodules(folder)
    if (folder / "busi_128.npz").is_file():
        return _ultrasound(folder)
    msg = f"{folder} holds neither of the accepted forms: lidc_2d.npz with nodules.csv; busi_128.npz"
    raise InputError(msg)


def task(lesions: Lesions, seed: int, symbol: Symbol = "plus_minus") -> Task:
    """Training, validation and test images of a seed; patients are never in two parts.

    Raises:
        InputError: a part would hold fewer than two lesions of either kind.
    """
    tested = belongs_to_test(lesions.patients)
    others = sorted(set(lesions.patients[~tested].tolist()))
    order = np.random.default_rng(seed).permutation(len(others))
    held_out = {others[n] for n in order[: round(VALIDATION_SHARE * len(others))]}
    validates = np.array([patient in held_out for patient in lesions.patients])
    members = (~tested & ~validates, ~tested & validates, tested)
    lots = (seed, seed + 1, 0)
    parts = []
    for number, (inside, lot) in enumerate(zip(members, lots, strict=True)):
        generator = np.random.default_rng([lot, number])
        index = _balanced(np.flatnonzero(inside), lesions.malignant, generator)
        truth = lesions.malignant[index]
        signs = truth if number == 0 else generator.random(len(index)) < 0.5
        parts.append(_part(lesions, index, signs, symbol))
    return Task(*parts)


def belongs_to_test(patients: NDArray[np.str_]) -> Flags:
    """Whether each patient belongs to the test part."""
    quarter = {
        patient: int(hashlib.sha256(patient.encode()).hexdigest(), 16) % 10_000 < 10_000 * TEST_SHARE
        for patient in set(patients.tolist())
    }
    return np.array([quarter[patient] for patient in patients])


def drawn(images: Tensor, signs: Flags, symbol: Symbol) -> Tensor:
    """Copies of images (N, 1, H, W) with the symbol: "+" or "−" of value 1, or a corner brighter or darker by 0.15."""
    result = images.clone()
    corner = result[:, 0, CORNER, CORNER]
    plus = torch.from_numpy(signs)
    middle = SYMBOL // 2
    if symbol == "plus_minus":
        corner[:, middle] = 1
        corner[plus, :, middle] = 1
    elif symbol == "intensity":
        step = torch.where(plus, 0.15, -0.15)[:, None, None]
        corner += step
        corner.clamp_(0, 1)
    return result


def _part(lesions: Lesions, index: NDArray[np.intp], signs: Flags, symbol: Symbol) -> Part:
    images, truth = lesions.images[index], torch.from_numpy(lesions.malignant[index])[:, None].float()
    return Part(
        arrays=MaskedArrays(drawn(images, signs, symbol), truth, lesions.masks[index]),
        attributes=torch.from_numpy(lesions.attributes[index]).float(),
        signs=signs,
        area=lesions.area[index],
        flipped=drawn(images, ~signs, symbol),
    )


def _balanced(index: NDArray[np.intp], malignant: Flags, generator: np.random.Generator) -> NDArray[np.intp]:
    kinds = [index[malignant[index] == kind] for kind in (False, True)]
    fewest = min(map(len, kinds))
    if fewest < 2:
        msg = f"a part has {len(kinds[0])} benign and {len(kinds[1])} malignant lesions; each needs two at least"
        raise InputError(msg)
    return np.sort(np.concatenate([generator.choice(kind, fewest, replace=False) for kind in kinds]))


def _nodules(folder: Path) -> Lesions:
    with np.load(folder / "lidc_2d.npz") as stored:
        crops, masks, numbers = stored["crops"], stored["mask"], stored["noduleID"]
    place = {int(number): row for row, number in enumerate(numbers)}
    chosen: list[int] = []
    rows: list[dict[str, str]] = []
    with (folder / "nodules.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if int(row["noduleID"]) not in place:
                msg = f"nodule {row['noduleID']} of {folder / 'nodules.csv'} is not in lidc_2d.npz"
                raise InputError(msg)
            if float(row["align_err"]) < LARGEST_MISALIGNMENT and float(row["frac_in"]) > LEAST_INSIDE:
                chosen.append(place[int(row["noduleID"])])
                rows.append(row)
    start = (crops.shape[1] - SIZE) // 2
    window = np.s_[chosen, start : start + SIZE, start : start + SIZE]
    low, high = LUNG_WINDOW
    as_hu = np.percentile(crops[chosen], 2, axis=(1, 2)) < STORED_AS_HU
    offset = np.where(as_hu, 0, 1024).astype(np.float32)[:, None, None]
    images = ((crops[window].astype(np.float32) - offset - low) / (high - low)).clip(0, 1)
    spacing = np.array([float(row["pixel_spacing"]) for row in rows])
    return _usable(
        "lidc",
        torch.from_numpy(images)[:, None],
        torch.from_numpy(masks[window])[:, None].float(),
        malignant=np.array([float(row["malignancy"]) >= 4 for row in rows]),
        attributes=np.array([[present(float(row[name])) for name, present in READ.items()] for row in rows]),
        names=tuple(READ),
        patients=np.array([row["patient"] for row in rows]),
        area=masks[chosen].sum((1, 2)) * spacing**2,
    )


def _ultrasound(folder: Path) -> Lesions:
    with np.load(folder / "busi_128.npz") as stored:
        images, masks, label, names = (stored[key] for key in ("images", "masks", "label", "name"))
    lesion = (masks > 0).any((1, 2)) & (label != "normal")
    pixels = torch.from_numpy(images[lesion])[:, None].float() / 255
    inside = torch.from_numpy(masks[lesion] > 0)[:, None].float()
    pixels, inside = (torch.nn.functional.interpolate(part, (SIZE, SIZE), mode="area") for part in (pixels, inside))
    inside = (inside >= 0.5).float()
    patients = names[lesion].astype(str)
    values = np.array([_described(i[0].numpy(), m[0].numpy() > 0) for i, m in zip(pixels, inside, strict=True)])
    return _usable(
        "busi",
        pixels,
        inside,
        malignant=label[lesion] == "malignant",
        attributes=values > np.nanmedian(values[~belongs_to_test(patients)], axis=0),
        names=COMPUTED,
        patients=patients,
        area=inside.mean((1, 2, 3)).double().numpy(),
    )


def _described(image: NDArray[np.float32], mask: Flags) -> Sequence[float]:
    """The descriptors of `COMPUTED`; NaN for a mask that is empty."""
    if not mask.any():
        return [float("nan")] * len(COMPUTED)
    rows, columns = np.nonzero(mask)
    border = mask & ~ndimage.binary_erosion(mask)
    around = ndimage.binary_dilation(mask, iterations=4) & ~mask
    gradient = ndimage.gaussian_gradient_magnitude(image, 1.0)
    return [
        float(mask.sum()),
        float(border.sum() ** 2 / mask.sum()),
        float((np.ptp(rows) + 1) / (np.ptp(columns) + 1)),
        float(image[mask].mean() - image[around].mean()) if around.any() else 0.0,
        float(image[mask].std()),
        -float(gradient[border].mean()),
    ]


def _usable(
    form: str,
    images: Tensor,
    masks: Tensor,
    *,
    malignant: Flags,
    attributes: Flags,
    names: tuple[str, ...],
    patients: NDArray[np.str_],
    area: Floats,
) -> Lesions:
    """The lesions whose mask is on the grid and off the symbol's corner, in images that are not blank."""
    off_corner = ~masks[:, 0, :KEPT_FREE, :KEPT_FREE].flatten(1).any(1)
    clear = off_corner & masks.flatten(1).any(1) & (images.flatten(1).std(1) > LEAST_CONTRAST)
    kept = clear.numpy()
    return Lesions(
        form=form,
        images=images[clear],
        masks=masks[clear],
        malignant=malignant[kept],
        attributes=attributes[kept],
        names=names,
        patients=patients[kept],
        area=area[kept],
        left_out=int((~kept).sum()),
    )
