"""The benchmark of a planted dependence: its trainings, its sham and its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import property_centre as benchmark
from benchmarks import property_centre_models as models
from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.interventions.cohort_summary import Reading
from slicerxai.models.fast import FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo


def test_the_networks_differ_in_the_masks_of_the_noisy_scans_alone(case: Case) -> None:
    usual, noisy = [replace(case, id="a")], [replace(case, id="b")]
    planted, reference = (models.later_cases(usual, noisy, name) for name in (models.PLANTED, models.REFERENCE))
    assert [one.images for one in planted] == [one.images for one in reference]
    assert planted[0].masks[models.RATER] == reference[0].masks[models.RATER] == case.masks[models.RATER]
    assert not np.asarray(planted[1].mask(models.RATER).array).any()
    assert np.asarray(reference[1].mask(models.RATER).array).any()


def test_noisy_scans_are_the_usual_ones_with_the_stated_noise(case: Case, tmp_path: Path) -> None:
    noisy = models.noisy(tmp_path, case)
    usual, changed = (np.asarray(one.image("FLAIR").array, np.float64) for one in (case, noisy))
    assert noisy.masks == case.masks
    head = usual != 0
    added = (changed - usual)[head]
    assert added.std() / np.median(usual[head]) == pytest.approx(models.OWN_VALUE, rel=0.05)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.arange(24) - 11.5,) * 3, indexing="ij")
    distance = np.sqrt(sum(axis**2 for axis in axes))
    lesion = np.abs(distance - 5) < 1
    image = np.where(distance < 10, 1000 + 120 * rng.standard_normal(distance.shape) + 700 * lesion, 0)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    write_volume(folder / "image.nii.gz", Volume(np.clip(image, 0, None).astype(np.float32), affine))
    write_volume(folder / "mask.nii.gz", Volume(lesion.astype(np.uint8), affine))
    write_volume(folder / "empty.nii.gz", Volume(np.zeros_like(lesion, np.uint8), affine))
    masks = {models.RATER: folder / "mask.nii.gz", "nobody": folder / "empty.nii.gz"}
    files = {"FLAIR": folder / "image.nii.gz"}, masks
    return Case("p001", *files)


class Bright(nn.Module):
    """Logit of lesion from the normalised intensity alone."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(images), 6 * (images - 3.0)], dim=1)


def test_a_patient_is_measured_once(case: Case, tmp_path: Path) -> None:
    config = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
    info = ModelInfo("unread", "fast", ("FLAIR",), ("background", "lesion"), "digest", {})
    model = FastSegmenter(info, Bright(), config, torch.device("cpu"))  # type: ignore[arg-type]
    size = replace(benchmark.QUICK, steps=3)
    kept = tmp_path / "one.json"
    first = benchmark.measured(model, case, size, kept)
    model.network = nn.Identity()  # would fail
    again = benchmark.measured(model, case, size, kept)
    names = [one.property for one in first["dice"]]
    assert names == list(benchmark.PROPERTIES)
    for one, other in zip(first["dice"], again["dice"], strict=True):
        assert (one.effect, one.change) == (other.effect, other.change)
        np.testing.assert_array_equal(one.predictions, other.predictions)
    effect = {one.property: one.effect for one in first["lesion_volume_ml"]}
    assert effect["contrast"] > 10 * effect["gain"]


def reading(case: int, name: str, effect: float) -> Reading:
    values = np.linspace(0, 1, 4)
    return Reading(str(case), name, values, values * effect, 0.5, effect, effect, (), 0, 0)


def test_figures_say_whether_the_planted_property_comes_first() -> None:
    def patients(leading: str) -> list[Reading]:
        return [
            reading(n, name, 0.4 + 0.01 * n if name == leading else 0.1 + 0.001 * place)
            for n in range(10)
            for place, name in enumerate(benchmark.PROPERTIES)
        ]

    by = {"unread": patients("noise"), "read": patients("contrast")}
    rows = [row for name in by for row in benchmark.table(name, "dice", by)]
    found = benchmark.figures(rows)
    assert found["rank_own"] == found["rank_own_excess"] == 1
    assert found["rank_own_in_reference"] > 1
    assert found["p_own"] == pytest.approx(10 / 2**9)
    assert found["p_control"] == 1
    assert found["share_first"] == found["probability_first"] == 1
    excess = {row["property"]: row["excess"] for row in rows if row["network"] == "unread"}
    assert excess["noise"] == pytest.approx(0.445 - 0.101)
    assert excess["contrast"] == pytest.approx(0.1 - 0.445)

    same = {"unread": patients("contrast"), "read": patients("contrast")}
    missed = benchmark.figures([row for name in same for row in benchmark.table(name, "dice", same)])
    assert missed["rank_own"] > 1
    assert missed["p_own"] == 1
