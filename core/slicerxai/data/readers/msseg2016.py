"""MSSEG 2016 as published by Shanoir: Center_XX/Patient_YY/{Raw_Data,Preprocessed_Data,Masks}.

Source: Commowick et al., Multiple sclerosis lesions segmentation from multiple experts: the MICCAI 2016 challenge
dataset, NeuroImage 244:118589, 2021.
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

DESCRIPTION = "Center_XX/Patient_YY/{Raw_Data,Preprocessed_Data,Masks}, as it is or in Training and Testing folders"

PREPROCESSED = "_preprocessed"

_CENTRE = re.compile(r"Center_(\w+)")
_PATIENT = re.compile(r"Patient_(\w+)")
_RATER = re.compile(r"ManualSegmentation_(\w+)")
_TABLE = "cases.csv"


def recognises(path: Path) -> bool:
    """Whether there is a centre's folder with a patient's folder in it."""
    return path.is_dir() and any(_patients(root) for root in _roots(path))


def read(path: Path, prefer: Prefer) -> list[Case]:
    """Cases "XX_YY" of centre XX, with the split before it ("Training_XX_YY") where the centres lie in such folders.

    Metadata: "centre", "split" where there is one, and the columns of a table `cases.csv` (by its column `id`) beside
    the centres.
    """
    cases = []
    for root in _roots(path):
        rows = read_table(root / _TABLE) if (root / _TABLE).is_file() else []
        numeric = numeric_columns(rows)
        known = {row.get("id", ""): metadata(row, numeric, without=["id"]) for row in rows}
        split = {} if root == path else {"split": root.name.lower()}
        for centre, patient, folder in _patients(root):
            plain = f"{centre}_{patient}"
            raw, preprocessed = image_files(folder / "Raw_Data"), image_files(folder / "Preprocessed_Data")
            images = preferred(modalities_of(raw), modalities_of(preprocessed), prefer)
            if images:
                about = {**known.get(plain, {}), **split, "centre": centre}
                name = plain if root == path else f"{root.name}_{plain}"
                cases.append(Case(name, images, masks_of(image_files(folder / "Masks")), about))
    return cases


def modalities_of(files: dict[str, Path]) -> dict[str, Path]:
    """Files by modality; names without one, such as brain masks, are left out."""
    images: dict[str, Path] = {}
    for stem, path in files.items():
        name = stem.upper().removesuffix(PREPROCESSED.upper())
        if name in MODALITIES:
            put(images, MODALITIES[name], path)
    return images


def preferred(raw: dict[str, Path], preprocessed: dict[str, Path], prefer: Prefer) -> dict[str, Path]:
    """Images of the preferred kind where the case has any of it, else of the other; never mixed, for raw images of one
    patient need not share a grid with preprocessed ones."""
    first, second = (preprocessed, raw) if prefer == "preprocessed" else (raw, preprocessed)
    return first or second


def masks_of(files: dict[str, Path]) -> dict[str, Path]:
    """Masks by rater: "1" … "7", "consensus", and "truth" for a synthetic patient."""
    masks: dict[str, Path] = {}
    for stem, path in files.items():
        match = _RATER.fullmatch(stem)
        if match:
            put(masks, match[1], path)
        elif stem in {"Consensus", "Truth"}:
            put(masks, stem.lower(), path)
    return masks


def _roots(path: Path) -> list[Path]:
    """The folders that hold centres: this one, or else those in it."""
    if any(_CENTRE.fullmatch(folder.name) for folder in folders(path)):
        return [path]
    return [root for root in folders(path) if any(_CENTRE.fullmatch(folder.name) for folder in folders(root))]


def _patients(root: Path) -> list[tuple[str, str, Path]]:
    """Centre, patient and folder."""
    found = []
    for centre in folders(root):
        centre_match = _CENTRE.fullmatch(centre.name)
        for patient in folders(centre) if centre_match else ():
            patient_match = _PATIENT.fullmatch(patient.name)
            if centre_match and patient_match:
                found.append((centre_match[1], patient_match[1], patient))
    return found
