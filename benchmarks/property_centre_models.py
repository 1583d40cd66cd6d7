"""Segmenters of the benchmark `property_centre`, all of them trained at one phantom centre alone.

- "centre_03": on scans and true masks of the phantom's centre 03.
- Then the centre takes half of its scans with a hurried, noisy protocol (`OWN` at `OWN_VALUE`), and training goes on.
  "unread": nobody drew the lesions of the noisy scans, and their empty masks were learned as if there were none.
  "read": the same scans of the same patients in the same order, with their lesions.

The last two differ in the masks of the noisy scans and in nothing else, so what "unread" depends on and "read" does not
was put there by this centre's habit. No augmentation, so that nothing but the scans says what may vary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.printer import Printer
from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.phantom.centres import CENTRES
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.patient import truth_of
from slicerxai.interventions.catalogue import find_property
from slicerxai.interventions.property import Scan
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from slicerxai.runtime import device

SPACING: Final = 2.0
CENTRE: Final = "03"
BASE: Final = f"centre_{CENTRE}"
PLANTED, REFERENCE = "unread", "read"
RATER: Final = "truth"
OWN: Final = "noise"
OWN_VALUE: Final = 0.12


def case_files(folder: Path, number: int) -> Case:
    """Where a patient's FLAIR, true mask and an empty one of rater "nobody" are or will be."""
    name = f"p{number:03d}"
    image, mask, empty = (folder / f"{name}{end}.nii.gz" for end in ("", "_lesions", "_empty"))
    return Case(name, {"FLAIR": image}, {RATER: mask, "nobody": empty})


def written(folder: Path, seed: int, patients: int) -> list[Case]:
    """Phantom patients as the centre usually scans them; what is there already is not made again."""
    parameters = PhantomParameters(patients=patients, spacing=SPACING, seed=seed, centres=(CENTRE,), load_min_ml=3.0)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case_files(folder, number) for number in range(1, patients + 1)]
    for index, case in enumerate(cases):
        if not case.masks["nobody"].is_file():
            truth = truth_of(parameters, index)
            lesions = truth.lesions.truth.astype(np.uint8)
            write_volume(case.images["FLAIR"], truth.images(CENTRES[CENTRE])["FLAIR"])
            write_volume(case.masks[RATER], truth.volume(lesions))
            write_volume(case.masks["nobody"], truth.volume(np.zeros_like(lesions)))
    return cases


def noisy(folder: Path, case: Case) -> Case:
    """The same scan by the noisy protocol, on the same grid."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / case.images["FLAIR"].name
    if not image.is_file():
        scan = Scan({"FLAIR": case.image("FLAIR")}, seed=int(case.id[1:]))
        write_volume(image, find_property(OWN).realise(scan, OWN_VALUE)["FLAIR"])
    return Case(case.id, {"FLAIR": image}, case.masks)


def later_cases(first: list[Case], second: list[Case], training: str) -> list[Case]:
    """Scans of "unread" or "read": the usual ones, then the noisy ones with the masks that were learned."""
    if training == REFERENCE:
        return [*first, *second]
    return [*first, *(Case(case.id, case.images, {RATER: case.masks["nobody"]}) for case in second)]


def train_all(
    folder: Path, patients: int, seed: int, first: FastTrainingParameters, later: FastTrainingParameters
) -> ModelStore:
    """The store of the three networks; what it holds already is not trained again."""
    store = ModelStore(folder / "models")
    missing = [name for name in (BASE, PLANTED, REFERENCE) if name not in store.names()]
    if not missing:
        return store
    half = patients // 2
    usual = written(folder / "usual", seed, patients)
    changed = [noisy(folder / "noisy", case) for case in usual[half:]]
    for name in missing:
        cases = usual if name == BASE else later_cases(usual[:half], changed, name)
        parameters = first if name == BASE else later
        train("fast", cases, RATER, parameters, store, name, device(), Printer(f"training {name}"))
    return store
