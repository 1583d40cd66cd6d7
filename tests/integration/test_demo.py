"""The demo's way through the real server, with a model that exists already."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from slicerxai.cli.demo import MODEL, recipe
from slicerxai.cli.main import run
from slicerxai.explain.folder import load
from slicerxai.settings import settings

pytestmark = pytest.mark.slow


def test_demo_on_a_scan_ends_with_the_report(
    tiny_home: Path,
    oblique_scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    shutil.copytree(tiny_home / "models" / "tiny", home / "models" / MODEL)
    (out / "cohort").mkdir(parents=True)
    (out / "cohort" / "trained.json").write_text(recipe())
    monkeypatch.setenv("SLICERXAI_HOME", str(home))
    settings.cache_clear()
    try:
        assert run(["demo", "--image", str(oblique_scan), "--out", str(out)]) == 0
    finally:
        settings.cache_clear()
    shown = capsys.readouterr().out
    report = out / "oblique" / "report.html"
    assert f"Report: {report.resolve()}" in shown
    assert report.read_text().startswith("<!DOCTYPE html>")
    explanation = load(out / "oblique")
    assert {"FLAIR", "lesions", "saliency"} <= explanation.overlays.keys()
    assert explanation.provenance is not None
    assert explanation.provenance.inputs.keys() == {"oblique/FLAIR"}


def test_demo_refuses_a_scan_that_is_no_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"no image")
    assert run(["demo", "--image", str(scan), "--out", str(tmp_path / "out")]) == 2
    assert "scan.nii.gz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
