"""One real server process for the tests of this folder, over generated volumes and an untrained network."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from tests.support.server import FRUGAL, Server

SPACING = 2.0
UPLOAD_LIMIT = 4 * 1024**2


def brain(shape=(40, 44, 36), seed=0) -> np.ndarray:
    """A bright box with a brighter one in it."""
    array = np.zeros(shape, np.float32)
    array[6:-6, 6:-6, 6:-6] = np.random.default_rng(seed).normal(100, 10, tuple(n - 12 for n in shape))
    array[15:20, 15:20, 15:20] += 80
    return array


def oblique() -> np.ndarray:
    """Left-handed and turned by 20° about the first axis, 2 mm."""
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:3, :3] = SPACING * np.array(
        [[-1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, -np.sin(angle), -np.cos(angle)]]
    )
    affine[:3, 3] = [30, -40, 50]
    return affine


def store_model(store: ModelStore, name: str, spacing: float) -> None:
    import torch

    from slicerxai.models.fast import WEIGHTS
    from slicerxai.models.unet import FastUNet

    features = (4, 8)
    torch.manual_seed(0)
    config = {"spacing": spacing, "patch_size": [32, 32, 32], "features": list(features)}
    description = {"name": name, "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}
    with store.create(name) as folder:
        torch.save(FastUNet(1, 2, features).state_dict(), folder / WEIGHTS)
        (folder / "model.json").write_text(json.dumps(description | {"config": config, "provenance": {}}))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`slicerxai serve` with models "tiny" and "slow", images "one", "two", "turned" and "big"."""
    running = Server(tmp_path_factory.mktemp("server"), **FRUGAL, SLICERXAI_UPLOAD_LIMIT=str(UPLOAD_LIMIT))
    affine = np.diag([SPACING, SPACING, SPACING, 1])
    write_volume(running.studies / "one.nii.gz", Volume(brain(), affine))
    write_volume(running.studies / "two.nrrd", Volume(brain(seed=1), affine))
    write_volume(running.studies / "turned.nii.gz", Volume(brain(seed=2), oblique()))
    write_volume(running.studies / "big.nii.gz", Volume(brain((90, 90, 90), seed=3), np.eye(4)))
    store = ModelStore(running.home / "models")
    store_model(store, "tiny", SPACING)
    store_model(store, "slow", 1.0)
    with running:
        yield running
