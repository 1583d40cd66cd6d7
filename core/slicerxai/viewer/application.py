"""The MRML scene of the page, and what the extension's logics expect of Slicer's application around it."""

from __future__ import annotations

from typing import Any


class Application:
    """Slicer's scene, application logic and views.

    A process has one: the logics find the scene as `slicer.mrmlScene`, as in Slicer.

    Attributes:
        core: trame-slicer's application, with its view manager, segment editor and reader of scenes.
    """

    def __init__(self) -> None:
        import slicer
        from trame_slicer.core import SlicerApp

        self.core = SlicerApp()
        self.core.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as Slicer's module Colors does
        slicer.mrmlScene = self.core.scene
        slicer.app = _SlicerApplication(self)

    @property
    def scene(self) -> Any:
        return self.core.scene

    def fit_views(self) -> None:
        """Fit all slice views to their image."""
        for view in self.core.view_manager.get_slice_views():
            view.fit_view_to_content()

    def resize_views(self) -> None:
        """Let slices have the size of their views: a scene brings that of the views it was saved with."""
        for view in self.core.view_manager.get_slice_views():
            view._update_slice_size()

    def fit_3d(self) -> None:
        """Let the 3D view show everything."""
        for view in self.core.view_manager.get_threed_views():
            view.reset_view()


class _SlicerApplication:
    """`slicer.app` as far as the logics ask it."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def layoutManager(self) -> _SlicerApplication:  # noqa: N802 - Slicer's name
        return self

    def resetSliceViews(self) -> None:  # noqa: N802 - Slicer's name
        self._application.fit_views()

    def applicationLogic(self) -> Any:  # noqa: N802 - Slicer's name
        return self._application.core.app_logic
