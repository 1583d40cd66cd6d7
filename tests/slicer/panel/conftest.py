"""The real panel over a real scene, used like a person would, against real servers on real ports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server_fixtures import own_server, server

from tests.conftest import spotted_brain

__all__ = ["own_server", "server"]

MODULE = Path(__file__).parents[3] / "SlicerXAIExtension" / "XAISaliency" / "XAISaliency.py"


@pytest.fixture(scope="session")
def brain() -> tuple[np.ndarray, np.ndarray]:
    """Voxels (i, j, k) and affine of a brain with bright spots, which the tiny model calls lesions."""
    image, _ = spotted_brain(seed=11)
    return image.array, image.affine


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module, with no volume loaded."""
    from panel_user import User
    from slicer_double.scripted import load_module

    module = load_module(MODULE)
    module.enter()
    return User(slicer_app, module)
