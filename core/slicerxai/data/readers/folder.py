"""A plain folder a patient: patientNN/{FLAIR,T1,lesions}.nii.gz, as the open MS data of Lesjak et al. are arranged.

Source: Lesjak et al., A novel public MR image dataset of multiple sclerosis patients with lesion segmentations based on
multi-rater consensus, Neuroinformatics 16:51–63, 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from slicerxai.data.case import Case
from slicerxai.data.readers.naming import (
    MODALITIES,
    Prefer,
    folders,
    image_files,
    metadata,
    numeric_columns,
    put,
    read_table,
)

DESCRIPTION = "patientNN/{FLAIR,T1,lesions}.nii.gz"

_MASK = re.compile(r"lesions(?:_(\w+))?")
_TABLE = "patient_info.csv"
_NUMBER = re.compile(r"\d+$")


def recognises(path: Path) -> bool:
    """Whether a folder directly in this one holds a file named as a modality."""
    return path.is_dir() and any(_images(folder) for folder in folders(path))


def read(path: Path, prefer: Prefer) -> list[Case]:
    """Cases named as their folders; `lesions` is rater "consensus", `lesions_NAME` rater NAME. Folders without an image
    are left out. Metadata: the columns of `patient_info.csv`, whose patient_id is the number in the folder's name."""
    rows = read_table(path / _TABLE) if (path / _TABLE).is_file() else []
    numeric = numeric_columns(rows)
    known = {row.get("patient_id", "").lstrip("0"): metadata(row, numeric, without=["patient_id"]) for row in rows}
    cases = []
    for folder in folders(path):
        images = _images(folder)
        if images:
            number = _NUMBER.search(folder.name)
            about = known.get(number[0].lstrip("0"), {}) if number else {}
            cases.append(Case(folder.name, images, _masks(folder), about))
    return cases


def _images(folder: Path) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for stem, path in image_files(folder).items():
        if stem.upper() in MODALITIES:
            put(images, MODALITIES[stem.upper()], path)
    return images


def _masks(folder: Path) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for stem, path in image_files(folder).items():
        match = _MASK.fullmatch(stem)
        if match:
            put(masks, match[1] or "consensus", path)
    return masks
