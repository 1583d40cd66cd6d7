"""The panel's choices, kept on a node so that they are saved with the scene. A token is never among them."""

from __future__ import annotations

import json
from typing import Any

from XAILib.cohorts import Environment, environment_of
from XAIPanels.nodes import singleton
from XAIPanels.parameters import PanelParameters

MODULE = "XAIShift"
OPTIONS = ("metric", "estimator", "burden", "exchange")
"""Parameters of the method that the panel offers, beside the environments."""

_COHORT, _OPTIONS = "cohort", "options"


def parameter_node(scene: Any) -> Any:
    """The module's one parameter node."""
    return singleton(scene, MODULE)


class Parameters(PanelParameters):
    """Typed access to the parameter node."""

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
        return {str(name): str(value) for name, value in self._values(_OPTIONS).items()}

    @options.setter
    def options(self, values: dict[str, str]) -> None:
        self.node.SetParameter(_OPTIONS, json.dumps(values))
