"""MONAI Label's own server, as shipped, over the app `stock_app`: what ours is compared with."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from tests.support.server import Server

APP = Path(__file__).parent / "stock_app"
NEEDED = {
    "MONAI_LABEL_TRACKING_ENABLED": "false",
    "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
    "MONAI_LABEL_DATASTORE_FILE_EXT": '["*.nii.gz", "*.nii", "*.nrrd"]',
}
"""Settings without which MONAI Label 0.8.5 does not work here: its MLflow store, its scoring at start."""


class StockServer(Server):
    """`monailabel start_server`, bound to this machine alone, with the models "segmentation" and "slow".

    Its app, sessions and temporary files lie below `root`: `root/app`, `root/sessions`, `root/tmp`.
    """

    def __init__(self, root: Path, **environment: str) -> None:
        self.app = root / "app"
        shutil.copytree(APP, self.app, ignore=shutil.ignore_patterns("__pycache__"))
        store_model(self.app / "model" / "segmentation.ts", width=4, depth=2)
        store_model(self.app / "model" / "slow.ts", width=24, depth=6)
        (root / "tmp").mkdir()
        command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(self.app)]
        command += ["--studies", str(root / "studies"), "--host", "127.0.0.1"]
        own = {"MONAI_LABEL_SESSION_PATH": str(root / "sessions"), "TMPDIR": str(root / "tmp"), "PYTHONPATH": ""}
        super().__init__(root, None, command, **(NEEDED | own | environment))

    def stop(self) -> None:
        """SIGKILL to it and what it started; its background threads outlive a SIGTERM."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)


def store_model(path: Path, width: int, depth: int) -> None:
    """An untrained network of `depth` convolutions, one channel in and two out, as TorchScript."""
    torch.manual_seed(0)
    channels = [1, *[width] * (depth - 1), 2]
    network = torch.nn.Sequential(
        *[torch.nn.Conv3d(before, after, 3, padding=1) for before, after in itertools.pairwise(channels)]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.script(network.eval()).save(str(path))
