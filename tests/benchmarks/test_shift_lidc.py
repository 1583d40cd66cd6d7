"""The benchmark on CT nodules: reading, features, and a whole run on data of the same form."""

from __future__ import annotations

import csv
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import lidc_cases, shift_lidc
from slicerxai.errors import InputError
from slicerxai.shift.options import Options

SIZE = 39
COLUMNS = ("noduleID", "patient", "manufacturer", "pixel_spacing", "align_err", "frac_in")


def disc(radius: float) -> np.ndarray:
    i, j = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    return np.hypot(i, j) < radius


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two vendors of different noise, 26 and 14 patients, two readers each; the last three rows are unusable."""
    folder = tmp_path_factory.mktemp("lidc")
    crops, masks, rows = [], [], []
    for n in range(43):
        rng = np.random.default_rng(n)
        vendor, radius = ("A", "B")[n % 3 == 0], rng.uniform(5, 9)
        image = np.where(disc(radius), 20, -850) + (15, 60)[vendor == "B"] * rng.standard_normal((SIZE, SIZE))
        crops.append((image + 1024).astype(np.int16))
        empty = np.zeros((SIZE, SIZE), bool)
        second = empty if n == 42 else disc(radius - 1.5)
        masks.append([second, disc(radius + 0.5), empty, empty])
        rows.append((n, f"p{n}", vendor, 0.7, 0.9 if n == 40 else 0.0, 0.5 if n == 41 else 1.0))
    np.savez(folder / "lidc_2d.npz", crops=np.array(crops), rater_masks=np.array(masks), noduleID=np.arange(43))
    with (folder / "nodules.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def test_only_usable_nodules_of_two_readers_are_read(folder: Path):
    nodules = lidc_cases.read(folder)
    assert len(nodules) == 40
    assert lidc_cases.vendors(nodules, 5) == ["A", "B"]
    one = nodules[0]
    assert one.drawing("generous").sum() > one.drawing("sparing").sum() > 0
    assert one.image.min() < -700


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nodules\.csv and no lidc_2d\.npz"):
        lidc_cases.read(tmp_path)
    with pytest.raises(InputError, match="--data"):
        shift_lidc.run(None, tmp_path, quick=True)


def test_features_follow_what_they_are_named_after(folder: Path):
    nodules = lidc_cases.read(folder)
    noise = {v: np.mean([lidc_cases.acquisition(n)[0] for n in nodules if n.vendor == v]) for v in "AB"}
    assert noise["B"] > noise["A"] + 0.5
    for nodule in nodules:
        generous, sparing = (lidc_cases.style(nodule, nodule.drawing(habit)) for habit in ("generous", "sparing"))
        assert generous[0] > sparing[0]
        assert generous[1] < sparing[1]
    assert lidc_cases.population(nodules[0])[1] == 2


def test_patients_are_not_split(folder: Path):
    training, held_out = shift_lidc.split(lidc_cases.read(folder))
    assert not {n.patient for n in training} & {n.patient for n in held_out}


def test_whole_run_on_data_of_the_same_form(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shift_lidc, "QUICK_STEPS", 8)
    monkeypatch.setattr(shift_lidc, "Options", partial(Options, permutations=99, repeats=1))
    monkeypatch.setattr(shift_lidc, "LEAST_PATIENTS", 5)
    result = shift_lidc.run(folder, tmp_path, quick=True)
    figures, rows = result["figures"], result["rows"]
    assert {"delta_dice", "phi_acquisition", "phi_annotation", "ess", "phi_annotation_paired"} <= set(figures)
    main = [row for row in rows if row["target"] == "B, sparing"]
    assert [row["estimator"] for row in main] == ["robust", "weighting", "plain", "paired"]
    assert figures["delta_dice"] == pytest.approx(main[0]["drop"])
    for row in rows:
        total = row["population"] + row["acquisition"] + row["annotation"] + row["unresolved"]
        assert total == pytest.approx(row["drop"], abs=1e-9)
    same_images = next(row for row in rows if row["target"] == "A, sparing" and row["estimator"] == "paired")
    assert same_images["acquisition"] == pytest.approx(0, abs=0.5)


@pytest.mark.real_data
def test_real_nodules_are_read():
    folder = Path(os.environ.get("SLICERXAI_REAL_DATA", "../shared/data")) / "lidc"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    nodules = lidc_cases.read(folder)
    assert len(lidc_cases.vendors(nodules, 5)) >= 2
    assert all(len(n.drawings) > 1 and n.spacing > 0 for n in nodules)
