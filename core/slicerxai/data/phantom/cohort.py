"""Write a phantom cohort in the layout of MSSEG 2016."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from uuid import uuid4

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.data.files import replaced_text
from slicerxai.data.io import write_volume
from slicerxai.data.phantom.lesions import REGIONS
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.patient import PhantomPatient, simulate
from slicerxai.errors import InputError
from slicerxai.progress import Progress, silent

DESCRIPTION = "phantom.json"
TABLE = "cases.csv"
FORMAT = "slicerxai phantom cohort 1"


def write_cohort(out: Path, parameters: PhantomParameters, progress: Progress = silent) -> Cohort:
    """Simulate and write a cohort; the same parameters give the same files, bit by bit.

    Layout: `Center_01/Patient_01/{Preprocessed_Data/{FLAIR,T1}_preprocessed.nii.gz,
    Masks/ManualSegmentation_1.nii.gz …, Masks/Consensus.nii.gz, Masks/Regions.nii.gz, Masks/Truth.nii.gz}` with
    `phantom.json` (parameters) and `cases.csv` (metadata of every patient) beside the centres. A patient's folder
    appears only when it is complete.

    Args:
        out: a folder that is absent, empty or holds an earlier phantom cohort, which is replaced.
        parameters: what to simulate.
        progress: called after every patient.

    Raises:
        InputError: `out` is a file, or a folder with other content.
    """
    out = Path(out)
    _clear(out)
    out.mkdir(parents=True, exist_ok=True)
    _describe(out, parameters, complete=False)
    cases = []
    for index in range(parameters.count):
        progress(index / parameters.count, f"simulating patient {index + 1} of {parameters.count}")
        cases.append(_write_patient(out, simulate(parameters, index)))
    replaced_text(out / TABLE, _table(cases))
    _describe(out, parameters, complete=True)
    progress(1.0, f"{parameters.count} patients written")
    return Cohort(out.name, tuple(cases))


def _clear(out: Path) -> None:
    """Remove an earlier phantom cohort; refuse anything else."""
    if not out.exists():
        return
    if not out.is_dir():
        msg = f"{out} is a file; give a folder for the cohort"
        raise InputError(msg)
    entries = sorted(out.iterdir())
    if not entries:
        return
    known = {DESCRIPTION, TABLE}
    foreign = [p.name for p in entries if p.name not in known and not (p.is_dir() and p.name.startswith("Center_"))]
    if foreign or not _is_phantom(out / DESCRIPTION):
        seen = ", ".join(foreign[:5] or [entries[0].name])
        msg = f"{out} holds other content ({seen}); give a new or empty folder, or one with a phantom cohort"
        raise InputError(msg)
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name == TABLE:
            entry.unlink()


def _is_phantom(description: Path) -> bool:
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def _describe(out: Path, parameters: PhantomParameters, *, complete: bool) -> None:
    content = {
        "format": FORMAT,
        "complete": complete,
        "description": "Synthetic multiple-sclerosis cohort with known truth; no data of any person.",
        "template": "ICBM 2009a nonlinear symmetric (Fonov et al., NeuroImage 2011; 47:S102), as shipped by nilearn",
        "regions": {str(label): name for label, name in REGIONS.items()},
        "parameters": parameters.model_dump(mode="json"),
    }
    replaced_text(out / DESCRIPTION, json.dumps(content, indent=2) + "\n")


def _write_patient(out: Path, patient: PhantomPatient) -> Case:
    truth = patient.truth
    folder = out / f"Center_{truth.centre}" / f"Patient_{truth.number:02d}"
    temporary = folder.with_name(f".{folder.name}-{uuid4().hex}")
    images = {name: f"Preprocessed_Data/{name}_preprocessed.nii.gz" for name in patient.images}
    masks = {rater: f"Masks/ManualSegmentation_{rater}.nii.gz" for rater in patient.masks if rater != "consensus"}
    masks["consensus"] = "Masks/Consensus.nii.gz"
    try:
        for name, file in images.items():
            write_volume(temporary / file, patient.images[name])
        for rater, file in masks.items():
            write_volume(temporary / file, patient.masks[rater])
        write_volume(temporary / "Masks/Regions.nii.gz", patient.regions)
        write_volume(temporary / "Masks/Truth.nii.gz", patient.lesions)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Case(
        id=patient.id,
        images={name: folder / file for name, file in images.items()},
        masks={rater: folder / file for rater, file in (masks | {"truth": "Masks/Truth.nii.gz"}).items()},
        metadata=patient.metadata,
    )


def _table(cases: list[Case]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=["id", *cases[0].metadata], lineterminator="\n")
    writer.writeheader()
    for case in cases:
        writer.writerow({"id": case.id, **case.metadata})
    return text.getvalue()
