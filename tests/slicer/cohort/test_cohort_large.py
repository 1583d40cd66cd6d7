"""Five modalities and seven raters of 1 mm: the window answers while files are read and become nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume

SHAPE = (182, 218, 182)
AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One patient: ellipsoids with stripes, and small lesions all over the brain. Not packed, which saves time here."""
    folder = tmp_path_factory.mktemp("large")
    patient = folder / "Center_01" / "Patient_01"
    for name in ("Raw_Data", "Masks"):
        (patient / name).mkdir(parents=True)
    place = [np.linspace(-1, 1, size, dtype=np.float32) ** 2 for size in SHAPE]
    brain = (np.add.outer(np.add.outer(place[0], place[1]), place[2]) < 0.8).astype(np.float32)
    brain *= 100 + 20 * np.sin(np.arange(SHAPE[2], dtype=np.float32))
    for number, name in enumerate(("FLAIR", "T1", "T2", "PD", "GADO")):
        write_volume(patient / "Raw_Data" / f"{name}.nii", Volume(brain * (number + 1), AFFINE))
    noise = np.random.default_rng(0)
    spots = noise.integers((40, 50, 40), (140, 170, 140), (60, 3))
    for rater in range(1, 8):
        mask = np.zeros(SHAPE, np.uint8)
        for i, j, k in spots + noise.integers(-1, 2, spots.shape):
            mask[i : i + 5, j : j + 6, k : k + 4] = 1
        write_volume(patient / "Masks" / f"ManualSegmentation_{rater}.nii", Volume(mask, AFFINE))
    return folder


def test_a_whole_case_of_1_mm(user: Any, large: Path) -> None:
    user.enters_folder(large)
    node = user.opens_case("01_01")
    found = user.panel.logic.case(node)
    assert (len(found.images), len(found.segments)) == (5, 7)
    user.click(user.ui.agreementBox)
    user.click(user.ui.sideBox)
    user.ticks("Rater 2")
    user.click(user.ui.removeButton)
    user.waits(user.ui.undoButton.isVisible)
    user.click(user.ui.undoButton)
    assert user.waits_for_the_case() is not None
