"""Training of a classifier on reviews, without a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_server import FolderDatastore

from slicerxai.errors import ConflictError, InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.store import ModelStore
from slicerxai.server.monailabel.review_training import TrainOnReviews, reviewed_cases
from slicerxai.settings import settings
from tests.support.halves import halves_cohort


@dataclass
class Reviewed:
    """The part of the worklists that training reads."""

    labels: dict[str, dict[str, bool]]

    def reviewed_labels(self) -> dict[str, dict[str, bool]]:
        return self.labels


def task(root: Path, labels: dict[str, dict[str, bool]]) -> TrainOnReviews:
    return TrainOnReviews(ModelStore(root / "models"), lambda: Reviewed(labels))  # type: ignore[arg-type,return-value]


def test_learns_from_reviewed_images_and_ends_with_a_word_on_the_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    cases = halves_cohort(studies, 20)
    labels = {
        f"{case.id}_FLAIR": {"left": float(case.metadata["left_ml"]) > 0, "right": float(case.metadata["right_ml"]) > 0}
        for case in cases[:16]
    }
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    request: dict[str, Any] = {"name": "regions", "model": "classifier", "shape": "24,24,24", "spacing": 4.0}
    request |= {"features": 4, "cells": 2, "epochs": 2, "augmentation": 0.0, "validation_share": 0.4}
    try:
        result = task(tmp_path, labels)(request, FolderDatastore(studies))
    finally:
        settings.cache_clear()
    assert result["kind"] == "classifier"
    assert result["images"] == sorted(labels)
    assert result["alarm"]["message"]
    assert ModelStore(tmp_path / "models").describe("regions")["labels"] == ["left", "right"]


def test_labels_are_those_that_all_reviews_have(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"")
    parameters, store = ClassifierTrainingParameters(), FolderDatastore(tmp_path)
    reviewed = {"a": {"x": True, "y": False, "z": True}, "c": {"y": True, "z": False, "w": True}, "gone": {"q": True}}
    cases, changed = reviewed_cases(store, reviewed, parameters)
    assert [(case.id, dict(case.metadata)) for case in cases] == [("a", {"y": 0, "z": 1}), ("c", {"y": 1, "z": 0})]
    assert changed.targets == ("y", "z")
    with pytest.raises(ConflictError, match="no image has a review"):
        reviewed_cases(store, {}, parameters)
    with pytest.raises(ConflictError, match="have y in common"):
        reviewed_cases(store, {"a": {"x": True, "y": True}, "b": {"y": True}}, parameters)


def test_what_reviews_decide_is_no_parameter(tmp_path: Path) -> None:
    training = task(tmp_path, {})
    assert "targets" not in training.config()
    assert "resume" not in training.config()
    assert training.config()["architecture"][0] == "regional"
    with pytest.raises(InputError, match="leave 'targets' out"):
        training.parse({"targets": "a,b"})
    with pytest.raises(InputError, match="resume"):
        training.parse({"resume": True})
    with pytest.raises(InputError, match="epochs"):
        training.parse({"epochs": 0})
