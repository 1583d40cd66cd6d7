"""A stored classifier that learned a scanner's mark, repaired."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slicerxai.alignment.aligned_training import train_aligned_model
from slicerxai.alignment.aligned_training_parameters import AlignedTrainingParameters
from slicerxai.data.case import Case
from slicerxai.errors import InputError, NotFoundError
from slicerxai.models.classifier import ImageClassifier
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from tests.support.classifier import store_classifier
from tests.support.scanner_mark import TOY, plant_toys, toy_cohort

CPU = torch.device("cpu")
COUNT, TEST = 40, 20


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelStore, list[Case], list[Case]]:
    """Store with "plain", its marked training cases, and others on which mark and label disagree."""
    root = tmp_path_factory.mktemp("planted")
    cases = toy_cohort(root / "cases", COUNT + TEST)
    present = [float(case.metadata["left_ml"]) > 0 for case in cases]
    marked = plant_toys(cases[:COUNT], present[:COUNT], root / "marked")
    contrary = plant_toys(cases[COUNT:], [not one for one in present[COUNT:]], root / "marked")
    store = ModelStore(root / "models")
    train("classifier", marked, None, TOY, store, "plain", CPU)
    return store, marked, contrary


def accuracy(store: ModelStore, name: str, cases: list[Case]) -> float:
    """Of the label that goes with the mark in training."""
    model = store.load(name, CPU)
    right = [
        (model.predict({"FLAIR": case.image("FLAIR")})[0] > model.thresholds[0])
        == (float(case.metadata["left_ml"]) > 0)
        for case in cases
    ]
    return float(np.mean(right))


def test_repair(cohort: tuple[ModelStore, list[Case], list[Case]]) -> None:
    store, marked, contrary = cohort
    assert accuracy(store, "plain", contrary) <= 0.3
    parameters = AlignedTrainingParameters(base="plain", epochs=8, learning_rate=1e-2)
    info = train_aligned_model(marked, "consensus", parameters, store, "repaired", CPU)
    assert accuracy(store, "repaired", contrary) >= 0.7
    assert info.kind == "classifier"
    assert info.labels == ("left", "right")
    found = info.provenance
    assert found["base"] == {"name": "plain", "digest": store.load("plain", CPU).info.digest}
    assert sorted(found["training_cases"] + found["validation_cases"]) == [case.id for case in marked]
    assert set(found["images"]) == {case.id for case in marked}
    assert len(found["share_outside_masks"]) == 8
    assert found["parameters"]["spacing"] == TOY.spacing
    assert found["parameters"]["targets"] == list(TOY.targets)


def test_without_base(cohort: tuple[ModelStore, list[Case], list[Case]]) -> None:
    store, marked, _ = cohort
    parameters = AlignedTrainingParameters(**TOY.model_dump(exclude_unset=True) | {"epochs": 1, "snapshots": 1})
    info = train_aligned_model(marked, "consensus", parameters, store, "new", CPU)
    model = store.load("new", CPU)
    assert isinstance(model, ImageClassifier)
    assert list(model.snapshots) == [0, 1]
    assert info.provenance["base"] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spacing": 2.0}, r"model 'plain' decides .* differs from the given spacing 2\.0"),
        ({"targets": ("a=left_ml>0", "right=right_ml>0")}, "labels: left, right"),
        ({"channels": ("T1",)}, "channels"),
    ],
)
def test_contradiction(cohort: tuple[ModelStore, list[Case], list[Case]], given: dict, message: str) -> None:
    store, marked, _ = cohort
    with pytest.raises(InputError, match=message):
        train_aligned_model(marked, "consensus", AlignedTrainingParameters(base="plain", **given), store, "never", CPU)
    assert "never" not in store.names()


def test_other_columns_for_the_same_labels(cohort: tuple[ModelStore, list[Case], list[Case]]) -> None:
    store, marked, _ = cohort
    renamed = [
        replace(case, metadata={half: float(float(case.metadata[f"{half}_ml"]) > 0) for half in ("left", "right")})
        for case in marked
    ]
    parameters = AlignedTrainingParameters(base="plain", targets=("left", "right"), epochs=1, steps=1)
    info = train_aligned_model(renamed, "consensus", parameters, store, "columns", CPU)
    assert info.provenance["parameters"]["targets"] == ["left", "right"]


def test_unusable(cohort: tuple[ModelStore, list[Case], list[Case]], tmp_path: Path) -> None:
    store, marked, _ = cohort
    with pytest.raises(NotFoundError, match="no model 'absent'"):
        train_aligned_model(marked, "consensus", AlignedTrainingParameters(base="absent"), store, "x", CPU)
    with pytest.raises(InputError, match="'7'"):
        train_aligned_model(marked, "7", AlignedTrainingParameters(base="plain"), store, "x", CPU)
    with pytest.raises(InputError, match="no case"):
        train_aligned_model([], "consensus", AlignedTrainingParameters(base="plain"), store, "x", CPU)
    other = ModelStore(tmp_path)
    store_classifier(other, "regions")
    with pytest.raises(InputError, match="no metadata column 'middle_ml'"):
        train_aligned_model(marked, "consensus", AlignedTrainingParameters(base="regions"), other, "x", CPU)
