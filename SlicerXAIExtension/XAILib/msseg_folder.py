"""Cohorts in a folder of this computer: which file is which modality or rater of which case. No voxel is read.

The layouts are those of MSSEG 2016 (Commowick et al., NeuroImage 244:118589, 2021), as published by Shanoir and as
first handed out, of a table of files, and of a plain folder for each patient; the server reads them by the same rules.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .cohorts import Case, Cohort, Value
from .i18n import tr as _

MODALITIES: Mapping[str, str] = {
    "FLAIR": "FLAIR",
    "3DFLAIR": "FLAIR",
    "T1": "T1",
    "3DT1": "T1",
    "T2": "T2",
    "PD": "PD",
    "DP": "PD",
    "GADO": "GADO",
    "T1GADO": "GADO",
    "3DT1GADO": "GADO",
}
"""Modality by file name, upper-case; DP is the French densité de protons."""
SCANNERS: Mapping[str, str] = {
    "01": "Siemens Verio 3T",
    "03": "GE Discovery 3T",
    "07": "Siemens Aera 1.5T",
    "08": "Philips Ingenia 3T",
}
"""Of the centres of MSSEG 2016 (Commowick et al., Scientific Reports 8:13650, 2018)."""
SUFFIXES = (".nii.gz", ".nii", ".nrrd")
ACCEPTED = _(
    "Center_XX/Patient_YY folders (MSSEG 2016), folders such as 01016SACH, a table cases.csv with a column case_id, "
    "or a "
    "folder for each patient with FLAIR.nii.gz, lesions.nii.gz …"
)

_PREPROCESSED = "_PREPROCESSED"
_CENTRE, _PATIENT = re.compile(r"Center_(\w+)"), re.compile(r"Patient_(\w+)")
_FLAT = re.compile(r"\d{2}\d{3}[A-Z]{4}(_\w+)?")
_RATER = re.compile(r"ManualSegmentation_(\w+)")
_LESIONS = re.compile(r"lesions(?:_(\w+))?")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_MISSING = frozenset({"", "n/a", "na", "nan"})

Files = Mapping[str, Path]
Metadata = dict[str, Value]


class FolderError(ValueError):
    """A folder that is no cohort, in words for the one who chose it."""


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case: images by modality, masks by rater."""

    case: Case
    images: Files
    masks: Files


@dataclass(frozen=True)
class FolderCohort:
    """A cohort and its files by the id of the case."""

    cohort: Cohort
    files: Mapping[str, CaseFiles]


