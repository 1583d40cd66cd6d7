"""From a downloaded result to nodes: all of them, or none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from .display import add_display
from .errors import LoadError
from .nodes import nodes_of_class
from .results import ResultNode, add_result_node, title_of
from .segments import STYLES, add_segmentation
from .volumes import array_of, read_nrrd

if TYPE_CHECKING:
    from XAILib.result import Result


def load(scene: Any, result: Result, source: Any, threshold: float, opacity: float) -> ResultNode:
    """Add the nodes of a result to the scene.

    Args:
        source: the volume node that was explained; None loads the image that came with the result (a server study).

    Raises:
        LoadError: parts of the result are missing or unreadable. The scene is as it was before.
    """
    with tempfile.TemporaryDirectory(prefix="xai-") as folder, all_or_nothing(scene):
        files = result.write(Path(folder))
        kinds = {overlay.name: overlay.kind for overlay in result.overlays()}
        saliency = _read_saliency(files, kinds)
        labelmaps = {
            name: read_nrrd(_file(files, name), slicer.vtkMRMLLabelMapVolumeNode())
            for name in STYLES
            if kinds.get(name) == "labelmap"
        }
        own_source = source is None
        if own_source:
            source = _add_image(scene, files, kinds)
        document = dict(result.document)
        title = f"{source.GetName()} - {title_of(document)}" if source else title_of(document)
        node = add_result_node(scene, document, scene.GenerateUniqueName(title))
        node.threshold, node.opacity = threshold, opacity
        saliency.SetName(f"{node.node.GetName()} - saliency")
        saliency = scene.AddNode(saliency)
        colours, _ = add_display(scene, saliency, threshold)
        segmentation = None
        if labelmaps:
            segmentation = add_segmentation(scene, labelmaps, f"{node.node.GetName()} - lesions")
        node.refer(source, saliency, colours, segmentation, own_source)
        return node


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


def _read_saliency(files: dict[str, Path], kinds: dict[str, str]) -> Any:
    names = [name for name, kind in kinds.items() if kind == "saliency"]
    if not names:
        msg = "The result holds no saliency map; is it the result of another method?"
        raise LoadError(msg)
    node = read_nrrd(_file(files, "saliency" if "saliency" in names else names[0]), slicer.vtkMRMLScalarVolumeNode())
    if not np.isfinite(array_of(node)).all():
        msg = "The saliency map of the result has voxels that are not numbers."
        raise LoadError(msg)
    return node


def _add_image(scene: Any, files: dict[str, Path], kinds: dict[str, str]) -> Any:
    names = [name for name, kind in kinds.items() if kind == "image"]
    if not names:
        return None
    image = read_nrrd(_file(files, names[0]), slicer.vtkMRMLScalarVolumeNode())
    image.SetName(scene.GenerateUniqueName(names[0]))
    image = scene.AddNode(image)
    image.CreateDefaultDisplayNodes()
    return image


def _file(files: dict[str, Path], name: str) -> Path:
    if name not in files:
        msg = f"The result lacks its part “{name}”."
        raise LoadError(msg)
    return files[name]
