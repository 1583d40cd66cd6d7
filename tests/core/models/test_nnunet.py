"""The nnU-Net segmenter: agreement with nnU-Net itself, geometry, and behaviour towards callers."""

import copy
import json
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from nnunetv2.imageio.nibabel_reader_writer import NibabelIOWithReorient
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from scipy import ndimage

from slicerxai.data.case import Case
from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.interventions.outcomes import reader
from slicerxai.models import nnunet_training
from slicerxai.models.nnunet import NnunetSegmenter
from slicerxai.models.nnunet_environment import TRAINER_FOLDER
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.protocols import Segmenter

CPU = torch.device("cpu")
SPACING = np.diag([2.0, 3.0, 2.5, 1.0])  # the coarsest axis is the second one, so nnU-Net permutes the axes
SHAPE = (30, 24, 26)


def rotation(degrees, axis):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    p, q = [n for n in range(3) if n != axis]
    matrix[p, p], matrix[p, q], matrix[q, p], matrix[q, q] = c, -s, s, c
    return matrix


def translation(*mm):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return matrix


OBLIQUE = translation(-31.5, 12.25, 40) @ rotation(17, 0) @ rotation(-11, 2) @ SPACING
LEFT_HANDED = translation(20, -14, 3) @ rotation(9, 1) @ SPACING @ np.diag([-1.0, 1, 1, 1])
PERMUTED = translation(5, 6, 7) @ rotation(12, 2) @ np.eye(4)[[2, 0, 1, 3]] @ np.diag([1.5, -2.0, 2.5, 1])


def blobs(seed, affine=SPACING):
    """A head-like ellipsoid with bright balls: FLAIR, T1 and the mask of the balls."""
    rng = np.random.default_rng(seed)
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).astype(float)
    centre = (np.array(SHAPE) - 1) / 2
    head = (((index - centre) / (np.array(SHAPE) * 0.42)) ** 2).sum(-1) < 1
    mask = np.zeros(SHAPE, dtype=bool)
    for _ in range(5):
        place = centre + rng.uniform(-0.25, 0.25, 3) * SHAPE
        mask |= (((index - place) * np.diag(SPACING)[:3]) ** 2).sum(-1) < rng.uniform(5, 9) ** 2
    mask &= head
    flair = head * (100 + 5 * rng.standard_normal(SHAPE)) + 60 * mask
    t1 = head * (80 + 5 * rng.standard_normal(SHAPE)) - 20 * mask
    return {"FLAIR": Volume(flair.astype(np.float32), affine), "T1": Volume(t1.astype(np.float32), affine)}, mask


def write_case(folder, seed):
    images, mask = blobs(seed)
    for modality, image in images.items():
        write_volume(folder / f"{seed}_{modality}.nii.gz", image)
    write_volume(folder / f"{seed}_mask.nii.gz", images["FLAIR"].with_array(mask.astype(np.uint8)))
    return Case(
        f"case{seed}",
        {name: folder / f"{seed}_{name}.nii.gz" for name in images},
        {"1": folder / f"{seed}_mask.nii.gz"},
    )


@dataclass
class Trained:
    folder: Path
    results: Path
    segmenter: NnunetSegmenter


@pytest.fixture(scope="module", params=["3d_fullres", "2d"])
def trained(request, tmp_path_factory):
    """A model trained for seconds: one channel in 3D, two in 2D. `results` is nnU-Net's own output folder."""
    root = tmp_path_factory.mktemp(request.param)
    folder, results = root / "model", root / "results"
    folder.mkdir()
    channels = ("FLAIR",) if request.param == "3d_fullres" else ("FLAIR", "T1")
    parameters = NnunetTrainingParameters(
        channels=channels,
        configuration=request.param,
        epochs=3,
        iterations=10,
        patch=16,
        features=4,
        learning_rate=0.01,
    )
    export = nnunet_training._export

    def keep(*arguments):
        shutil.copytree(nnunet_training.work_folder(folder, "tiny") / "nnUNet_results", results)
        export(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nnunet_training, "_export", keep)
        cases = [write_case(root / "cases", seed) for seed in range(3)]
        nnunet_training.train_nnunet(cases, "1", parameters, folder, "tiny", CPU)
    return Trained(folder, results, NnunetSegmenter.load(folder, CPU))


