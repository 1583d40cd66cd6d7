from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.models.classifier import ImageClassifier
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.classifier_targets import case_labels
from slicerxai.models.classifier_training import held_out_evenly
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from tests.support.halves import halves_cohort

CPU = torch.device("cpu")
QUICK = ClassifierTrainingParameters(
    targets=("left=left_ml>0", "right=right_ml>0"),
    shape=(24, 24, 24),
    spacing=4.0,
    features=4,
    cells=2,
    epochs=6,
    augmentation=0.0,
    validation_share=0.4,
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return halves_cohort(tmp_path_factory.mktemp("cases"), 24)


def changed(case: Case, **metadata: Any) -> Case:
    return Case(case.id, case.images, case.masks, {**case.metadata, **metadata})


def test_learns_which_half_has_bright_spots(cases: list[Case], tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    info = train("classifier", cases, None, QUICK, store, "halves", CPU)
    model = store.load("halves", CPU)
    assert isinstance(model, ImageClassifier)
    assert info.labels == ("left", "right")
    assert info.channels == ("FLAIR",)
    provenance: Any = info.provenance
    assert min(provenance["validation_auc"].values()) > 0.85
    learned, aside = set(provenance["training_cases"]), set(provenance["validation_cases"])
    assert learned | aside == {case.id for case in cases}
    subjects = {case.id: case.metadata["subject"] for case in cases}
    assert not {subjects[i] for i in learned} & {subjects[i] for i in aside}
    assert set(provenance["cases"]) == learned | aside
    truth = case_labels(cases, QUICK.parsed_targets)
    found = np.array([model.predict({"FLAIR": case.image("FLAIR")}) for case in cases]) >= model.thresholds
    assert (found == truth).mean() > 0.85


def test_cancelling_leaves_nothing_and_keeps_the_old_model(cases: list[Case], tmp_path: Path) -> None:
    store = ModelStore(tmp_path)

    def cancel(fraction: float, message: str) -> None:
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        train("classifier", cases, None, QUICK, store, "halves", CPU, cancel)
    assert store.names() == []
    assert list(tmp_path.iterdir()) == []


def test_held_out_subjects_have_labels_as_the_others(cases: list[Case]) -> None:
    labels = case_labels(cases, QUICK.parsed_targets)
    aside = held_out_evenly(cases, labels, QUICK)
    assert 0 < aside.sum() < len(cases)
    assert np.abs(labels[aside].mean(0) - labels[~aside].mean(0)).max() < 0.25
    np.testing.assert_array_equal(aside, held_out_evenly(cases, labels, QUICK))
    others = [held_out_evenly(cases, labels, QUICK.model_copy(update={"seed": s})) for s in (1, 2, 3)]
    assert any(not np.array_equal(aside, other) for other in others)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: Case(c.id, c.images, c.masks, {"age": 3.0, "sex": "F"}), "'left_ml'.*age, sex"),
        (lambda c: changed(c, left_ml="much"), "'much'.*needs a number"),
        (lambda c: changed(c, left_ml=float("nan")), "needs a number"),
        (lambda c: changed(c, left_ml=0.0), "left in none"),
        (lambda c: changed(c, right_ml=2.0), "right in all"),
        (lambda c: changed(c, left_ml=float(c.id == "case03")), "no split.*left in 1 of 24"),
        (lambda c: changed(c, subject="one"), "subject 'one'; at least two subjects"),
        (lambda c: Case(c.id, {"T1": c.images["FLAIR"]}, c.masks, c.metadata), "needed are FLAIR"),
        (lambda c: Case("same", c.images, c.masks, c.metadata), "two cases have the id 'same'"),
    ],
)
def test_unusable_cases(cases: list[Case], tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train("classifier", [change(case) for case in cases], None, QUICK, ModelStore(tmp_path), "m", CPU)
    assert list(tmp_path.iterdir()) == []


def test_column_without_a_limit_holds_zero_and_one(cases: list[Case]) -> None:
    targets = QUICK.model_copy(update={"targets": ("yes", "left_ml")}).parsed_targets
    yes = [changed(case, yes=float(n % 2), left_ml=float(n % 3 == 0)) for n, case in enumerate(cases)]
    np.testing.assert_array_equal(case_labels(yes, targets)[:4], [[0, 1], [1, 0], [0, 0], [1, 1]])
    with pytest.raises(InputError, match=r"neither 0 nor 1.*left_ml>0"):
        case_labels([changed(case, yes=1.0, left_ml=3.0) for case in cases], targets)


def test_no_cases_no_rater_no_resume(cases: list[Case], tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(InputError, match="no case"):
        train("classifier", [], None, QUICK, store, "m", CPU)
    with pytest.raises(InputError, match="takes neither"):
        train("classifier", cases, "consensus", QUICK, store, "m", CPU)
    with pytest.raises(InputError, match="takes neither"):
        train("classifier", cases, None, QUICK, store, "m", CPU, resume=True)


def test_reading_a_damaged_image_names_the_file(cases: list[Case], tmp_path: Path) -> None:
    flat = tmp_path / "flat.nii.gz"
    volume = cases[0].image("FLAIR")
    write_volume(flat, volume.with_array(np.full(volume.shape, 7, np.int16)))
    broken = [Case(cases[0].id, {"FLAIR": flat}, {}, cases[0].metadata), *cases[1:]]
    with pytest.raises(InputError, match=r"case00.*contrast"):
        train("classifier", broken, None, QUICK, ModelStore(tmp_path / "models"), "m", CPU)
