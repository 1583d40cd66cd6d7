"""What every panel keeps on its parameter node, and so in the scene. A token is never among it."""

from __future__ import annotations

import json
from typing import Any

_SERVER, _MODEL, _SHOWN = "server", "model", "ShownResult"
_STUDY, _PARAMETERS, _VOLUME, _POINT = "study", "parameters", "InputVolume", "ExplainedPoint"


class PanelParameters:
    """Typed access to a parameter node."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def server_url(self) -> str:
        return str(self.node.GetParameter(_SERVER))

    @server_url.setter
    def server_url(self, url: str) -> None:
        self.node.SetParameter(_SERVER, url)

    @property
    def model(self) -> str:
        return str(self.node.GetParameter(_MODEL))

    @model.setter
    def model(self, model: str) -> None:
        self.node.SetParameter(_MODEL, model)

    @property
    def shown(self) -> Any:
        """The result node that is shown, or None."""
        return self.node.GetNodeReference(_SHOWN)

    @shown.setter
    def shown(self, node: Any) -> None:
        self._refer(_SHOWN, node)

    def _values(self, name: str) -> dict[str, Any]:
        """An object that is kept as JSON; empty where the scene holds none or something unreadable."""
        try:
            values = json.loads(self.node.GetParameter(name) or "{}")
        except ValueError:
            return {}
        return values if isinstance(values, dict) else {}

    def _refer(self, role: str, node: Any) -> None:
        self.node.SetNodeReferenceID(role, node.GetID() if node is not None else None)


class ImageParameters(PanelParameters):
    """Of a panel that explains one image at a time."""

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
