"""Training on submitted lesions, without a server: which images count, and with which labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError, InputError, NotFoundError
from slicerxai.models.classifier_parameters import MCDONALD_TARGETS, parse_target
from slicerxai.models.store import ModelStore
from slicerxai.progress import silent
from slicerxai.server.monailabel import aligned_training
from slicerxai.server.monailabel.aligned_training import TrainOnLesions, with_labels
from slicerxai.server.monailabel.training import RATER
from tests.support.classifier import LABELS, store_classifier


@dataclass
class Reviewed:
    """The part of the worklists that training reads."""

    labels: dict[str, dict[str, bool]]

    def reviewed_labels(self) -> dict[str, dict[str, bool]]:
        return self.labels


class Submitted:
    """The part of a datastore that training reads: images with a submitted label each."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = self._datastore_path = folder
        self.names = names
        for name in names:
            write_volume(folder / f"{name}.nii.gz", Volume(np.ones((4, 4, 4), np.float32), np.eye(4)))

    def list_images(self) -> list[str]:
        return self.names

    def get_labeled_images(self) -> list[str]:
        return self.names

    def get_image_uri(self, image: str) -> str:
        return str(self.folder / f"{image}.nii.gz")

    def get_label_uri(self, image: str, tag: str) -> str:
        return str(self.folder / f"{image}.nii.gz")


def task(root: Path, labels: dict[str, dict[str, bool]]) -> TrainOnLesions:
    return TrainOnLesions(ModelStore(root / "models"), lambda: Reviewed(labels))  # type: ignore[arg-type,return-value]


def test_reviewed_images_alone_for_other_labels_than_regions(tmp_path: Path) -> None:
    store_classifier(ModelStore(tmp_path / "models"), "halves")
    datastore = Submitted(tmp_path, ["a", "b", "c"])
    reviewed = {"a": dict.fromkeys(LABELS, True), "b": {"left": True}, "gone": dict.fromkeys(LABELS, False)}
    training = task(tmp_path, reviewed)
    _, _, parameters = training.parse({"name": "new", "base": "halves", "epochs": 3})
    cases, _ = training.cases(datastore, parameters)  # type: ignore[arg-type]
    assert [(case.id, dict(case.metadata)) for case in cases] == [("a", dict.fromkeys(LABELS, 1.0))]
    cases, prepared = training.prepared(cases, parameters)
    assert prepared.targets == LABELS
    assert prepared.epochs == 3
    assert prepared.model_fields_set == {"base", "epochs", "targets"}
    with pytest.raises(ConflictError, match="review the worklist"):
        task(tmp_path, {}).cases(datastore, parameters)  # type: ignore[arg-type]


def test_regions_of_the_mask_where_no_review_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datastore = Submitted(tmp_path, ["a", "b"])
    names = tuple(parse_target(text).name for text in MCDONALD_TARGETS)
    training = task(tmp_path, {"a": dict.fromkeys(names, False)})
    _, _, parameters = training.parse({"base": ""})
    cases, _ = training.cases(datastore, parameters)  # type: ignore[arg-type]
    assert [case.id for case in cases] == ["a", "b"]
    volumes = {parse_target(text).column: 0.0 for text in MCDONALD_TARGETS} | {"infratentorial_ml": 0.4}
    seen = []

    def regions(mask: Volume, images: dict[str, Volume]) -> SimpleNamespace:
        seen.append(set(images))
        return SimpleNamespace(volumes_ml=lambda: volumes)

    monkeypatch.setattr(aligned_training, "patient_regions", regions)
    labelled = with_labels(cases, parameters.parsed_targets, silent)
    assert seen == [{"FLAIR"}]
    assert dict(labelled[0].metadata) == dict.fromkeys(names, 0.0)
    assert dict(labelled[1].metadata) == dict.fromkeys(names, 0.0) | {"infratentorial": 1.0}
    assert isinstance(labelled[1], Case)
    assert labelled[1].masks[RATER].exists()


def test_bad_requests(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    store_classifier(store, "halves")
    training = task(tmp_path, {})
    assert training.config()["base"] == ["halves"]
    for request, error, message in [
        ({"targets": "a,b"}, InputError, "leave 'targets' out"),
        ({"resume": True}, InputError, "cannot be resumed"),
        ({"base": "other"}, NotFoundError, "no model 'other'"),
        ({"cost": 0}, InputError, "cost"),
        ({"name": "../x"}, InputError, "bad model name"),
    ]:
        with pytest.raises(error, match=message):
            training.parse(request)
