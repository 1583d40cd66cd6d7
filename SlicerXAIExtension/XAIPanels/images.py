"""Images that come with results, as volume nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from XAILib.nrrd import Volume

from .volumes import affine_of, array_of, make_volume

DARKEST, BRIGHTEST = 0.1, 99.9
"""Percentiles of an image that become black and white."""
LOOKED_AT = 100_000
"""Of about so many voxels: looking at each of them takes longer than a window may wait."""


def add_image(scene: Any, volume: Volume, name: str) -> Any:
    """A grey-level volume of the scene."""
    image = make_volume(volume.array, volume.affine)
    image.SetName(scene.GenerateUniqueName(name))
    image = scene.AddNode(image)
    draw_grey(scene, image, volume.array)
    return image


def draw_grey(scene: Any, image: Any, array: np.ndarray) -> None:
    """Give a volume of the scene grey levels; Slicer would look at every voxel to choose them.

    Args:
        array: its voxels, (i, j, k).
    """
    black, white = _grey_levels(array)
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(max(white - black, 1e-6), (white + black) / 2)
    display = scene.AddNode(display)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    image.SetAndObserveDisplayNodeID(display.GetID())


def _grey_levels(array: np.ndarray) -> tuple[float, float]:
    """The values that are black and white; voxels that are not numbers do not count."""
    every = max(1, round((array.size / LOOKED_AT) ** (1 / 3)))
    seen = array[::every, ::every, ::every]
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        return 0.0, 1.0
    black, white = np.percentile(seen, (DARKEST, BRIGHTEST)).tolist()
    return black, white


def show_like(image: Any, source: Any) -> None:
    """The same window and level, so that what looks different is different."""
    theirs, own = source.GetDisplayNode(), image.GetDisplayNode()
    if theirs is not None and own is not None:
        own.AutoWindowLevelOff()
        own.SetWindowLevel(theirs.GetWindow(), theirs.GetLevel())


def volume_in(node: Any) -> Volume:
    """Voxels, which share the node's memory, and their place, without the node's parent transform."""
    return Volume(array_of(node), affine_of(node))
