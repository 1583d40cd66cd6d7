"""A scene as an MRB file, without keeping the page waiting: MRML is asked bit by bit, voxels are packed in a thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from XAILib import nrrd
from XAILib.nrrd import Volume
from XAIPanels.errors import SceneError
from XAIPanels.nodes import in_scene, nodes_of_class
from XAIPanels.volumes import affine_of, array_of

ROOT = "scene"
"""Folder of the bundle that everything is in."""
_LEVEL = 1  # outlines and XML pack well at any level
_PLAIN = ("vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode")

Voxels = dict[Path, Volume]
"""What is still to be written, by file; the arrays are the nodes' memory, which is replaced and never edited."""


def describing(scene: Any, folder: Path) -> Generator[float, None, Voxels]:
    """Write everything of a scene but the voxels of volumes, one node with each `next`; yields the share that is done.

    Nodes that come meanwhile are written too; of those that go, nothing is left in the scene's description.

    Raises:
        SceneError: a node cannot be written, in words. OSError.
    """
    data = folder / ROOT / "Data"
    data.mkdir(parents=True)
    files: dict[str, Path] = {}
    voxels: Voxels = {}
    while waiting := [node for node in _stored(scene) if node.GetID() not in files]:
        node, storage = waiting[0], waiting[0].GetStorageNode()
        path = data / f"{len(files)}-{_plain_name(node)}.{storage.GetDefaultWriteFileExtension()}"
        files[node.GetID()] = path
        storage.ResetFileNameList()
        storage.ResetURIList()
        storage.SetURI(None)
        storage.SetFileName(str(path))
        if node.GetClassName() in _PLAIN:
            voxels[path] = Volume(array_of(node), affine_of(node))
        else:
            _write(node, storage)
        yield len(files) / (len(files) + len(waiting))
    scene.SetRootDirectory(str(folder / ROOT))
    if not scene.Commit(str(folder / ROOT / f"{ROOT}.mrml")):
        msg = f"The scene cannot be written to {folder}."
        raise SceneError(msg)
    return {path: voxels[path] for path in voxels if any(files.get(node.GetID()) == path for node in _stored(scene))}


def pack(folder: Path, voxels: Voxels, progress: Callable[[float], None]) -> bytes:
    """Write the voxels and put all files into one; in any thread. Raises `OSError`."""
    for number, (path, volume) in enumerate(voxels.items()):
        nrrd.write(path, volume)
        progress((number + 1) / (len(voxels) + 1))
    bundle = folder / f"{ROOT}.mrb"
    with ZipFile(bundle, "w", compresslevel=_LEVEL) as archive:
        for path in sorted((folder / ROOT).rglob("*")):
            archive.write(path, path.relative_to(folder), ZIP_STORED if path in voxels else ZIP_DEFLATED)
    return bundle.read_bytes()


def _stored(scene: Any) -> list[Any]:
    """The nodes that have a file of their own; storage nodes are made where they are missing."""
    found = []
    for node in nodes_of_class(scene, "vtkMRMLStorableNode"):
        if not node.GetSaveWithScene() or (node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is None):
            continue
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        if in_scene(scene, node.GetStorageNode()):
            found.append(node)
    return found


def _write(node: Any, storage: Any) -> None:
    if storage.IsA("vtkMRMLSegmentationStorageNode"):
        storage.SetCropToMinimumExtent(True)  # lesions are a small part of a head
    storage.SetUseCompression(False)
    if not storage.WriteData(node):
        msg = f"“{node.GetName()}” cannot be written."
        raise SceneError(msg)


def _plain_name(node: Any) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", node.GetName() or "").strip("-")[:60] or "node"
