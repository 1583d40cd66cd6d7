"""Small helpers for nodes of a scene."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer


def nodes_of_class(scene: Any, name: str) -> Iterator[Any]:
    """All nodes of a class and of its subclasses."""
    yield from [scene.GetNthNodeByClass(index, name) for index in range(scene.GetNumberOfNodesByClass(name))]


def in_scene(scene: Any, node: Any) -> bool:
    """Whether a node, or what is left of it, is still in the scene."""
    return node is not None and node.GetID() is not None and scene.GetNodeByID(node.GetID()) is node


def remove_with_parts(scene: Any, node: Any) -> None:
    """Remove a node with the display and storage nodes that only it uses."""
    if not in_scene(scene, node):
        return
    parts = []
    if node.IsA("vtkMRMLDisplayableNode"):
        parts += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        parts += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    scene.RemoveNode(node)
    for part in parts:
        if in_scene(scene, part):
            scene.RemoveNode(part)


@contextmanager
def all_or_nothing(scene: Any) -> Iterator[None]:
    """On any exception, remove the nodes that were added meanwhile."""
    before = {node.GetID() for node in nodes_of_class(scene, "vtkMRMLNode")}
    try:
        yield
    except BaseException:
        for node in list(nodes_of_class(scene, "vtkMRMLNode")):
            if node.GetID() not in before and scene.GetNodeByID(node.GetID()) is node:
                scene.RemoveNode(node)
        raise


def singleton(scene: Any, module: str) -> Any:
    """The module's one vtkMRMLScriptedModuleNode; made when it is missing.

    Closing the scene keeps the node but empties it, module name included.
    """
    node = scene.GetSingletonNode(module, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(module)
        node.SetName(module)
        node.SetAttribute("ModuleName", module)
        return scene.AddNode(node)
    if node.GetAttribute("ModuleName") != module:
        node.SetAttribute("ModuleName", module)
    return node
