"""Saving the scene as a file of the reader's, and opening such a file in place of the scene."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trame_server.utils.asynchronous import get_event_loop
from XAIPanels.errors import SceneError

from slicerxai.viewer.application import Application
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.messages import Messages
from slicerxai.viewer.scene_opening import NO_BUNDLE, unpack
from slicerxai.viewer.scene_saving import describing, pack
from slicerxai.viewer.uploads import Files, Uploads

SCENE_LIMIT = 2 * 1024**3
"""Largest scene that the page sends, bytes."""
TOO_LARGE = f"The scene is larger than {SCENE_LIMIT // 1024**3} GB; open it in 3D Slicer."
DESCRIBED = 0.3
"""Share of the progress that is made when only voxels are left to be written."""


class SceneFile:
    """One file at a time.

    Attributes:
        closing: called before the scene is replaced.
        opened: called when another scene is there, in this order.
    """

    def __init__(self, state: Any, application: Application, tasks: LoopTasks) -> None:
        self.closing: list[Callable[[], None]] = []
        self.opened: list[Callable[[], None]] = []
        self.uploads = Uploads(SCENE_LIMIT, self.open, lambda: self.said.fail(TOO_LARGE))
        self.said = Messages(state, "scene")
        self._state = state
        self._application = application
        self._tasks = tasks
        state.update({"scene_busy": False})

    async def save(self) -> bytes | None:
        """The scene as an MRB file; None when it came to nothing, which the page is told."""
        if self._state.scene_busy:
            return None
        self._begin("Saving the scene")
        try:
            with TemporaryDirectory(prefix="xai-scene-") as folder:
                content = await self._saved(Path(folder))
        except (SceneError, OSError) as error:
            self.said.fail(f"Not saved: {error}")
            return None
        finally:
            self._state.scene_busy = False
        self.said.succeed(f"The scene is saved ({len(content) / 1e6:.1f} MB).")
        return content

    def open(self, files: Files) -> None:
        """Open the first of some files in place of the scene."""
        if self._state.scene_busy:
            return
        name, content = files[0]
        self._begin("Opening the scene")
        folder = TemporaryDirectory(prefix="xai-scene-")

        def work(_stop: Any, progress: Callable[[float, str, float | None], None]) -> Path:
            return unpack(name, content, Path(folder.name), lambda share: progress(share, "Opening the scene", None))

        def done(scene: Path) -> None:
            with folder:
                read = self._replace(scene)
            self._state.scene_busy = False
            if read:
                self.said.succeed(f"{name} is open.")
            else:
                self.said.fail(NO_BUNDLE.format(name=name))

        def failed(error: BaseException) -> None:
            folder.cleanup()
            self._state.scene_busy = False
            known = isinstance(error, (SceneError, OSError))
            self.said.fail(str(error) if known else f"Unexpected fault: {error!r}. Please report it.")

        self._tasks.start(work, done, failed, self.said.progress)

    async def _saved(self, folder: Path) -> bytes:
        steps = describing(self._application.scene, folder)
        while True:
            try:
                share = next(steps)
            except StopIteration as ended:
                voxels = ended.value
                break
            self._tell(DESCRIBED * share)
            await asyncio.sleep(0)  # the page answers in between
        written: asyncio.Future[bytes] = get_event_loop().create_future()

        def work(_stop: Any, progress: Callable[[float, str, float | None], None]) -> bytes:
            return pack(folder, voxels, lambda share: progress(DESCRIBED + (1 - DESCRIBED) * share, "", None))

        self._tasks.start(
            work, written.set_result, written.set_exception, lambda share, _words, _eta: self._tell(share)
        )
        return await written

    def _replace(self, path: Path) -> bool:
        """Close the scene and read another one; whether it could be read."""
        scene = self._application.scene
        for function in self.closing:
            function()
        scene.Clear(False)
        scene.SetURL(str(path))
        read = bool(scene.Import())
        self._application.follow_scene()
        for function in self.opened:
            function()
        return read

    def _begin(self, words: str) -> None:
        self._state.scene_busy = True
        self.said.progress(0.0, words, None)

    def _tell(self, share: float) -> None:
        with self._state:
            self.said.progress(share, "Saving the scene", None)
