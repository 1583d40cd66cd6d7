"""`slicerxai explain property` on a scan, with a tiny trained model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slicerxai.cli.main import run
from slicerxai.data.io import read_volume, write_volume


def test_one_property(in_tiny_home: Path, oblique_scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    arguments = ["explain", "property", "--image", str(oblique_scan), "--out", str(out), "--json", "--steps", "3"]
    assert run([*arguments, "--properties", "contrast", "--controls", "1", "--low", "0.8", "--high", "1.2"]) == 0
    summary = json.loads(capsys.readouterr().out)
    effects = summary["tables"]["effects"]
    first = dict(zip(effects["columns"], effects["rows"][0], strict=True))
    assert (first["low"], first["high"], first["neutral"]) == (0.8, 1.2, 1.0)
    assert {check["name"]: check["verdict"] for check in summary["checks"]}["unchanged image"] == "reliable"
    assert {path.name for path in (out / "figures").iterdir()} == {"curve_contrast.png", "strip.png"}
    assert (out / "report.html").is_file()


def test_a_recorded_sequence(
    in_tiny_home: Path, oblique_scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    image = read_volume(oblique_scan)
    brighter = tmp_path / "brighter.nii.gz"
    write_volume(brighter, image.with_array((np.asarray(image.array) ** 1.05).astype(np.float32)))
    arguments = ["explain", "property", "--image", str(oblique_scan), "--out", str(tmp_path / "out"), "--json"]
    arguments += ["--properties", "recorded", "--controls", "0", "--permutations", "0"]
    arguments += ["--sequence", str(oblique_scan), "--sequence", str(brighter)]
    assert run(arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [row[2] for row in summary["tables"]["curve"]["rows"]] == [1, 2]
    assert {name.rpartition("/")[2] for name in summary["provenance"]["inputs"]} == {
        "FLAIR",
        "sequence_1",
        "sequence_2",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--properties", "shape"], "contrast"),
        (["--low", "1"], "one property"),
        (["--properties", "recorded"], "at least 2"),
        (["--sequence", "nowhere.nii.gz"], "does not exist"),
    ],
)
def test_mistakes(
    in_tiny_home: Path,
    oblique_scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    message: str,
) -> None:
    base = ["explain", "property", "--image", str(oblique_scan), "--out", str(tmp_path / "out")]
    assert run([*base, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
