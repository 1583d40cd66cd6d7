"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import ImageParameters

MODULE = "XAIMethods"
_METHOD, _COHORT, _REQUESTS, _DRAWING = "method", "cohort", "requests", "drawing"


@dataclass(frozen=True)
class Drawing:
    """How results are drawn.

    Attributes:
        threshold: fraction of the scale below which a map is not drawn.
        opacity: of what lies over the image.
    """

    threshold: float = 0.15
    opacity: float = 0.6


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(ImageParameters):
    """Typed access to the parameter node."""

    @property
    def method(self) -> str:
        """Name of the method; empty before one was chosen."""
        return str(self.node.GetParameter(_METHOD))

    @method.setter
    def method(self, name: str) -> None:
        self.node.SetParameter(_METHOD, name)

    @property
    def cohort(self) -> str:
        """Name of the server's cohort, or empty."""
        return str(self.node.GetParameter(_COHORT))

    @cohort.setter
    def cohort(self, name: str) -> None:
        self.node.SetParameter(_COHORT, name)

    def request(self, method: str) -> Any:
        """What was asked of a method last; an empty object before."""
        return self._values(_REQUESTS).get(method, {})

    def keep_request(self, method: str, request: Any) -> None:
        """Keep what is asked of a method."""
        self.node.SetParameter(_REQUESTS, json.dumps({**self._values(_REQUESTS), method: request}))

    @property
    def drawing(self) -> Drawing:
        """The default for every value that the scene lacks or that cannot be used."""
        kept, usual = self._values(_DRAWING), Drawing()

        def fraction(name: str) -> float:
            value = kept.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
                return float(value)
            return float(getattr(usual, name))

        return Drawing(threshold=fraction("threshold"), opacity=fraction("opacity"))

    @drawing.setter
    def drawing(self, drawing: Drawing) -> None:
        self.node.SetParameter(_DRAWING, json.dumps(asdict(drawing)))
