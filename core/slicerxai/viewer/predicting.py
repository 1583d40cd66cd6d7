"""What a model finds: the predicted lesions as outlines, which can be corrected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of
from XAILib.tray_entry import Entry
from XAIPanels.colours import LESIONS
from XAIPanels.errors import SceneError
from XAIPanels.nodes import in_scene, nodes_of_class, remove_with_parts
from XAIPanels.outlines import Outline, add_segmentation

from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import UNCONNECTED, Connection
from slicerxai.viewer.explaining import CANCELLED, NO_IMAGE
from slicerxai.viewer.images import Images
from slicerxai.viewer.jobs import Jobs
from slicerxai.viewer.messages import Messages
from slicerxai.viewer.origins import ask_of, source_of

METHOD = TITLE = "prediction"
SEGMENT = "lesions"
GONE = "Its image or prediction was removed from the scene; predict again."
_SOURCE = "PredictedImage"


class Predicting:
    """Predictions of the scene.

    Attributes:
        listeners: called when a prediction has come.
    """

    def __init__(
        self, state: Any, application: Application, connection: Connection, images: Images, jobs: Jobs
    ) -> None:
        self.listeners: list[Callable[[], None]] = []
        self._state = state
        self._scene = application.scene
        self._connection = connection
        self._images = images
        self._jobs = jobs
        self.said = Messages(state, "predict")
        jobs.openers[METHOD] = self._open

    def predict(self) -> None:
        """Segment the chosen image with the chosen model."""
        server, volume = self._connection.server, self._images.chosen
        if server is None or volume is None:
            self.said.fail(UNCONNECTED if server is None else NO_IMAGE)
            return
        client, model = server.client, self._state.model
        try:
            source = source_of(self._scene, volume, client.url, server.channels(model))
        except SceneError as error:
            self.said.fail(str(error))
            return

        def work(stop: Any, progress: Any) -> tuple[Volume, int]:
            found = ask_of(client, METHOD, source, model, {}, stop, progress)
            return labelmap_of(found, METHOD), int(found.metrics.get("lesions", 0))

        entry = Entry(METHOD, TITLE.capitalize(), volume.GetName(), client.url)
        self._jobs.node.refer_image(entry.id, volume)
        self._jobs.run(entry, work, lambda made: self._predicted(volume, *made), self.said, CANCELLED)

    def _open(self, entry: str) -> None:
        """Look at the image of a finished job."""
        volume = self._jobs.node.image(entry)
        if prediction_of(self._scene, volume) is None:
            self.said.fail(GONE)
        else:
            self._images.choose(volume)

    def _predicted(self, volume: Any, labels: Volume, count: int) -> None:
        if not in_scene(self._scene, volume):
            self.said.fail(GONE)
            return
        add_prediction(self._scene, volume, labels)
        self.said.succeed(f"{volume.GetName()}: {count} lesion{'s' * (count != 1)} predicted.")
        for listener in self.listeners:
            listener()


def add_prediction(scene: Any, volume: Any, labels: Volume) -> Any:
    """Outline a prediction in the place of an earlier one of the same image. Returns the segmentation node."""
    earlier = prediction_of(scene, volume)
    if earlier is not None:
        remove_with_parts(scene, earlier)
    name = f"{volume.GetName()} - prediction"
    node = add_segmentation(scene, [Outline(SEGMENT, "Predicted lesions", LESIONS, labels)], name)
    node.SetNodeReferenceID(_SOURCE, volume.GetID())
    return node


def prediction_of(scene: Any, volume: Any) -> Any:
    """The prediction of an image; None without one."""
    found = (node for node in predictions(scene) if node.GetNodeReference(_SOURCE) is volume)
    return next(found, None) if volume is not None else None


def predictions(scene: Any) -> list[Any]:
    """All predictions whose image is still there."""
    nodes = nodes_of_class(scene, "vtkMRMLSegmentationNode")
    return [node for node in nodes if node.GetNodeReference(_SOURCE) is not None]
