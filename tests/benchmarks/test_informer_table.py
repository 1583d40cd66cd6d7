"""Reading, splitting and analysing of the INFORMER table on small made-up data."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import informer_analysis, informer_planted, informer_readings, informer_table1
from benchmarks.informer_data import LEAST_LABELS, source, split
from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.monitoring.limits import f1

FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule")
SIGNS = ("hair", "ruler", "patches", "globules", "streaks")
TINY = {"architecture": "densenet", "features": 4, "growth": 2, "blocks": (1, 1), "epochs": 1, "batch": 8}
TINY |= {"spatial_dims": 2, "shape": (16, 16)}


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def xrays(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(240):
        shown = {name: int(rng.random() < 0.35) for name in FINDINGS}
        patient, view = str(n // 3), rng.choice(["PA", "AP"])
        rows.append({"image": f"{n}.png", "patient": patient, "view": view, "No Finding": 0} | shown | {"Hernia": 0})
    write(tmp_path / "labels.csv", rows)
    images = rng.integers(0, 255, (240, 16, 16)).astype(np.uint8)
    np.savez(tmp_path / "nih_cxr_64.npz", images=images)
    return tmp_path


@pytest.fixture
def dermoscopy(tmp_path):
    rng = np.random.default_rng(1)
    (tmp_path / "images").mkdir()
    rows = [
        {"image": f"ISIC_{n}"} | {name: int(rng.random() < 0.5) for name in SIGNS} | {"label": 1, "label_string": "m"}
        for n in range(8)
    ]
    for row in rows:
        Image.fromarray(rng.integers(0, 255, (20, 20, 3)).astype(np.uint8)).save(
            tmp_path / "images" / f"{row['image']}.jpg"
        )
    write(tmp_path / "labels.csv", rows)
    return tmp_path


def test_chest_xrays_are_told_by_their_files_and_split_by_patient(xrays):
    data = source(xrays)
    assert data.form == "xray"
    assert data.labels == (*FINDINGS, "Hernia")
    for seed in range(3):
        chosen = split(data, seed)
        parts = (chosen.training, chosen.validation, chosen.test)
        patients = [set(data.groups[part].tolist()) for part in parts]
        assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]
        assert len(chosen.kept) >= LEAST_LABELS
        assert chosen.dropped == ("Hernia",)
        truth = data.truth[:, chosen.kept]
        assert all(truth[part].any(0).all() and not truth[part].all(0).any() for part in parts)
        assert truth[chosen.validation].any(1).all()
    again = [split(data, seed).test.tolist() for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]
    images = data.read(ClassifierTrainingParameters.model_validate(TINY | {"shape": (24, 24)}))
    assert images.shape == (240, 1, 24, 24)
    assert images.mean((1, 2, 3)).numpy() == pytest.approx(np.zeros(240), abs=1e-5)


def test_dermoscopy_has_its_signs_and_not_the_malignant_label(dermoscopy):
    data = source(dermoscopy)
    assert (data.form, data.labels, data.tells) == ("dermoscopy", SIGNS, "ruler")
    assert np.array_equal(data.far, data.truth[:, 1])
    assert data.read(ClassifierTrainingParameters.model_validate(TINY)).shape == (8, 3, 16, 16)


def test_other_folders_are_refused_with_what_is_accepted(tmp_path):
    with pytest.raises(InputError, match=r"phantom\.json"):
        source(tmp_path)
    with pytest.raises(InputError, match="needs --data"):
        informer_table1.run(None, tmp_path, quick=True)


def test_too_few_images_are_refused(xrays):
    rows = list(csv.DictReader((xrays / "labels.csv").open()))
    write(xrays / "labels.csv", rows[:6])
    with pytest.raises(InputError, match="cannot be split"):
        split(source(xrays), 0)
    write(xrays / "labels.csv", [row | dict.fromkeys(FINDINGS[:3], "0") for row in rows])
    with pytest.raises(InputError, match=r"fewer than 5 labels.*Atelectasis 0"):
        split(source(xrays), 0)


def test_a_seed_is_trained_once_and_analysed(xrays, tmp_path, monkeypatch):
    data, reads = source(xrays), []
    parameters = ClassifierTrainingParameters.model_validate(TINY)

    def images():
        reads.append(1)
        return data.read(parameters)

    def again():
        return informer_readings.of_seed(data, parameters, 0, torch.device("cpu"), tmp_path / "kept", images, 40)

    first, second = again(), again()
    assert len(reads) == 1
    assert np.array_equal(first.test.distances["lrp"], second.test.distances["lrp"])
    assert len(first.test.truth) <= 40
    assert first.validation.readings("tta").score == "tta"
    found = informer_analysis.analyse(first.labels, first.validation, first.test, 0)
    shift = informer_analysis.shifted(first.labels, first.validation, first.test, None)
    assert shift is not None
    moved = informer_analysis.analyse(*shift, 0)
    assert (len(shift[1].truth), len(shift[2].truth)) == ((~first.validation.far).sum(), first.test.far.sum())
    figures = informer_table1._figures([found, found], "") | informer_table1._figures([moved], "_shift")
    wanted = ("f1_ixg", "f1_lrp", "f1_entropy", "f1_tta", "f1_none", "f1_retuned", "p_ixg", "p_lrp", "aurc_ixg")
    assert set(wanted) <= set(figures)
    assert {"aurc_lrp", "aurc_entropy", "aurc_tta", "f1_ixg_shift", "aurc_perfect"} <= set(figures)
    assert figures["aurc_perfect"] <= min(v for k, v in figures.items() if k.startswith("aurc_") and "shift" not in k)
    rows = informer_table1._rows("original", [found])
    none = next(row for row in rows if row["method"] == "none")
    predicted = first.test.probabilities >= first.test.thresholds
    columns = [f1(predicted[:, c], first.test.truth[:, c]) for c in range(len(first.labels))]
    assert none["F1"] == pytest.approx(np.mean(columns))
    assert [none[label] for label in first.labels] == pytest.approx(columns)


def test_planted_errors_are_those_of_the_marker_alone():
    images = informer_planted.draw(40, 0, 0.5)
    assert images.pixels.shape == (40, 1, 64, 64)
    assert 10 < images.planted.sum() < 30
    assert not images.truth[images.planted, :2].any()
    predicted = np.ones((40, 4), bool)
    errors = informer_planted.planted_errors(predicted, images)
    assert errors.sum() == 2 * images.planted.sum()
    assert not errors[:, 2:].any()
    assert not informer_planted.draw(40, 0).planted.any()
