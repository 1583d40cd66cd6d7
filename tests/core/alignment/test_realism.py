"""Autoencoder, plausibility and latent counterfactuals."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from torch import nn
from torch.nn import functional

from slicerxai.alignment.autoencoder import Autoencoder, Unfold, fit_autoencoder
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.latent import latent_counterfactual
from slicerxai.alignment.losses import label_loss
from slicerxai.alignment.plausibility import Density, fit_realism, measures
from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.alignment.realism_store import RealismStore
from slicerxai.errors import Cancelled, ConflictError, InputError, NotFoundError

DIGEST, OTHER = "a" * 64, "b" * 64
SMALL = RealismParameters(passes=1200, width=6, latent=4, held_out=0.5)


def blobs(count, seed, size=24):
    """Two soft blobs of random place, size and brightness on noise; empty at the edge."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    images = torch.zeros(count, 1, size, size)
    for _ in range(2):
        a, b, c, d = torch.rand(4, count, 1, 1, generator=generator)
        images[:, 0] += (0.5 + c) * torch.exp(-((x - a + 0.5) ** 2 + (y - b + 0.5) ** 2) / (0.03 + 0.1 * d))
    inside = (x**2 + y**2 < 0.7).float()
    return inside * (images + 0.05 * torch.randn(images.shape, generator=generator))


@pytest.fixture(scope="module")
def learned():
    return fit_realism(blobs(80, 0), DIGEST, SMALL)


def spread(found):
    """Largest distance between the distribution of values and the uniform one on [0, 1]."""
    values = np.sort(found.numpy())
    steps = np.arange(1, len(values) + 1) / len(values)
    return max(np.abs(steps - values).max(), np.abs(steps - 1 / len(values) - values).max())


def test_new_images_of_the_same_kind_spread_evenly(learned):
    found = learned.plausibility(blobs(300, 1))
    assert 0 <= found.min() <= found.max() <= 1
    assert spread(found) < 0.25


def test_images_of_another_kind_are_implausible(learned):
    images = blobs(60, 2)
    noisy = images + 0.25 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    marked = images.clone()
    marked[:, :, :2, :2] = 0.3  # less bright than the blobs, but where images are empty
    for strange in (noisy, marked, -images, torch.zeros_like(images) + 1):
        assert learned.plausibility(strange).mean() < 0.05


def test_plausibility_is_a_share_of_held_out_images(learned):
    images = blobs(5, 3)
    logs = learned.reference.log().numpy()
    middle = torch.from_numpy(logs).median(0).values.numpy()
    deviation = 1.4826 * torch.from_numpy(np.abs(logs - middle)).median(0).values.numpy()
    usual = [max((row - middle) / deviation) for row in logs]
    for row, found in zip(learned.measures(images).log().numpy(), learned.plausibility(images), strict=True):
        unusual = max((row - middle) / deviation)
        assert float(found) == pytest.approx(np.mean([value >= unusual for value in usual]))
    assert learned.plausibility(images[:1])[0] == learned.plausibility(images)[0]


def test_measures_are_their_definitions(learned):
    images, network = blobs(3, 4), learned.autoencoder
    found = measures(network, learned.expected, learned.density, images)
    error = (((network(images) - images) / network.deviation) ** 2 / learned.expected).numpy()[:, 0]
    for row in range(3):
        local = max(error[row, i : i + 5, j : j + 5].mean() for i in range(20) for j in range(20))
        slow = [error[row].mean(), local, error[row].max()]
        np.testing.assert_allclose(found[row, :3], slow, rtol=1e-4)
    distances = learned.density.distance(network.encode(images).flatten(1))
    torch.testing.assert_close(found[:, 3], distances)


def test_density_is_the_shrunk_covariance():
    torch.manual_seed(0)
    codes = torch.randn(12, 30, dtype=torch.float64) @ torch.randn(30, 30, dtype=torch.float64)
    density = Density.fit(codes)
    covariance, _ = ledoit_wolf((codes - codes.mean(0)).numpy(), assume_centered=True)
    others = codes.mean(0) + torch.randn(4, 30, dtype=torch.float64)
    centred = (others - codes.mean(0)).numpy()
    slow = [row @ np.linalg.inv(covariance) @ row for row in centred]
    np.testing.assert_allclose(density.distance(others), slow, rtol=1e-6)


