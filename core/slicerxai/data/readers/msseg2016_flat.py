"""MSSEG 2016 as first handed out: one folder a patient, such as 01016SACH, whose first two digits are the centre."""

from __future__ import annotations

import re
from pathlib import Path

from slicerxai.data.case import Case
from slicerxai.data.readers.msseg2016 import PREPROCESSED, masks_of, modalities_of, preferred
from slicerxai.data.readers.naming import Prefer, folders, image_files, put

DESCRIPTION = (
    "patient folders such as 01016SACH with {3DFLAIR,FLAIR_preprocessed,ManualSegmentation_1,Consensus}.nii.gz"
)

_PATIENT = re.compile(r"(\d{2})\d{3}[A-Z]{4}(_\w+)?")


def recognises(path: Path) -> bool:
    """Whether a patient's folder lies here or up to two levels deeper."""
    return path.is_dir() and bool(_patients(path))


def read(path: Path, prefer: Prefer) -> list[Case]:
    """Cases named as their folders, metadata "centre".

    The unprocessed and the preprocessed archive may lie side by side: folders of one name are one case.

    Raises:
        InputError: two folders of one patient hold a file of the same name.
    """
    cases = []
    for name, patient_folders in _patients(path).items():
        files: dict[str, Path] = {}
        for folder in patient_folders:
            for stem, file in image_files(folder).items():
                put(files, stem, file)
        processed = {stem: file for stem, file in files.items() if stem.endswith(PREPROCESSED)}
        raw = {stem: file for stem, file in files.items() if stem not in processed}
        images = preferred(modalities_of(raw), modalities_of(processed), prefer)
        if images:
            cases.append(Case(name, images, masks_of(files), {"centre": name[:2]}))
    return cases


def _patients(path: Path) -> dict[str, list[Path]]:
    """Folders by patient, those of one patient in sorted order."""
    first = folders(path)
    second = [folder for parent in first for folder in folders(parent)]
    third = [folder for parent in second for folder in folders(parent)]
    found: dict[str, list[Path]] = {}
    for folder in (*first, *second, *third):
        if _PATIENT.fullmatch(folder.name):
            found.setdefault(folder.name, []).append(folder)
    return dict(sorted(found.items()))
