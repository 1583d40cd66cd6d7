"""The page put together: one scene, one connection, one tray of jobs, and the sections that use them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trame.app import get_server
from XAILib.nrrd import Volume
from XAIPanels.segment_voxels import segment_voxels

from slicerxai.viewer import page
from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import Connection
from slicerxai.viewer.correcting import SEGMENT, Correcting
from slicerxai.viewer.explaining import Explaining
from slicerxai.viewer.images import Images
from slicerxai.viewer.jobs import Jobs
from slicerxai.viewer.layers import Layers
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.predicting import Predicting, prediction_of
from slicerxai.viewer.raters import Raters
from slicerxai.viewer.reports import Reports
from slicerxai.viewer.review import Review
from slicerxai.viewer.scene_file import SceneFile
from slicerxai.viewer.views import Views


class ViewerApp:
    """Everything of the page. A process has one; whoever opens the page again sees the same scene.

    Args:
        url: of the explain server that is proposed.
        connect: ask it at once.
        files: images to open.
    """

    def __init__(self, url: str, connect: bool, files: Sequence[Path] = ()) -> None:
        from trame_slicer import module

        self.server = get_server("slicerxai", client_type="vue3")
        self.server.enable_module(module)
        state = self.server.state
        self.application = Application()
        self.tasks = LoopTasks(state)
        self.views = Views(self.server, self.application)
        self.connection = Connection(state, self.tasks, url)
        self.images = Images(state, self.application, self.tasks, self.connection)
        self.raters = Raters(state, self.application, self.images)
        self.jobs = Jobs(state, self.application, self.tasks, self.connection)
        self.reports = Reports(self.jobs)
        self.explaining = Explaining(
            state, self.application, self.tasks, self.connection, self.images, self.jobs
        )  # fmt: skip
        self.predicting = Predicting(state, self.application, self.connection, self.images, self.jobs)
        self.layers = Layers(state, self.application, self.images, self.predicting, self.explaining)
        self.correcting = Correcting(
            state, self.application, self.tasks, self.connection, self.images, self._predicted
        )  # fmt: skip
        self.review = Review(
            state, self.application, self.tasks, self.connection, self.images, self.correcting
        )  # fmt: skip
        self.scene_file = SceneFile(state, self.application, self.tasks)
        self.scene_file.closing += [
            self.images.scene_closing, self.correcting.scene_closing, self.review.scene_closing
        ]  # fmt: skip
        self.scene_file.opened += [
            self.images.restore,
            self.layers.restore,
            self.images.follow_scene,
            self.jobs.restore,
            self.explaining.follow_scene,
            self.review.restore,
        ]  # fmt: skip
        self.explaining.answered.append(lambda: self.raters.wish(False))
        self.predicting.listeners.append(lambda: self.raters.wish(False))
        self._connect, self._files = connect, tuple(files)
        self.layout = page.draw(self)
        self.server.controller.on_server_ready.add(self._ready)
        self.server.controller.on_client_connected.add(self.views.render)

    async def save_scene(self) -> Any:
        """The scene as an MRB file for the page to download; None when it could not be saved."""
        content = await self.scene_file.save()
        return None if content is None else self.server.protocol.addAttachment(content)

    def _predicted(self, volume: Any) -> Volume | None:
        """What a model found in an image, as far as the scene has it."""
        node = prediction_of(self.application.scene, volume) or self.explaining.outlines_of(volume)
        return None if node is None else segment_voxels(node, SEGMENT)

    def close(self) -> None:
        """Stop everything; jobs of the server go on there."""
        self.jobs.close()
        self.review.close()
        self.images.close()
        self.explaining.logic.close()
        self.tasks.close()

    def _ready(self, **_: Any) -> None:
        with self.server.state:
            self.jobs.start()
            if self._files:
                self.images.open_files([(path.name, path.read_bytes()) for path in self._files])
            if self._connect:
                self.connection.connect()
