"""The radiologist's walk through the page in a real Chromium, with a real server and a small model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_server import CASE, View
from browser_user import changed
from PIL import Image
from radiologist import (
    opens_the_scene,
    reads_a_case,
    reads_the_report,
    reviews,
    reviews_classes,
    saves_the_scene,
    what_is_told,
)
from review_server import CLASSIFIER, SEGMENTER

from slicerxai.data.io import read_volume

UNLIKE = 0.01
"""Share of the pixels: edges of outlines may fall on the pixel beside."""


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


@pytest.mark.slow
def test_a_saved_scene_is_the_same_in_a_fresh_page(
    open_page: Callable[..., Any], view: View, viewer_server: Any, tmp_path: Path
) -> None:
    user = open_page(view.url)  # with what the walk before has left
    user.tab("Read")
    user.changes("axial", lambda: user.choose("Image to read", f"{CASE} FLAIR"))
    user.press("Raters")
    user.changes("axial", lambda: user.choose("Result", re.compile(r"lesion \d")))
    told, picture = what_is_told(user), user.settled("axial")
    assert all(told.values()), told
    verdict = str(told["verdict"]).split(" ", 1)[0]
    assert verdict in reads_the_report(user)
    bundle = saves_the_scene(user, tmp_path)
    (fresh := tmp_path / "fresh").mkdir()
    with View(fresh, ["--server", viewer_server.url]) as opened:
        other = open_page(opened.url)
        other.status_says(re.compile("Connected"))
        opens_the_scene(other, bundle)
        other.press("Raters")
        again = other.settled("axial")
        for name, seen in (("before", picture), ("after", again)):
            Image.fromarray(seen).save(tmp_path / f"{name}.png")
        assert what_is_told(other) == told
        assert changed(picture, again) < UNLIKE
        assert verdict in reads_the_report(other)


@pytest.mark.slow
def test_classes_are_looked_at_and_corrected(open_page: Callable[..., Any], view: View, viewer_server: Any) -> None:
    image, label = reviews_classes(open_page(view.url), CLASSIFIER)
    items = viewer_server.request("GET", f"/explain/worklist?model={CLASSIFIER}").json()["items"]
    item = next(one for one in items if one["image"] == image)
    predicted = {one["label"]: one["predicted"] for one in item["classes"]}
    assert item["review"]["comment"] == "the other side"
    assert item["review"]["labels"] == predicted | {label: not predicted[label]}
