"""The panel “What if?” over a real scene, used like a person would, against a real server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from panels import open_panel
    from property_user import PropertyUser

    module = open_panel("XAIProperty")
    return PropertyUser(slicer_app, module)
