"""The panel “Counterfactuals” over a real scene, used like a person would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parent))

MODULE = Path(__file__).parents[3] / "SlicerXAIExtension" / "XAICounterfactual" / "XAICounterfactual.py"


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from counterfactual_user import CounterfactualUser
    from slicer_double.scripted import load_module

    module = load_module(MODULE)
    module.enter()
    return CounterfactualUser(slicer_app, module)
