"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import ImageParameters

MODULE = "XAICounterfactual"
SIDE, FADE, DIFFERENCE = "side", "fade", "difference"
MODES = (SIDE, FADE, DIFFERENCE)
_DRAWING, _SEGMENTATION, _SEGMENT = "drawing", "Segmentation", "segment"


@dataclass(frozen=True)
class Drawing:
    """How results are drawn.

    Attributes:
        mode: one of `MODES`.
        fade: 0 shows the original, 1 the counterfactual.
        threshold: fraction of the scale below which a change is not drawn.
        opacity: of the difference over the original.
    """

    mode: str = SIDE
    fade: float = 1.0
    threshold: float = 0.05
    opacity: float = 0.8


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(ImageParameters):
    """Typed access to the parameter node."""

    @property
    def drawing(self) -> Drawing:
        """The default for every value that the scene lacks or that cannot be used."""
        kept, usual = self._values(_DRAWING), Drawing()

        def fraction(name: str) -> float:
            value = kept.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
                return float(value)
            return float(getattr(usual, name))

        mode = kept.get("mode")
        fractions = {name: fraction(name) for name in ("fade", "threshold", "opacity")}
        return Drawing(mode=mode if mode in MODES else usual.mode, **fractions)

    @drawing.setter
    def drawing(self, drawing: Drawing) -> None:
        self.node.SetParameter(_DRAWING, json.dumps(asdict(drawing)))

    @property
    def segment(self) -> tuple[Any, str]:
        """Segmentation node and id of the segment that changes are measured in; (None, "") without one."""
        node = self.node.GetNodeReference(_SEGMENTATION)
        return (node, str(self.node.GetParameter(_SEGMENT))) if node is not None else (None, "")

    @segment.setter
    def segment(self, segment: tuple[Any, str]) -> None:
        self._refer(_SEGMENTATION, segment[0])
        self.node.SetParameter(_SEGMENT, segment[1])
