"""Result nodes: what keeps a result's document and nodes together in a scene."""

from __future__ import annotations

import json
from typing import Any

from XAIPanels import documents
from XAIPanels.documents import anonymous
from XAIPanels.image_result import ImageResult

from .prepared import Point, Prepared
from .tables import Curve, curve, outputs, properties, ranked

RESULT = "XAIPropertyResult"
"""Value of the attribute "ModuleName", by which result nodes are found; parameter nodes have the module's own name."""

_IMAGE, _FRAMES = "Image", "Frames"
_PROPERTY, _OUTPUT, _STEP, _PLACE = "property", "output", "step", "place"


class ResultNode(ImageResult):
    """Typed access to one result node; every part may have been deleted by hand, and is None then."""

    CHOICES = (_PROPERTY, _OUTPUT, _STEP)

    @property
    def image(self) -> Any:
        """The volume that the views show: it has the voxels of one step after the other. None for a ranking."""
        return self.node.GetNodeReference(_IMAGE)

    @property
    def frames(self) -> Any:
        """The sequence of the images of all steps; None for a ranking."""
        return self.node.GetNodeReference(_FRAMES)

    @property
    def volumes(self) -> list[Any]:
        """The volume at the slider, where it is still there."""
        return [self.image] if self.image is not None else []

    @property
    def parts(self) -> list[Any]:
        """All that goes with the result, but for the explained volume."""
        return [*super().parts, self.frames]

    @property
    def walked(self) -> bool:
        """Whether the images of the steps are there."""
        frames, course = self.frames, self.curve
        if self.image is None or frames is None or course is None:
            return False
        return bool(frames.GetNumberOfDataNodes() == len(course.values))

    @property
    def property_name(self) -> str:
        """The chosen property; by default the strongest."""
        kept, names = str(self.node.GetParameter(_PROPERTY)), properties(self.document)
        if kept in names:
            return kept
        strongest = ranked(self.document, self.output)
        return strongest[0].property if strongest else names[0]

    @property_name.setter
    def property_name(self, name: str) -> None:
        self.node.SetParameter(_PROPERTY, name)

    @property
    def output(self) -> str:
        """The chosen output; by default the one by which the server ranked, else its first."""
        names = [one.name for one in outputs(self.document)]
        asked = self.document.get("parameters", {}).get("output")
        for name in (str(self.node.GetParameter(_OUTPUT)), asked):
            if name in names:
                return str(name)
        return names[0]

    @output.setter
    def output(self, name: str) -> None:
        self.node.SetParameter(_OUTPUT, name)

    @property
    def curve(self) -> Curve | None:
        """The chosen output along the chosen property."""
        return curve(self.document, self.property_name, self.output)

    @property
    def step(self) -> int:
        """Where the slider is, from 0; by default where the image is as it is."""
        course = self.curve
        if course is None:
            return 0
        kept = self._read(_STEP, None)
        inside = isinstance(kept, int) and not isinstance(kept, bool) and 0 <= kept < len(course.values)
        return int(kept) if inside else course.neutral or 0

    @step.setter
    def step(self, number: int | None) -> None:
        self.node.SetParameter(_STEP, "" if number is None else str(number))

    @property
    def place(self) -> Point | None:
        """R, A, S in mm of where the walk changes most."""
        place = self._read(_PLACE, None)
        return None if place is None else (place[0], place[1], place[2])

    def refer(self, source: Any, outlines: Any, own_source: bool, image: Any, frames: Any) -> None:
        """Connect the parts; all of them are in the scene."""
        self.refer_image(source, outlines, own_source)
        self._refer(_IMAGE, image)
        self._refer(_FRAMES, frames)


def add_result_node(scene: Any, prepared: Prepared, name: str) -> ResultNode:
    """A new result node in the scene, without its parts."""
    node = documents.add_result_node(scene, RESULT, anonymous(prepared.document), name)
    if prepared.walk is not None:
        node.SetParameter(_PLACE, json.dumps(prepared.walk.place))
    return ResultNode(node)


def result_nodes(scene: Any) -> list[Any]:
    """All result nodes of the scene whose document can be read, oldest first."""
    return documents.result_nodes(scene, RESULT)