@pytest.mark.slow
@pytest.mark.parametrize("mirroring", [False, True])
@pytest.mark.parametrize("affine", [OBLIQUE, LEFT_HANDED, PERMUTED], ids=["oblique", "left-handed", "permuted"])
def test_agrees_with_nnunet_itself(trained, tmp_path, monkeypatch, mirroring, affine):
    """nnU-Net's own loading, reading, predicting and writing of the same file give the same voxels."""
    images, _ = blobs(50, affine)
    paths = [tmp_path / f"{channel}.nii.gz" for channel in trained.segmenter.info.channels]
    for channel, path in zip(trained.segmenter.info.channels, paths, strict=True):
        write_volume(path, images[channel])

    monkeypatch.setenv("nnUNet_extTrainer", str(TRAINER_FOLDER))
    reference = nnUNetPredictor(use_mirroring=mirroring, device=CPU, allow_tqdm=False)
    (output,) = trained.results.glob("*/*")
    reference.initialize_from_trained_model_folder(str(output), ("all",), "checkpoint_final.pth")
    assert type(reference.network).__name__ == "PlainConvUNet"
    reader = NibabelIOWithReorient()
    data, properties = reader.read_images([str(path) for path in paths])
    labels, probabilities = reference.predict_single_npy_array(data, properties, None, None, True)
    reader.write_seg(labels, str(tmp_path / "seg.nii.gz"), properties)

    segmenter = NnunetSegmenter.load(trained.folder, CPU, mirroring=mirroring)
    ours = segmenter.predict(
        {channel: read_volume(path) for channel, path in zip(segmenter.info.channels, paths, strict=True)}
    )

    expected = read_volume(tmp_path / "seg.nii.gz")
    assert 50 < np.count_nonzero(expected.array) < 0.5 * expected.array.size
    np.testing.assert_array_equal(ours.labelmap.array, expected.array)
    np.testing.assert_allclose(ours.labelmap.affine, expected.affine, atol=1e-4)
    back = nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], nib.io_orientation(ours.labelmap.affine))
    lesion = nib.apply_orientation(1 - probabilities[0].transpose(2, 1, 0), back)
    np.testing.assert_allclose(ours.probability.array, lesion, atol=1e-6)


@pytest.mark.parametrize(
    "affine", [SPACING, OBLIQUE, LEFT_HANDED, PERMUTED], ids=["straight", "oblique", "left-handed", "permuted"]
)
def test_landmarks_keep_their_place(trained, affine):
    """A ball found on the prepared grid lies, by its affine, where it was put in the world."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).astype(float)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    for place in [(9.3, 8.6, 10.2), (20.1, 14.4, 8.7), (14, 12.5, 17.3)]:
        point = affine[:3, :3] @ place + affine[:3, 3]
        bright = 1000 * np.exp(-((world - point) ** 2).sum(-1) / (2 * 4.0**2))
        array = np.zeros(SHAPE)
        array[3:27, 2:21, 4:23] = 1
        image = Volume((array * (100 + bright)).astype(np.float32), affine)

        prepared = trained.segmenter.prepare({"FLAIR": image, "T1": image})

        tensor = prepared.tensor[0].numpy()
        assert prepared.tensor.dtype == torch.float32
        assert tensor.size < 0.6 * array.size * abs(np.linalg.det(affine[:3, :3])) / 15 + 6000  # cropped
        weight = np.clip(tensor - np.median(tensor[tensor > tensor.min()]) - 0.5, 0, None)
        found = np.append(ndimage.center_of_mass(weight), 1)
        np.testing.assert_allclose((prepared.affine @ found)[:3], point, atol=0.4)


def test_prediction_follows_the_stored_axes(trained):
    """The same head stored with other axes gives the same result with those axes."""
    images, mask = blobs(51)
    plain = trained.segmenter.predict(images)
    stored = {name: Volume(v.array.transpose(1, 2, 0)[::-1, :, ::-1].copy(), np.eye(4)) for name, v in images.items()}
    back = np.zeros((4, 4))
    back[1, 0], back[1, 3], back[2, 1], back[0, 2], back[0, 3], back[3, 3] = -1, SHAPE[1] - 1, 1, -1, SHAPE[0] - 1, 1
    stored = {name: Volume(v.array, SPACING @ back) for name, v in stored.items()}

    turned = trained.segmenter.predict(stored)

    np.testing.assert_array_equal(turned.labelmap.array, plain.labelmap.array.transpose(1, 2, 0)[::-1, :, ::-1])
    assert turned.labelmap.affine is stored["FLAIR"].affine or np.array_equal(turned.labelmap.affine, SPACING @ back)
    predicted = plain.labelmap.array == 1
    assert 2 * (predicted & mask).sum() / (predicted.sum() + mask.sum()) > 0.6
    np.testing.assert_array_equal(predicted, plain.probability.array > 0.5)
    assert plain.labelmap.array.dtype == np.uint8
    assert plain.probability.array.dtype == np.float32


def test_network_is_fit_for_gradients_and_hooks(trained):
    network, patch = trained.segmenter.network, trained.segmenter.patch_size
    assert isinstance(trained.segmenter, Segmenter)
    assert not any(module.training or getattr(module, "inplace", False) for module in network.modules())
    image = torch.randn(2, len(trained.segmenter.info.channels), *patch, requires_grad=True)
    logits = network(image)
    assert logits.shape == (2, 2, *patch)
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), image)
    assert gradient.abs().sum() > 0


def test_flat_network_sees_one_slice_at_a_time(trained):
    if trained.segmenter.patch_size[0] != 1:
        pytest.skip("a 3D network")
    volume = torch.randn(2, 2, 3, *trained.segmenter.patch_size[1:])
    with torch.no_grad():
        together = trained.segmenter.network(volume)
        for item in range(2):
            for place in range(3):
                alone = trained.segmenter.network.network(volume[item : item + 1, :, place])[0]
                torch.testing.assert_close(together[item, :, place], alone, rtol=1e-4, atol=1e-5)


def test_network_gives_the_predictors_logits(trained):
    """On an image of just one patch, away from its corners, where nnU-Net's weights vanish in half precision."""
    segmenter = trained.segmenter
    patch = segmenter.patch_size
    prepared = segmenter.prepare(blobs(52)[0])
    tensor = prepared.tensor[(slice(None), *(slice(4, 4 + edge) for edge in patch))]
    with torch.no_grad():
        expected = segmenter.network(tensor[None])[0]
    blended = segmenter._predictor.logits(tensor, lambda _fraction, _message: None)
    inner = (slice(None), slice(None) if patch[0] == 1 else slice(4, 12), slice(4, 12), slice(4, 12))
    torch.testing.assert_close(blended.float()[inner], expected[inner], atol=0.02, rtol=0.01)


