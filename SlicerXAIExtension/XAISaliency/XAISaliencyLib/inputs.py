"""Which volume of the scene a user most likely wants explained. MRML only."""

from __future__ import annotations

from typing import Any

from XAIPanels.nodes import in_scene, nodes_of_class

from .logic import SaliencyLogic

LIKELY = "flair"


def is_map(logic: SaliencyLogic, volume: Any) -> bool:
    """Whether a volume is the saliency map of a result."""
    return any(logic.result(node).saliency is volume for node in logic.results())


def likely_input(logic: SaliencyLogic) -> Any:
    """The first FLAIR by its name, else the first image of the scene, else None."""
    volumes = [
        volume
        for volume in nodes_of_class(logic.scene, "vtkMRMLScalarVolumeNode")
        if not volume.IsA("vtkMRMLLabelMapVolumeNode") and not is_map(logic, volume)
    ]
    flairs = [volume for volume in volumes if LIKELY in (volume.GetName() or "").lower()]
    return next(iter(flairs + volumes), None)


def contains(logic: SaliencyLogic, volume: Any) -> bool:
    """Whether a volume is still in the scene."""
    return in_scene(logic.scene, volume)
