"""The saliency explainer on hand-weighted models whose decision is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.explain.contract import Inputs
from slicerxai.explain.saliency import SaliencyExplainer
from slicerxai.explain.saliency_parameters import SaliencyParameters
from slicerxai.models.protocols import ModelInfo, Prepared, Segmentation, Segmenter
from slicerxai.progress import silent
from tests.support.spots import OBLIQUE, SHAPE, SPOTS, SpotSegmenter, scan

CPU = torch.device("cpu")
METHODS = ("lrp", "input_x_gradient", "integrated_gradients", "occlusion")


def world(number: int) -> tuple[float, float, float]:
    x, y, z = (OBLIQUE @ [*SPOTS[number], 1])[:3]
    return float(x), float(y), float(z)


def explain(model=None, image: Volume | None = None, progress=silent, **parameters):
    model = model or SpotSegmenter()
    image = image or scan()
    images = dict.fromkeys(model.info.channels, image)
    inputs = Inputs("case", images, dict.fromkeys(images, "0"), model)
    return SaliencyExplainer().explain(inputs, SaliencyParameters(window=15, **parameters), progress)


@pytest.mark.parametrize("method", METHODS)
def test_one_lesion_is_explained_where_it_lies(method):
    assert isinstance(SpotSegmenter(), Segmenter)
    result = explain(method=method, point=world(2))
    saliency = result.overlays["saliency"].volume
    assert saliency.array.dtype == np.float32
    np.testing.assert_array_equal(saliency.affine, OBLIQUE)
    assert saliency.shape == SHAPE
    peak = np.unravel_index(saliency.array.argmax(), SHAPE)
    assert np.linalg.norm((OBLIQUE @ [*peak, 1])[:3] - world(2)) < (15 * 3**0.5 if method == "occlusion" else 8)
    assert result.verdict in {"reliable", "caution"}
    assert [row[6] for row in result.tables["lesions"].rows] == [False, True]
    assert result.overlays["explained_lesion"].volume.array[SPOTS[2]] == 1
    assert result.overlays["explained_lesion"].volume.array[SPOTS[1]] == 0
    integral = float(saliency.array.sum()) * saliency.voxel_volume + result.metrics.get("relevance_outside_boxes", 0)
    assert integral == pytest.approx(result.metrics["relevance_sum"], rel=0.1)


def test_the_map_is_the_known_gradient():
    """For the linear net Input × Gradient is known: T + 4 is the mean local average of the image times 3."""
    result = explain(method="input_x_gradient")
    assert result.metrics["relevance_sum"] == pytest.approx(result.metrics["target_logit"] + 4, rel=1e-3)
    assert result.metrics["relative_gap"] < 1e-3
    assert result.metrics["relevance_near_share"] > 0.95
    assert result.flags == []
    assert result.metrics["lesions"] == 2


def test_every_overlay_has_its_kind_and_the_images_grid():
    result = explain(SpotSegmenter(("FLAIR", "T1")))
    kinds = {name: overlay.kind for name, overlay in result.overlays.items()}
    assert kinds == {
        "FLAIR": "image",
        "T1": "image",
        "lesions": "labelmap",
        "probability": "probability",
        "saliency": "saliency",
        "saliency_FLAIR": "saliency",
        "saliency_T1": "saliency",
    }
    assert result.overlays["lesions"].volume.array.dtype == np.uint8
    total = result.overlays["saliency_FLAIR"].volume.array + result.overlays["saliency_T1"].volume.array
    np.testing.assert_allclose(total, result.overlays["saliency"].volume.array, atol=1e-7)


def test_an_image_smaller_than_a_patch():
    result = explain(SpotSegmenter(patch=80), method="input_x_gradient")
    assert result.metrics["relevance_near_share"] > 0.95


def test_a_point_far_from_lesions_is_an_error_that_names_the_nearest():
    with pytest.raises(InputError, match=r"nearest is \d.*mm away \(lesion 1, centre"):
        explain(point=tuple(np.add(world(1), (0, 0, 25))))


def test_no_lesion_gives_an_empty_map_with_the_reason():
    result = explain(image=scan(bright=0.6))
    assert result.verdict == "caution"
    assert not result.overlays["saliency"].volume.array.any()
    assert any("predicts no lesion" in check.reason for check in result.checks)
    assert result.tables["lesions"].rows == []
    with pytest.raises(InputError, match="no lesion"):
        explain(image=scan(bright=0.6), point=(0, 0, 0))


def test_unknown_labels_are_named():
    with pytest.raises(InputError, match="'tumour'; the model has: lesion"):
        explain(label="tumour")
    with pytest.raises(InputError, match="'background'"):
        explain(label="background")


def test_a_scan_with_a_skull_gets_caution():
    image = scan()
    result = explain(image=image.with_array(np.where(image.array == 0, 0.05, image.array).astype(np.float32)))
    (check,) = [check for check in result.checks if check.name == "background"]
    assert check.verdict == "caution"
    assert "skull" in check.reason


def test_a_decision_from_elsewhere_is_flagged():
    """The network looks 7 voxels (17 mm) beside the voxel that it labels."""
    model = SpotSegmenter()
    shifted = nn.Conv3d(1, 1, 15, padding=7, bias=False)
    shifted.weight.data.zero_()
    shifted.weight.data[0, 0, 14, 7, 7] = 1
    model.network = nn.Sequential(shifted, nn.ReLU(), model.network[2]).eval()
    result = explain(model, method="input_x_gradient")
    assert [flag.subject for flag in result.flags] == ["whole prediction"]
    assert "elsewhere" in result.flags[0].message


class MismatchedSegmenter(SpotSegmenter):
    """Its prediction is not that of its network."""

    def predict(self, images, progress=silent):
        found = super().predict(images, progress)
        return Segmentation(found.labelmap.with_array(np.roll(found.labelmap.array, 8, axis=1)), found.probability)


def test_a_prediction_that_is_not_the_networks_is_unreliable():
    result = explain(MismatchedSegmenter())
    assert {c.name for c in result.checks if c.verdict == "unreliable"} >= {"agreement with the prediction"}


@pytest.mark.parametrize("calls", [1, 4, 12])
def test_cancelling(calls):
    seen = []

    def progress(fraction: float, message: str) -> None:
        assert 0 <= fraction <= 1
        seen.append(message)
        if len(seen) == calls:
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(progress=progress)


def test_the_same_bits_twice():
    first, second = (explain().overlays["saliency"].volume.array for _ in range(2))
    assert np.array_equal(first, second)


class TinyClassifier:
    exclusive = False
    device = CPU

    def __init__(self, dims: int) -> None:
        conv, pool = (nn.Conv2d, nn.AdaptiveAvgPool2d) if dims == 2 else (nn.Conv3d, nn.AdaptiveAvgPool3d)
        torch.manual_seed(0)
        layers = [conv(1, 4, 3, padding=1), nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(4, 2)]
        self.network = nn.Sequential(*layers).eval()
        self.info = ModelInfo("tiny", "densenet", ("FLAIR",), ("first", "second"), "0" * 64, {})
        self.dims = dims

    def prepare(self, images):
        image = images["FLAIR"]
        return Prepared(torch.from_numpy(image.array.astype(np.float32))[None], image.affine, image)

    def predict(self, images):
        tensor = self.prepare(images).tensor
        logits = self.network((tensor[..., 0] if self.dims == 2 else tensor)[None])
        return torch.sigmoid(logits)[0].detach().numpy()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_classifiers_get_a_map_for_each_label(dims, method):
    rng = np.random.default_rng(0)
    image = Volume(rng.uniform(0.5, 2, (24, 20, 1 if dims == 2 else 10)).astype(np.float32), OBLIQUE)
    result = explain(TinyClassifier(dims), image, method=method)
    assert set(result.overlays) == {"FLAIR", "saliency_first", "saliency_second"}
    assert result.overlays["saliency_first"].volume.shape == image.shape
    assert result.verdict != "unreliable"
    assert [row[0] for row in result.tables["labels"].rows] == ["first", "second"]
    one = explain(TinyClassifier(dims), image, method=method, label="second")
    assert set(one.overlays) == {"FLAIR", "saliency"}
    second = result.overlays["saliency_second"].volume.array
    np.testing.assert_array_equal(one.overlays["saliency"].volume.array, second)


def test_a_classifier_has_no_lesion_to_click():
    image = Volume(np.ones((8, 8, 1), dtype=np.float32), np.eye(4))
    with pytest.raises(InputError, match="no lesion to choose"):
        explain(TinyClassifier(2), image, point=(0, 0, 0))
