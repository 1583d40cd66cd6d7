"""The command line and HTTP give the same explanation, bit for bit, on an oblique, left-handed image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests

from slicerxai.data.io import read_volume
from slicerxai.explain.folder import load
from slicerxai.explain.multipart import decode

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", ["lrp", "input_x_gradient", "integrated_gradients"])
def test_same_bits(method: str, server, tiny_home: Path, oblique_scan: Path, tmp_path: Path) -> None:
    parameters = {"method": method, "seed": 7, "steps": 4}
    with oblique_scan.open("rb") as file:
        stored = requests.put(
            f"{server.url}/datastore/",
            params={"image": "oblique"},
            files={"file": ("oblique.nii.gz", file)},
            timeout=60,
        )
    assert stored.status_code == 200, stored.text
    answer = requests.post(
        f"{server.url}/explain/saliency", params={"wait": "true"}, json={"image": "oblique", "parameters": parameters}
    )
    assert answer.status_code == 200, answer.text
    over_http = decode(answer.content, answer.headers["content-type"])

    command = [sys.executable, "-m", "slicerxai.cli.main", "explain", "saliency", "--image", str(oblique_scan)]
    command += ["--out", str(tmp_path / "out"), "--method", method, "--seed", "7", "--steps", "4"]
    subprocess.run(command, check=True, env={**os.environ, "SLICERXAI_HOME": str(tiny_home)})
    on_command_line = load(tmp_path / "out")

    assert over_http.overlays.keys() == on_command_line.overlays.keys()
    assert "saliency" in over_http.overlays
    for name, overlay in over_http.overlays.items():
        other = on_command_line.overlays[name]
        assert overlay.volume.array.dtype == other.volume.array.dtype, name
        np.testing.assert_array_equal(overlay.volume.array, other.volume.array, err_msg=name)
        np.testing.assert_array_equal(overlay.volume.affine, other.volume.affine, err_msg=name)
    assert np.abs(over_http.overlays["saliency"].volume.array).max() > 0
    scan = read_volume(oblique_scan)
    np.testing.assert_allclose(over_http.overlays["saliency"].volume.affine, scan.affine, atol=1e-5)
    assert over_http.metrics == on_command_line.metrics
    assert over_http.checks == on_command_line.checks
    assert over_http.tables == on_command_line.tables
