"""The synthetic case that the server gives to who has no images."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from slicerxai.data.volume import Volume
from slicerxai.explain.multipart import decode
from slicerxai.server import explain_routes, sample
from slicerxai.server.sample import Sample, server_sample


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.include_router(explain_routes.router)
    one = Sample()
    app.dependency_overrides[server_sample] = lambda: one
    return TestClient(app)


def fetched(client):
    answer = client.get("/explain/sample")
    assert answer.status_code == 200, answer.text
    return decode(answer.content, answer.headers["content-type"])


def test_modalities_raters_and_consensus(client):
    found = fetched(client)
    assert (found.method, found.image_id) == ("case", "sample/phantom")
    assert list(found.parameters["images"]) == ["FLAIR", "T1"]
    assert list(found.parameters["masks"]) == [*"1234567", "consensus"]
    flair = found.overlays[found.parameters["images"]["FLAIR"]].volume
    for part in found.parameters["masks"].values():
        mask = found.overlays[part].volume
        assert set(np.unique(mask.array)) == {0, 1}
        np.testing.assert_array_equal(mask.affine, flair.affine)


def test_lesions_of_the_consensus_are_bright(client):
    found = fetched(client)
    flair = found.overlays[found.parameters["images"]["FLAIR"]].volume.array
    agreed = found.overlays[found.parameters["masks"]["consensus"]].volume.array == 1
    brain = flair > np.percentile(flair, 60)
    assert flair[agreed].mean() > 1.2 * flair[brain & ~agreed].mean()


def test_it_is_made_once(client, monkeypatch):
    before = fetched(client)
    monkeypatch.setattr(sample, "simulate", lambda *_: pytest.fail("made again"))
    after = fetched(client)
    np.testing.assert_array_equal(before.overlays["image_1"].volume.array, after.overlays["image_1"].volume.array)


def test_it_is_made_again_when_temporary_files_were_deleted(monkeypatch, tmp_path):
    image = Volume(np.zeros((2, 2, 2)), np.eye(4))
    patient = SimpleNamespace(images={"FLAIR": image}, masks={}, metadata={})
    monkeypatch.setattr(sample, "simulate", lambda *_: patient)
    monkeypatch.setattr(sample.tempfile, "mkdtemp", lambda prefix: str(_new(tmp_path)))
    one = Sample()
    one.body()
    for folder in tmp_path.iterdir():
        folder.rename(folder.with_suffix(".gone"))
    assert one.body().pieces


def _new(root):
    folder = root / f"made{len(list(root.iterdir()))}"
    folder.mkdir()
    return folder
