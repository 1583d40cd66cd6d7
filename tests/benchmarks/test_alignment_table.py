"""The alignment table on made lesions of the forms that it takes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import alignment_table1
from benchmarks.alignment_data import CORNER, Lesions, belongs_to_test, read, task
from benchmarks.alignment_methods import METHODS
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.errors import InputError

COUNT = 96
COLUMNS = ("noduleID", "patient", "align_err", "frac_in", "pixel_spacing", "malignancy")
ATTRIBUTES = ("subtlety", "calcification", "margin", "spiculation", "lobulation", "texture")


def discs(edge: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] with a disc in the middle, large where the number is odd, and the discs."""
    generator = np.random.default_rng(seed)
    radius = np.where(np.arange(count) % 2, 9, 5) * edge / 71 * generator.uniform(0.8, 1.2, count)
    i, j = np.indices((edge, edge)) - edge // 2
    masks = np.hypot(i, j)[None] <= radius[:, None, None]
    return 0.1 * generator.random((count, edge, edge)) + 0.6 * masks, masks


@pytest.fixture(scope="module")
def nodules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodules")
    images, masks = discs(71, COUNT, 0)
    stored = (1400 * images - 1000 + 1024).astype(np.int16)
    stored[:10] -= 1024  # scans that were stored as HU
    np.savez(folder / "lidc_2d.npz", crops=stored, mask=masks, noduleID=np.arange(1, COUNT + 1))
    generator = np.random.default_rng(1)
    with (folder / "nodules.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, (*COLUMNS, *ATTRIBUTES))
        table.writeheader()
        for n in range(COUNT):
            known = (n + 1, f"P{n // 2}", 0.9 if n == 20 else 0.0, 1.0, 0.7, 5 if n % 2 else 2)
            rated = {name: int(generator.integers(1, 7)) for name in ATTRIBUTES}
            table.writerow(dict(zip(COLUMNS, known, strict=True)) | rated)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    images, masks = discs(128, COUNT, 2)
    kinds = np.array(["benign", "malignant"])[np.arange(COUNT) % 2].astype("<U9")
    kinds[-3:], masks[-3:] = "normal", False
    names = np.array([f"image {n}" for n in range(COUNT)])
    np.savez(folder / "busi_128.npz", images=(255 * images).astype(np.uint8), masks=masks, label=kinds, name=names)
    return folder


def test_nodules_are_read_in_one_unit(nodules: Path) -> None:
    lesions = read(nodules)
    assert lesions.form == "lidc"
    assert len(lesions.malignant) == COUNT - 1
    assert lesions.images.shape == (COUNT - 1, 1, 48, 48)
    inside = torch.tensor([float(i[m > 0].mean()) for i, m in zip(lesions.images, lesions.masks, strict=True)])
    assert (inside - 0.65).abs().max() < 0.02
    assert lesions.attributes.shape == (COUNT - 1, 6)


def test_ultrasound_without_a_lesion_is_left_out(scans: Path) -> None:
    lesions = read(scans)
    assert lesions.form == "busi"
    assert len(lesions.malignant) == COUNT - 3
    large = lesions.attributes[:, lesions.names.index("large")]
    assert (large == lesions.malignant).mean() > 0.9


def test_a_lesion_under_the_symbol_is_left_out(nodules: Path, tmp_path: Path) -> None:
    with np.load(nodules / "lidc_2d.npz") as stored:
        arrays = dict(stored)
    arrays["mask"] = arrays["mask"].copy()
    arrays["mask"][3, 11:20, 11:20] = True
    np.savez(tmp_path / "lidc_2d.npz", **arrays)
    (tmp_path / "nodules.csv").write_text((nodules / "nodules.csv").read_text())
    lesions = read(tmp_path)
    assert lesions.left_out == 1
    assert len(lesions.malignant) == COUNT - 2


def parts_of(lesions: Lesions, seed: int) -> list[set[bytes]]:
    made = task(lesions, seed, "none")
    return [
        {image.numpy().tobytes() for image in part.arrays.images} for part in (made.train, made.validation, made.test)
    ]


def test_patients_are_in_one_part_and_test_ones_are_the_same_for_all_seeds(nodules: Path) -> None:
    lesions = read(nodules)
    owner = {image.numpy().tobytes(): who for image, who in zip(lesions.images, lesions.patients, strict=True)}
    first, second = parts_of(lesions, 0), parts_of(lesions, 101)
    assert first[2] == second[2]
    assert first[0] != second[0]
    who = [{owner[image] for image in part} for part in first]
    assert not who[0] & who[1]
    assert not (who[0] | who[1]) & who[2]
    assert who[2] <= set(lesions.patients[belongs_to_test(lesions.patients)].tolist())


@pytest.mark.parametrize("symbol", ["plus_minus", "intensity"])
def test_the_symbol_is_the_label_in_training_alone(nodules: Path, symbol: alignment_table1.Symbol) -> None:
    lesions = read(nodules)
    made, bare = task(lesions, 0, symbol), task(lesions, 0, "none")
    for part, other in ((made.train, bare.train), (made.validation, bare.validation), (made.test, bare.test)):
        truth = part.arrays.labels[:, 0].numpy() > 0.5
        assert truth.mean() == 0.5
        corner = part.arrays.images[:, 0, CORNER, CORNER].mean((1, 2)).numpy()
        assert corner[part.signs].min() > corner[~part.signs].max()
        turned = part.flipped[:, 0, CORNER, CORNER].mean((1, 2)).numpy()
        assert turned[~part.signs].min() > turned[part.signs].max()
        different = (part.arrays.images != other.arrays.images).any(0)[0]
        different[CORNER, CORNER] = False
        assert not different.any()
    assert (made.train.signs == (made.train.arrays.labels[:, 0].numpy() > 0.5)).all()
    assert (made.test.signs != (made.test.arrays.labels[:, 0].numpy() > 0.5)).any()


def test_the_table_is_written_and_read_again(nodules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = alignment_table1.SETTINGS
    small = settings.hierarchy.model_copy(update={"image_search": SolverParameters(alpha=0.3, steps=2)})
    training = settings.training.model_copy(update={"batch": 16})
    monkeypatch.setattr(alignment_table1, "SETTINGS", replace(settings, width=4, hierarchy=small, training=training))
    monkeypatch.setattr(alignment_table1, "QUICK_EPOCHS", 1)
    found = alignment_table1.run(nodules, tmp_path, quick=True)
    assert set(found["figures"]) == {f"{name}_{method}" for name in ("accuracy", "cam_precision") for method in METHODS}
    assert all(0 <= value <= 1 for value in found["figures"].values())
    assert len(list((tmp_path / "alignment_table1").glob("*.json"))) == len(METHODS)

    def never(*_: object) -> None:
        pytest.fail("fitted again")

    monkeypatch.setattr(alignment_table1, "fitted", never)
    assert alignment_table1.run(nodules, tmp_path, quick=True)["figures"] == found["figures"]


def test_without_data_or_with_other_data_the_accepted_forms_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"busi_128\.npz"):
        alignment_table1.run(None, tmp_path, quick=True)
    with pytest.raises(InputError, match=r"lidc_2d\.npz"):
        alignment_table1.run(tmp_path, tmp_path, quick=True)


@pytest.mark.parametrize(("name", "value"), [("ALIGNMENT_SYMBOL", "star"), ("ALIGNMENT_METHODS", "plain,best")])
def test_unknown_wishes_are_named(
    name: str, value: str, nodules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="accepted"):
        alignment_table1.run(nodules, tmp_path, quick=True)
