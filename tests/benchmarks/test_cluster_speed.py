"""What the benchmark calls the same result; its figures come from running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.cluster_speed import difference
from benchmarks.side_by_side import Disagreement
from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Explanation, Overlay, Provenance
from slicerxai.explain.folder import save


def write(folder: Path, *, voxel: float = 1.0, lesions: float = 2.0, seconds: float = 1.0) -> Path:
    array = np.zeros((2, 3, 4), np.float32)
    array[1, 1, 1] = voxel
    saliency = Overlay(Volume(array, np.eye(4)), "saliency", "logit", "Where from.")
    made = Provenance(package_version="1", model="m", model_digest="0", inputs={}, seconds=seconds)
    explained = Explanation(
        "saliency", {}, "a", overlays={"saliency": saliency}, metrics={"lesions": lesions}, provenance=made
    )
    save(explained, folder, {"overview.png": b"png"})
    return folder


def test_times_are_no_difference(tmp_path: Path) -> None:
    assert difference(write(tmp_path / "a"), write(tmp_path / "b", seconds=9.0)) == 0


def test_voxels_are_measured_and_all_else_has_to_be_the_same(tmp_path: Path) -> None:
    expected = write(tmp_path / "a")
    assert difference(write(tmp_path / "b", voxel=1.5), expected) == 0.5
    with pytest.raises(Disagreement):
        difference(write(tmp_path / "c", lesions=3.0), expected)