def test_unfold_is_pixel_shuffle_in_any_dimension():
    maps = torch.randn(2, 12, 3, 5)
    assert torch.equal(Unfold(2)(maps), functional.pixel_shuffle(maps, 2))
    maps = torch.arange(2 * 8 * 3 * 2 * 4).view(1, 16, 3, 2, 4)
    found = Unfold(3)(maps)
    for channel, i, j, k in ((0, 0, 0, 0), (1, 5, 2, 7), (0, 3, 3, 4)):
        source = channel * 8 + (i % 2) * 4 + (j % 2) * 2 + k % 2
        assert found[0, channel, i, j, k] == maps[0, source, i // 2, j // 2, k // 2]


@pytest.mark.parametrize("shape", [(13, 9), (10, 9, 6)])
def test_autoencoder_takes_any_shape_and_learns(shape):
    generator = torch.Generator().manual_seed(0)
    base = functional.avg_pool2d if len(shape) == 2 else functional.avg_pool3d
    images = 5 + 3 * base(torch.randn(12, 2, *shape, generator=generator), 3, stride=1, padding=1)
    network = fit_autoencoder(images, RealismParameters(passes=400, width=8, latent=16))
    assert network(images).shape == images.shape
    left = (network(images) - images).var() / images.var()
    assert left < 0.6
    again = fit_autoencoder(images, RealismParameters(passes=400, width=8, latent=16))
    assert torch.equal(again(images), network(images))
    assert not any(weight.requires_grad for weight in network.parameters())
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


def test_too_few_images_and_other_shapes_are_named(learned):
    with pytest.raises(InputError, match="12 images of 12 subjects leave 6 to learn from and 6 held out; at least 8"):
        fit_realism(blobs(12, 0), DIGEST, SMALL)
    with pytest.raises(InputError, match=r"shape \(1, 16, 16\).*\(1, 24, 24\)"):
        learned.plausibility(torch.zeros(1, 1, 16, 16))


def test_groups_stay_together_and_training_can_be_cancelled():
    def stop(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        fit_realism(blobs(20, 0), DIGEST, SMALL, progress=stop)
    groups = ["one"] * 10 + ["two"] * 14
    found = fit_realism(blobs(24, 0), DIGEST, SMALL.model_copy(update={"passes": 4}), groups=groups)
    assert len(found.reference) in (10, 14)


def test_store_keeps_it_bound_to_the_model(learned, tmp_path):
    store = RealismStore(tmp_path)
    assert store.newest(DIGEST) is None
    first = store.save("regions", learned)
    loaded = store.load(first, DIGEST)
    images = blobs(4, 5)
    assert (loaded.id, loaded.model) == (first, "regions")
    assert torch.equal(loaded.realism.plausibility(images), learned.plausibility(images))
    assert torch.equal(loaded.realism.autoencoder(images), learned.autoencoder(images))
    assert loaded.realism.parameters == learned.parameters
    second = store.save("regions", replace(learned, reference=learned.reference[:20]))
    assert second != first
    assert store.newest_id(DIGEST) == second
    assert store.save("regions", learned) == first
    assert store.newest(DIGEST).id == first
    assert not list(tmp_path.rglob(".*"))
    with pytest.raises(ConflictError, match="another model"):
        store.load(first, OTHER)
    with pytest.raises(NotFoundError, match=first):
        store.load("0" * 12, DIGEST)
    for bad in ("../" + first, "", "XYZ"):
        with pytest.raises(InputError, match="bad id"):
            store.load(bad, DIGEST)


@pytest.mark.parametrize("damage", ["tensors", "json", "shape", "missing"])
def test_damaged_files_are_named(learned, tmp_path, damage):
    store = RealismStore(tmp_path)
    identifier = store.save("regions", learned)
    path = tmp_path / DIGEST / identifier
    if damage == "tensors":
        content = bytearray(path.with_suffix(".pt").read_bytes())
        content[len(content) // 2] ^= 1
        path.with_suffix(".pt").write_bytes(content)
    elif damage == "json":
        path.with_suffix(".json").write_text("{}")
    elif damage == "shape":
        text = path.with_suffix(".json").read_text()
        path.with_suffix(".json").write_text(text.replace('"latent": 4', '"latent": 5'))
    else:
        path.with_suffix(".pt").unlink()
    with pytest.raises(InputError, match=rf"{identifier} is damaged; delete"):
        store.load(identifier, DIGEST)


class Brightness(nn.Module):
    """Whether the left half is brighter than a limit."""

    def forward(self, images):
        return 20 * (images[:, :, :, :12].flatten(1).mean(1, keepdim=True) - 0.15)


def test_latent_counterfactuals_turn_the_decision_by_drawing(learned):
    network, images = Brightness().eval(), blobs(6, 6)
    wanted = 1 - (network(images) > 0).float()
    loss = label_loss(network, wanted, torch.ones_like(wanted, dtype=torch.bool))
    parameters = SolverParameters(alpha=0.02, steps=200, tolerance=1e-3)
    found = latent_counterfactual(loss, learned.autoencoder, images, parameters)
    assert torch.equal((network(found.images) > 0).float(), wanted)
    code = learned.autoencoder.encode(images)
    drawn = learned.autoencoder.decode(code + found.latent.change) - learned.autoencoder.decode(code)
    torch.testing.assert_close(found.change, drawn, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.images, images + found.change)
    torch.testing.assert_close(found.latent.loss, loss(found.images), rtol=1e-4, atol=1e-5)
    rough = images + 0.3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    assert learned.plausibility(found.images).mean() > learned.plausibility(rough).mean()


def test_latent_counterfactuals_keep_bounds_and_places(learned):
    network, images = Brightness().eval(), blobs(3, 7).clamp(0, 0.8)
    loss = label_loss(network, torch.ones(3, 1), torch.ones(3, 1, dtype=torch.bool))
    allowed = torch.zeros(1, 1, 24, 24)
    allowed[..., :8] = 1
    parameters = SolverParameters(alpha=0.01, steps=60, low=0, high=0.8)
    found = latent_counterfactual(loss, learned.autoencoder, images, parameters, allowed=allowed)
    assert torch.equal(found.change[..., 8:], torch.zeros(3, 1, 24, 16))
    assert found.change[..., :8].abs().max() > 0
    assert found.images.min() >= -1e-6
    assert found.images.max() <= 0.8 + 1e-6
    alone = latent_counterfactual(
        loss.rows(torch.tensor([1])), learned.autoencoder, images[1:2], parameters, allowed=allowed
    )
    torch.testing.assert_close(alone.change[0], found.change[1], rtol=0, atol=2e-2)


def test_autoencoders_restore_from_their_shape_alone(learned):
    network = learned.autoencoder
    again = Autoencoder(network.channels, network.shape, network.width, network.latent)
    again.load_state_dict(network.state_dict())
    images = blobs(2, 8)
    assert torch.equal(again.eval()(images), network(images))


@pytest.mark.real_data
def test_real_nodules():
    """CT crops of held-out patients spread evenly; garbage in them and noise are found."""
    root = os.environ.get("SLICERXAI_REAL_DATA", Path(__file__).parents[4] / "shared" / "data")
    folder = Path(root) / "lidc"
    if not folder.is_dir():
        pytest.skip(f"no LIDC crops at {folder}")
    with (folder / "nodules.csv").open(encoding="utf-8") as file:
        patients = {row["noduleID"]: row["patient"] for row in csv.DictReader(file)}
    data = np.load(folder / "lidc_2d.npz")
    crops, names = data["crops"], [patients[str(number)] for number in data["noduleID"]]
    order = np.random.default_rng(0).permutation(sorted(set(names)))
    first = set(order[: len(order) // 4])
    known = [index for index, name in enumerate(names) if name in first][:200]
    new = [index for index, name in enumerate(names) if name not in first][:300]
    images = (torch.from_numpy(crops.astype(np.float32)).clamp(0, 1424)[:, None] - 700) / 400
    learned = fit_realism(
        images[known], DIGEST, RealismParameters(passes=1000), groups=[names[index] for index in known]
    )
    tested = images[new]
    assert spread(learned.plausibility(tested)) < 0.25
    generator = torch.Generator().manual_seed(0)
    noisy = tested + 0.5 * torch.randn(tested.shape, generator=generator)
    garbled = tested.clone()
    places = torch.randint(0, 71 * 71, (len(tested), 6), generator=generator)
    garbled.flatten(1).scatter_(1, places, 1.8)
    assert learned.plausibility(noisy).mean() < 0.1
    assert learned.plausibility(garbled).mean() < 0.1
