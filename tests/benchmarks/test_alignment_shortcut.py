from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import alignment_sensitivity, alignment_shortcut
from benchmarks.alignment_data import CORNER
from benchmarks.alignment_synthetic import synthetic_task

FIGURES = {
    "accuracy_plain",
    "accuracy_aligned",
    "accuracy_oracle",
    "cam_precision_plain",
    "cam_precision_aligned",
    "share_above_chance",
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    training = alignment_shortcut.TRAINING.model_copy(update={"epochs": 1, "batch": 8})
    monkeypatch.setattr(alignment_shortcut, "COUNTS", (16, 8, 16))
    monkeypatch.setattr(alignment_shortcut, "SEEDS", (100, 101))
    monkeypatch.setattr(alignment_shortcut, "FEW_SEEDS", (100,))
    monkeypatch.setattr(alignment_shortcut, "TRAINING", training)
    monkeypatch.setattr(alignment_shortcut, "WIDTH", 4)
    monkeypatch.setattr(alignment_sensitivity, "COUNTS", (16, 8, 16))
    monkeypatch.setattr(alignment_sensitivity, "SEEDS", (100,))
    monkeypatch.setattr(alignment_sensitivity, "TRAINING", training)


def test_symbol_is_the_label_in_training_alone() -> None:
    task = synthetic_task(100, (200, 200, 10))
    for part, agreement in ((task.train, 1.0), (task.validation, 0.5)):
        truth = part.arrays.labels[:, 0].numpy() > 0.5
        assert (part.signs == truth).mean() == pytest.approx(agreement, abs=0.12)
        vertical = part.arrays.images[:, 0, CORNER, CORNER][:, :, 3] == 1
        np.testing.assert_array_equal(vertical.all(1).numpy(), part.signs)
    reached = (task.train.arrays.masks[:, 0, CORNER, CORNER] > 0).flatten(1).any(1)
    assert reached.float().mean() < 0.02


def test_texture_alone_tells_the_label() -> None:
    part = synthetic_task(101, (400, 8, 8), "none").train
    images, masks, truth = part.arrays.images, part.arrays.masks, part.arrays.labels[:, 0] > 0.5
    inside = images * masks
    values = {
        "area": masks.sum((1, 2, 3)),
        "brightness inside": inside.sum((1, 2, 3)) / masks.sum((1, 2, 3)),
        "brightness outside": (images * (1 - masks)).sum((1, 2, 3)),
        "row": (masks[:, 0].sum(2) * torch.arange(48)).sum(1) / masks.sum((1, 2, 3)),
    }
    for name, value in values.items():
        gap = (value[truth].mean() - value[~truth].mean()).abs() / value.std()
        assert gap < 0.3, name
    # stripes along a diagonal: neighbours along it are alike
    centred = (images - values["brightness inside"].view(-1, 1, 1, 1)) * masks
    falling = (centred[:, 0, 1:, 1:] * centred[:, 0, :-1, :-1]).sum((1, 2))
    rising = (centred[:, 0, 1:, :-1] * centred[:, 0, :-1, 1:]).sum((1, 2))
    assert ((rising > falling) == truth).float().mean() > 0.97


def test_figures_and_kept_fits(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {name: alignment_shortcut.METHODS[name] for name in ("plain", "oracle", "aligned", "rrr", "share")}
    monkeypatch.setattr(alignment_shortcut, "METHODS", methods)
    result = alignment_shortcut.run(None, tmp_path, quick=False)
    assert result["figures"].keys() == FIGURES
    seeds = {row["method"]: row["seeds"] for row in result["rows"] if "seeds" in row}
    assert seeds == {name: 1 if name == "share" else 2 for name in methods}
    files = sorted((tmp_path / "alignment_shortcut").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    assert alignment_shortcut.run(None, tmp_path, quick=False) == result
    assert [file.stat().st_mtime_ns for file in files] == times


def test_sensitivity_has_a_row_for_each_setting(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"distance scaled_l1": alignment_sensitivity.SETTINGS["distance scaled_l1"]}
    monkeypatch.setattr(alignment_sensitivity, "SETTINGS", settings)
    monkeypatch.setattr(alignment_sensitivity, "SYMBOLS", ("plus_minus", "none"))
    rows = alignment_sensitivity.run(None, tmp_path, quick=False)["rows"]
    names = ["distance scaled_l1", "symbol none", "plain, symbol plus_minus", "plain, symbol none"]
    assert [row["setting"] for row in rows] == names
