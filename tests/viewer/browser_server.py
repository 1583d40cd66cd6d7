"""The servers that a browser needs: ours for the computations, and `slicerxai view` for the page."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from review_server import IMAGES, running_review_server

from slicerxai.data.io import write_volume
from tests.conftest import spotted_brain
from tests.support.server import Server

COHORT, CASE = "spots", "c01"
RATERS = ("1", "2")
START_SECONDS = 120
STOP_SECONDS = 15

__all__ = ["CASE", "COHORT", "IMAGES", "RATERS", "View", "running_viewer_server"]


@contextmanager
def running_viewer_server(root: Path, tiny_home: Path) -> Iterator[Server]:
    """The server of the review panel's tests, and a cohort of one case with two raters."""
    write_case(root / "home" / "cohorts" / COHORT)
    with running_review_server(root, tiny_home) as running:
        yield running


def write_case(cohort: Path) -> None:
    """A cohort of one case: FLAIR, T1, two raters and their consensus; rater 2 draws a voxel further along one axis."""
    image, mask = spotted_brain(seed=22)
    cohort.mkdir(parents=True)
    moved = mask.with_array(np.roll(mask.array, 1, axis=0))
    t1 = image.with_array(np.where(image.array > 0, 200 - image.array, 0).astype(np.float32))
    files = {"FLAIR": image, "T1": t1, "mask_1": mask, "mask_2": moved, "mask_consensus": mask}
    for name, volume in files.items():
        write_volume(cohort / f"{name}.nii.gz", volume)
    lines = ["case_id," + ",".join(files), f"{CASE}," + ",".join(f"{name}.nii.gz" for name in files)]
    (cohort / "cases.csv").write_text("\n".join(lines) + "\n")


class View:
    """`slicerxai view` in a process of its own, from `with` on.

    Attributes:
        url: of the page.
    """

    def __init__(self, root: Path, arguments: Sequence[str | Path] = (), **environment: str) -> None:
        self._root = root
        self._arguments = [str(argument) for argument in arguments]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MONAI_LABEL_", "SLICERXAI_"))}
        self._environment = kept | {"OMP_NUM_THREADS": "1", "SLICERXAI_HOME": str(root / "view_home")} | environment
        self.url = ""

    def __enter__(self) -> View:
        command = [sys.executable, "-m", "slicerxai.cli.main", "view", "--port", "0", *self._arguments]
        out, errors = self._root / "view_out", self._root / "view_errors"
        with out.open("wb") as stdout, errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                command, cwd=self._root, env=self._environment, stdout=stdout, stderr=stderr, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            found = re.search(r"http://\S+?:\d+/?\S*", out.read_text())
            if found:
                self.url = found.group()
                return self
            time.sleep(0.1)
        self._kill()
        pytest.fail(f"no page; exit code {self.process.poll()}; it said: {self.said}")

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            pytest.fail(f"the page's server did not stop within {STOP_SECONDS} s of SIGTERM; it said: {self.said}")

    @property
    def said(self) -> str:
        """What it wrote on its standard error."""
        return (self._root / "view_errors").read_text()[-4000:]

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(timeout=10)
