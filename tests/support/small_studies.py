"""What a server needs to be asked anything: two small images, a model that is not trained, a cohort of one case."""

from __future__ import annotations

import json

import numpy as np
import torch

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.fast import WEIGHTS
from slicerxai.models.store import ModelStore
from slicerxai.models.unet import FastUNet
from tests.support.server import Server

SHAPE = (24, 26, 22)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def image(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """A bright box in noise, 2 mm."""
    array = np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)
    array[8:12, 8:12, 8:12] += 80
    return Volume(array, AFFINE)


def prepare(server: Server) -> None:
    """Images "one" and "two", model "tiny" of FLAIR, cohort "pair" with cases "01" and "02"."""
    write_volume(server.studies / "one.nii.gz", image())
    write_volume(server.studies / "two.nrrd", image(1))
    store_model(ModelStore(server.home / "models"), "tiny")
    for number in (1, 2):
        folder = server.home / "cohorts" / "pair" / f"{number:02}"
        write_volume(folder / "FLAIR.nii.gz", image(number))
        mask = np.zeros(SHAPE, np.uint8)
        mask[8:12, 8:12, 8:12] = 1
        write_volume(folder / "lesions.nii.gz", Volume(mask, AFFINE))


def store_model(store: ModelStore, name: str, spacing: float = 2.0, features: tuple[int, ...] = (4, 8)) -> None:
    """A network with random weights."""
    torch.manual_seed(0)
    config = {"spacing": spacing, "patch_size": [16, 16, 16], "features": list(features)}
    description = {"name": name, "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}
    with store.create(name) as folder:
        torch.save(FastUNet(1, 2, features).state_dict(), folder / WEIGHTS)
        (folder / "model.json").write_text(json.dumps(description | {"config": config, "provenance": {}}))
