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


@pytest.fixture(scope="session")
def brain() -> tuple[np.ndarray, np.ndarray]:
    """Voxels (i, j, k) and affine of a brain with bright spots, which the tiny model calls lesions."""
    image, _ = spotted_brain(seed=11)
    return image.array, image.affine


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module, with no volume loaded."""
    from panel_user import User
    from panels import open_panel

    module = open_panel("XAISaliency")
    return User(slicer_app, module)
