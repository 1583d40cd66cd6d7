"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from typing import Any

from XAIPanels.nodes import singleton
from XAIPanels.parameters import PanelParameters

MODULE = "XAISaliency"
DEFAULT_THRESHOLD = 0.15
DEFAULT_OPACITY = 0.6

_STUDY, _PARAMETERS, _THRESHOLD, _OPACITY = "study", "parameters", "threshold", "opacity"
_VOLUME, _POINT = "InputVolume", "ExplainedPoint"


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(PanelParameters):
    """Typed access to the parameter node."""

    @property
    def volume(self) -> Any:
        """The loaded volume to explain, or None."""
        return self.node.GetNodeReference(_VOLUME)

    @volume.setter
    def volume(self, node: Any) -> None:
        self._refer(_VOLUME, node)

    @property
    def study(self) -> str:
        """Id of the server's study to explain, or empty."""
        return str(self.node.GetParameter(_STUDY))

    @study.setter
    def study(self, study: str) -> None:
        self.node.SetParameter(_STUDY, study)

    @property
    def method_parameters(self) -> dict[str, Any]:
        """Parameters of the method by name; empty where the scene holds none or something unreadable."""
        return self._values(_PARAMETERS)

    @method_parameters.setter
    def method_parameters(self, values: dict[str, Any]) -> None:
        self.node.SetParameter(_PARAMETERS, json.dumps(values))

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

    @property
    def point(self) -> Any:
        """The markups node of the explained point, or None."""
        return self.node.GetNodeReference(_POINT)

    @point.setter
    def point(self, node: Any) -> None:
        self._refer(_POINT, node)


def read_fraction(node: Any, name: str, default: float) -> float:
    """A number in [0, 1] of a scripted module node; the default where it is missing or unusable."""
    try:
        value = float(node.GetParameter(name))
    except ValueError:
        return default
    return value if 0 <= value <= 1 else default


def write_fraction(node: Any, name: str, value: float) -> None:
    """Keep a number in [0, 1] on a scripted module node. Raises `ValueError` for another one."""
    if not 0 <= value <= 1:
        msg = f"{name} is {value}; accepted: 0 to 1"
        raise ValueError(msg)
    node.SetParameter(name, repr(float(value)))
