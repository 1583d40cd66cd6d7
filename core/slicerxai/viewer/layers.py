"""What lies over the images: masks of raters, predicted lesions, and what the 3D view shows of them."""

from __future__ import annotations

from typing import Any

from XAICohortLib.case_node import CaseNode, case_nodes
from XAIPanels.nodes import nodes_of_class

from slicerxai.viewer.application import Application
from slicerxai.viewer.explaining import Explaining
from slicerxai.viewer.images import Images
from slicerxai.viewer.origins import case_of
from slicerxai.viewer.predicting import Predicting, prediction_of, predictions


class Layers:
    """Follows the boxes “Masks of the raters” and “Lesions in 3D” of the page.

    The raters' masks are hidden when a model's answer comes: its outlines would not be seen among them.
    """

    def __init__(
        self, state: Any, application: Application, images: Images, predicting: Predicting, explaining: Explaining
    ) -> None:
        self._state = state
        self._application = application
        self._images = images
        self._explaining = explaining
        self._volume: Any = None
        state.update({"masks": True, "has_masks": False, "lesions_3d": False})
        state.change("masks")(lambda masks, **_: self.draw())
        state.change("lesions_3d")(lambda lesions_3d, **_: self._draw_3d())
        images.listeners.append(self._image_changed)
        predicting.listeners.append(self._answered)
        explaining.listeners.append(self.draw)
        explaining.answered.append(self._answered)

    def draw(self) -> None:
        """Show what belongs to the chosen image, and nothing of other ones."""
        scene, volume = self._application.scene, self._images.chosen
        case = case_of(scene, volume) if volume is not None else None
        self._state.has_masks = case is not None and case.masks is not None
        for node in map(CaseNode, case_nodes(scene)):
            if node.masks is not None:
                own = case is not None and node.masks is case.masks
                node.masks.SetDisplayVisibility(bool(own and self._state.masks))
        explained = self._explaining.outlines_of(volume) if self._explaining.shown is not None else None
        prediction = prediction_of(scene, volume)
        for node in predictions(scene):
            node.SetDisplayVisibility(node is prediction and explained is None)

    def restore(self) -> None:
        """A scene was opened: the boxes follow it."""
        volume = self._images.chosen
        case = case_of(self._application.scene, volume) if volume is not None else None
        self._volume = volume
        self._state.masks = case is None or case.masks is None or bool(case.masks.GetDisplayVisibility())
        self._state.lesions_3d = any(
            view.GetSliceVisible() for view in nodes_of_class(self._application.scene, "vtkMRMLSliceNode")
        )
        self.draw()

    def _image_changed(self) -> None:
        """The result of another image is not left over this one."""
        volume, shown = self._images.chosen, self._explaining.shown
        before, self._volume = self._volume, volume
        if volume is not before and shown is not None and self._explaining.logic.result(shown).source is not volume:
            self._explaining.hide()
        self.draw()

    def _answered(self) -> None:
        self._state.masks = False
        self.draw()
        self._draw_3d()

    def _draw_3d(self) -> None:
        """The lesions as surfaces, and the slices beside them."""
        shown = bool(self._state.lesions_3d)
        for view in self._application.core.view_manager.get_slice_views():
            view.set_visible_in_3d(shown)
        volume = self._images.chosen
        lesions = self._explaining.outlines_of(volume) or prediction_of(self._application.scene, volume)
        for node in nodes_of_class(self._application.scene, "vtkMRMLSegmentationNode"):
            if node is lesions and shown:
                node.CreateClosedSurfaceRepresentation()
            if node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility3D(node is lesions and shown)
        if shown:
            self._application.fit_3d()
