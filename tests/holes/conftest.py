"""MONAI Label as shipped and our server beside it, over the same studies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from tests.support.server import FRUGAL, Server
from tests.support.small_studies import AFFINE, image, store_model
from tests.support.stock import StockServer

UPLOAD_LIMIT = 4 * 1024**2
SECRET = "secret.nii.gz"


def lay_out(server: Server) -> None:
    """Studies "one", "labelled" (with a label) and "link" (to the secret file beside the studies); "big" to be slow."""
    write_volume(server.root / SECRET, image(7))
    for name in ("one", "labelled"):
        write_volume(server.studies / f"{name}.nii.gz", image())
    mask = np.zeros(image().shape, np.uint8)
    mask[8:12, 8:12, 8:12] = 1
    write_volume(server.studies / "labels" / "final" / "labelled.nii.gz", Volume(mask, AFFINE))
    (server.studies / "link.nii.gz").symlink_to(server.root / SECRET)
    (server.studies / "labels" / "final" / "link.nii.gz").symlink_to(server.root / SECRET)
    write_volume(server.studies / "big.nii.gz", image(3, (48, 48, 48)))


@pytest.fixture(scope="package")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = StockServer(tmp_path_factory.mktemp("stock"), OMP_NUM_THREADS="1")
    lay_out(server)
    with server:
        yield server


@pytest.fixture(scope="package")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root: Path = tmp_path_factory.mktemp("ours")
    (root / "tmp").mkdir()
    own = {"TMPDIR": str(root / "tmp"), "SLICERXAI_UPLOAD_LIMIT": str(UPLOAD_LIMIT)}
    server = Server(root, None, None, **(FRUGAL | own))
    lay_out(server)
    store = ModelStore(server.home / "models")
    store_model(store, "segmentation")
    store_model(store, "slow", spacing=1.5)
    with server:
        yield server