def test_outputs_along_a_property_are_those_of_the_model(trained):
    segmenter = trained.segmenter
    images, mask = blobs(9, LEFT_HANDED)
    expert = Volume(mask.astype(np.uint8), LEFT_HANDED)
    read = reader(segmenter, images, expert)
    prepared = segmenter.prepare(images)
    found = read.read(prepared.tensor[None])[0]
    assert found == pytest.approx(read.reported, rel=1e-4)
    own = segmenter.predict(images).labelmap.array != 0
    assert np.array_equal(read.labelmap(prepared.tensor).array != 0, own)
    assert found[0] == pytest.approx(own.sum() * expert.voxel_volume / 1000)
    louder = {name: image.with_array(image.array * 1.5) for name, image in images.items()}
    assert read.prepare(louder).shape == prepared.tensor.shape


def test_second_case_starts_at_once(trained, monkeypatch):
    images, _ = blobs(53)
    first = trained.segmenter.predict(images)

    def forbidden(*_arguments, **_options):
        pytest.fail("read from disk or built again")

    monkeypatch.setattr(torch, "load", forbidden)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", forbidden)
    monkeypatch.setattr(Path, "open", forbidden)
    second = trained.segmenter.predict(images)
    np.testing.assert_array_equal(second.probability.array, first.probability.array)


def test_progress_and_cancelling(trained):
    images, _ = blobs(54)
    reports = []
    trained.segmenter.predict(images, lambda fraction, message: reports.append((fraction, message)))
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert sum(message.startswith("patch ") for _, message in reports) > 3

    def stop(_fraction, message):
        if message.startswith("patch 3 "):
            raise Cancelled

    threads = threading.active_count()
    with pytest.raises(Cancelled):
        trained.segmenter.predict(images, stop)
    assert threading.active_count() == threads
    again = trained.segmenter.predict(images)
    assert again.labelmap.array.any()


def broken(change):
    images, _ = blobs(55)
    array = images["FLAIR"].array.copy()
    images["FLAIR"] = change(array, images["FLAIR"].affine)
    return images


BAD_IMAGES = {
    "missing": (lambda: {"PD": blobs(55)[0]["T1"]}, "FLAIR"),
    "nan": (lambda: broken(lambda a, m: Volume(np.where(a > 150, np.nan, a), m)), "NaN"),
    "empty": (lambda: broken(lambda a, m: Volume(a * 0, m)), "empty"),
    "flat affine": (lambda: broken(lambda a, m: Volume(a, m @ np.diag([1.0, 0, 1, 1]))), "voxel sizes"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_unusable_images_are_refused(trained, name):
    images, said = BAD_IMAGES[name]
    with pytest.raises(InputError, match=said):
        trained.segmenter.prepare(images())


def test_channels_on_different_grids_are_refused(trained):
    if len(trained.segmenter.info.channels) == 1:
        pytest.skip("one channel")
    images, _ = blobs(56)
    images["T1"] = Volume(images["T1"].array, images["T1"].affine @ translation(1, 0, 0))
    with pytest.raises(InputError, match="T1 lies on another grid than FLAIR"):
        trained.segmenter.predict(images)


def test_plans_cannot_name_foreign_code(trained, tmp_path):
    plans = json.loads((trained.folder / "plans.json").read_text())
    configuration = json.loads((trained.folder / "model.json").read_text())["configuration"]
    for change in [("network_class_name", "subprocess.Popen"), ("conv_op", "os.system")]:
        changed = copy.deepcopy(plans)
        architecture = changed["configurations"][configuration]["architecture"]
        (architecture if change[0] in architecture else architecture["arch_kwargs"])[change[0]] = change[1]
        folder = tmp_path / change[0]
        shutil.copytree(trained.folder, folder)
        (folder / "plans.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=change[1]):
            NnunetSegmenter.load(folder, CPU)
