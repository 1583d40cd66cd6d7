from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.classifier import WEIGHTS, ImageClassifier, against_surroundings, network_input, prepare
from slicerxai.models.classifier_parameters import ClassifierConfig
from slicerxai.models.protocols import Classifier, Segmenter, classifier, segmenter
from slicerxai.models.store import ModelStore, digest
from tests.conftest import OBLIQUE_LEFT_HANDED, spotted_brain
from tests.support.classifier import LABELS, TARGETS, store_classifier

CPU = torch.device("cpu")
VOLUMES = ClassifierConfig(targets=TARGETS, shape=(36, 40, 32), spacing=4.0, surroundings=0)
SINGLE = ClassifierConfig(targets=TARGETS, spatial_dims=2, shape=(20, 30))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "models")
    store_classifier(store, "tiny")
    return store


def test_loads_predicts_and_names_its_labels(store: ModelStore) -> None:
    model = store.load("tiny", CPU)
    assert isinstance(model, Classifier)
    assert isinstance(model, ImageClassifier)
    assert not isinstance(model, Segmenter)
    assert model.info.labels == LABELS
    assert model.info.kind == "classifier"
    assert model.info.digest == digest(store.folder("tiny"))
    images = {"FLAIR": spotted_brain(0)[0]}
    found = model.predict(images)
    assert found.shape == (3,)
    with torch.no_grad():
        logits = model.network(network_input(model.prepare(images), model.config)[None])[0]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits.numpy())), rtol=1e-5)
    np.testing.assert_array_equal(found, model.predict(images))


def test_each_protocol_refuses_the_other(store: ModelStore, tiny_home: Path) -> None:
    model = store.load("tiny", CPU)
    assert classifier(model, "tiny") is model
    with pytest.raises(InputError, match="'tiny' classifies"):
        segmenter(model, "tiny")
    with pytest.raises(InputError, match="'tiny' segments"):
        classifier(ModelStore(tiny_home / "models").load("tiny", CPU), "tiny")


def test_world_positions_survive_for_any_storage() -> None:
    """The brightest voxel is where it was, however the image is stored and oriented."""
    image, _ = spotted_brain(1)
    blurred = ndimage.gaussian_filter(image.array, 2.0) * (image.array != 0)
    for affine in (image.affine, OBLIQUE_LEFT_HANDED):
        volume = Volume(blurred.astype(np.float32), affine)
        prepared = prepare({"FLAIR": volume}, ("FLAIR",), VOLUMES)
        assert prepared.tensor.shape == (1, 36, 40, 32)
        assert nib.aff2axcodes(prepared.affine) == ("R", "A", "S")
        np.testing.assert_allclose(np.linalg.norm(prepared.affine[:3, :3], axis=0), 4.0)
        peaks = [
            (a @ [*np.unravel_index(np.argmax(array), array.shape), 1])[:3]
            for a, array in ((volume.affine, volume.array), (prepared.affine, prepared.tensor[0].numpy()))
        ]
        assert np.linalg.norm(peaks[0] - peaks[1]) < 6


def test_brain_is_in_the_middle_and_larger_ones_are_cropped() -> None:
    image, _ = spotted_brain(2)
    for shape in ((36, 40, 32), (20, 20, 16)):
        config = VOLUMES.model_copy(update={"shape": shape})
        inside = prepare({"FLAIR": image}, ("FLAIR",), config).tensor[0].numpy() != 0
        assert inside.shape == shape
        middle = ndimage.center_of_mass(inside)
        np.testing.assert_allclose(middle, (np.array(shape) - 1) / 2, atol=1.0)


def test_against_surroundings_is_a_difference_of_weighted_means() -> None:
    rng = np.random.default_rng(0)
    array = np.zeros((9, 10, 11), np.float32)
    array[1:8, 1:9, 2:10] = rng.uniform(0.5, 1.5, (7, 8, 8))
    found = against_surroundings(array, 1.0)
    i, j, k = np.meshgrid(*[np.arange(n) for n in array.shape], indexing="ij")
    at = (4, 5, 6)
    weight = np.exp(-0.5 * ((i - at[0]) ** 2 + (j - at[1]) ** 2 + (k - at[2]) ** 2)) * (array != 0)
    assert found[at] == pytest.approx(array[at] - (weight * array).sum() / weight.sum(), abs=1e-3)
    assert (found[array == 0] == 0).all()


def test_single_images_are_resized_and_normalised() -> None:
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.standard_normal((60, 90)), 4)
    image = Volume(smooth[..., None].astype(np.float32), np.diag([0.5, 0.5, 1, 1.0]))
    prepared = prepare({"XRAY": image}, ("XRAY",), SINGLE)
    assert prepared.tensor.shape == (1, 20, 30, 1)
    values = network_input(prepared, SINGLE)
    assert values.shape == (1, 20, 30)
    assert float(values.mean()) == pytest.approx(0, abs=1e-5)
    assert float(values.std()) == pytest.approx(1, abs=1e-5)
    expected = smooth.reshape(20, 3, 30, 3).mean((1, 3))
    assert np.corrcoef(expected.ravel(), values.ravel())[0, 1] > 0.999
    # voxel (i, j) covers 3 × 3 pixels, about the middle one
    np.testing.assert_allclose(prepared.affine @ [2, 4, 0, 1], image.affine @ [7, 13, 0, 1])


def test_unusable_images() -> None:
    image, _ = spotted_brain(0)
    with pytest.raises(InputError, match="missing T1"):
        prepare({"FLAIR": image}, ("FLAIR", "T1"), VOLUMES)
    with pytest.raises(InputError, match="single images"):
        prepare({"XRAY": image}, ("XRAY",), SINGLE)
    flat = Volume(np.full((8, 8, 1), 3.0), np.eye(4))
    with pytest.raises(InputError, match="contrast"):
        prepare({"XRAY": flat}, ("XRAY",), SINGLE)
    with pytest.raises(InputError, match="empty"):
        prepare({"FLAIR": image.with_array(np.zeros(image.shape))}, ("FLAIR",), VOLUMES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("thresholds"),
        lambda d: d.update(thresholds=[0.5, 0.5]),
        lambda d: d.update(thresholds=[0.5, 1.0, 0.5]),
        lambda d: d.update(thresholds=[0.5, "x", 0.5]),
        lambda d: d.update(labels=["left", "right", "top"]),
        lambda d: d.update(channels=["FLAIR", "T1"]),
        lambda d: d["config"].update(architecture="transformer"),
        lambda d: d["config"].update(features=5),
        lambda d: d.update(config=None),
    ],
)
def test_damaged_description(store: ModelStore, damage) -> None:
    path = store.folder("tiny") / "model.json"
    description = json.loads(path.read_text())
    damage(description)
    path.write_text(json.dumps(description))
    with pytest.raises(InputError, match="damaged"):
        store.load("tiny", CPU)


@pytest.mark.parametrize("content", [None, b"", b"no weights", b"\x80\x04"])
def test_damaged_weights(store: ModelStore, content: bytes | None) -> None:
    path = store.folder("tiny") / WEIGHTS
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        store.load("tiny", CPU)
