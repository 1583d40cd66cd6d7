"""BIDS with lesion masks as derivatives (Gorgolewski et al., Scientific Data 3:160044, 2016)."""

from __future__ import annotations

import re
from pathlib import Path

from slicerxai.data.case import Case
from slicerxai.data.io import stem_of, suffix_of
from slicerxai.data.readers.naming import (
    Prefer,
    folders,
    image_files,
    metadata,
    numeric_columns,
    put,
    read_table,
)
from slicerxai.errors import InputError

DESCRIPTION = "BIDS: sub-*/[ses-*/]anat/*_{FLAIR,T1w,T2w,PDw}.nii.gz with derivatives/**/sub-*_[desc-RATER_]mask.nii.gz"

_SUFFIXES = {"FLAIR": "FLAIR", "T1w": "T1", "T2w": "T2", "PDw": "PD"}
_RATER = re.compile(r"(?:rater|expert)-?0*(\d+)|0*(\d+)", re.IGNORECASE)
_NO_RATER = {"", "lesion", "lesions", "mask"}


def recognises(path: Path) -> bool:
    """Whether a subject's folder holds an `anat` folder, directly or in a session."""
    return path.is_dir() and any((session / "anat").is_dir() for _, _, session in _sessions(path))


def read(path: Path, prefer: Prefer) -> list[Case]:
    """Cases "sub-X" or "sub-X_ses-Y"; T1w with a contrast agent (`ce-`) is GADO.

    The rater is the value of `desc-`, its number where it has one ("desc-rater3" is "3"), "consensus" without it.
    Derivatives that name a brain mask are no lesion masks. Metadata: "subject", "session" and participants.tsv.

    Raises:
        InputError: two files of a case are the same modality or rater, or a mask fits more than one session.
    """
    masks = _derivatives(path)
    table = path / "participants.tsv"
    rows = read_table(table, delimiter="\t") if table.is_file() else []
    numeric = numeric_columns(rows)
    known = {row.get("participant_id", ""): metadata(row, numeric, without=["participant_id"]) for row in rows}
    cases = []
    for subject, session, folder in _sessions(path):
        images = _images(folder / "anat")
        if images:
            about: dict[str, str | float] = {"subject": subject, **known.get(subject, {})}
            if session:
                about["session"] = session
            name = f"{subject}_{session}" if session else subject
            cases.append(Case(name, images, _masks_of(path, subject, session, masks), about))
    return cases


def _sessions(path: Path) -> list[tuple[str, str, Path]]:
    """Subject, session ("" without) and folder."""
    found = []
    for subject in folders(path):
        if subject.name.startswith("sub-"):
            sessions = [folder for folder in folders(subject) if folder.name.startswith("ses-")]
            found += [(subject.name, folder.name, folder) for folder in sessions] or [(subject.name, "", subject)]
    return found


def _images(anat: Path) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for stem, path in image_files(anat).items():
        modality = _SUFFIXES.get(stem.rpartition("_")[2])
        if modality:
            put(images, "GADO" if modality == "T1" and "ce" in _entities(stem) else modality, path)
    return images


def _entities(stem: str) -> dict[str, str]:
    """ "sub-01_ses-2_FLAIR" to {"sub": "01", "ses": "2"}."""
    return {key: value for key, dash, value in (part.partition("-") for part in stem.split("_")) if dash}


def _derivatives(path: Path) -> dict[tuple[str, str], list[Path]]:
    """Lesion masks by subject and session."""
    found: dict[tuple[str, str], list[Path]] = {}
    for file in sorted((path / "derivatives").rglob("sub-*")):
        stem = stem_of(file)
        if file.is_file() and suffix_of(file) and _is_lesion_mask(stem):
            entities = _entities(stem)
            session = f"ses-{entities['ses']}" if "ses" in entities else ""
            found.setdefault((f"sub-{entities['sub']}", session), []).append(file)
    return found


def _is_lesion_mask(stem: str) -> bool:
    name, suffix = stem.lower(), stem.rpartition("_")[2].lower()
    return ("lesion" in name and suffix != "probseg") or (suffix.endswith("mask") and "brain" not in name)


def _masks_of(path: Path, subject: str, session: str, masks: dict[tuple[str, str], list[Path]]) -> dict[str, Path]:
    files = list(masks.get((subject, session), ()))
    unplaced = masks.get((subject, ""), ()) if session else ()
    if unplaced:
        if sum(name == subject for name, _, _ in _sessions(path)) > 1:
            msg = f"{unplaced[0]} does not say (ses-) which session of {subject} it belongs to"
            raise InputError(msg)
        files += unplaced
    found: dict[str, Path] = {}
    for file in files:
        put(found, _rater(_entities(stem_of(file)).get("desc", "")), file)
    return found


def _rater(description: str) -> str:
    number = _RATER.fullmatch(description)
    if number:
        return number[1] or number[2]
    return "consensus" if description.lower() in _NO_RATER else description.lower()
