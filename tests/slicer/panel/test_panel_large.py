"""A whole brain at 1 mm: the window answers while it is sent and while its result becomes nodes (the guard watches)."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

SHAPE = (182, 218, 182)
AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])
GROUPS = ("overlays", "tables", "figures", "metrics", "parameters")


@pytest.fixture(scope="module")
def brain() -> np.ndarray:
    """Noise, which packs badly, in an ellipsoid, with lesions."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, SHAPE).astype(np.float32)
    place = [np.linspace(-1, 1, size, dtype=np.float32) ** 2 for size in SHAPE]
    image *= np.add.outer(np.add.outer(place[0], place[1]), place[2]) < 0.8
    image[100:110, 100:110, 100:108] += 100
    return image


@pytest.fixture(scope="module")
def result(brain: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a server would send for it."""
    from XAILib.nrrd import Volume, write
    from XAILib.result import Result

    lesions = brain > 150
    volumes = {
        "FLAIR": ("image", brain),
        "saliency": ("saliency", (brain - 90) * (brain > 0) * np.float32(1e-3)),
        "lesions": ("labelmap", lesions.astype(np.uint8)),
        "explained_lesion": ("labelmap", lesions.astype(np.uint8)),
    }
    document: dict[str, Any] = {name: {} for name in GROUPS}
    document |= {"format": 1, "method": "saliency", "image_id": "x", "verdict": "reliable", "flags": [], "checks": []}
    path, parts = tmp_path_factory.mktemp("parts") / "part.nrrd", {}
    for name, (kind, array) in volumes.items():
        write(path, Volume(array, AFFINE))
        parts[name] = path.read_bytes()
        sha256 = hashlib.sha256(parts[name]).hexdigest()
        document["overlays"][name] = {"kind": kind, "units": "", "description": "", "sha256": sha256}
    return Result(document, parts, "1")


@pytest.fixture
def sent(user: Any, result: Any, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The panel is connected to a server that answers at once; the files that it was sent."""
    from XAILib.catalogue import Catalogue, Method, Model
    from XAILib.client import Client
    from XAIPanels import sending
    from XAIPanels.image_server import ImageServer

    found: list[Path] = []

    def run(_client: Any, _method: str, source: Any, *_rest: Any) -> Any:
        found.extend(source.get("files", [source.get("image")]))
        assert all(path.stat().st_size > 1e6 for path in source.get("files", []))
        return result

    monkeypatch.setattr(sending, "run_explanation", run)
    models = (Model("tiny", "unet", ("FLAIR",), ("background", "lesion")),)
    catalogue = Catalogue("1", (Method("saliency", "Saliency", "", {}),), models, {})
    user.panel.server._connected(ImageServer(Client("http://127.0.0.1:1"), catalogue, ("case",)))
    return found


def test_a_loaded_volume(user: Any, sent: list[Path], brain: np.ndarray) -> None:
    from XAIPanels.volumes import array_of

    user.loads(brain, AFFINE)
    node = user.explains()
    (path,) = sent
    assert path.name == "FLAIR.nrrd"
    assert not path.parent.exists()
    assert array_of(user.panel.logic.result(node).saliency).shape == SHAPE
    assert user.panel.logic.result(node).outlines.GetSegmentation().GetNumberOfSegments() == 2
    user.waits_for("Done: FLAIR")


def test_a_study_brings_its_image(user: Any, sent: list[Any], brain: np.ndarray) -> None:
    from XAIPanels.volumes import array_of

    user.click(user.ui.studyButton)
    node = user.explains()
    assert sent == ["case"]
    assert np.array_equal(array_of(user.panel.logic.result(node).source), brain)


def test_scene_closed_while_the_result_is_unpacked(
    user: Any, sent: list[Path], brain: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from XAISaliencyLib import work

    real, started = work.prepare, []

    def slow(result: Any) -> Any:
        started.append(1)
        time.sleep(0.5)
        return real(result)

    monkeypatch.setattr(work, "prepare", slow)
    user.loads(brain, AFFINE)
    user.click(user.ui.runButton)
    user.waits(lambda: started and "Loading the result" in user.sees())
    slicer.mrmlScene.Clear(0)
    user.waits_for("The scene was closed")
    assert user.panel.logic.results() == []
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


def test_leaving_a_module_that_was_closed_or_never_opened(user: Any) -> None:
    widget = user.module.widgetRepresentation().self()
    widget.cleanup()
    widget.exit()
    assert widget.panel is None
