"""Stand-ins for Slicer's base classes of scripted modules, and the loading of a module file."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer


class ScriptedLoadableModule:
    """`parent` carries what the module says about itself (title, categories, …)."""

    def __init__(self, parent: Any) -> None:
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = parent.acknowledgementText = ""

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return slicer.app.moduleDocumentationUrl(docPage or self.moduleName)


class ScriptedLoadableModuleWidget:
    """Made with the C++ widget as `parent`, then `setup()`; `enter()` when shown, `exit()` when left; `cleanup()`."""

    def __init__(self, parent: Any = None) -> None:
        import qt

        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        else:
            self.parent = parent
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        return

    def cleanup(self) -> None:
        return

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Keeps a module's parameters on one node of the scene."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None or not self.isSingletonParameterNode:
            nodes = self.getAllParameterNodes()
            node = nodes[0] if nodes else slicer.mrmlScene.AddNode(self.createParameterNode())
        node.SetAttribute("ModuleName", self.moduleName)
        return node

    def getAllParameterNodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of a module's self test."""

    messageDelay = 0

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        slicer.app.processEvents()


class LoadedModule:
    """A scripted module as Slicer holds it: `slicer.modules.<name in lower case>`."""

    def __init__(self, path: Path, python_module: ModuleType) -> None:
        self.name = path.stem
        self.path = str(path)
        self.parent = SimpleNamespace(path=self.path, name=self.name, icon=None, hidden=False)
        self.python_module = python_module
        self.instance = getattr(python_module, self.name)(self.parent)
        self._representation: Any = None

    def widgetRepresentation(self) -> Any:
        if self._representation is None:
            self._representation = self.createNewWidgetRepresentation()
            setattr(slicer.modules, self.name + "Widget", self._representation.self())
        return self._representation

    def createNewWidgetRepresentation(self) -> Any:
        import qt

        representation = slicer.qSlicerScriptedLoadableModuleWidget()
        representation.objectName = self.name + "ModuleWidget"
        representation.setLayout(qt.QVBoxLayout())
        representation.setMRMLScene(slicer.mrmlScene)
        widget = getattr(self.python_module, self.name + "Widget")(representation)
        representation._python_side = widget
        widget.setup()
        return representation

    def enter(self) -> Any:
        """What Slicer does when the user chooses the module: make the panel once, show it, call `enter()`."""
        representation = self.widgetRepresentation()
        representation.resize(480, 900)
        representation.show()
        slicer.util.moduleSelector().selectedModule = self.name
        widget = representation.self()
        if hasattr(widget, "enter"):
            widget.enter()
        return widget

    def exit(self) -> None:
        """What Slicer does when the user goes to another module."""
        widget = self.widgetRepresentation().self()
        if hasattr(widget, "exit"):
            widget.exit()
        self._representation.hide()
        if slicer.util.moduleSelector().selectedModule == self.name:
            slicer.util.moduleSelector().selectedModule = ""

    def unload(self) -> None:
        """What Slicer does when it closes: `cleanup()`, then the panel is deleted."""
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(self.name)
        if self._representation is not None:
            self._representation.deleteLater()
            self._representation = None
        slicer.app.processEvents()


def load_module(path: Path | str) -> LoadedModule:
    """Import a module file as Slicer does (its folder on `sys.path`, the file by its stem) and register it."""
    path = Path(path).resolve()
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = python_module
    spec.loader.exec_module(python_module)
    loaded = LoadedModule(path, python_module)
    slicer.app.register_module(loaded)
    setattr(slicer.modules, loaded.name + "Instance", loaded.instance)
    return loaded
