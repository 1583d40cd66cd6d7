"""The panel's choices, kept on a node so that they are saved with the scene. Folders of this computer are not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import PanelParameters, read_fraction, write_fraction

MODULE = "XAICohort"
DEFAULT_OPACITY = 0.7

_COHORT, _KIND, _DRAWING, _OPACITY = "cohort", "kind", "drawing", "opacity"


@dataclass(frozen=True)
class Drawing:
    """How a case is drawn.

    Attributes:
        side: one view for each modality, instead of one modality in the views that are open.
        modality: of these; the first one when the case lacks it.
        agreement: whether the map of agreement lies over the image.
        hidden: raters whose outlines are not drawn.
    """

    side: bool = True
    modality: str = ""
    agreement: bool = False
    hidden: tuple[str, ...] = ()


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(PanelParameters):
    """Typed access to the parameter node."""

    @property
    def cohort(self) -> str:
        """Of the server; empty before one was chosen."""
        return str(self.node.GetParameter(_COHORT))

    @cohort.setter
    def cohort(self, cohort: str) -> None:
        self.node.SetParameter(_COHORT, cohort)

    @property
    def kind(self) -> str:
        """Of the source, see `sources`; empty before one was chosen."""
        return str(self.node.GetParameter(_KIND))

    @kind.setter
    def kind(self, kind: str) -> None:
        self.node.SetParameter(_KIND, kind)

    @property
    def drawing(self) -> Drawing:
        """As wished; the default where the scene holds none or something unreadable."""
        values = self._values(_DRAWING)
        known = {field.name: values[field.name] for field in fields(Drawing) if field.name in values}
        try:
            hidden = tuple(str(rater) for rater in known.pop("hidden", ()))
            return Drawing(
                bool(known.get("side", True)), str(known.get("modality", "")), bool(known.get("agreement")), hidden
            )
        except TypeError:
            return Drawing()

    @drawing.setter
    def drawing(self, drawing: Drawing) -> None:
        self.node.SetParameter(_DRAWING, json.dumps(asdict(drawing)))

    @property
    def opacity(self) -> float:
        """Of the map of agreement, in [0, 1]."""
        return read_fraction(self.node, _OPACITY, DEFAULT_OPACITY)

    @opacity.setter
    def opacity(self, opacity: float) -> None:
        write_fraction(self.node, _OPACITY, opacity)
