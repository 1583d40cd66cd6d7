"""`slicer.app`: one application for one test, with its own scene, logics, views, dialogs and settings."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .pythonqt import patch_class
from .views import LayoutManager
from .watchdog import pump

_MEMORY = Path("/dev/shm")
"""Settings are written at once and on the main thread: not on a disk that may be slow, where memory can be had."""
_LOGICS = {
    "Units": "vtkSlicerUnitsLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
}


@dataclass(frozen=True)
class Message:
    """A message box that the user would have had to answer."""

    text: str
    title: str
    icon: Any
    buttons: Any


class ModuleManager(QtCore.QObject):
    """Stand-in for qSlicerModuleManager."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def isLoaded(self, name: str) -> bool:
        return name in self._modules


patch_class(ModuleManager)


@dataclass
class Module:
    """Stand-in for a loadable module: `slicer.modules.<name>`."""

    name: str
    path: str = ""
    _logic: Any = None

    def logic(self) -> Any:
        return self._logic


class IOManager:
    """Stand-in for qSlicerCoreIOManager; reads volumes and segmentations, saves single nodes."""

    def __init__(self, logics: dict[str, Any]) -> None:
        self._logics = logics

    def fileType(self, _path: str) -> str:
        return "VolumeFile"

    def loadNodes(self, file_type: str, properties: dict[str, Any], loaded: Any, _messages: Any = None) -> bool:
        path = properties["fileName"]
        name = properties.get("name") or Path(path).name.split(".")[0]
        if file_type == "VolumeFile":
            options = int(bool(properties.get("labelmap")))
            node = self._logics["Volumes"].AddArchetypeVolume(path, name, options)
            if node is not None and properties.get("show", True) and not options:
                selection = slicer.app.applicationLogic().GetSelectionNode()
                selection.SetReferenceActiveVolumeID(node.GetID())
                slicer.app.applicationLogic().PropagateVolumeSelection()
        elif file_type == "SegmentationFile":
            node = self._logics["Segmentations"].LoadSegmentationFromFile(path, True, name)
        else:
            raise NotImplementedError(f"the test double does not read {file_type}")
        if node is not None:
            loaded.AddItem(node)
        return node is not None

    def fileWriterFileType(self, _node: Any) -> str:
        return "NodeFile"

    def saveNodes(self, _file_type: str, properties: dict[str, Any], _messages: Any = None) -> bool:
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(properties["fileName"])
        node.GetStorageNode().SetFileName(properties["fileName"])
        return bool(node.GetStorageNode().WriteData(node))


@dataclass
class Recorded:
    """What the application would have shown or opened, and the answers that tests prepare."""

    messages: list[Message] = field(default_factory=list)
    opened_urls: list[str] = field(default_factory=list)
    answers: deque[Any] = field(default_factory=deque)


class ModuleSelector:
    """Stand-in for qSlicerModuleSelectorToolBar, which `slicer.util.selectModule` uses."""

    def __init__(self, manager: ModuleManager) -> None:
        self._manager = manager
        self.selectedModule = ""

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown, and show another one; one that is not loaded changes nothing."""
        module = self._manager.module(name)
        if module is None or name == self.selectedModule:
            return
        before = self._manager.module(self.selectedModule)
        if before is not None:
            before.exit()
        module.enter()


class MainWindow(QtWidgets.QMainWindow):
    """Named as Slicer's, so that `slicer.util.mainWindow()` finds it. Never shown."""

    _selector: Any = None

    def moduleSelector(self) -> Any:
        return self._selector


patch_class(MainWindow)


