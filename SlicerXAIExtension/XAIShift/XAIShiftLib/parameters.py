"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from typing import Any

from XAILib.cohorts import Environment, environment_of
from XAIPanels.nodes import singleton

MODULE = "XAIShift"
OPTIONS = ("metric", "estimator", "burden", "exchange")
"""Parameters of the method that the panel offers, beside the environments."""

_SERVER, _MODEL, _COHORT, _OPTIONS, _SHOWN = "server", "model", "cohort", "options", "ShownResult"


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters:
    """Typed access to the parameter node."""

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
    def cohort(self) -> str:
        return str(self.node.GetParameter(_COHORT))

    @cohort.setter
    def cohort(self, cohort: str) -> None:
        self.node.SetParameter(_COHORT, cohort)

    def environment(self, role: str) -> Environment:
        """The environment "source" or "target"; an empty one where the scene holds none or something unreadable."""
        try:
            return environment_of(json.loads(self.node.GetParameter(role)))
        except ValueError:
            return Environment()

    def set_environment(self, role: str, environment: Environment) -> None:
        self.node.SetParameter(role, json.dumps(environment.document()))

    @property
    def options(self) -> dict[str, str]:
        """Chosen options of the method by name; empty where the scene holds none or something unreadable."""
        try:
            values = json.loads(self.node.GetParameter(_OPTIONS) or "{}")
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}

    @options.setter
    def options(self, values: dict[str, str]) -> None:
        self.node.SetParameter(_OPTIONS, json.dumps(values))

    @property
    def shown(self) -> Any:
        """The result node that is shown, or None."""
        return self.node.GetNodeReference(_SHOWN)

    @shown.setter
    def shown(self, node: Any) -> None:
        self.node.SetNodeReferenceID(_SHOWN, node.GetID() if node is not None else None)
