"""The panel “Counterfactuals” over a real scene, used like a person would, against a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parent))

from counterfactual_server import running_counterfactual_server

from tests.conftest import spotted_brain


@pytest.fixture(scope="session")
def asked_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests that leave it alive."""
    with running_counterfactual_server(tmp_path_factory.mktemp("counterfactual"), tiny_home) as running:
        yield running


@pytest.fixture(scope="session")
def brain() -> tuple[np.ndarray, np.ndarray]:
    """Voxels (i, j, k) and affine of a brain with bright spots, which the tiny model calls lesions."""
    image, _ = spotted_brain(seed=11)
    return image.array, image.affine


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from counterfactual_user import CounterfactualUser
    from panels import open_panel

    module = open_panel("XAICounterfactual")
    return CounterfactualUser(slicer_app, module)
