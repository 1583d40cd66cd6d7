"""The benchmark's bookkeeping on spotted brains; its figures come from running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import segmentation
from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.volume import Volume
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.training import train


def brain(seed: int, bright: float = 40) -> tuple[Volume, Volume]:
    rng, shape = np.random.default_rng(seed), (20, 24, 20)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    inside = (grid**2).sum(0) < 0.8
    lesion = ((grid - rng.uniform(-0.3, 0.3, (3, 1, 1, 1))) ** 2).sum(0) < 0.1
    image = np.where(inside, 100 + 8 * rng.standard_normal(shape) + bright * lesion, 0).astype(np.float32)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    return Volume(image, affine), Volume(lesion.astype(np.uint8), affine)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Tiny cohorts, a network of seconds, and the fast one in nnU-Net's place; records what was trained on."""
    trained: dict[str, list[str]] = {}

    def cohort(folder: Path, parameters: PhantomParameters) -> list[Case]:
        made = []
        for index in range(parameters.patients):
            paths = [folder / f"{index}{kind}.nii.gz" for kind in ("", "_mask")]
            for path, volume in zip(paths, brain(parameters.seed + index), strict=True):
                write_volume(path, volume)
            made.append(Case(f"{folder.name}{index}", {"FLAIR": paths[0]}, {"consensus": paths[1]}))
        return made

    def quick(kind, cases, rater, parameters, store, name, device, progress):
        trained[name] = [case.id for case in cases]
        start = getattr(parameters, "start", None)
        tiny = FastTrainingParameters(spacing=3.0, patch=16, features=(4, 8), steps=3, start=start, validation_share=0)
        return train("fast", cases, rater, tiny, store, name, device, progress)

    monkeypatch.setattr(segmentation, "_cohort", cohort)
    monkeypatch.setattr(segmentation, "train", quick)
    return trained


def test_figures_without_real_scans(small, tmp_path: Path) -> None:
    result = segmentation.run(None, tmp_path, quick=True)
    assert {"dice_phantom_fast", "dice_phantom_nnunet", "dice_phantom_fast_1mm", "f1_phantom_fast"} <= set(
        result["figures"]
    )
    assert not any("real" in key for key in result["figures"])
    assert any("No real patients" in note for note in result["notes"])
    tested = {row["case"] for row in result["rows"]}
    assert not {case for cases in small.values() for case in cases} & tested
    assert {case[:-1] for case in tested} == {"test", "test-1mm"}


def test_no_patient_is_tested_by_a_model_that_saw_it(small, tmp_path: Path) -> None:
    for number in (3, 5, 8):
        folder = tmp_path / f"patient{number:02d}"
        image, mask = brain(number)
        write_volume(folder / "lesions.nii.gz", mask)
        if number != 5:
            write_volume(folder / "FLAIR.nii.gz", image)
    result = segmentation.run(tmp_path, tmp_path / "out", quick=True)
    figures = result["figures"]
    assert figures["n_real"] == figures["n_real_with_one"] == 2
    for key in ("dice_real", "f1_real", "dice_real_with_one", "f1_real_with_one"):
        each = [figures[f"{key}_patient03"], figures[f"{key}_patient08"]]
        assert figures[key] == pytest.approx(np.mean(each))
        assert figures[f"sd_{key}"] == pytest.approx(np.std(each, ddof=1))
    assert not any("patient" in case for case in small["fast_1mm"])
    for row in result["rows"]:
        if "phantom + " in row["setting"]:
            seen = row["setting"].removeprefix("real, phantom + ")
            assert seen != row["case"]
            assert small[f"fast_1mm-{seen}"] == [seen, "training-1mm0"]
