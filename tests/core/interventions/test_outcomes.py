"""Outputs that are read from a prediction, against what follows from the model's own `predict`."""

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.data.lesions import find_lesions, label_lesions
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.interventions.outcomes import GridChangedError, reader
from slicerxai.interventions.segmented import WindowedCase
from slicerxai.interventions.windows import Windows
from slicerxai.models.sliding_window import blended_logits
from tests.support.boxes import BoxClassifier, head
from tests.support.spots import OBLIQUE, SPOTS, SpotSegmenter, scan

CPU = torch.device("cpu")
NAMES = ["lesion_volume_ml", "lesion_count", "expected_volume_ml", "lesion_probability", "dice"]


@pytest.fixture(scope="module")
def image():
    return scan()


@pytest.fixture(scope="module")
def expert(image):
    return image.with_array((np.asarray(image.array) > 3).astype(np.uint8))


@pytest.fixture(scope="module")
def read(image, expert):
    return reader(SpotSegmenter(), {"FLAIR": image}, expert)


def dimmed(image, spot, factor):
    """The same scan with one spot scaled."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in image.shape], indexing="ij"))
    near = ((index - np.reshape(SPOTS[spot], (3, 1, 1, 1))) ** 2).sum(0) < 16
    return image.with_array(np.where(near, image.array * factor, image.array).astype(np.float32))


def plainly(image, unchanged, expert):
    """The outputs from the label map and the probability of `predict`, on the image's whole grid."""
    found = SpotSegmenter().predict({"FLAIR": image})
    before = SpotSegmenter().predict({"FLAIR": unchanged})
    largest = label_lesions(before.labelmap).array == 1
    lesions = found.labelmap.array != 0
    drawn = expert.array != 0
    return [
        lesions.sum() * image.voxel_volume / 1000,
        len(find_lesions(found.labelmap)),
        found.probability.array.sum(dtype=np.float64) * image.voxel_volume / 1000,
        found.probability.array[largest].max(),
        2 * (lesions & drawn).sum() / (lesions.sum() + drawn.sum()),
    ]


def test_the_unchanged_image_gives_the_models_own_prediction(image, expert, read):
    assert [output.name for output in read.outputs] == NAMES
    found = read.read(read.prepared.tensor[None])[0]
    wanted = plainly(image, image, expert)
    assert found[1] == 2
    assert found[[0, 1, 4]] == pytest.approx(np.array(wanted)[[0, 1, 4]], abs=0), "the very same voxels are lesions"
    assert found[3] == pytest.approx(wanted[3], abs=1e-6)
    assert found[2] == pytest.approx(wanted[2], rel=0.05), "summed on the network's grid, not on the image's"
    assert np.delete(read.reported, 2) == pytest.approx(np.delete(found, 2), abs=1e-6)
    own = SpotSegmenter().predict({"FLAIR": image}).labelmap
    assert np.array_equal(read.labelmap(read.prepared.tensor).array, own.array)


@pytest.mark.parametrize(("spot", "factor"), [(1, 0.05), (2, 0.05), (1, 0.6), (2, 3.0)])
def test_changed_images(image, expert, read, spot, factor):
    changed = dimmed(image, spot, factor)
    found = read.read(read.prepare({"FLAIR": changed})[None])[0]
    wanted = plainly(changed, image, expert)
    assert found[[0, 1, 4]] == pytest.approx(np.array(wanted)[[0, 1, 4]], abs=0)
    assert found[3] == pytest.approx(wanted[3], abs=1e-6)


def test_the_largest_lesion_vanishes_exactly_when_its_probability_falls_below_the_threshold(image, read):
    threshold = read.outputs[3].threshold
    before = label_lesions(read.found.labelmap).array == 1
    for factor in (0.1, 0.3, 0.32, 0.34, 0.36, 0.5):
        tensor = read.prepare({"FLAIR": dimmed(image, 1, factor)})
        left = bool((read.labelmap(tensor).array[before] != 0).any())
        assert left == (read.read(tensor[None])[0, 3] >= threshold)


def test_without_a_lesion_the_highest_probability_of_all_voxels_is_read(image):
    empty = dimmed(dimmed(image, 1, 0.1), 2, 0.1)
    read = reader(SpotSegmenter(), {"FLAIR": empty})
    assert [output.name for output in read.outputs] == NAMES[:4]
    assert read.reported[0] == 0
    found = read.read(read.prepare({"FLAIR": image})[None])[0]
    assert read.read(read.prepared.tensor[None])[0, 3] < 0.5 <= found[3]


def test_a_changed_truth_goes_with_changed_lesions(image, expert, read):
    tensor = read.prepared.tensor[None]
    none = expert.with_array(np.zeros_like(expert.array))
    assert read.read(tensor, experts=[none])[0, 4] == 0
    assert read.read(tensor, experts=[None])[0, 4] == read.read(tensor)[0, 4] > 0.5


