"""A scene bundle of every panel, opened again in a fresh process: the same words, the same views, the same picture.

Of the layouts that panels have of their own, the views are compared without their picture.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer_double
from PIL import Image

from tests.slicer.walk.filled import BESIDE, FILLS, lay_beside, looked_at, views_of
from tests.slicer.walk.reopened import EXTENSION, PATHS

ROOT = EXTENSION.parent
MOST_UNLIKE = 0.004
"""Share of the pixels: edges of outlines may fall on the pixel beside."""


def unlike(picture: np.ndarray, other: np.ndarray) -> float:
    """Share of the pixels that differ by more than 48 grey levels."""
    return float((np.abs(picture.astype(int) - other).max(-1) > 48).mean())


def write(folder: Path, name: str, views: dict[str, Any]) -> None:
    """Write a bundle, and keep what the views show."""
    views[name] = views_of(slicer.mrmlScene)
    assert slicer.mrmlScene.WriteToMRB(str(folder / f"{name}.mrb"), None, None), name


def test_every_panel_is_filled() -> None:
    panels = {path.parent.name.removesuffix("Lib") for path in EXTENSION.glob("*/*Lib/widget.py")}
    assert set(FILLS) == panels


def test_a_bundle_opened_in_a_fresh_process(guard: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Each is written by an application of its own: the test double does not get over a scene without layout."""
    for path in PATHS:
        monkeypatch.syspath_prepend(str(path))
    from panel_user import User
    from panels import open_panel

    seen: dict[str, tuple[str, np.ndarray]] = {}
    views_before: dict[str, Any] = {}
    for name, fill in FILLS.items():
        application = slicer_double.start_application()
        guard.listen_to_qt_and_vtk()
        user = User(application, open_panel(name))
        fill(user.panel)
        seen[name] = looked_at(user)
        Image.fromarray(seen[name][1]).save(tmp_path / f"{name}_before.png")
        write(tmp_path, name, views_before)
        if name in BESIDE:
            lay_beside(name, user.panel)
            looked_at(user)
            write(tmp_path, f"{name} beside", views_before)
        application.unload_modules()
        application.close()
    command = [sys.executable, "-m", "tests.slicer.walk.reopened", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    different = {}
    for name, (text, views) in seen.items():
        again = (tmp_path / f"{name}.txt").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line not in again.splitlines()]
        picture = np.asarray(Image.open(tmp_path / f"{name}.png"))
        if lines:
            different[name] = f"words are gone: {lines}; there are: {again}"
        elif picture.shape != views.shape:
            different[name] = f"views of {picture.shape}, not {views.shape}"
        elif (share := unlike(picture, views)) > MOST_UNLIKE:
            different[name] = f"{share:.1%} of the pixels differ"
        assert len(np.unique(views.reshape(-1, 3), axis=0)) > 10, f"{name} shows nothing"
    for name, views in views_before.items():
        again = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        if again != views:
            different[f"views of {name}"] = f"{again}, not {views}"
    assert different == {}, "\n\n".join(f"{name}: {what}" for name, what in different.items())
