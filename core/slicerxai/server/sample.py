"""A synthetic case for who has no images yet: made when it is first asked for, then kept as long as the server runs."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from threading import Lock

from slicerxai.data.phantom import PhantomParameters, simulate
from slicerxai.explain.folder import write_parts
from slicerxai.explain.multipart import Body, body_of_folder
from slicerxai.server.case_volumes import packed

SPACING_MM = 2.0
SEED = 11
CENTRE = "01"


class Sample:
    """The parts of the case, on disk."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._folder: Path | None = None

    def body(self) -> Body:
        """The case in the form in which results are sent.

        The first call computes for some seconds; others wait for it.

        Raises `OSError` when it cannot be written.
        """
        with self._lock:
            if self._folder is None or not self._folder.is_dir():  # temporary files end with the server that made them
                self._folder = _written(Path(tempfile.mkdtemp(prefix="slicerxai-sample-")))
            return body_of_folder(self._folder)


@cache
def server_sample() -> Sample:
    """The one of this process."""
    return Sample()


def _written(folder: Path) -> Path:
    patient = simulate(PhantomParameters(seed=SEED, centres=(CENTRE,), patients=1, spacing=SPACING_MM), 0)
    write_parts(packed("sample/phantom", "phantom", patient.images, patient.masks, patient.metadata), folder)
    return folder
