"""The command itself: quick help, exit codes, output for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from slicerxai.cli import infer
from slicerxai.cli.main import COMMANDS, cli, run
from slicerxai.errors import Cancelled


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from slicerxai.cli.main import run; run(['--help']); "
        "print([m for m in ('torch', 'monai', 'numpy', 'scipy', 'monailabel') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "Usage: slicerxai" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from slicerxai import __version__

    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (Cancelled(), 130),
        (KeyboardInterrupt(), 130),
        (RuntimeError("boom"), 1),
        (PermissionError(13, "denied", "x"), 2),
    ],
)
def test_exit_codes(raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(**_: object) -> None:
        raise raised

    monkeypatch.setattr(infer.command, "callback", failing)
    assert run(["infer", "--image", "x", "--out", "y"]) == code


def test_completion_of_every_shell(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert run(["completion", shell]) == 0
        assert "slicerxai" in capsys.readouterr().out


def test_completion_offers_methods() -> None:
    from click.shell_completion import ShellComplete

    offered = ShellComplete(cli, {}, "slicerxai", "_SLICERXAI_COMPLETE").get_completions(["explain"], "sal")
    assert [item.value for item in offered] == ["saliency"]


def test_doctor(in_tiny_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == (0 if report["ok"] else 1)
    states = {finding["name"]: finding for finding in report["findings"]}
    assert states["model tiny"]["state"] == "fast, FLAIR"
    assert states["model tiny"]["fix"] == ""


def test_doctor_names_a_damaged_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from slicerxai.settings import settings

    folder = tmp_path / "models" / "hurt"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{")
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    try:
        assert run(["doctor"]) == 1
    finally:
        settings.cache_clear()
    assert "FIX model hurt" in capsys.readouterr().out


def test_infer_writes_the_segmentation(
    in_tiny_home: Path, oblique_scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from slicerxai.data.io import read_volume

    out = tmp_path / "out"
    assert run(["infer", "--image", str(oblique_scan), "--out", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    labelmap, scan = read_volume(out / "lesions.nii.gz"), read_volume(oblique_scan)
    np.testing.assert_allclose(labelmap.affine, scan.affine)
    assert labelmap.shape == scan.shape
    assert summary["volume_ml"] == pytest.approx(float(labelmap.array.sum()) * labelmap.voxel_volume / 1000, rel=0.05)
    assert sorted(path.name for path in out.iterdir()) == ["lesions.json", "lesions.nii.gz", "probability.nii.gz"]


def test_options_come_from_the_model() -> None:
    from slicerxai.explain.saliency_parameters import SaliencyParameters

    command = cli.get_command(click.Context(cli), "explain")
    assert isinstance(command, click.Group)
    saliency = command.get_command(click.Context(command), "saliency")
    assert saliency is not None
    assert set(SaliencyParameters.model_fields) <= {parameter.name for parameter in saliency.params}
