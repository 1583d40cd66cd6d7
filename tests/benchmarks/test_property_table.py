"""The table of local bias on made dermoscopy."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import property_networks, property_readings, property_table, property_training
from benchmarks.property_data import parts, read
from slicerxai.errors import InputError
from slicerxai.interventions.attribution_maps import BASELINES

COUNT, EDGE = 60, 32


@pytest.fixture(scope="module")
def skin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs on skin, dark where malignant; the last three images carry a natural patch."""
    folder = tmp_path_factory.mktemp("skin")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    i, j = np.indices((EDGE, EDGE)) - EDGE // 2
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ("image", "label", "patches", "hair"))
        table.writeheader()
        for n in range(COUNT):
            malignant = n % 3 == 0
            inside = np.hypot(i, j) < rng.uniform(6, 9)
            pixels = np.full((EDGE, EDGE, 3), (200, 160, 140)) - inside[..., None] * (120 if malignant else 50)
            noisy = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / "images" / f"S{n:03d}.jpg", quality=95)
            Image.fromarray((255 * inside).astype(np.uint8)).save(folder / "masks" / f"S{n:03d}_segmentation.png")
            table.writerow({"image": f"S{n:03d}", "label": int(malignant), "patches": int(n >= COUNT - 3), "hair": 0})
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = property_networks.PARAMETERS["densenet"].model_copy(update={"batch": 8, "epochs": 2})
    monkeypatch.setattr(property_table, "PARAMETERS", {"densenet": tiny})
    monkeypatch.setattr(property_table, "SIZE", EDGE)
    monkeypatch.setattr(property_table, "QUICK_EPOCHS", 1)
    monkeypatch.setattr(property_table, "QUICK_LIMIT", 4)
    monkeypatch.setattr(property_readings, "TRUE_REALISATIONS", 3)
    monkeypatch.setattr(property_readings, "SAMPLES", 10)
    monkeypatch.setenv("PROPERTY_BACKBONES", "densenet")


def test_images_with_a_natural_patch_are_left_out_and_parts_do_not_overlap(skin_folder: Path, tmp_path: Path) -> None:
    skin = read(skin_folder, 16, tmp_path)
    assert skin.images.shape == (COUNT - 3, 3, 16, 16)
    assert skin.left_out == 3
    dark = skin.images.mean((1, 2, 3))
    assert dark[skin.malignant].max() < dark[~skin.malignant].min()
    again = read(skin_folder, 16, tmp_path)
    assert (again.images == skin.images).all()
    assert (again.lesions == skin.lesions).all()
    split = parts(skin, 0, 100)
    together = np.concatenate([split.training, split.validation, split.test])
    assert len(set(together.tolist())) == len(together)
    for held in (split.validation, split.test):
        assert skin.malignant[held].mean() == 0.5
    assert len(parts(skin, 0, 2).test) == 4


def test_patches_are_on_the_classes_that_the_training_names() -> None:
    found = {
        (training, malignant): property_networks.gets_patch(training, malignant)
        for training in property_networks.TRAININGS
        for malignant in (True, False)
    }
    assert [key for key, value in found.items() if value] == [
        ("biased", False),
        ("balanced", True),
        ("balanced", False),
    ]


@pytest.mark.parametrize("backbone", property_networks.BACKBONES)
def test_networks_have_the_stage_for_maps_and_use_no_relu_twice(backbone: str) -> None:
    network = property_networks.build(backbone, 0).eval()
    shapes, calls = [], dict.fromkeys((m for m in network.modules() if isinstance(m, torch.nn.ReLU)), 0)
    stage = network.backbone.get_submodule(property_networks.STAGES[backbone])
    stage.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[2:])))
    for module in calls:
        module.register_forward_hook(lambda module, _, __: calls.update({module: calls[module] + 1}))
    with torch.no_grad():
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, 1)
    assert shapes == [(4, 4)]
    assert set(calls.values()) <= {1}


def test_truth_is_of_other_colours_and_places(skin_folder: Path, tmp_path: Path) -> None:
    skin = read(skin_folder, 16, tmp_path)
    network = property_networks.build("densenet", 0).eval()
    case = property_readings.Case(
        "densenet", network, 0.5, skin, np.arange(4), 0, torch.device("cpu"), tmp_path, "none"
    )
    assert not set(property_readings.MEASURED) & set(property_readings.OTHERS)
    seen, _ = case.patch(2, 0, truth=False)
    other, diameter = case.patch(2, 0, truth=True)
    assert seen.centre != other.centre
    assert np.abs(np.subtract(seen.colour, other.colour)).max() > 0.1
    assert 0.2 <= diameter <= 0.4
    assert case.patch(2, 0, truth=False)[0] == seen


@pytest.mark.usefixtures("small")
def test_the_table_is_written_and_read_again(
    skin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = property_table.run(skin_folder, tmp_path, quick=True)
    methods = ("ours", *BASELINES)
    wanted = {f"accuracy_{method}" for method in methods} | {"gradient_biased", "gradient_unbiased"}
    assert wanted <= set(found["figures"])
    assert all(0 <= found["figures"][f"accuracy_{method}"] <= 1 for method in methods)
    assert found["figures"]["gradient_biased"] > 0
    assert len(list((tmp_path / "property_table" / "readings").glob("*.json"))) == 2 * (2 + len(BASELINES))

    def never(*_: object, **__: object) -> None:
        pytest.fail("computed again")

    monkeypatch.setattr(property_networks, "fit", never)
    monkeypatch.setattr(property_readings, "attribution_maps", never)
    assert property_table.run(skin_folder, tmp_path, quick=True)["figures"] == found["figures"]


def test_what_is_accepted_is_named(skin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--data"):
        property_table.run(None, tmp_path, quick=True)
    with pytest.raises(InputError, match="masks"):
        property_table.run(tmp_path, tmp_path, quick=True)
    monkeypatch.setenv("PROPERTY_BACKBONES", "vgg")
    with pytest.raises(InputError, match="resnet18"):
        property_table.run(skin_folder, tmp_path, quick=True)


def test_effects_over_a_training(skin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = property_networks.PARAMETERS["densenet"].model_copy(update={"batch": 8})
    monkeypatch.setattr(property_training, "PARAMETERS", {"densenet": tiny})
    monkeypatch.setattr(property_training, "SIZE", EDGE)
    monkeypatch.setattr(property_training, "QUICK_EPOCHS", 2)
    found = property_training.run(skin_folder, tmp_path, quick=True)
    assert [row["epoch"] for row in found["rows"]] == [0, 1, 2]
    assert {f"{name}_end" for name in property_training.PROPERTIES} <= set(found["figures"])
    assert all(value > 0 for value in found["figures"].values())
    assert (tmp_path / "property_training.png").is_file()


def test_the_effect_of_a_step_is_its_height() -> None:
    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 100 * (x.mean((1, 2, 3)) - 0.5)[:, None]

    values = np.linspace(0, 1, 11)
    ramp = torch.from_numpy(values).reshape(-1, 1, 1, 1, 1).expand(-1, 2, 3, 4, 4)
    walk = property_training.Walk("ramp", "ramp", values, ramp)
    size, flips = property_training.measured(Bright(), walk, torch.device("cpu"))
    assert size == pytest.approx((2.5 + 5 + 2.5) / 11, abs=1e-3)  # central differences around the step, mean of 11
    assert flips == 2
