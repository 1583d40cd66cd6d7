"""Dermoscopy images with lesion masks for the table of property gradients.

A folder holds `images/NAME.jpg`, `masks/NAME_segmentation.png` and `labels.csv` with the columns `image`, `label` (1
malignant) and `patches` (1: a coloured patch is in the picture already; such images are left out).
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from slicerxai.errors import InputError

LABELS, NEEDED = "labels.csv", ("image", "label", "patches")
ACCEPTED = f"images/*.jpg, masks/*_segmentation.png and {LABELS} with the columns {', '.join(NEEDED)}"


@dataclass(frozen=True)
class Skin:
    """Images without a natural coloured patch.

    Attributes:
        images: (N, 3, H, W) uint8. lesions: (N, H, W). malignant: (N,). names: of the files.
        digest: of the table of labels and the size. left_out: images with a patch.
    """

    images: NDArray[np.uint8]
    lesions: NDArray[np.bool_]
    malignant: NDArray[np.bool_]
    names: tuple[str, ...]
    digest: str
    left_out: int

    def image(self, index: int) -> NDArray[np.float32]:
        """One image (3, H, W) in [0, 1]."""
        return (self.images[index] / np.float32(255)).astype(np.float32)


def read(folder: Path, size: int, cache: Path) -> Skin:
    """The images at `size` × `size` pixels; kept in the folder `cache`, so that they are decoded once.

    Raises:
        InputError: a folder of another form, or a file that is missing or damaged.
    """
    path = folder / LABELS
    if not path.is_file() or not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        msg = f"{folder} does not hold {ACCEPTED}"
        raise InputError(msg)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not set(NEEDED) <= rows[0].keys():
        msg = f"{path} has the columns {', '.join(rows[0]) if rows else 'none'}; needed: {', '.join(NEEDED)}"
        raise InputError(msg)
    kept = [row for row in rows if row["patches"] != "1"]
    digest = hashlib.sha256(path.read_bytes() + f"\0{folder.resolve()}\0{size}".encode()).hexdigest()[:16]
    images, lesions = _decoded(folder, [row["image"] for row in kept], size, cache / f"images_{digest}.npz")
    return Skin(
        images=images,
        lesions=lesions,
        malignant=np.array([row["label"] == "1" for row in kept]),
        names=tuple(row["image"] for row in kept),
        digest=digest,
        left_out=len(rows) - len(kept),
    )


def _decoded(folder: Path, names: list[str], size: int, stored: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    if stored.is_file():
        with np.load(stored) as arrays:
            return arrays["images"], arrays["lesions"]
    images = np.empty((len(names), 3, size, size), np.uint8)
    lesions = np.empty((len(names), size, size), bool)
    for n, name in enumerate(names):
        pixels = _pixels(folder / "images" / f"{name}.jpg", "RGB", size)
        images[n] = pixels.transpose(2, 0, 1)
        lesions[n] = _pixels(folder / "masks" / f"{name}_segmentation.png", "L", size) > 127
    stored.parent.mkdir(parents=True, exist_ok=True)
    temporary = stored.with_suffix(".tmp.npz")
    np.savez(temporary, images=images, lesions=lesions)
    temporary.replace(stored)
    return images, lesions


def _pixels(path: Path, mode: str, size: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode).resize((size, size), Image.Resampling.BOX))
    except (OSError, UnidentifiedImageError) as error:
        msg = f"{path} cannot be read: {error}"
        raise InputError(msg) from error


@dataclass(frozen=True)
class Parts:
    """Indices of images; no image in two parts. Validation and test hold as many malignant as benign ones."""

    training: NDArray[np.int_]
    validation: NDArray[np.int_]
    test: NDArray[np.int_]


SHARES = (0.5, 0.65)
"""Where training ends and where validation ends, as shares of the images of each class."""


def parts(skin: Skin, seed: int, limit: int) -> Parts:
    """Split by image, each class in the same shares; at most `limit` test images of each class.

    Raises:
        InputError: fewer than eight images of a class.
    """
    rng = np.random.default_rng(seed)
    found: list[list[NDArray[np.int_]]] = []
    for malignant in (True, False):
        rows = rng.permutation(np.flatnonzero(skin.malignant == malignant))
        if len(rows) < 8:
            msg = f"{len(rows)} {'malignant' if malignant else 'benign'} images without a patch; 8 are needed"
            raise InputError(msg)
        found.append(np.split(rows, [round(share * len(rows)) for share in SHARES]))
    held = [min(len(one[part]) for one in found) for part in (1, 2)]
    training = np.concatenate([one[0] for one in found])
    validation = np.concatenate([one[1][: held[0]] for one in found])
    test = np.concatenate([one[2][: min(held[1], limit)] for one in found])
    return Parts(training, validation, test)
