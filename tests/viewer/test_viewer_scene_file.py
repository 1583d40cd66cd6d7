"""A scene saved from the page and opened again, without a browser; and what is not opened."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from desk import OBLIQUE, blocks, opened
from XAICohortLib.prepared import Origin, prepared
from XAILib.geometry import resample
from XAILib.nrrd import Volume
from XAIPanels.errors import LoadError
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import affine_of, array_of

from slicerxai.viewer import scene_file
from slicerxai.viewer.correcting import SEGMENT
from slicerxai.viewer.predicting import add_prediction, prediction_of
from slicerxai.viewer.scene_opening import unpack

ROOT = Path(__file__).parents[2]


def filled(desk: Any) -> None:
    """An image with a prediction, and a case with two raters whose agreement was measured."""
    view = slicer.vtkMRMLSliceCompositeNode()
    view.SetSingletonTag("Red")
    desk.application.scene.AddNode(view)
    volume = opened(desk)
    add_prediction(desk.application.scene, volume, Volume((blocks() > 50).astype(np.uint8), OBLIQUE))
    mask = (blocks() > 50).astype(np.uint8)
    masks = {"1": Volume(mask, OBLIQUE), "2": Volume(np.roll(mask, 1, 0), OBLIQUE), "consensus": Volume(mask, OBLIQUE)}
    images = {name: Volume(blocks() * scale, OBLIQUE) for name, scale in (("FLAIR", 1), ("T1", 2))}
    node = desk.images.cohorts.load_case(prepared(Origin("server", "spots", "c01"), images, masks, {}))
    desk.images.choose(desk.images.cohorts.case(node).images["T1"])
    desk.images.opener.measure(node)
    desk.until(lambda: not desk.images.opener.measuring)


def saved(desk: Any) -> bytes:
    content = desk.run(desk.scene_file.save())
    assert content is not None, desk.state.scene_text
    return content


def reopened(desk: Any, content: bytes, name: str = "scene.mrb") -> None:
    desk.scene_file.closing = [desk.images.scene_closing, desk.correcting.scene_closing]
    desk.scene_file.opened = [desk.images.restore, desk.images.follow_scene, desk.jobs.restore]
    desk.scene_file.uploads.receive([{"name": name, "size": len(content), "content": content}])
    desk.scene_file.uploads.receive([])
    desk.until(lambda: not desk.state.scene_busy)


def test_a_saved_scene_has_the_same_voxels_tables_and_choices(desk: Any) -> None:
    filled(desk)
    desk.raters.wish(True)
    kept = {name: desk.state[name] for name in ("raters", "rater_overlaps", "raters_said", "agreement")}
    titles = [item["title"] for item in desk.state.image_items]
    content = saved(desk)
    desk.application.scene.Clear(False)
    assert desk.state.image_items == []
    reopened(desk, content)
    scene = desk.application.scene
    assert desk.state.scene_text == "scene.mrb is open."
    assert {name: desk.state[name] for name in kept} == kept
    assert [item["title"] for item in desk.state.image_items] == titles
    assert desk.images.chosen.GetName() == "c01 T1"
    first = scene.GetFirstNodeByName("FLAIR")
    voxels = resample(array_of(first), affine_of(first), blocks().shape, OBLIQUE, 0)  # the reader may turn axes
    np.testing.assert_array_equal(voxels, blocks())
    drawn = segment_voxels(prediction_of(scene, first), SEGMENT)
    assert drawn.array.sum() == (blocks() > 50).sum()
    view = scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert view.GetBackgroundVolumeID() == desk.images.chosen.GetID()
    assert view.GetLabelVolumeID() == desk.images.cohorts.shown.votes.GetID()


@pytest.mark.slow
def test_a_saved_scene_opens_in_slicer_with_the_same_table(desk: Any, tmp_path: Path) -> None:
    filled(desk)
    (path := tmp_path / "scene.mrb").write_bytes(saved(desk))
    command = [sys.executable, "-m", "tests.viewer.in_slicer", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    words = (tmp_path / "XAICohort.txt").read_text().splitlines()
    assert desk.state.raters_said in words
    for row in desk.state.raters:
        at = words.index(row["name"])
        assert words[at + 1 : at + 4] == [row["volume"], row["lesions"], row["dice"]]


def test_the_page_answers_while_a_scene_is_packed(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(desk)
    answered, real = threading.Event(), scene_file.pack

    def pack(*arguments: Any) -> bytes:
        assert answered.wait(20), "the loop stood still"
        return real(*arguments)

    async def both() -> Any:
        saving = asyncio.ensure_future(desk.scene_file.save())
        while not desk.state.scene_percent:
            await asyncio.sleep(0.01)
        assert desk.state.scene_busy
        assert await desk.scene_file.save() is None  # one at a time
        answered.set()
        return await saving

    monkeypatch.setattr(scene_file, "pack", pack)
    assert zipfile.is_zipfile(io.BytesIO(desk.run(both())))
    assert not desk.state.scene_busy
    assert desk.state.scene_text.startswith("The scene is saved")


def test_what_comes_and_goes_while_a_scene_is_saved(desk: Any) -> None:
    filled(desk)
    scene = desk.application.scene

    async def meddle() -> Any:
        saving = asyncio.ensure_future(desk.scene_file.save())
        await asyncio.sleep(0)
        scene.RemoveNode(scene.GetFirstNodeByName("FLAIR"))
        add_prediction(scene, desk.images.chosen, Volume((blocks() > 50).astype(np.uint8), OBLIQUE))
        return await saving

    reopened(desk, desk.run(meddle()))
    assert scene.GetFirstNodeByName("FLAIR") is None
    found = prediction_of(scene, scene.GetFirstNodeByName("c01 T1"))
    assert segment_voxels(found, SEGMENT).array.sum() == (blocks() > 50).sum()


def test_a_scene_that_cannot_be_written_is_told(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(desk)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scene_file, "pack", full)
    assert desk.run(desk.scene_file.save()) is None
    assert desk.state.scene_text == "Not saved: [Errno 28] No space left on device"
    assert (desk.state.scene_kind, desk.state.scene_busy) == ("error", False)


def bundle(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def mrml(attributes: str, before: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<MRML><VolumeArchetypeStorage id="a" {attributes}/></MRML>'.encode()


NRRD = b"NRRD0004\ntype: float\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no archive", "is no scene bundle"),
        (bundle(**{"readme.txt": b""}), "has no scene in it"),
        (bundle(**{"a.mrml": mrml(""), "b.mrml": mrml("")}), "or more than one"),
        (bundle(**{"a.mrml": b"<MRML><cut"}), "damaged"),
        (bundle(**{"a.mrml": mrml("", '<!DOCTYPE x [<!ENTITY y "z">]>')}), "damaged"),
        (bundle(**{"a.mrml": mrml('fileName="/data/patient.nrrd"')}), "does not lie in it"),
        (bundle(**{"a.mrml": mrml('fileName="%2e%2e/patient.nrrd"')}), "does not lie in it"),
        (bundle(**{"a.mrml": mrml('fileListMember0="../patient.nrrd"')}), "does not lie in it"),
        (bundle(**{"a.mrml": mrml('uri="http://127.0.0.1:9/x.nrrd"')}), "does not lie in it"),
        (bundle(**{"a.mrml": mrml('fileName="x.nhdr"')}), "accepted are .nrrd"),
        (bundle(**{"a.mrml": mrml('fileName="x.nrrd"'), "x.nrrd": NRRD + b"data file: /data/p.raw\n\n"}), "data file"),
    ],
)
def test_a_scene_that_refers_to_anything_else_is_not_opened(
    desk: Any, tmp_path: Path, content: bytes, said: str
) -> None:
    volume = opened(desk)
    with pytest.raises(LoadError, match=r"s\.mrb"):
        unpack("s.mrb", content, tmp_path, lambda _: None)
    reopened(desk, content)
    assert said in desk.state.scene_text
    assert desk.state.scene_kind == "error"
    assert desk.images.chosen is volume


def test_what_would_be_unpacked_beside_the_folder_lies_in_it(tmp_path: Path) -> None:
    content = bundle(**{"../../out.nrrd": NRRD + b"\n", "a.mrml": mrml('fileName="out.nrrd"')})
    assert unpack("s.mrb", content, tmp_path / "in", lambda _: None).name == "a.mrml"
    assert not list(tmp_path.glob("*.nrrd"))
    assert (tmp_path / "in" / "out.nrrd").is_file()
