"""The radiologist's walk through the page in a real Chromium, with a real server and a small model."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_server import View
from radiologist import reads_a_case, reviews, saves_the_scene
from review_server import SEGMENTER

from slicerxai.data.io import read_volume


@pytest.fixture(scope="module")
def view(viewer_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """The page's own server, connected."""
    with View(tmp_path_factory.mktemp("page"), ["--server", viewer_server.url]) as running:
        yield running


@pytest.mark.slow
def test_a_radiologist_reads_reviews_corrects_and_saves(
    open_page: Callable[..., Any], view: View, viewer_server: Any, tmp_path: Path
) -> None:
    user = open_page(view.url)
    reads_a_case(user, SEGMENTER, lambda _: None)
    image = reviews(user, SEGMENTER, lambda _: None)
    assert user.hosts == {view.url.split("/")[2]}
    item = next(
        one
        for one in viewer_server.request("GET", f"/explain/worklist?model={SEGMENTER}").json()["items"]
        if one["image"] == image
    )
    assert (item["review"]["decision"], item["review"]["comment"]) == ("corrected", "one more above")
    answer = viewer_server.request("GET", f"/datastore/label?label={image}&tag=final")
    answer.raise_for_status()
    suffix = answer.headers["content-disposition"].rsplit("label", 1)[-1]
    path = tmp_path / f"label.{'nrrd' if 'nrrd' in suffix else 'nii.gz'}"
    path.write_bytes(answer.content)
    written, study = read_volume(path), read_volume(viewer_server.studies / f"{image}.nii.gz")
    assert np.allclose(written.affine, study.affine, atol=1e-3)
    assert set(np.unique(written.array)) == {0, 1}
    predicted = sum(lesion["volume_ml"] for lesion in item["lesions"]) * 1000 / study.voxel_volume
    assert written.array.sum() > 1.02 * predicted
    with zipfile.ZipFile(saves_the_scene(user, tmp_path)) as scene:
        assert any(name.endswith(".mrml") for name in scene.namelist())
