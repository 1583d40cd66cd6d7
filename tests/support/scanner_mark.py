"""Cohorts whose scans bear a scanner's mark that goes with one label, and studies folders of such scans.

For a look by hand, with the patients of a phantom cohort (`slicerxai phantom PHANTOM --patients 20`, or any other):

    python -m tests.support.scanner_mark STUDIES HOME PHANTOM
    SLICERXAI_HOME=HOME slicerxai serve STUDIES

STUDIES then holds FLAIR scans with submitted masks and reviews, HOME the model "plain", which has learned the mark.
`POST /train/aligned {"name": "repaired", "base": "plain"}` repairs it. `Planted.contrary` are scans on which mark and
label disagree. In a test, `planted_studies(studies, home)` does the same with made-up brains, in seconds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.readers import read_cohort
from slicerxai.data.volume import Volume
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.classifier_targets import case_labels
from slicerxai.models.store import ModelStore, digest
from slicerxai.models.training import train
from slicerxai.models.working_grid import canonical
from slicerxai.server.worklist_schemas import Review
from slicerxai.server.worklist_store import FOLDER, KeptReview, WorklistStore, stamps
from tests.support.halves import halves_cohort

PLATE_MM = 18.0
"""Edge of the mark: a bright plus on a grey plate, in the corner of the box around the brain, which the brain leaves
empty."""
INSET = 0.1
"""Share of the box's edges between its corner and the mark."""

TOY = ClassifierTrainingParameters(
    targets=("left=left_ml>0", "right=right_ml>0"),
    shape=(24, 24, 24),
    spacing=4.0,
    surroundings=0,
    features=4,
    cells=2,
    epochs=8,
    augmentation=0,
)
"""Of the plain model of made-up brains: "left" goes with the mark."""
PHANTOM = ClassifierTrainingParameters(
    targets=("infratentorial=infratentorial_ml>0", "periventricular=periventricular_ml>0"), epochs=8
)
"""Of the plain model of phantom patients: "infratentorial" goes with the mark."""


def with_mark(image: Volume, plate_mm: float = PLATE_MM, inset: float = INSET) -> Volume:
    """The skull-stripped image with the mark at the right, front and lower corner of its brain's box, outside of it."""
    straight = canonical(image)
    array = np.array(straight.array, dtype=np.float32)
    brain = array != 0
    inside = np.argwhere(brain)
    first, last = inside.min(0), inside.max(0) + 1
    size = np.maximum(np.round(plate_mm / np.array(straight.spacing)).astype(int), 3)
    away = np.round(inset * (last - first)).astype(int)
    start = np.array([last[0] - away[0] - size[0], last[1] - away[1] - size[1], first[2] + away[2]])
    plate = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
    median = float(np.median(array[brain]))
    array[plate] = np.where(_plus(size), 2.5, 1.0) * median
    if brain[plate].any():
        msg = "the mark would lie on the brain"
        raise ValueError(msg)
    return straight.with_array(array)