class Application:
    """Stand-in for qSlicerApplication. `recorded`, `qt_application` and `close` are not in Slicer."""

    applicationName = "Slicer"
    applicationVersion = "5.13.0"
    majorVersion, minorVersion = 5, 13
    organizationName, organizationDomain = "Slicer", "slicer.org"
    documentationBaseUrl = "https://slicer.readthedocs.io/en/latest/"

    def __init__(self, qt_application: QtWidgets.QApplication) -> None:
        self.qt_application = qt_application
        self.recorded = Recorded()
        memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self.temporaryPath = tempfile.mkdtemp(prefix="slicer_double_", dir=memory)
        self.slicerHome = self.temporaryPath
        qt_application.setOrganizationName(self.organizationName)
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(
            QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, self.temporaryPath
        )
        self._settings = QtCore.QSettings(self.temporaryPath + "/Slicer.ini", QtCore.QSettings.Format.IniFormat)
        self._scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self._scene
        self._logic = slicer.vtkSlicerApplicationLogic()
        vtk.vtkObject.GlobalWarningDisplayOff()  # colour and terminology files are not in the wheel
        try:
            self._build()
        finally:
            vtk.vtkObject.GlobalWarningDisplayOn()
        self._main_window = MainWindow()
        self._main_window.objectName = "qSlicerMainWindow"
        self._main_window._selector = ModuleSelector(self._module_manager)

    def _build(self) -> None:
        self._logic.SetHomeDirectory(self.temporaryPath)
        self._logic.SetShareDirectory("share")
        self._logic.SetTemporaryPath(self.temporaryPath)
        self._logic.SetSliceLogics(vtk.vtkCollection())
        self._logic.SetMRMLScene(self._scene)
        self._logics: dict[str, Any] = {"Colors": slicer.vtkSlicerColorLogic()}
        self._logics |= {name: getattr(slicer, class_name)() for name, class_name in _LOGICS.items()}
        self._module_manager = ModuleManager()
        for name, logic in self._logics.items():
            logic.SetMRMLApplicationLogic(self._logic)
            self._logic.SetModuleLogic(name, logic)
            logic.SetMRMLScene(self._scene)
            self.register_module(Module(name, _logic=logic))
        self._logics["Colors"].AddDefaultColorNodes()
        self._layout_manager = LayoutManager(self._scene, self._logic)
        self._io_manager = IOManager(self._logics)

    def register_module(self, module: Any) -> None:
        self._module_manager._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)

    def unload_modules(self) -> None:
        """Not in Slicer: what it does with its modules when it closes."""
        for module in self._module_manager._modules.values():
            if hasattr(module, "unload"):
                module.unload()

    def mrmlScene(self) -> Any:
        return self._scene

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager

    def moduleManager(self) -> ModuleManager:
        return self._module_manager

    def coreIOManager(self) -> IOManager:
        return self._io_manager

    def ioManager(self) -> IOManager:
        return self._io_manager

    def processEvents(self) -> None:
        pump()

    def topLevelWidgets(self) -> list[QtWidgets.QWidget]:
        return self.qt_application.topLevelWidgets()

    def activeWindow(self) -> QtWidgets.QWidget | None:
        return self.qt_application.activeWindow()

    def palette(self) -> Any:
        return self.qt_application.palette()

    def setOverrideCursor(self, cursor: Any) -> None:
        self.qt_application.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        self.qt_application.restoreOverrideCursor()

    def pauseRender(self) -> None:
        self._logic.PauseRender()

    def resumeRender(self) -> None:
        self._logic.ResumeRender()

    def testingEnabled(self) -> bool:
        return False

    def settings(self) -> Any:
        return self._settings

    def userSettings(self) -> Any:
        return self._settings

    def translate(self, _context: str, text: str) -> str:
        return text

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def close(self) -> None:
        """End this application: windows, views, scene and files go."""
        for widget in self.qt_application.topLevelWidgets():
            widget.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        self._layout_manager.close()
        vtk.vtkObject.GlobalWarningDisplayOff()
        self._logic.GetSliceLogics().RemoveAllItems()
        for logic in self._logics.values():
            logic.SetMRMLScene(None)
        self._scene.Clear(1)
        vtk.vtkObject.GlobalWarningDisplayOn()
        shutil.rmtree(self.temporaryPath, ignore_errors=True)