def read_folder(path: Path) -> FolderCohort:
    """Find the cases of a folder. Raises `FolderError` when it cannot be read or holds none."""
    try:
        if not path.is_dir():
            msg = _("{path} is no folder; choose the one that holds the cohort.").format(path=path)
            raise FolderError(msg)
        found = next((cases for cases in (read(path) for read in _LAYOUTS) if cases), [])
    except OSError as error:
        msg = _("{path} cannot be read ({reason}).").format(path=path, reason=error.strerror)
        raise FolderError(msg) from error
    if not found:
        msg = _("No case with an image was found in {path}. Accepted are {layouts}.")
        msg = msg.format(path=path, layouts=ACCEPTED)
        raise FolderError(msg)
    names = [one.case.id for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = _("{path} has more than one case “{case}”; keep one of them.").format(path=path, case=twice[0])
        raise FolderError(msg)
    return FolderCohort(Cohort(path.resolve().name, tuple(one.case for one in found)), dict(zip(names, found)))


def _published(path: Path) -> list[CaseFiles]:
    """Center_XX/Patient_YY/{Raw_Data,Preprocessed_Data,Masks}, as it is or in Training and Testing folders."""
    cases = []
    centred = any(_CENTRE.fullmatch(folder.name) for folder in _folders(path))
    for root in [path] if centred else _folders(path):
        patients = _patients(root)
        known = _rows_by(root / "cases.csv", "id") if patients else {}
        for centre, patient, folder in patients:
            plain = f"{centre}_{patient}"
            split: Metadata = {} if root == path else {"split": root.name.lower()}
            raw, processed = (_modalities(_images(folder / name)) for name in ("Raw_Data", "Preprocessed_Data"))
            about: Metadata = {**_scanner(centre), **known.get(plain, {}), **split, "centre": centre}
            name = plain if root == path else f"{root.name}_{plain}"
            cases += _case(name, processed or raw, _masks(_images(folder / "Masks")), about)
    return cases


def _handed_out(path: Path) -> list[CaseFiles]:
    """Folders such as 01016SACH, whose first two digits are the centre, here or up to two levels deeper."""
    first = _folders(path)
    second = [folder for parent in first for folder in _folders(parent)]
    third = [folder for parent in second for folder in _folders(parent)]
    files: dict[str, dict[str, Path]] = {}
    for folder in (*first, *second, *third):
        if _FLAT.fullmatch(folder.name):
            for stem, file in _images(folder).items():
                _put(files.setdefault(folder.name, {}), stem, file)
    cases = []
    for name, found in sorted(files.items()):
        processed = {stem: file for stem, file in found.items() if stem.upper().endswith(_PREPROCESSED)}
        raw = {stem: file for stem, file in found.items() if stem not in processed}
        about: Metadata = {**_scanner(name[:2]), "centre": name[:2]}
        cases += _case(name, _modalities(processed) or _modalities(raw), _masks(found), about)
    return cases


def _table(path: Path) -> list[CaseFiles]:
    """A table with the columns case_id, FLAIR, T1 …, mask or mask_RATER …; every other column is metadata."""
    tables = [table for table in sorted(path.glob("*.csv")) if "case_id" in _header(table)]
    if len(tables) != 1:
        return []
    rows = _rows(tables[0])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    raters = {name: name[5:] or "consensus" for name in columns if name == "mask" or name.startswith("mask_")}
    modalities = {
        name: MODALITIES.get(name.upper(), name.upper())
        for name in columns
        if name not in raters and (name.upper() in MODALITIES or all(_stem(row[name]) for row in rows if name in row))
    }
    numeric = _numeric(rows)
    cases = []
    for row in rows:
        images, masks = (
            {key: _confined(tables[0], row[column]) for column, key in keys.items() if column in row}
            for keys in (modalities, raters)
        )
        about = _metadata(row, numeric, {"case_id", *modalities, *raters})
        cases += _case(row.get("case_id", ""), images, masks, about)
    return cases


def _plain(path: Path) -> list[CaseFiles]:
    """patientNN/{FLAIR,T1,lesions}.nii.gz; `lesions` is the consensus, `lesions_NAME` is rater NAME."""
    known = _rows_by(path / "patient_info.csv", "patient_id")
    by_number = {name.lstrip("0"): about for name, about in known.items()}
    cases = []
    for folder in _folders(path):
        files = _images(folder)
        matches = {stem: _LESIONS.fullmatch(stem) for stem in files}
        masks = {match[1] or "consensus": files[stem] for stem, match in matches.items() if match}
        number = re.search(r"\d+$", folder.name)
        about = by_number.get(number[0].lstrip("0"), {}) if number else {}
        cases += _case(folder.name, _modalities(files), masks, about)
    return cases


_LAYOUTS: tuple[Callable[[Path], list[CaseFiles]], ...] = (_published, _handed_out, _table, _plain)


def _case(name: str, images: Files, masks: Files, about: Metadata) -> list[CaseFiles]:
    """The case; none without a name or an image."""
    if not (name and images):
        return []
    return [CaseFiles(Case(name, tuple(sorted(images)), tuple(sorted(masks)), about), images, masks)]


def _scanner(centre: str) -> Metadata:
    return {"scanner": SCANNERS[centre]} if centre in SCANNERS else {}


def _patients(root: Path) -> list[tuple[str, str, Path]]:
    """Centre, patient and folder."""
    found = []
    for centre in _folders(root):
        named = _CENTRE.fullmatch(centre.name)
        for folder in _folders(centre) if named else ():
            patient = _PATIENT.fullmatch(folder.name)
            if named and patient:
                found.append((named[1], patient[1], folder))
    return found


def _modalities(files: Files) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for stem, file in files.items():
        name = stem.upper()
        name = name[: -len(_PREPROCESSED)] if name.endswith(_PREPROCESSED) else name
        if name in MODALITIES:
            _put(images, MODALITIES[name], file)
    return images


def _masks(files: Files) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for stem, file in files.items():
        match = _RATER.fullmatch(stem)
        if match:
            _put(masks, match[1], file)
        elif stem in {"Consensus", "Truth"}:
            _put(masks, stem.lower(), file)
    return masks


def _images(folder: Path) -> dict[str, Path]:
    """Image files directly in a folder by their names without suffix."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        stem = _stem(file.name)
        if stem and not file.name.startswith("."):
            _put(found, stem, file)
    return found


def _stem(name: str) -> str:
    """Without the suffix of an image; empty for any other file."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def _put(found: dict[str, Path], key: str, file: Path) -> None:
    if key in found:
        msg = _("{one} and {other} are both “{key}”; keep one of them.").format(one=found[key], other=file, key=key)
        raise FolderError(msg)
    found[key] = file


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _confined(table: Path, value: str) -> Path:
    """A file that a table names. It must lie in the table's folder: a table is content, not the user's choice."""
    file = table.parent / value
    if table.parent.resolve() not in file.resolve().parents:
        msg = _("{table} names “{file}”, which lies outside its folder.").format(table=table, file=value[:80])
        raise FolderError(msg)
    return file


def _header(table: Path) -> list[str]:
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return [name.strip() for name in file.readline().split(",")]


def _rows(table: Path) -> list[dict[str, str]]:
    """Rows of a table by column; absent values are left out."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        msg = _("{table} is no text table ({reason}).").format(table=table, reason=error)
        raise FolderError(msg) from error
    header = [name.strip() for name in lines[0]] if lines else []
    rows = [{name: value.strip() for name, value in zip(header, line)} for line in lines[1:]]
    return [{name: value for name, value in row.items() if value.lower() not in _MISSING} for row in rows]


def _rows_by(table: Path, key: str) -> dict[str, Metadata]:
    """Metadata of a table by one of its columns; empty without the table."""
    rows = _rows(table) if table.is_file() else []
    numeric = _numeric(rows)
    return {row[key]: _metadata(row, numeric, {key}) for row in rows if key in row}


def _numeric(rows: Iterable[Mapping[str, str]]) -> set[str]:
    """Columns of numbers only; codes such as "01" are none."""
    numeric: dict[str, bool] = {}
    for row in rows:
        for name, value in row.items():
            number = _NUMBER.fullmatch(value) is not None and math.isfinite(float(value))
            numeric[name] = numeric.get(name, True) and number
    return {name for name, holds in numeric.items() if holds}


def _metadata(row: Mapping[str, str], numeric: set[str], without: set[str]) -> Metadata:
    def value(name: str) -> Value:
        return float(row[name]) if name in numeric else row[name]

    return {name: value(name) for name in row if name not in without}
