"""The sections of the page over a real MRML scene, without a browser."""

from __future__ import annotations

import asyncio
import gzip
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np

OBLIQUE = np.array([[-1.5, 0.2, 0.0, 40.0], [0.2, 1.5, 0.3, -30.0], [0.0, -0.3, 2.0, -20.0], [0, 0, 0, 1.0]])
"""Left-handed."""
SERVER = "http://127.0.0.1:9"
OTHER = "http://127.0.0.1:10"


class State(dict):
    """trame's state as far as the sections use it; a change made by `put` is heard as one of the page."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "heard", {})

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is sent."""

    def change(self, name: str) -> Callable[[Any], None]:
        return self.heard.setdefault(name, []).append

    def put(self, name: str, value: Any) -> None:
        self[name] = value
        for function in self.heard.get(name, []):
            function(**{name: value})


@contextmanager
def sections(application: Any) -> Iterator[Any]:
    """The sections over an empty scene, connected to a server that never answers."""
    from XAILib.client import Client

    from slicerxai.viewer.connection import Connected, Connection
    from slicerxai.viewer.correcting import Correcting
    from slicerxai.viewer.images import Images
    from slicerxai.viewer.jobs import Jobs
    from slicerxai.viewer.loop_tasks import LoopTasks
    from slicerxai.viewer.raters import Raters
    from slicerxai.viewer.scene_file import SceneFile

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    application.scene.Clear(False)
    state = State()
    tasks = LoopTasks(state)
    connection = Connection(state, tasks, SERVER)
    models = (SimpleNamespace(name="tiny", channels=("FLAIR",)),)
    connection.server = Connected(Client(SERVER), SimpleNamespace(models=models, version="1"), ("a", "b"), None)
    images = Images(state, application, tasks, connection)
    raters = Raters(state, application, images)
    jobs = Jobs(state, application, tasks, connection)
    correcting = Correcting(state, application, tasks, connection, images, lambda _: None)
    scene_file = SceneFile(state, application, tasks)
    found = SimpleNamespace(**{key: value for key, value in locals().items() if key != "loop"})

    def until(true: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline
            loop.run_until_complete(asyncio.sleep(0.01))

    found.until, found.run = until, loop.run_until_complete
    yield found
    tasks.close()
    images.close()
    asyncio.set_event_loop(None)
    loop.close()


def nifti(array: np.ndarray, affine: np.ndarray = OBLIQUE) -> bytes:
    file = io.BytesIO()
    image = nibabel.Nifti1Image(array, affine)
    image.to_file_map({"image": nibabel.FileHolder(fileobj=file)})
    return gzip.compress(file.getvalue())


def blocks(shape: tuple[int, int, int] = (12, 10, 8)) -> np.ndarray:
    array = np.zeros(shape, np.float32)
    array[2:5, 3:6, 1:4] = 100.0
    array[8, 7, 6] = 55.0
    return array


def opened(desk: Any, name: str = "FLAIR.nii.gz") -> Any:
    desk.images.open_files([(name, nifti(blocks()))])
    desk.until(lambda: not desk.state.loading)
    return desk.images.chosen
