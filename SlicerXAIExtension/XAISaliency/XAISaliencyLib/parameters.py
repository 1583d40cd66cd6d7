"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import ImageParameters, read_fraction, write_fraction

MODULE = "XAISaliency"
DEFAULT_THRESHOLD = 0.15
DEFAULT_OPACITY = 0.6

_THRESHOLD, _OPACITY = "threshold", "opacity"


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(ImageParameters):
    """Typed access to the parameter node."""

    @property
    def threshold(self) -> float:
        """For results to come: fraction of the scale below which a map is not drawn."""
        return read_fraction(self.node, _THRESHOLD, DEFAULT_THRESHOLD)

    @threshold.setter
    def threshold(self, fraction: float) -> None:
        write_fraction(self.node, _THRESHOLD, fraction)

    @property
    def opacity(self) -> float:
        """For results to come: opacity of the map over the image."""
        return read_fraction(self.node, _OPACITY, DEFAULT_OPACITY)

    @opacity.setter
    def opacity(self, value: float) -> None:
        write_fraction(self.node, _OPACITY, value)
