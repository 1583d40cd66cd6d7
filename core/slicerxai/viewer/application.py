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

    def follow_scene(self) -> None:
        """Let slice views draw a scene that was read, as Slicer does by laying out its views anew.

        The scene brings the size of the views that it was saved with; and only a change of the view lets outlines of
        segments be drawn that came with it.
        """
        for view in self.core.view_manager.get_slice_views():
            node = view.get_view_node()
            node.SetMappedInLayout(0)
            view._update_slice_size()
            node.SetMappedInLayout(1)

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
