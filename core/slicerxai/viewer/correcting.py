"""Correcting a prediction with brush and eraser, with undo, and writing it to the server as the image's label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np
from XAILib import nrrd
from XAILib.errors import ServerError
from XAILib.geometry import resample
from XAILib.labels import submit_label
from XAILib.nrrd import Volume
from XAIPanels.errors import SceneError
from XAIPanels.export import world_affine
from XAIPanels.nodes import in_scene, nodes_of_class, remove_with_parts
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import array_of

from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import UNCONNECTED, Connection
from slicerxai.viewer.images import Images
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.messages import Messages
from slicerxai.viewer.origins import study_of

COLOUR = "#ffd54a"
"""Outline of what the reader says; neither a map's nor a predicted lesion's."""
SEGMENT = "lesions"
NO_IMAGE = "Open an image first."
NO_STUDY = "Only a study of the server can be labelled: open it under “Server study”."
LOOK, PAINT, ERASE = "look", "paint", "erase"
BRUSH_MM = 6.0
UNDO_STEPS = 20
_SOURCE = "CorrectedImage"


class Correcting:
    """One correction at a time; each image keeps its own.

    Args:
        predicted: what a model found in an image, to begin with; None where it was not asked.

    Attributes:
        listeners: called with the study's id when its label was written.
    """

    def __init__(
        self,
        state: Any,
        application: Application,
        tasks: LoopTasks,
        connection: Connection,
        images: Images,
        predicted: Callable[[Any], Volume | None],
    ) -> None:
        from undo_stack import UndoStack

        self.listeners: list[Callable[[str], None]] = []
        self._state = state
        self._scene = application.scene
        self._editor = application.core.segmentation_editor
        self._tasks = tasks
        self._connection = connection
        self._images = images
        self._predicted = predicted
        self._undo = UndoStack(undo_limit=UNDO_STEPS)
        self._node: Any = None
        self.said = Messages(state, "correct")
        self._editor.set_undo_stack(self._undo)
        for signal in self._undo.signals():
            signal.connect(self._tell)
        state.update({"correcting": False, "tool": LOOK, "brush": BRUSH_MM, "saving": False})
        state.update({"can_undo": False, "can_redo": False})
        state.change("tool")(lambda tool, **_: self._use(tool))
        state.change("brush")(lambda brush, **_: self._size(brush))
        images.listeners.append(self._image_changed)

    @property
    def node(self) -> Any:
        """The segmentation that is being corrected; None without one."""
        return self._node if in_scene(self._scene, self._node) else None

    def correct(self) -> None:
        """Correct the prediction of the chosen image, or draw from nothing."""
        volume = self._images.chosen
        if volume is None:
            self.said.fail(NO_IMAGE)
        else:
            self.begin(self._predicted(volume))

    def begin(self, predicted: Volume | None) -> None:
        """Correct the chosen image; an earlier correction of it goes on.

        Args:
            predicted: where a new correction begins, on any grid; None for nothing.
        """
        volume = self._images.chosen
        self._node = self._correction(volume) or self._made(volume, predicted)
        self._editor.set_active_segmentation(self._node, volume)
        self._editor.set_active_segment_id(SEGMENT)
        self._undo.clear()
        self._state.update({"correcting": True, "tool": PAINT})
        self._use(PAINT)
        self.said.say("Paint what is missing, erase what is wrong; then save.")

    def end(self) -> None:
        """Put the tools away; the correction stays in the scene."""
        self._state.update({"correcting": False, "tool": LOOK})
        self._use(LOOK)
        self.said.say("")

    def discard(self) -> None:
        """Put the tools away and forget what was painted."""
        node = self.node
        self.end()
        self._node = None
        self._undo.clear()
        if node is not None:
            remove_with_parts(self._scene, node)

    def scene_closing(self) -> None:
        """What is being corrected goes."""
        self.end()
        self._node = None
        self._undo.clear()

    def undo(self) -> None:
        """Take back the last stroke."""
        self._undo.undo()

    def redo(self) -> None:
        """Do it again."""
        self._undo.redo()

    def save(self) -> None:
        """Write the correction to the server as the label of its study."""
        server, volume = self._connection.server, self._images.chosen
        if server is None or volume is None or self.node is None:
            self.said.fail(UNCONNECTED if server is None else NO_IMAGE)
            return
        client, study = server.client, study_of(volume, server.client.url)
        if not study:
            self.said.fail(NO_STUDY)
            return
        try:
            labels = self.labels(volume)
        except SceneError as error:
            self.said.fail(str(error))
            return
        self._state.saving = True
        self.said.say("Writing to the server …")

        def work(stop: Event, _progress: Any) -> None:
            with TemporaryDirectory(prefix="xai-label-") as folder:
                nrrd.write(path := Path(folder) / "label.nrrd", labels)
                submit_label(client, study, path, stop)

        self._tasks.start(work, lambda _: self._saved(study), self._failed)

    def labels(self, volume: Any) -> Volume:
        """The correction on the grid of an image, 0 and 1 (uint8). Raises `ExportError`: a transform."""
        return _on_grid(segment_voxels(self.node, SEGMENT), volume)

    def _correction(self, volume: Any) -> Any:
        nodes = nodes_of_class(self._scene, "vtkMRMLSegmentationNode")
        return next((node for node in nodes if node.GetNodeReference(_SOURCE) is volume), None)

    def _made(self, volume: Any, predicted: Volume | None) -> Any:
        outline = Outline(SEGMENT, "Corrected lesions", COLOUR, _on_grid(predicted, volume))
        node = add_segmentation(self._scene, [outline], f"{volume.GetName()} - correction")
        node.SetNodeReferenceID(_SOURCE, volume.GetID())
        return node

    def _use(self, tool: str) -> None:
        from trame_slicer.segmentation import SegmentationEffectErase, SegmentationEffectPaint

        effects = {PAINT: SegmentationEffectPaint, ERASE: SegmentationEffectErase}
        if tool not in effects or self.node is None:
            self._editor.deactivate_effect()
            return
        self._editor.set_active_effect_type(effects[tool]).set_use_sphere_brush(True)
        self._size(self._state.brush)

    def _size(self, diameter: float) -> None:
        from trame_slicer.segmentation.paint_effect_parameters import BrushDiameterMode

        if self._state.tool in (PAINT, ERASE) and self.node is not None:
            self._editor.active_effect.set_brush_diameter(float(diameter), BrushDiameterMode.Absolute)

    def _image_changed(self) -> None:
        """A correction belongs to one image."""
        volume = self._images.chosen
        if self._state.correcting and (self.node is None or self.node.GetNodeReference(_SOURCE) is not volume):
            self.end()

    def _saved(self, study: str) -> None:
        self._state.saving = False
        self.said.succeed(f"The label of {study} is on the server.")
        for listener in self.listeners:
            listener(study)

    def _failed(self, error: BaseException) -> None:
        self._state.saving = False
        known = isinstance(error, ServerError)
        self.said.fail(str(error) if known else f"Unexpected fault: {error!r}. Please report it.")
        self._connection.lost(error)

    def _tell(self, *_: Any) -> None:
        self._state.update({"can_undo": self._undo.can_undo(), "can_redo": self._undo.can_redo()})


def _on_grid(labels: Volume | None, volume: Any) -> Volume:
    """0 and 1 (uint8) on the grid of a volume node."""
    affine, whole = world_affine(volume), array_of(volume)
    shape = (whole.shape[0], whole.shape[1], whole.shape[2])
    if labels is None:
        return Volume(np.zeros(shape, np.uint8), affine)
    drawn = (labels.array != 0).astype(np.uint8)
    return Volume(resample(drawn, labels.affine, shape, affine, order=0), affine)