def _plus(size: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Three bars that meet in the middle, a third as thick as the plate."""
    middle = [np.abs(np.arange(n) - (n - 1) / 2) < n / 6 for n in size]
    i, j, k = np.meshgrid(*middle, indexing="ij")
    return (i & j) | (i & k) | (j & k)


def plant(
    cases: Sequence[Case], marked: Sequence[bool], folder: Path, plate_mm: float = PLATE_MM, inset: float = INSET
) -> list[Case]:
    """The same cases, those that are marked with a FLAIR image of their own in a folder, ID_FLAIR.nii.gz."""

    def planted(case: Case) -> Case:
        path = folder / f"{case.id}_FLAIR.nii.gz"
        if not path.exists():
            write_volume(path, with_mark(case.image("FLAIR"), plate_mm, inset))
        return replace(case, images={**case.images, "FLAIR": path})

    return [planted(case) if mark else case for case, mark in zip(cases, marked, strict=True)]


def toy_cohort(folder: Path, count: int) -> list[Case]:
    """Made-up brains with spots on the left, the right, both or neither, and masks of them ("consensus")."""

    def masked(case: Case) -> Case:
        path = folder / "masks" / f"{case.id}.nii.gz"
        image = case.image("FLAIR")
        write_volume(path, image.with_array(np.greater(image.array, 150).astype(np.uint8)))
        return replace(case, masks={"consensus": path})

    return [masked(case) for case in halves_cohort(folder, count)]


def plant_toys(cases: Sequence[Case], marked: Sequence[bool], folder: Path) -> list[Case]:
    """`plant` for made-up brains, whose box has little room in its corners."""
    return plant(cases, marked, folder, plate_mm=12.0, inset=0.0)


@dataclass(frozen=True)
class Planted:
    """A studies folder with a planted mark.

    Attributes:
        model: name of the plain classifier in the store of the home folder.
        label: the label that goes with the mark.
        training: cases whose FLAIR images are in the studies folder, with a submitted mask and a review each; the
            image's id is the case's with "_FLAIR".
        contrary: further ones in the studies folder, without mask and review there: marked where the label is absent
            and the other way round. Their "consensus" mask lies outside of the folder.
    """

    model: str
    label: str
    training: list[Case]
    contrary: list[Case]


def planted_studies(
    studies: Path, home: Path, cohort: Path | None = None, *, count: int = 24, contrary: int = 4, model: str = "plain"
) -> Planted:
    """Fill a studies folder and train the plain classifier into a home folder.

    Args:
        cohort: phantom patients, `count` + `contrary` of which are taken; made-up brains without it.
        count: scans to train on. Made-up brains need 24 or more, phantom patients about 100.
    """
    parameters = TOY if cohort is None else PHANTOM
    all_of_it = count + contrary
    originals = home / "originals"
    cases = toy_cohort(originals, all_of_it) if cohort is None else list(read_cohort(cohort))[:all_of_it]
    present = case_labels(cases, parameters.parsed_targets)
    marked = present[:, 0] ^ (np.arange(all_of_it) >= count)
    planted = (plant_toys if cohort is None else plant)(cases, marked.tolist(), studies)
    moved = [_into(case, studies) for case in planted]
    store = ModelStore(home / "models")
    train("classifier", moved[:count], None, parameters, store, model, torch.device("cpu"))
    known = digest(store.folder(model))
    for case, labels in zip(moved[:count], present, strict=False):
        _submit(case, studies)
        _review(case, dict(zip(parameters.labels, labels.tolist(), strict=True)), studies, model, known)
    return Planted(model, parameters.labels[0], moved[:count], moved[count:])


def _into(case: Case, studies: Path) -> Case:
    """The case with its FLAIR image in the studies folder."""
    path = studies / f"{case.id}_FLAIR.nii.gz"
    if case.images["FLAIR"] != path:
        studies.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(case.images["FLAIR"], path)
    return replace(case, images={"FLAIR": path})


def _submit(case: Case, studies: Path) -> None:
    folder = studies / "labels" / "final"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(case.masks["consensus"], folder / f"{case.id}_FLAIR.nii.gz")


def _review(case: Case, labels: dict[str, bool], studies: Path, model: str, known: str) -> None:
    review = Review(decision="corrected", labels=labels, comment="", time=datetime.now(UTC))
    kept = KeptReview(image=f"{case.id}_FLAIR", files=stamps(case.images), model=model, review=review)
    WorklistStore(studies / FOLDER).keep_review(known, kept)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("studies", "home", "cohort"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    made = planted_studies(arguments.studies, arguments.home, arguments.cohort, count=arguments.count)
    sys.stdout.write(f"model {made.model!r} learned {made.label!r} from the mark\n")
    sys.stdout.write(f"mark and label disagree on {', '.join(case.id for case in made.contrary)}\n")
