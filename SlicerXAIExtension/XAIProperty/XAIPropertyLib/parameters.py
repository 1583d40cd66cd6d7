"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import ImageParameters

MODULE = "XAIProperty"
OVER, SIDE = "over", "side"
MODES = (OVER, SIDE)
_DRAWING = "drawing"


@dataclass(frozen=True)
class Drawing:
    """How the image at the slider is drawn.

    Attributes:
        mode: one of `MODES`: in place of the image, or beside it.
        unchanged: whether the prediction of the image as it is is outlined too.
    """

    mode: str = OVER
    unchanged: bool = False


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(ImageParameters):
    """Typed access to the parameter node."""

    @property
    def drawing(self) -> Drawing:
        """The default for every value that the scene lacks or that cannot be used."""
        kept, usual = self._values(_DRAWING), Drawing()
        mode, unchanged = kept.get("mode"), kept.get("unchanged")
        return Drawing(mode if mode in MODES else usual.mode, unchanged is True)

    @drawing.setter
    def drawing(self, drawing: Drawing) -> None:
        self.node.SetParameter(_DRAWING, json.dumps(asdict(drawing)))