def test_windows_without_a_change_keep_their_logits(image):
    model = SpotSegmenter()
    tensor = model.prepare({"FLAIR": image}).tensor
    windows = Windows(model, tensor)
    wanted = blended_logits(model.network, tensor, model.patch_size, model.overlap, CPU)
    for found, own in zip(windows.logits(tensor), wanted, strict=True):
        assert torch.equal(found, own)
    count = windows.computed
    windows.logits(tensor)
    assert windows.computed == count, "nothing is computed twice"
    changed = tensor.clone()
    changed[:, 3, 3, 3] += 1
    found, _ = windows.logits(changed)
    assert 0 < windows.computed - count < count
    assert torch.equal(found, blended_logits(model.network, changed, model.patch_size, model.overlap, CPU)[0])


def test_an_empty_image_is_refused(image):
    model = SpotSegmenter()
    tensor = model.prepare({"FLAIR": image}).tensor
    with pytest.raises(ValueError, match="zero everywhere"):
        Windows(model, tensor).logits(torch.zeros_like(tensor))


def test_nothing_predicted_is_an_empty_part(image):
    model = SpotSegmenter()
    prepared = model.prepare({"FLAIR": image})
    seen = WindowedCase(model, prepared).see(prepared.tensor * 0.01, np.zeros((1, 3)))
    assert seen.foreground.array.size == 0
    assert seen.expected_ml > 0


def test_images_on_another_grid(image, read):
    moved = Volume(image.array, image.affine @ shifted(3))
    with pytest.raises(GridChangedError, match="register"):
        read.prepare({"FLAIR": moved})
    cropped = Volume(image.array[2:], image.affine @ shifted(2))
    found = read.read_images({"FLAIR": cropped})
    assert found[[1]] == pytest.approx([2])
    assert found[3] == pytest.approx(read.reported[3], abs=0.05), "the same place, from another grid"


def shifted(voxels):
    matrix = np.eye(4)
    matrix[0, 3] = voxels
    return matrix


def test_a_mask_beside_the_image_is_refused(image, expert):
    far = Volume(expert.array, expert.affine @ shifted(1000))
    with pytest.raises(InputError, match="mask"):
        reader(SpotSegmenter(), {"FLAIR": image}, far)


def test_progress_can_cancel(read):
    def stop(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        read.read(read.prepared.tensor[None] * 1.01, stop)


def test_labels_of_a_classifier_in_batches(monkeypatch):
    model, image = BoxClassifier(), head(OBLIQUE)
    read = reader(model, {"FLAIR": image})
    assert [(o.name, o.units, o.threshold) for o in read.outputs] == [
        ("first", "probability", 0.5),
        ("second", "probability", 0.3),
    ]
    assert read.reported == pytest.approx(model.predict({"FLAIR": image}))
    tensors = torch.stack([read.prepared.tensor * factor for factor in (0.8, 0.9, 1.0)])
    whole = read.read(tensors)
    monkeypatch.setattr("slicerxai.interventions.outcomes.BATCH_VOXELS", 1)
    assert read.read(tensors) == pytest.approx(whole, abs=1e-6)
    assert whole[2] == pytest.approx(read.reported, abs=1e-6)
    assert read.labelmap(read.prepared.tensor) is None
    assert read.read_images({"FLAIR": image}) == pytest.approx(read.reported, abs=1e-6)


@pytest.mark.parametrize(("labels", "threshold"), [(2, 0.5), (3, None)])
def test_exclusive_labels_share_one_probability(labels, threshold):
    model, image = BoxClassifier(), head(OBLIQUE)
    size = model.network[1].in_features
    model.exclusive = True
    model.info = type(model.info)("x", "classifier", ("FLAIR",), ("a", "b", "c")[:labels], "b" * 64, {})
    model.network = nn.Sequential(nn.Flatten(1), nn.Linear(size, labels)).eval()
    read = reader(model, {"FLAIR": image})
    assert {output.threshold for output in read.outputs} == {threshold}
    assert read.read(read.prepared.tensor[None]).sum() == pytest.approx(1, abs=1e-6)


def test_masks_on_another_grid_are_moved(image, expert):
    coarse = Volume(expert.array[::2, ::2, ::2], expert.affine @ np.diag([2.0, 2, 2, 1]))
    read = reader(SpotSegmenter(), {"FLAIR": image}, coarse)
    moved = resample_like(coarse, image, order=0).array != 0
    lesions = read.found.labelmap.array != 0
    assert read.reported[4] == pytest.approx(2 * (moved & lesions).sum() / (moved.sum() + lesions.sum()))
