"""Several panels at once over a real scene, used like a person would, against a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))

from server_fixtures import running_server

from tests.conftest import spotted_brain


@pytest.fixture(scope="module")
def tray_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests of the file."""
    with running_server(tmp_path_factory.mktemp("tray"), tiny_home) as running:
        yield running


@pytest.fixture(scope="session")
def brain() -> tuple[Any, Any]:
    """Voxels (i, j, k) and affine of a brain with bright spots, which the tiny model calls lesions."""
    image, _ = spotted_brain(seed=11)
    return image.array, image.affine


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of “Saliency & Review”; “Counterfactuals & Interventions” is open too, behind it."""
    from panel_user import User
    from panels import open_panel

    behind = open_panel("XAICounterfactual")
    behind.exit()
    user = User(slicer_app, open_panel("XAISaliency"))
    user.behind = behind
    return user
