"""Stand-ins for the qMRML widgets, over real MRML scenes and nodes."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .ctk_widgets import ctkSliderWidget
from .observing import observe, unobserve
from .pythonqt import patch_class, register_custom_widget


def _option(kind: Any, name: str) -> Any:
    def get(self: Any) -> Any:
        return self._options[name]

    def set_(self: Any, value: Any) -> None:
        self._options[name] = value
        self._refresh()

    return QtCore.Property(kind, get, set_)


@register_custom_widget
class qMRMLWidget(QtWidgets.QWidget):
    """The base of every module panel; hands its scene to children connected through `mrmlSceneChanged`."""

    mrmlSceneChanged = QtCore.Signal(object)
    _signal_aliases: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return getattr(self, "_scene", None)


@register_custom_widget
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Chooses one node of the scene; follows nodes that are added, removed, renamed or hidden.

    `currentNodeChanged` carries a node; the C++ overload with a bool can be had through
    `connect("currentNodeChanged(bool)", …)` only.
    """

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    currentNodeRenamed = QtCore.Signal(str)
    validityChanged = QtCore.Signal(bool)
    _signal_aliases: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "validityChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
    }

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._ids: list[str] = []
        self._names: dict[str, str] = {}
        self._current = ""
        self._requested = ""
        self._attributes: list[tuple[str, str, str | None]] = []
        self._options: dict[str, Any] = {
            "nodeTypes": [],
            "hideChildNodeTypes": [],
            "showHidden": False,
            "showChildNodeTypes": True,
            "noneEnabled": False,
            "noneDisplay": "None",
            "addEnabled": True,
            "removeEnabled": True,
            "editEnabled": False,
            "renameEnabled": False,
            "selectNodeUponCreation": True,
            "baseName": "",
        }
        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.currentIndexChanged.connect(self._box_moved)
        self._box.activated.connect(self._box_activated)
        self._observed: list[tuple[Any, int]] = []
        observed = self._observed
        self.destroyed.connect(lambda: [unobserve(obj, tag) for obj, tag in observed])
        self.setEnabled(False)

    # --- scene ---------------------------------------------------------------------------------------------------

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        for obj, tag in self._observed:
            unobserve(obj, tag)
        self._observed.clear()
        self._scene = scene
        if scene is not None:
            for event, method in (
                (scene.NodeAddedEvent, "_node_added"),
                (scene.NodeAboutToBeRemovedEvent, "_node_leaves"),
                (scene.NodeRemovedEvent, "_refresh"),
                (scene.EndBatchProcessEvent, "_refresh"),
                (scene.EndCloseEvent, "_refresh"),
                (scene.EndImportEvent, "_refresh"),
            ):
                self._observe(scene, event, method)
            for node in self._all_nodes():
                self._observe(node, vtk.vtkCommand.ModifiedEvent, "_node_modified")
        self._current = self._requested or self._current
        self._requested = ""
        self._refresh()
        self.setEnabled(scene is not None)

    def _observe(self, obj: Any, event: Any, method: str) -> None:
        this = weakref.ref(self)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def call(caller: Any, _event: str, node: Any = None) -> None:
            combo = this()
            if combo is not None:
                getattr(combo, method)(caller if node is None else node)

        self._observed.append((obj, observe(obj, event, call)))

    def _node_modified(self, node: Any) -> None:
        """List the nodes again where this one is listed otherwise than it should be now."""
        listed = node.GetID() in self._ids
        if listed != self._accepts(node) or (listed and self._names[node.GetID()] != (node.GetName() or "")):
            self._refresh()

    def _node_added(self, node: Any) -> None:
        self._observe(node, vtk.vtkCommand.ModifiedEvent, "_node_modified")
        if self._accepts(node):
            self._refresh()
            self.nodeAdded.emit(node)

    def _node_leaves(self, node: Any) -> None:
        for obj, tag in [entry for entry in self._observed if entry[0] is node]:
            unobserve(obj, tag)
            self._observed.remove((obj, tag))
        if self._accepts(node):
            self.nodeAboutToBeRemoved.emit(node)

    def _accepts(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self._options["showHidden"]:
            return False
        types = self._options["nodeTypes"]
        derived = self._options["showChildNodeTypes"]
        right = any(node.IsA(t) for t in types) if derived else node.GetClassName() in types
        if not right or any(node.IsA(t) and t not in types for t in self._options["hideChildNodeTypes"]):
            return False
        return all(
            node.GetAttribute(name) is not None if value is None else node.GetAttribute(name) == value
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _refresh(self, _node: Any = None) -> None:
        """List the accepted nodes again; where the current one is gone, choose as Slicer does."""
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        nodes = [node for node in self._all_nodes() if self._accepts(node)]
        was_empty, before = not self._ids, self._current
        self._ids = [node.GetID() for node in nodes]
        self._names = {node.GetID(): node.GetName() or "" for node in nodes}
        if self._current not in self._ids:
            # without a "None" entry the first node that comes is chosen, and the last of those left when one goes
            choose = not self._options["noneEnabled"] and self._ids and (was_empty or before)
            self._current = self._ids[0 if was_empty else -1] if choose else ""
        offset = int(self._options["noneEnabled"])
        self._box.blockSignals(True)
        self._box.clear()
        self._box.addItems([self._options["noneDisplay"]] * offset + list(self._names.values()))
        self._box.setCurrentIndex(self._ids.index(self._current) + offset if self._current else offset - 1)
        self._box.blockSignals(False)
        if self._current != before:
            self._announce()

    def _all_nodes(self) -> list[Any]:
        return [] if self._scene is None else [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())]

    def _announce(self) -> None:
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self.validityChanged.emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node else "")

    # --- the chosen node -----------------------------------------------------------------------------------------

    def _box_moved(self, index: int) -> None:
        index -= int(self._options["noneEnabled"])
        chosen = self._ids[index] if 0 <= index < len(self._ids) else ""
        if chosen != self._current:
            self._current = chosen
            self._announce()

    def _box_activated(self, _index: int) -> None:
        self.nodeActivated.emit(self.currentNode())

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        if node is not None and not isinstance(node, str | slicer.vtkMRMLNode):
            raise TypeError(f"setCurrentNode takes a node, its ID or None, not {type(node).__name__}")
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node else "")

    def setCurrentNodeID(self, node_id: str | None) -> None:
        node_id = node_id or ""
        if self._scene is None:
            self._requested = node_id
            return
        self._refresh()
        offset = int(self._options["noneEnabled"])
        if node_id in self._ids:
            self._box.setCurrentIndex(self._ids.index(node_id) + offset)
        elif self._options["noneEnabled"]:
            self._box.setCurrentIndex(0)
        else:
            self._box.setCurrentIndex(-1)

    def setCurrentNodeIndex(self, index: int) -> None:
        self._box.setCurrentIndex(index + int(self._options["noneEnabled"]))

    def nodeCount(self) -> int:
        return len(self._ids)

    def nodeFromIndex(self, index: int) -> Any:
        return self._scene.GetNodeByID(self._ids[index]) if 0 <= index < len(self._ids) else None

    # --- what is offered -----------------------------------------------------------------------------------------

    def addAttribute(self, node_type: str, name: str, value: str | None = None) -> None:
        self._attributes.append((node_type, name, value))
        self._refresh()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes = [a for a in self._attributes if a[:2] != (node_type, name)]
        self._refresh()

    def addNode(self, node_type: str | None = None) -> Any:
        node_type = node_type or self._options["nodeTypes"][0]
        base = self._options["baseName"] or node_type.removeprefix("vtkMRML").removesuffix("Node")
        node = self._scene.AddNewNodeByClass(node_type, self._scene.GenerateUniqueName(base))
        self.nodeAddedByUser.emit(node)
        if self._options["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self) -> None:
        self._scene.RemoveNode(self.currentNode())

    nodeTypes = _option("QStringList", "nodeTypes")
    hideChildNodeTypes = _option("QStringList", "hideChildNodeTypes")
    showHidden = _option(bool, "showHidden")
    showChildNodeTypes = _option(bool, "showChildNodeTypes")
    noneEnabled = _option(bool, "noneEnabled")
    noneDisplay = _option(str, "noneDisplay")
    addEnabled = _option(bool, "addEnabled")
    removeEnabled = _option(bool, "removeEnabled")
    editEnabled = _option(bool, "editEnabled")
    renameEnabled = _option(bool, "renameEnabled")
    selectNodeUponCreation = _option(bool, "selectNodeUponCreation")
    baseName = _option(str, "baseName")
    currentNodeID = QtCore.Property(str, lambda self: self._current, setCurrentNodeID)


@register_custom_widget
class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that would show the scene's units; here the plain slider."""

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The C++ side of a module panel: `parent` of the Python widget."""

    def __init__(self, python_side: Any = None) -> None:
        super().__init__()
        self._python_side = python_side

    def self(self) -> Any:
        return self._python_side


patch_class(qSlicerScriptedLoadableModuleWidget)
WIDGETS = (qMRMLWidget, qMRMLNodeComboBox, qMRMLSliderWidget, qSlicerScriptedLoadableModuleWidget)
