from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.models.fast import LABELS, WEIGHTS, FastConfig, FastSegmenter, antialiased, prepare
from slicerxai.models.protocols import ModelInfo, Segmenter
from slicerxai.models.sliding_window import blended_logits
from slicerxai.models.unet import FastUNet
from slicerxai.models.working_grid import WorkingGrid

CPU = torch.device("cpu")
CONFIG = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8), threshold=0.5)
OBLIQUE_LEFT_HANDED = np.array(
    [
        [0.1736 * 2, -0.9848 * 1.5, 0.0, 30.0],
        [0.9848 * 2, 0.1736 * 1.5, 0.0, -20.0],
        [0.0, 0.0, 3.0, -15.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def brain(
    affine: np.ndarray = OBLIQUE_LEFT_HANDED, shape: tuple[int, int, int] = (30, 36, 20), seed: int = 0
) -> Volume:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    inside = (grid**2).sum(0) < 0.7
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5)
    return Volume(np.where(inside, 300 + 400 * texture, 0).astype(np.float32), affine)


def segmenter(channels: tuple[str, ...] = ("FLAIR",), seed: int = 0) -> FastSegmenter:
    torch.manual_seed(seed)
    network = FastUNet(len(channels), 2, CONFIG.features)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):  # as after training: not the identity
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
    network.eval()
    with torch.no_grad():  # both labels occur
        logits = network(torch.randn(1, len(channels), 16, 16, 16))
        network.head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()
    return FastSegmenter(ModelInfo("m", "fast", channels, LABELS, "", {}), network, CONFIG, CPU)


def save(folder: Path, model: FastSegmenter) -> None:
    torch.save(model.network.state_dict(), folder / WEIGHTS)
    description = {
        "name": "m",
        "kind": "fast",
        "channels": list(model.info.channels),
        "labels": list(LABELS),
        "config": CONFIG.model_dump(mode="json"),
        "provenance": {"seed": 1},
    }
    (folder / "model.json").write_text(json.dumps(description))


def test_it_is_a_segmenter() -> None:
    assert isinstance(segmenter(), Segmenter)


def test_every_activation_pool_and_norm_is_a_module_and_none_works_in_place() -> None:
    network = segmenter().network
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    assert len(relus) == len({id(module) for module in relus}) == 4 + 2 * (1 + 1 + 1)
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    assert not network.training
    called: list[str] = []
    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    image = torch.randn(1, 1, 16, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[:, 1].sum(), image)
    assert gradient.abs().sum() > 0
    assert len(called) == len(set(called)), "a module that runs twice confuses hooks"


def test_the_network_is_piecewise_linear() -> None:
    """Without biases a piecewise linear function is homogeneous, so that gradient times input is the output."""
    network = segmenter().network.double()
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.endswith(("bias", "running_mean")):
            tensor.data.zero_()
    image = torch.randn(1, 1, 16, 16, 16, dtype=torch.float64, requires_grad=True)
    output = network(image)[:, 1].sum()
    (gradient,) = torch.autograd.grad(output, image)
    torch.testing.assert_close((gradient * image).sum(), output)


def test_prepared_voxels_lie_where_the_affine_says() -> None:
    image = brain()
    prepared = prepare({"FLAIR": image}, ("FLAIR",), CONFIG)
    assert prepared.tensor.dtype == torch.float32
    assert all(n >= 16 and n % 4 == 0 for n in prepared.tensor.shape[1:])
    np.testing.assert_allclose(np.linalg.norm(prepared.affine[:3, :3], axis=0), 2.0, rtol=1e-3)
    smooth = antialiased(image, WorkingGrid((1, 1, 1), prepared.affine))
    to_image = np.linalg.inv(image.affine) @ prepared.affine
    rng = np.random.default_rng(0)
    found, expected = [], []
    for index in np.argwhere(prepared.tensor[0].numpy() != 0)[rng.permutation(1000)[:200]]:
        place = to_image[:3, :3] @ index + to_image[:3, 3]
        found.append(float(prepared.tensor[0][tuple(index)]))
        expected.append(float(ndimage.map_coordinates(smooth.array, place[:, None], order=1)[0]))
    slope, intercept = np.polyfit(expected, found, 1)
    np.testing.assert_allclose(found, slope * np.array(expected) + intercept, atol=1e-3)
    assert slope > 0


def test_an_image_on_the_working_spacing_is_only_cropped() -> None:
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    image = brain(affine)
    tensor = prepare({"FLAIR": image}, ("FLAIR",), CONFIG).tensor[0].numpy()
    inside = np.flip(image.array, 0)[np.flip(image.array, 0) != 0]
    low, median, high = np.percentile(inside, (25, 50, 75))
    expected = 2 * (inside - median) / np.sqrt(median * (high - low))
    np.testing.assert_allclose(tensor[tensor != 0], expected[expected != 0], atol=1e-4)


def test_orientation_of_the_file_does_not_matter() -> None:
    """The same anatomy, stored flipped and permuted, gives the same probability at the same place."""
    model, image = segmenter(), brain()
    turned_affine = image.affine[:, [2, 0, 1, 3]] @ np.array(
        [[-1.0, 0, 0, image.shape[2] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    turned = Volume(np.ascontiguousarray(image.array.transpose(2, 0, 1)[::-1]), turned_affine)
    one = model.predict({"FLAIR": image}).probability.array
    two = model.predict({"FLAIR": turned}).probability.array[::-1].transpose(1, 2, 0)
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_prediction_is_the_blend_on_the_images_own_grid() -> None:
    model, image = segmenter(), brain(np.diag([2.0, 2.0, 2.0, 1.0]))
    found = model.predict({"FLAIR": image})
    assert found.labelmap.array.dtype == np.uint8
    assert found.probability.array.dtype == np.float32
    np.testing.assert_array_equal(found.probability.affine, image.affine)
    prepared = model.prepare({"FLAIR": image})
    logits, covered = blended_logits(model.network, prepared.tensor, (16, 16, 16), CONFIG.overlap, CPU)
    offset = np.round(np.linalg.inv(prepared.affine)[:3, 3]).astype(int)
    expected = (torch.sigmoid(logits[1] - logits[0]) * covered).numpy()
    for index in np.ndindex(image.shape):
        place = tuple(np.array(index) + offset)
        inside = all(0 <= p < n for p, n in zip(place, expected.shape, strict=True))
        assert abs(found.probability.array[index] - (expected[place] if inside else 0)) < 1e-5
    np.testing.assert_array_equal(found.labelmap.array, found.probability.array >= CONFIG.threshold)
    assert 0 < found.labelmap.array.mean() < 1


def test_the_same_input_gives_the_same_bits() -> None:
    model, images = segmenter(), {"FLAIR": brain()}
    np.testing.assert_array_equal(model.predict(images).probability.array, model.predict(images).probability.array)


def test_a_second_channel_may_have_another_grid() -> None:
    model, image = segmenter(("FLAIR", "T1")), brain(np.diag([2.0, 2.0, 2.0, 1.0]))
    shifted = Volume(np.pad(image.array, ((3, 0), (0, 2), (1, 1))), image.affine.copy())
    shifted.affine[:3, 3] -= (6, 0, 2)
    tensor = model.prepare({"FLAIR": image, "T1": shifted}).tensor
    torch.testing.assert_close(tensor[0], tensor[1])


def test_smoothing_only_where_the_grid_is_coarser() -> None:
    image = brain(np.diag([1.0, 2.0, 4.0, 1.0]))
    grid = WorkingGrid((8, 8, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    expected = ndimage.gaussian_filter1d(image.array, 0.5, axis=0)
    np.testing.assert_allclose(antialiased(image, grid).array, expected, atol=1e-3)


def far_away() -> Volume:
    image = brain()
    affine = image.affine.copy()
    affine[0, 3] += 1000
    return Volume(image.array, affine)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        ({}, "missing FLAIR, T1, got none"),
        ({"FLAIR": brain()}, "missing T1, got FLAIR"),
        ({"FLAIR": brain(), "T1": brain().with_array(np.zeros((30, 36, 20)))}, "T1 is empty"),
        ({"FLAIR": brain().with_array(np.full((30, 36, 20), np.nan)), "T1": brain()}, "FLAIR contains NaN"),
        ({"FLAIR": brain(np.diag([0.0, 1, 1, 1])), "T1": brain()}, "voxel sizes must be positive"),
        ({"FLAIR": brain(), "T1": brain(np.diag([0.0, 1, 1, 1]))}, "voxel sizes must be positive"),
        ({"FLAIR": brain(), "T1": brain().with_array(np.full((30, 36, 20), 7))}, "T1 has no contrast"),
        ({"FLAIR": brain(), "T1": far_away()}, "T1 does not overlap"),
        ({"FLAIR": brain(np.diag([500.0, 500, 500, 1])), "T1": brain()}, "check its voxel size"),
    ],
)
def test_unusable_images(images, match) -> None:
    with pytest.raises(InputError, match=match):
        segmenter(("FLAIR", "T1")).predict(images)


def test_cancelling_a_prediction() -> None:
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        segmenter().predict({"FLAIR": brain()}, stop)


def test_load_gives_back_what_was_saved(tmp_path: Path) -> None:
    model = segmenter(seed=3)
    save(tmp_path, model)
    loaded = FastSegmenter.load(tmp_path, CPU)
    assert loaded.info.provenance == {"seed": 1}
    assert len(loaded.info.digest) == 64
    image = {"FLAIR": brain()}
    np.testing.assert_array_equal(loaded.predict(image).probability.array, model.predict(image).probability.array)


@pytest.mark.parametrize("fault", ["no weights", "cut weights", "other weights", "no config", "bad spacing", "pickle"])
def test_damaged_folders_are_named(tmp_path: Path, fault: str) -> None:
    save(tmp_path, segmenter())
    weights, description = tmp_path / WEIGHTS, json.loads((tmp_path / "model.json").read_text())
    if fault == "no weights":
        weights.unlink()
    elif fault == "cut weights":
        weights.write_bytes(weights.read_bytes()[:500])
    elif fault == "other weights":
        torch.save(segmenter(("FLAIR", "T1")).network.state_dict(), weights)
    elif fault == "no config":
        del description["config"]
    elif fault == "bad spacing":
        description["config"]["spacing"] = -1
    else:
        torch.save({"network": Path("/tmp")}, weights)  # an object that only an unsafe load would build
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="damaged"):
        FastSegmenter.load(tmp_path, CPU)
