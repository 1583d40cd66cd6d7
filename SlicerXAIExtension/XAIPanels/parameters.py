"""What every panel keeps on its parameter node, and so in the scene. A token is never among it."""

from __future__ import annotations

import json
from typing import Any

_SERVER, _MODEL, _SHOWN = "server", "model", "ShownResult"


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
