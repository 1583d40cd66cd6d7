"""The effect of a property at the snapshots of a training, on cases whose label is which half has bright spots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slicerxai.data.case import Case
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.contract import Inputs
from slicerxai.explain.property import PropertyExplainer
from slicerxai.explain.property_parameters import PropertyParameters
from slicerxai.explain.property_training_figures import training_figure, training_table
from slicerxai.interventions.path import GradualPath
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PropertyInfo
from slicerxai.interventions.training_analysis import effect_over_training
from slicerxai.models.classifier import ImageClassifier
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.store import ModelStore, digest
from slicerxai.models.training import train
from slicerxai.progress import silent
from tests.support.halves import halves_cohort

CPU = torch.device("cpu")
PARAMETERS = ClassifierTrainingParameters(
    targets=("left=left_ml>0", "right=right_ml>0"),
    shape=(24, 24, 24),
    spacing=4.0,
    features=4,
    cells=2,
    epochs=5,
    augmentation=0.0,
    validation_share=0.4,
    snapshots=2,
    keep="last",
)
VALUES = np.linspace(0, 1, 5)


class Blend:
    """From one image to another."""

    info = PropertyInfo("blend", "Blend", "", "share of the other image", "recorded", 0.0, 1.0, 0.0)

    def __init__(self, other: Volume) -> None:
        self.other = other

    def unusable(self, scan: Scan) -> str | None:
        return None

    def limits(self, scan: Scan) -> tuple[float, float]:
        return 0.0, 1.0

    def neutral(self, scan: Scan) -> float | None:
        return 0.0

    def realise(self, scan: Scan, value: float) -> dict[str, Volume]:
        own = scan.images["FLAIR"]
        mixed = (1 - value) * np.asarray(own.array) + value * np.asarray(self.other.array)
        return {"FLAIR": own.with_array(mixed.astype(np.float32))}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return halves_cohort(tmp_path_factory.mktemp("cases"), 24)


@pytest.fixture(scope="module")
def store(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    made = ModelStore(tmp_path_factory.mktemp("models"))
    train("classifier", cases, None, PARAMETERS, made, "kept", CPU)
    return made


@pytest.fixture(scope="module")
def path(cases: list[Case]) -> GradualPath:
    def one(left: bool, right: bool) -> Volume:
        found = (
            case
            for case in cases
            if (float(case.metadata["left_ml"]) > 0, float(case.metadata["right_ml"]) > 0) == (left, right)
        )
        return next(found).image("FLAIR")

    return GradualPath(Blend(one(True, False)), Scan({"FLAIR": one(False, True)}), VALUES)


def loaded(store: ModelStore) -> ImageClassifier:
    model = store.load("kept", CPU)
    assert isinstance(model, ImageClassifier)
    return model


def test_epochs_are_kept_inside_the_model(store: ModelStore) -> None:
    model = loaded(store)
    assert list(model.snapshots) == [0, 2, 4, 5]
    assert model.info.digest == digest(store.folder("kept"))
    final, first = model.at_epoch(5).network.state_dict(), model.at_epoch(0).network.state_dict()
    assert all(torch.equal(value, final[key]) for key, value in model.network.state_dict().items())
    assert any(not torch.equal(value, final[key]) for key, value in first.items())
    with pytest.raises(InputError, match="0, 2, 4, 5"):
        model.at_epoch(3)


def test_effects_are_those_of_each_network_by_itself(store: ModelStore, path: GradualPath) -> None:
    model = loaded(store)
    found = effect_over_training(path, model)
    assert found.epochs == (0, 2, 4, 5)
    for n, epoch in enumerate(found.epochs):
        network = model.at_epoch(epoch)
        expected = np.array([network.predict(path[step]) for step in range(len(path))])
        np.testing.assert_allclose(found.predictions[n], expected, atol=1e-5)
        slope = np.abs(np.gradient(expected.astype(float), VALUES, axis=0)).mean(0)
        np.testing.assert_allclose(found.over_range[n], slope, atol=1e-4)
    assert (found.over_range[-1] > 1.5 * found.over_range[0]).all()


def test_table_and_figure(store: ModelStore, path: GradualPath) -> None:
    table = training_table(loaded(store), [path])
    assert len(table.rows) == 4 * 2
    column = {name: n for n, name in enumerate(table.columns)}
    assert [row[column["epoch"]] for row in table.rows if row[column["output"]] == "left"] == [0, 2, 4, 5]
    figure = training_figure(table, "left")
    assert figure.png.startswith(b"\x89PNG")


def test_a_model_without_snapshots_says_how_to_keep_them(store: ModelStore, path: GradualPath) -> None:
    model = loaded(store)
    model.snapshots.clear()
    with pytest.raises(InputError, match="--snapshots 1"):
        effect_over_training(path, model)


def test_a_damaged_snapshot_is_named(store: ModelStore, tmp_path: Path) -> None:
    model = loaded(store)
    model.snapshots[2] = tmp_path / "epoch_00002.pt"
    model.snapshots[2].write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"epoch_00002\.pt is damaged"):
        model.at_epoch(2)


def test_the_explainer_shows_the_training(store: ModelStore, cases: list[Case]) -> None:
    inputs = Inputs("one", {"FLAIR": cases[1].image("FLAIR")}, {"FLAIR": "0"}, loaded(store))
    parameters = PropertyParameters(properties=("contrast", "noise"), steps=3, controls=1, over_training=True)
    found = PropertyExplainer().explain(inputs, parameters, silent)
    table = found.tables["training"]
    assert len(table.rows) == 2 * 4 * 2
    assert "training" in found.figures
    last = [row for row in table.rows if row[:3] == ["contrast", "Contrast", 5] and row[3] == "left"]
    effects = found.tables["effects"]
    column = {name: n for n, name in enumerate(effects.columns)}
    same = [row for row in effects.rows if row[column["property"]] == "contrast" and row[column["output"]] == "left"]
    assert last[0][5] == pytest.approx(same[0][column["over_range"]], abs=1e-6)
