"""Parts of the counterfactual explainer, each against a plain re-implementation."""

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError
from slicerxai.explain.counterfactual_decisions import lesion_decision
from slicerxai.explain.counterfactual_images import Writer, foreground_on
from slicerxai.explain.counterfactual_parameters import CounterfactualParameters
from slicerxai.explain.counterfactual_search import _kept_off
from slicerxai.explain.rounded import RoundedReLU, rounded
from slicerxai.models.protocols import Prepared
from slicerxai.settings import settings
from tests.support.spots import SpotSegmenter, scan


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_rounded_relu_is_its_formula_and_has_its_derivative(slope):
    width = 0.5
    x = torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    y = RoundedReLU(slope, width)(x)
    for value, found in zip(x.tolist(), y.tolist(), strict=True):
        bent = 0.0 if value <= -width else value if value >= width else (value + width) ** 2 / (4 * width)
        assert found == pytest.approx(slope * value + (1 - slope) * bent, abs=1e-12)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    step = 1e-6
    for value, found in zip(x.tolist(), derivative.tolist(), strict=True):
        pair = RoundedReLU(slope, width)(torch.tensor([value - step, value + step], dtype=torch.float64))
        assert found == pytest.approx(float(pair[1] - pair[0]) / (2 * step), abs=1e-5)


def test_a_rounded_network_is_a_copy_that_hardly_differs():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.LeakyReLU(0.1), nn.Flatten(1)).eval()
    copied = rounded(network)
    image = torch.randn(1, 1, 12, 12)
    assert isinstance(network[1], nn.ReLU)
    assert isinstance(copied[1], RoundedReLU)
    assert 0 < float((copied(image) - network(image)).detach().abs().max()) < 0.05


AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
COARSE = np.diag([2.0, 2.0, 2.0, 1.0])


def halved(images):
    """A model's preparing: every second voxel of the smoothed image, three times as large, less a tenth of the mean."""
    (image,) = images.values()
    array = image.array.astype(np.float32)
    smooth = sum(np.roll(array, shift, axis) for axis in range(3) for shift in (-1, 0, 1)) / 9
    coarse = resample(Volume(smooth.astype(np.float32), image.affine), COARSE, (10, 10, 10)).array
    return Prepared(torch.from_numpy(3 * coarse - 0.1 * coarse.mean())[None].float(), COARSE, image)


def test_a_written_change_is_what_the_network_sees_again():
    array = np.random.default_rng(0).uniform(50, 150, (20, 20, 20)).astype(np.float32)
    image = Volume(array, AFFINE)
    prepared = halved({"X": image})
    change = torch.zeros_like(prepared.tensor)
    change[0, 4:6, 5, 5], change[0, 2, 7, 3] = 40.0, -60.0
    written = Writer(halved, {"X": image}, ["X"], prepared).write(change)
    seen = halved(written.images).tensor - prepared.tensor
    error = float((seen - change).norm() / change.norm())
    assert written.error == pytest.approx(error, rel=1e-5)
    assert error < 0.35
    spread = resample(Volume(change[0].numpy(), COARSE), AFFINE, array.shape).array / 3
    naive = halved({"X": image.with_array(array + spread)}).tensor - prepared.tensor
    assert error < 0.6 * float((naive - change).norm() / change.norm()), "better than interpolation alone"
    np.testing.assert_array_equal(written.changes["X"].array, written.images["X"].array - array)
    assert written.images["X"].array.min() >= array.min()
    assert written.images["X"].array.max() <= array.max()


def test_values_stay_in_the_range_of_the_image_and_what_that_costs_is_said():
    image = Volume(np.full((20, 20, 20), 100, np.float32), AFFINE)
    image.array[0, 0, 0], image.array[1, 0, 0] = 90, 105
    prepared = halved({"X": image})
    change = torch.zeros_like(prepared.tensor)
    change[0, 5, 5, 5] = 300.0
    written = Writer(halved, {"X": image}, ["X"], prepared).write(change)
    assert written.images["X"].array.max() <= 105
    assert written.clipped > 0.5


