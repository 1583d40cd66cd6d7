"""From a prepared result to nodes, and back. All of them, or none. Quick, because the window waits meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from XAILib.nrrd import Volume
from XAIPanels.colours import LESIONS
from XAIPanels.images import add_image, show_like, volume_in
from XAIPanels.nodes import all_or_nothing
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import affine_of, image_data, to_matrix

from .prepared import Prepared, Walk
from .results import ResultNode, add_result_node
from .tables import title_of
from .words import EXPERT_COLOUR, UNCHANGED_COLOUR, amount

EXPERT_ID, UNCHANGED_ID, PREDICTION_ID = "expert", "unchanged", "prediction_{}"
"""Ids of the segments; predictions have the number of their step, from 0."""
EXPERT, UNCHANGED = ("Expert’s mask", EXPERT_COLOUR), ("Predicted, image as it is", UNCHANGED_COLOUR)


def load(scene: Any, prepared: Prepared, source: Any, own_source: bool) -> ResultNode:
    """Add the nodes of a result to the scene; on any exception the scene is as it was before.

    Args:
        source: the volume node that was explained; None loads the image that came with the result (a server study).
        own_source: whether the explained volume goes with the last of its results.
    """
    walk = prepared.walk
    with all_or_nothing(scene):
        if source is None and prepared.image is not None:
            source = add_image(scene, prepared.image, "image")
        what = title_of(prepared.document)
        title = f"{source.GetName()} - {what}" if source is not None else what
        found = add_result_node(scene, prepared, scene.GenerateUniqueName(title))
        name = found.node.GetName()
        image = frames = None
        if walk is not None:
            frames = _add_frames(scene, walk, f"{name} - steps")
            image = _add_shown(scene, f"{name} - at the slider")
            if source is not None:
                show_like(image, source)
            place(image, frames, walk.neutral or 0)
        drawn = _outlines(prepared)
        whole = walk.frames[0] if walk is not None else None
        outlines = add_segmentation(scene, drawn, f"{name} - outlines", whole) if drawn else None
        found.refer(source, outlines, own_source, image, frames)
        return found


def place(image: Any, frames: Any, step: int) -> None:
    """Give the shown volume the voxels of a step: they are shared, not copied, so that this is quick."""
    frame = frames.GetNthDataNode(step)
    if frame is None or image.GetImageData() is frame.GetImageData():
        return
    modified = image.StartModify()
    if not np.allclose(affine_of(image), affine_of(frame)):  # a saved sequence may come back with turned axes
        image.SetIJKToRASMatrix(to_matrix(affine_of(frame)))
    image.SetAndObserveImageData(frame.GetImageData())
    image.EndModify(modified)


def show_prediction(outlines: Any, step: int, steps: int, unchanged: bool) -> None:
    """Let one step's prediction be seen, and that of the image as it is where that is wished.

    Where the image as it is has a view of its own, that view shows its prediction alone.
    """
    wanted = {PREDICTION_ID.format(number): number == step for number in range(steps)} | {UNCHANGED_ID: unchanged}
    there = {name: visible for name, visible in wanted.items() if outlines.GetSegmentation().GetSegment(name)}
    for number in range(outlines.GetNumberOfDisplayNodes()):
        display = outlines.GetNthDisplayNode(number)
        modified = display.StartModify()
        for name, visible in there.items():
            display.SetSegmentVisibility(name, name == UNCHANGED_ID if number else visible)
        display.EndModify(modified)


def part_outlines(outlines: Any, views: list[Any], aside: Any) -> None:
    """Let one view show the prediction of the image as it is, and all others that of the slider.

    Args:
        views: slice and 3D views. aside: the one of the image as it is; None where there is none.
    """
    first = outlines.GetDisplayNode()
    if first is None:
        return
    if aside is None:
        first.RemoveAllViewNodeIDs()
        for number in reversed(range(1, outlines.GetNumberOfDisplayNodes())):
            outlines.GetScene().RemoveNode(outlines.GetNthDisplayNode(number))
        return
    if outlines.GetNumberOfDisplayNodes() < 2:
        second = outlines.GetScene().AddNode(slicer.vtkMRMLSegmentationDisplayNode())
        second.Copy(first)
        outlines.AddAndObserveDisplayNodeID(second.GetID())
    outlines.GetNthDisplayNode(1).SetViewNodeIDs([aside.GetID()])
    first.SetViewNodeIDs([view.GetID() for view in views if view is not aside])


def taken(found: ResultNode) -> Prepared | None:
    """What a result's nodes hold, to load it again; None when a part of it was deleted by hand.

    The voxels are shared with the nodes, and stay when these go.
    """
    document = found.document
    if found.source is None:
        return None
    walk = None
    if found.frames is not None or found.image is not None:
        if not found.walked:
            return None
        walk = _taken_walk(found)
    outlines = found.outlines
    expert = segment_voxels(outlines, EXPERT_ID) if outlines is not None else None
    return Prepared(document, "", volume_in(found.source), walk, expert)


def _taken_walk(found: ResultNode) -> Walk | None:
    course, outlines = found.curve, found.outlines
    if course is None:
        return None
    steps = range(len(course.values))
    frames = tuple(volume_in(found.frames.GetNthDataNode(step)) for step in steps)
    masks = tuple(
        segment_voxels(outlines, PREDICTION_ID.format(step)) if outlines is not None else None for step in steps
    )
    return Walk(course.values, course.effect.units, course.effect.title, frames, masks, course.neutral, found.place)


def _add_frames(scene: Any, walk: Walk, name: str) -> Any:
    """A sequence, as Slicer's module Sequences has them: saved as one file, and any other module can play it."""
    frames = slicer.vtkMRMLSequenceNode()
    frames.SetName(scene.GenerateUniqueName(name))
    frames.SetIndexTypeFromString("numeric")
    frames.SetNumericIndexValueTolerance(0.0)  # by default steps that are nearer than 0.001 count as one
    frames.SetIndexName(walk.title)
    frames.SetIndexUnit(walk.units)
    frames = scene.AddNode(frames)
    for value, frame in zip(walk.values, walk.frames):
        empty = slicer.vtkMRMLScalarVolumeNode()
        empty.SetIJKToRASMatrix(to_matrix(frame.affine))
        frames.SetDataNodeAtValue(empty, repr(value))
        # a sequence copies what it is given: so it is given the voxels afterwards
        frames.GetDataNodeAtValue(repr(value)).SetAndObserveImageData(image_data(frame.array))
    return frames


def _add_shown(scene: Any, name: str) -> Any:
    """A volume that has no voxels yet, so that no window has to be found for them."""
    image = slicer.vtkMRMLScalarVolumeNode()
    image.SetName(scene.GenerateUniqueName(name))
    image = scene.AddNode(image)
    image.CreateDefaultDisplayNodes()
    return image


def _outlines(prepared: Prepared) -> list[Outline]:
    """In the order in which they are drawn; a step without a prediction has no segment."""
    found: list[tuple[str, str, str, Volume | None]] = [(EXPERT_ID, *EXPERT, prepared.expert)]
    walk = prepared.walk
    if walk is not None and walk.predictions:
        if walk.neutral is not None:
            found.append((UNCHANGED_ID, *UNCHANGED, walk.predictions[walk.neutral]))
        for step, mask in enumerate(walk.predictions):
            name = f"Predicted at {amount(walk.values[step], walk.units)}"
            found.append((PREDICTION_ID.format(step), name, LESIONS, mask))
    return [Outline(*one[:3], one[3]) for one in found if one[3] is not None]
