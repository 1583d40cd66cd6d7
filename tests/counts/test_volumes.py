"""Memory of what is done with whole volumes, in volumes, against `expected`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.lesions import find_lesions, label_lesions
from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Inputs
from slicerxai.explain.folder import load, save
from slicerxai.explain.saliency import SaliencyExplainer
from slicerxai.explain.saliency_parameters import SaliencyParameters
from slicerxai.explain.slices import scenes
from slicerxai.models.fast import LABELS, FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo
from slicerxai.models.sliding_window import blended_logits
from slicerxai.progress import silent
from slicerxai.saliency.grids import density
from slicerxai.saliency.locality import shares
from slicerxai.saliency.target import segmentation_target
from tests.counts.expected import HELD_WITHIN, VOLUMES
from tests.counts.tally import numpy_peak, torch_volumes
from tests.support.spots import bright_spots

CPU = torch.device("cpu")
EDGE, PATCH = 96, (48, 48, 48)
FLOAT32 = 4
WHOLE = 0.7
"""Share of the image's voxels from which a tensor is a whole volume: the network's grid has 0.88 of them."""


@pytest.fixture(scope="module")
def image() -> Volume:
    """A ball of 300 ± 30 with two bright cubes, int16, 1 mm."""
    along = np.linspace(-1, 1, EDGE)
    inside = along[:, None, None] ** 2 + along[None, :, None] ** 2 + along**2 < 0.8
    array = np.where(inside, np.random.default_rng(0).normal(300, 30, inside.shape), 0).astype(np.int16)
    for place in (40, 60):
        cube = slice(place, place + 5)
        array[cube, cube, cube] += 300
    return Volume(array, np.eye(4))


@pytest.fixture(scope="module")
def computations(image: Volume, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[], object]]:
    """By their names in the table. Whatever they need is made before."""
    folder, images = tmp_path_factory.mktemp("volumes"), {"FLAIR": image}
    config = FastConfig(spacing=1.0, patch_size=PATCH, features=(4, 8))
    info = ModelInfo("bright", "fast", ("FLAIR",), LABELS, "0" * 64, {})
    model = FastSegmenter(info, bright_spots(1), config, CPU)  # type: ignore[arg-type]
    prepared = model.prepare(images)
    found = model.predict(images)
    explanation = explained(model, images)
    saliency, lesions = (explanation.overlays[name].volume for name in ("saliency", "lesions"))
    numbered = label_lesions(lesions).array.astype(np.int32)
    region = prepared.tensor[0] > 4
    assert region.any()
    write_volume(folder / "image.nii", image)
    write_volume(folder / "image.nii.gz", image)
    save(explanation, folder / "explanation")
    return {
        "read .nii": lambda: read_volume(folder / "image.nii"),
        "read .nii.gz": lambda: read_volume(folder / "image.nii.gz"),
        "write .nrrd": lambda: write_volume(folder / "written.nrrd", saliency),
        "prepare": lambda: model.prepare(images),
        "logits": lambda: blended_logits(model.network, prepared.tensor, PATCH, 0.25, CPU),
        "predict": lambda: model.predict(images),
        "lesions": lambda: find_lesions(found.labelmap, found.probability),
        "target": lambda: segmentation_target(model.network, prepared.tensor, region, 1, 2, PATCH, 0.25, CPU),
        "density": lambda: density(prepared.tensor[0], prepared.affine, image),
        "shares": lambda: shares(saliency, numbered),
        "saliency": lambda: explained(model, images),
        "save": lambda: save(explanation, folder / "explanation"),
        "load": lambda: load(folder / "explanation"),
        "scenes": lambda: scenes(explanation),
    }


def explained(model: FastSegmenter, images: dict[str, Volume]):
    inputs = Inputs("case", images, {"FLAIR": "0"}, model)
    return SaliencyExplainer().explain(inputs, SaliencyParameters(), silent)


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_held_and_made(name: str, computations: dict[str, Callable[[], object]]) -> None:
    compute, expected = computations[name], VOLUMES[name]
    compute()  # what is imported or remembered once does not count
    voxels = EDGE**3
    assert numpy_peak(compute) / (FLOAT32 * voxels) == pytest.approx(expected.held, abs=HELD_WITHIN), expected.why
    assert torch_volumes(compute, int(WHOLE * voxels)) == expected.made, expected.why


def test_everything_is_in_the_table(computations: dict[str, Callable[[], object]]) -> None:
    assert set(computations) == set(VOLUMES)


def test_what_is_counted_is_what_is_held_and_made(tmp_path: Path) -> None:
    volume = np.ones((40, 40, 40), np.float32)
    assert numpy_peak(lambda: (volume + 1) * 2) / volume.nbytes == pytest.approx(2, abs=0.1)
    tensor = torch.from_numpy(volume)
    assert torch_volumes(lambda: (tensor + 1).reshape(-1)[3:].mul_(2), volume.size // 2) == 1
