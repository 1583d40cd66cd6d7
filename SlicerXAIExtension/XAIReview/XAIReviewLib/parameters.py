"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import PanelParameters

from .order import Filters

MODULE = "XAIReview"
ONE, BLEND, SIDE = "one", "blend", "side"
MODES = (ONE, BLEND, SIDE)
"""One class; two in one picture; one in each view."""

_FILTERS, _DRAWING, _DRAFTS, _STAY = "filters", "drawing", "drafts", "stay"


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn.

    Attributes:
        mode: one of `MODES`.
        first, second: the chosen class, and the one that it is blended with; empty for the first ones.
        threshold, opacity: in [0, 1].
    """

    mode: str = ONE
    first: str = ""
    second: str = ""
    threshold: float = 0.3
    opacity: float = 0.6


@dataclass(frozen=True)
class Draft:
    """What a reader has entered and not yet written to the server; `labels` is None unless classes are corrected."""

    comment: str = ""
    labels: Mapping[str, bool] | None = None


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(PanelParameters):
    """Typed access to the parameter node."""

    @property
    def filters(self) -> Filters:
        values = self._values(_FILTERS)
        return Filters(str(values.get("label", "")), bool(values.get("flagged")), bool(values.get("open")))

    @filters.setter
    def filters(self, filters: Filters) -> None:
        values = {"label": filters.label, "flagged": filters.flagged, "open": filters.open}
        self.node.SetParameter(_FILTERS, json.dumps(values))

    @property
    def drawing(self) -> Drawing:
        values, usual = self._values(_DRAWING), Drawing()
        mode = values.get("mode")
        return Drawing(
            mode if mode in MODES else usual.mode,
            str(values.get("first", "")),
            str(values.get("second", "")),
            _share(values.get("threshold"), usual.threshold),
            _share(values.get("opacity"), usual.opacity),
        )

    @drawing.setter
    def drawing(self, drawing: Drawing) -> None:
        self.node.SetParameter(_DRAWING, json.dumps(drawing.__dict__))

    @property
    def moves_on(self) -> bool:
        """Whether a decision leads to the next open image."""
        return not self.node.GetParameter(_STAY)

    @moves_on.setter
    def moves_on(self, value: bool) -> None:
        self.node.SetParameter(_STAY, "" if value else "true")

    def draft(self, image: str) -> Draft:
        """What has been entered for an image."""
        found = self._values(_DRAFTS).get(image)
        if not isinstance(found, dict):
            return Draft()
        labels = found.get("labels")
        known = None if not isinstance(labels, dict) else {str(label): bool(labels[label]) for label in labels}
        return Draft(str(found.get("comment", "")), known)

    def set_draft(self, image: str, draft: Draft) -> None:
        """Keep what has been entered for an image; nothing is kept of an empty draft."""
        drafts = {name: value for name, value in self._values(_DRAFTS).items() if name != image}
        if draft != Draft():
            labels = None if draft.labels is None else dict(draft.labels)
            drafts[image] = {"comment": draft.comment, "labels": labels}
        self.node.SetParameter(_DRAFTS, json.dumps(drafts))


def _share(value: Any, usual: float) -> float:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if known else usual
