"""Temporary files of the server below its own home: images that a killed server left are deleted by the next one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from slicerxai.server.owners import Owner


class TemporaryFolder:
    """Where this process and those that it starts put temporary files, from now on until `release`.

    In the system's folder uploaded images would stay after a crash, readable for longer than anyone knows.
    """

    def __init__(self, root: Path) -> None:
        """Make a folder below `root`, and delete those of servers that no longer live."""
        self._owner = Owner(root)
        for left in [path for path in root.iterdir() if path.is_dir()]:
            self._owner.if_dead(left.name, lambda _, left=left: _removed(left))  # type: ignore[misc]
        self.path = root / self._owner.id
        self.path.mkdir(mode=0o700)
        self._before = tempfile.tempdir, os.environ.get("TMPDIR")
        tempfile.tempdir = os.environ["TMPDIR"] = str(self.path)

    def release(self) -> None:
        """Delete it; temporary files go where they went before."""
        tempfile.tempdir, variable = self._before
        if variable is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(self.path, ignore_errors=True)
        self._owner.release()


def _removed(folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    return 1
