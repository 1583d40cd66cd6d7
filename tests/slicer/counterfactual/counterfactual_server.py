"""A real server with two untrained classifiers, a segmenter and small images, one of them with an expert's mask."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from tests.conftest import spotted_brain
from tests.support.classifier import store_classifier
from tests.support.server import FRUGAL, Server

CLASSIFIER, OTHER, SEGMENTER = "regions", "others", "tiny"
MASKED, BARE = "p01", "p02"


@contextmanager
def running_counterfactual_server(root: Path, tiny_home: Path) -> Iterator[Server]:
    """The server; jobs, results and labels are its own."""
    home = root / "home"
    shutil.copytree(tiny_home / "models", home / "models")
    models = ModelStore(home / "models")
    store_classifier(models, CLASSIFIER)
    store_classifier(models, OTHER, seed=1)
    running = Server(root, home, **FRUGAL)
    for number, name in enumerate((MASKED, BARE)):
        image, _ = spotted_brain(seed=20 + number)
        write_volume(running.studies / f"{name}.nii.gz", image)
        if name == MASKED:
            mask = root / "mask.nii.gz"
            write_volume(mask, bright(image))
    with running:
        submit(running, MASKED, mask)
        yield running


def submit(server: Server, image: str, mask: Path) -> None:
    """A file as the expert's mask of an image."""
    with mask.open("rb") as file:
        answer = server.request("PUT", f"/datastore/label?image={image}&tag=final", files={"label": (mask.name, file)})
    assert answer.status_code == 200, answer.text


def bright(image: Volume) -> Volume:
    """What an expert would call lesions."""
    return Volume((np.asarray(image.array) > 150).astype(np.uint8), image.affine)