def test_another_grid_is_noticed():
    image = Volume(np.random.default_rng(0).uniform(50, 150, (20, 20, 20)).astype(np.float32), AFFINE)
    prepared = halved({"X": image})

    def moving(images):
        found = halved(images)
        return found if images["X"] is image else Prepared(found.tensor[:, 1:], found.affine, image)

    change = torch.zeros_like(prepared.tensor)
    change[0, 5, 5, 5] = 30.0
    written = Writer(moving, {"X": image}, ["X"], prepared).write(change)
    assert not written.same_grid
    assert written.error == pytest.approx(1.0)


def test_the_background_may_not_change():
    model = SpotSegmenter()
    image = scan()
    prepared = model.prepare({"FLAIR": image})
    allowed = foreground_on(prepared, {"FLAIR": image}, ("FLAIR",))
    signal = resample(image.with_array((image.array != 0).astype(np.float64)), prepared.affine, allowed.shape[1:]).array
    np.testing.assert_array_equal(allowed[0].numpy(), signal > 0.5)


def test_kept_off_are_the_voxels_of_the_change_and_their_neighbours():
    change = torch.zeros(2, 7, 7, 7)
    change[1, 3, 3, 3] = 9.0
    off = _kept_off(change, sparse=True)[0]
    assert int(off.sum()) == 27
    assert bool(off[2:5, 2:5, 2:5].all())
    change[0, 0, 0, 0] = 0.5
    assert int(_kept_off(change, sparse=True).sum()) == 27 + 8
    assert int(_kept_off(change, sparse=False).sum()) == 27


def test_a_lesion_is_decided_from_one_patch_as_from_the_whole():
    """The hand-weighted network sees 3 voxels around: windows and their blending change nothing."""
    from slicerxai.data.lesions import label_lesions

    model = SpotSegmenter()
    image = scan()
    prepared, found = model.prepare({"FLAIR": image}), model.predict({"FLAIR": image})
    decision = lesion_decision(model, prepared, label_lesions(found.labelmap), 1, 1, "lesion 1")
    assert all(s.stop - s.start == 16 for s in decision.place)
    logits = model.network(prepared.tensor[None])[0]
    margin = (logits[1] - logits[0])[decision.place]
    reading = decision.read(prepared.tensor)
    assert reading.probability == pytest.approx(float(torch.sigmoid(margin.max())), abs=1e-6)
    assert not reading.turned
    assert decision.read(torch.zeros_like(prepared.tensor)).turned
    change = torch.randn(decision.part(prepared.tensor).shape)
    whole = decision.whole(change, prepared.tensor)
    assert whole.shape == prepared.tensor.shape
    torch.testing.assert_close(decision.part(whole), change)


def test_windows_are_blended_as_in_prediction():
    from slicerxai.explain.counterfactual_decisions import _Windows
    from slicerxai.models.sliding_window import blended_logits

    torch.manual_seed(0)
    network = nn.Conv3d(1, 3, 3, padding=1).eval().requires_grad_(requires_grad=False)
    image = torch.randn(1, 20, 14, 11)
    inside = torch.zeros(20, 14, 11, dtype=torch.bool)
    inside[3:15, 5:8, 4:6] = True
    found = _Windows(inside, (8, 8, 8), 0.5)(network, image[None])[0]
    whole, _ = blended_logits(network, image, (8, 8, 8), 0.5, torch.device("cpu"))
    torch.testing.assert_close(found[:, inside], whole[:, inside])
    image.requires_grad_()
    _Windows(inside, (8, 8, 8), 0.5)(network, image[None])[0][:, inside].sum().backward()
    assert not image.grad[0, 0, 13].any(), "beyond what the windows of the region see"


def test_latent_space_needs_what_was_learned(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    try:
        assert CounterfactualParameters().resolved("a" * 64).realism == "none"
        with pytest.raises(ConflictError, match="slicerxai realism"):
            CounterfactualParameters(space="latent").resolved("a" * 64)
    finally:
        settings.cache_clear()
