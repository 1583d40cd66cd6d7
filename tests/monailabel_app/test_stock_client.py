"""The client of MONAI Label's own Slicer module, unmodified, drives our server: everything that the module asks for.

Which requests the module makes, and with what, was read in its source: connect, next sample, download, session,
segment, submit, train, status, stop. As the module does, the tests take a new client for each request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from tests.monailabel_app.conftest import SPACING, brain, store_model
from tests.support.issuer import Issuer
from tests.support.server import FRUGAL, Server

PASSWORD = "correct horse battery staple"
TRAIN = {"name": "trained", "steps": 100_000}


class Stock:
    """The person's side.

    Attributes:
        server, root: ours, and a folder for files.
        headers: of a login; empty without logins.
    """

    def __init__(self, server: Server, root: Path, logins: bool) -> None:
        self.server, self.root, self.token = server, root, None
        assert self.client.auth_enabled() == logins
        if logins:
            self.token = self.client.auth_token("ada", PASSWORD)
            assert self.client.auth_valid_token()
        self.headers = dict(self.client._headers)

    @property
    def client(self) -> MONAILabelClient:
        made = MONAILabelClient(self.server.url, str(self.root), "user-xyz")
        made.update_auth(self.token)
        return made


@pytest.fixture(scope="module", params=["open", "with logins"])
def stock(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """The client, connected as the module connects, and what it needs on this side."""
    root = tmp_path_factory.mktemp("stock")
    affine = np.diag([SPACING, SPACING, SPACING, 1])
    with Issuer() as issuer:
        issuer.users["ada"] = (PASSWORD, ["admin"])
        logins = request.param == "with logins"
        server = Server(root, **FRUGAL, **(issuer.environment if logins else {}))
        for number, name in enumerate(("one", "two")):
            write_volume(server.studies / f"{name}.nii.gz", Volume(brain(seed=number), affine))
        store_model(ModelStore(server.home / "models"), "tiny", SPACING)
        with server:
            yield Stock(server, root, logins)


def test_info_has_what_the_module_fills_its_lists_with(stock):
    info = stock.client.info()
    assert {"name", "description", "version", "labels", "models", "trainers", "strategies", "datastore"} <= set(info)
    assert info["models"]["tiny"]["type"] == "segmentation"
    assert list(info["models"]["tiny"]["labels"]) == ["lesion"]
    assert "uncertainty" in info["strategies"]
    assert "fast" in info["trainers"]


def test_next_sample_is_downloaded_as_the_module_does(stock):
    sample = stock.client.next_sample("random", {})
    assert sample["id"] in {"one", "two"}
    assert not Path(sample.get("path", "")).is_absolute()  # the module would open such a file of its own machine
    url = f"{stock.server.url}/datastore/image?image={sample['id']}"
    answer = requests.get(url, headers=stock.headers, timeout=60)
    assert answer.status_code == 200
    file = stock.root / "downloaded.nii.gz"
    file.write_bytes(answer.content)
    assert nib.load(file).shape == brain().shape
    assert sample["id"] in stock.client.datastore()["objects"]


def test_a_client_without_an_id_is_served(stock):
    nameless = MONAILabelClient(stock.server.url, str(stock.root))
    nameless.update_auth(stock.token)
    assert nameless._client_id is None
    assert nameless.next_sample("random", {})["id"] in {"one", "two"}
    assert nameless.infer("tiny", "one", {})[1]["label_names"]
    with pytest.raises(MONAILabelClientException, match="bad model name"):  # which is looked at after the client's id
        nameless.train_start("fast", TRAIN | {"name": "no name"})
    url = f"{stock.server.url}/activelearning/random"
    answer = requests.post(url, json={"client_id": 5}, headers=stock.headers, timeout=60)
    assert (answer.status_code, answer.json()["detail"]) == (422, "bad client_id 5; text is accepted")


def test_a_session_is_made_segmented_and_removed(stock):
    session = stock.client.create_session(str(stock.server.studies / "one.nii.gz"))["session_id"]
    assert stock.client.get_session(session)
    from_session, told = stock.client.infer("tiny", "", {}, session_id=session)
    from_study, _ = stock.client.infer("tiny", "one", {})
    assert set(told["label_names"]) == {"lesion"}
    np.testing.assert_array_equal(voxels(from_session), voxels(from_study))
    assert set(np.unique(voxels(from_study))) <= {0, 1}
    stock.client.remove_session(session)
    with pytest.raises(MONAILabelClientException, match="404"):
        stock.client.get_session(session)


def test_a_label_is_submitted_and_comes_back(stock):
    label = np.zeros(brain().shape, np.uint8)
    label[15:20, 15:20, 15:20] = 1
    file = stock.root / "label.nii.gz"
    write_volume(file, Volume(label, np.diag([SPACING, SPACING, SPACING, 1])))
    stock.client.save_label("one", str(file), "", {"label_info": [{"name": "lesion", "idx": 1}]})
    assert "final" in stock.client.datastore()["objects"]["one"]["labels"]
    np.testing.assert_array_equal(voxels(stock.client.download_label("one", "final")), label)


def test_training_is_started_followed_and_stopped(stock):
    test_a_label_is_submitted_and_comes_back(stock)
    assert stock.client.train_start("fast", TRAIN)
    assert stock.client.train_status()["status"] == "RUNNING"
    assert stock.client.train_status(check_if_running=True)
    with pytest.raises(MONAILabelClientException):
        stock.client.train_start("fast", TRAIN)  # one at a time
    stock.client.train_stop()
    deadline = time.monotonic() + 120
    while stock.client.train_status()["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "trained" not in stock.client.info()["models"]


def test_what_is_unknown_is_refused_in_words(stock):
    for ask in (
        lambda: stock.client.infer("absent", "one", {}),
        lambda: stock.client.infer("tiny", "absent", {}),
        lambda: stock.client.next_sample("absent", {}),
        lambda: stock.client.train_start("absent", {}),
    ):
        with pytest.raises(MONAILabelClientException, match="absent"):
            ask()


def voxels(file: str) -> np.ndarray:
    """Of a file that the client wrote."""
    return np.asarray(nib.load(file).dataobj)
