"""Real slice views and a real 3D view, drawn offscreen by MRML's own displayable managers."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .observing import observe, python_observers, unobserve
from .watchdog import watchdog

# the same managers, in the same order, as qMRMLSliceView, qMRMLThreeDView and the loadable modules register
_SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
_VIEW_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
_SIZE = 300
_LAYOUT = (
    ("Red", "Axial", "R", (0.953, 0.290, 0.200)),
    ("Green", "Coronal", "G", (0.431, 0.690, 0.294)),
    ("Yellow", "Sagittal", "Y", (0.929, 0.835, 0.298)),
)


class View:
    """What `sliceView()` and `threeDView()` share."""

    def __init__(self, factory: Any, managers: tuple[str, ...], node: Any, application_logic: Any) -> None:
        self._node = node
        self._render_window = vtk.vtkRenderWindow()
        self._render_window.SetOffScreenRendering(1)
        self._render_window.SetMultiSamples(0)
        self._render_window.SetSize(_SIZE, _SIZE)
        self._renderer = vtk.vtkRenderer()
        self._render_window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._render_window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._factory = factory
        factory.SetMRMLApplicationLogic(application_logic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.SetMRMLDisplayableNode(node)
        self._focused: Any = None
        self.render_requests = 0
        self._tag = observe(self._group, vtk.vtkCommand.UpdateEvent, self._count_request)

    def _count_request(self, *_arguments: Any) -> None:
        self.render_requests += 1

    def renderWindow(self) -> Any:
        return self._render_window

    def interactor(self) -> Any:
        return self._interactor

    def scheduleRender(self) -> None:
        self.render_requests += 1

    def forceRender(self) -> None:
        with watchdog().excused():
            self._before_render()
            self._render_window.Render()

    def displayableManagerByClassName(self, class_name: str) -> Any:
        return self._group.GetDisplayableManagerByClassName(class_name)

    def pixels(self) -> np.ndarray:
        """What the view shows, (height, width, 3) uint8, first row on top."""
        self.forceRender()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._render_window)
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1].copy()

    def interact(self, event: int, x: int, y: int) -> bool:
        """Hand one mouse event at display position (x, y), origin bottom left, to the nearest displayable manager.

        Does what vtkMRMLViewInteractorStyle does, which the wheel has no Python name for. True: somebody took it.
        """
        data = slicer.vtkMRMLInteractionEventData()
        data.SetType(event)
        data.SetViewNode(self._node)
        data.SetRenderer(self._renderer)
        data.SetDisplayPosition((x, y))
        data.SetWorldPosition(self.world_position(x, y))
        data.SetMouseMovedSinceButtonDown(False)
        takers = []
        for index in range(self._group.GetDisplayableManagerCount()):
            manager = self._group.GetNthDisplayableManager(index)
            distance = vtk.reference(float("inf"))
            if manager.CanProcessInteractionEvent(data, distance):
                takers.append((distance.get(), index, manager))
        if not takers:
            return False
        nearest = min(takers, key=lambda taker: taker[:2])[2]
        if nearest is not self._focused:
            if self._focused is not None:
                self._focused.SetHasFocus(False, data)
            nearest.SetHasFocus(True, data)
            self._focused = nearest
        return bool(nearest.ProcessInteractionEvent(data))

    def world_position(self, x: int, y: int) -> tuple[float, float, float]:
        """RAS of a display position, as far as the view knows it."""
        return (0.0, 0.0, 0.0)

    def observed_objects(self) -> tuple[Any, ...]:
        return (self._render_window, self._interactor, self._renderer, self._group)

    def close(self) -> None:
        """Let go of scene and application logic, which would otherwise outlive the view with all colour tables."""
        unobserve(self._group, self._tag)
        self._group.SetMRMLDisplayableNode(None)
        for index in range(self._group.GetDisplayableManagerCount()):
            manager = self._group.GetNthDisplayableManager(index)
            manager.SetMRMLScene(None)
            manager.SetMRMLApplicationLogic(None)
        self._factory.SetMRMLApplicationLogic(None)
        self._interactor.SetRenderWindow(None)
        self._render_window.RemoveRenderer(self._renderer)
        self._renderer.RemoveAllViewProps()
        self._render_window.Finalize()

    def _before_render(self) -> None:
        return


class SliceView(View):
    """Stand-in for qMRMLSliceView: the slice logic's picture under the displayable managers' actors."""

    def __init__(self, logic: Any, application_logic: Any) -> None:
        node = logic.GetSliceNode()
        node.SetDimensions(_SIZE, _SIZE, 1)
        super().__init__(
            slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), _SLICE_MANAGERS, node, application_logic
        )
        self._logic = logic
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._put_below()

    def _put_below(self) -> None:
        """Draw the image first, else black is seen through translucent outlines that are older than the view."""
        others = list(self._renderer.GetViewProps())
        self._renderer.RemoveAllViewProps()
        for prop in (self._actor, *others):
            self._renderer.AddViewProp(prop)

    def close(self) -> None:
        super().close()
        self._logic.SetMRMLScene(None)

    def mrmlSliceNode(self) -> Any:
        return self._node

    def world_position(self, x: int, y: int) -> tuple[float, float, float]:
        ras = self._node.GetXYToRAS().MultiplyPoint((x, y, 0, 1))
        return ras[:3]

    def display_position(self, ras: Any) -> tuple[int, int]:
        """Where a point of the world (RAS mm) is drawn; AssertionError where it is outside the view."""
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._node.GetXYToRAS(), to_xy)
        x, y, depth, _ = to_xy.MultiplyPoint((*ras, 1))
        x, y = round(x), round(y)
        inside = 0 <= x < _SIZE and 0 <= y < _SIZE
        assert inside, f"{ras} is outside the view {self._node.GetName()}"
        assert abs(depth) < 1, f"{ras} is not on the slice that {self._node.GetName()} shows"
        return x, y

    def convertDeviceToXYZ(self, position: tuple[int, int]) -> tuple[float, float, float]:
        return float(position[0]), float(_SIZE - 1 - position[1]), 0.0

    def _before_render(self) -> None:
        connection = self._logic.GetImageDataConnection()
        self._actor.SetVisibility(connection is not None)
        self._mapper.SetInputConnection(connection)


class SliceWidget:
    """Stand-in for qMRMLSliceWidget."""

    def __init__(self, name: str, orientation: str, scene: Any, application_logic: Any) -> None:
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if node is None:
            node = self._logic.AddSliceNode(name)
            node.SetOrientation(orientation)
        else:  # it came with a scene
            self._logic.SetSliceNode(node)
        node.SetMappedInLayout(1)
        application_logic.GetSliceLogics().AddItem(self._logic)
        self._view = SliceView(self._logic, application_logic)

    def sliceLogic(self) -> Any:
        return self._logic

    def sliceView(self) -> SliceView:
        return self._view

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def interactor(self) -> Any:
        return self._view.interactor()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()


class ThreeDView(View):
    """Stand-in for qMRMLThreeDView."""

    def __init__(self, node: Any, application_logic: Any) -> None:
        super().__init__(
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), _VIEW_MANAGERS, node, application_logic
        )

    def mrmlViewNode(self) -> Any:
        return self._node

    def resetFocalPoint(self) -> None:
        self._renderer.ResetCamera()

    def resetCamera(self) -> None:
        self._renderer.ResetCamera()


class ThreeDWidget:
    """Stand-in for qMRMLThreeDWidget."""

    def __init__(self, scene: Any, application_logic: Any) -> None:
        self._node = scene.AddNode(slicer.vtkMRMLViewNode())
        self._node.SetLayoutName("1")
        self._node.SetMappedInLayout(1)
        self._view = ThreeDView(self._node, application_logic)

    def threeDView(self) -> ThreeDView:
        return self._view

    def mrmlViewNode(self) -> Any:
        return self._node


class LayoutManager:
    """Stand-in for qSlicerLayoutManager: the four-up layout (Red, Green, Yellow, one 3D view), and layouts that a
    module describes, with slice views of their own.
    """

    def __init__(self, scene: Any, application_logic: Any) -> None:
        self._scene, self._application_logic = scene, application_logic
        self._layout_node = scene.AddNode(slicer.vtkMRMLLayoutNode())
        self._tag = observe(self._layout_node, vtk.vtkCommand.ModifiedEvent, self._arrange)
        self._slice_logics = application_logic.GetSliceLogics()
        self._slices: dict[str, SliceWidget] = {}
        for name, orientation, label, colour in _LAYOUT:
            widget = SliceWidget(name, orientation, scene, application_logic)
            widget.mrmlSliceNode().SetLayoutLabel(label)
            widget.mrmlSliceNode().SetLayoutColor(*colour)
            self._slices[name] = widget
        self._three_d = ThreeDWidget(scene, application_logic)
        self._scene_tag = observe(scene, slicer.vtkMRMLScene.EndBatchProcessEvent, self._arrange_anew)

    @property
    def layout(self) -> int:
        return self._layout_node.GetViewArrangement()

    @layout.setter
    def layout(self, layout: int) -> None:
        self._layout_node.SetViewArrangement(layout)

    def setLayout(self, layout: int) -> None:
        self._layout_node.SetViewArrangement(layout)

    def grid(self) -> list[list[str]]:
        """Not in Slicer: names of the slice views of a described layout, row by row; empty in the four-up layout."""
        root = self._description()
        if root is None:
            return []
        rows = [root] if root.get("type") == "horizontal" else list(root)
        return [[view.get("singletontag", "") for view in row.iter("view")] for row in rows]

    def _description(self) -> ElementTree.Element | None:
        """What a module describes as the layout; None for one of Slicer's own."""
        node = self._layout_node
        known = node.IsLayoutDescription(node.GetViewArrangement())
        text = node.GetLayoutDescription(node.GetViewArrangement()) if known else ""
        return ElementTree.fromstring(text) if text else None

    def _arrange(self, *_arguments: Any) -> None:
        """Make the views of a described layout where they are missing, as qMRMLLayoutManager does."""
        with watchdog().excused():
            self._make_views()

    def _arrange_anew(self, *_arguments: Any) -> None:
        """Put all views into the layout anew, as qMRMLLayoutManager does after a scene was read: only a change of its
        view then lets a displayable manager draw what was added meanwhile (outlines of segments).
        """
        with watchdog().excused():
            self._follow_layout()
            for mapped in (0, 1):
                self._three_d.mrmlViewNode().SetMappedInLayout(mapped)
            for widget in self._slices.values():
                widget.mrmlSliceNode().SetMappedInLayout(0)
                widget.sliceLogic().ResizeSliceNode(_SIZE, _SIZE)
            self._make_views()

    def _follow_layout(self) -> None:
        """The node of a scene that was read or closed is another one, as for vtkMRMLLayoutLogic."""
        node = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if node is None:
            node = self._scene.AddNode(slicer.vtkMRMLLayoutNode())
        if node is not self._layout_node:
            unobserve(self._layout_node, self._tag)
            self._layout_node = node
            self._tag = observe(node, vtk.vtkCommand.ModifiedEvent, self._arrange)

    def _make_views(self) -> None:
        root, shown = self._description(), {name for row in self.grid() for name in row}
        for view in root.iter("view") if root is not None else ():
            name = view.get("singletontag", "")
            if name not in self._slices:
                values = {found.get("name"): found.text for found in view.iter("property")}
                self._slices[name] = self._described(name, values)
        for name, widget in self._slices.items():
            widget.mrmlSliceNode().SetMappedInLayout(name in (shown or {names[0] for names in _LAYOUT}))

    def _described(self, name: str, values: dict[str | None, str | None]) -> SliceWidget:
        orientation = values.get("orientation") or "Axial"
        widget = SliceWidget(name, orientation, self._scene, self._application_logic)
        node = widget.mrmlSliceNode()
        node.SetLayoutLabel(values.get("viewlabel") or name)
        colour = (values.get("viewcolor") or "#ffffff").lstrip("#")
        node.SetLayoutColor(*(int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4)))
        node.SetViewGroup(int(values.get("viewgroup") or 0))
        return widget

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._slices.get(name)

    def mrmlSliceLogics(self) -> Any:
        return self._slice_logics

    @property
    def threeDViewCount(self) -> int:
        return 1

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        return self._three_d if index == 0 else None

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToAll()

    def resetThreeDViews(self) -> None:
        self._three_d.threeDView().resetCamera()

    def views(self) -> tuple[View, ...]:
        """Not in Slicer: all views, for pictures and for the guard; the 3D view is the last."""
        return (*[widget.sliceView() for widget in self._slices.values()], self._three_d.threeDView())

    def python_observers(self) -> dict[str, int]:
        """Not in Slicer: observers left on views and slice logics, by object."""
        objects = [obj for view in self.views() for obj in view.observed_objects()]
        objects += [widget.sliceLogic() for widget in self._slices.values()]
        counts = {f"{obj.GetClassName()} #{i}": len(list(python_observers(obj))) for i, obj in enumerate(objects)}
        return {name: count for name, count in counts.items() if count}

    def close(self) -> None:
        unobserve(self._layout_node, self._tag)
        unobserve(self._scene, self._scene_tag)
        for view in self.views():
            view.close()
