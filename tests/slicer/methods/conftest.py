"""The module “All Methods” over a real scene, used like a person would, against a real server with a toy method."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parents[1] / "shift"))
sys.path.insert(0, str(Path(__file__).parent))

from server_fixtures import running_server
from small_cohort import write_cohort

from tests.conftest import spotted_brain

NEW_METHODS = Path(__file__).parent / "new_methods"


@pytest.fixture(scope="session")
def methods_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with two methods that the extension has never heard of, and a cohort."""
    root = tmp_path_factory.mktemp("methods")
    with running_server(root, tiny_home, PYTHONPATH=str(NEW_METHODS)) as running:
        write_cohort(running.home / "cohorts" / "small", cases=2)
        yield running


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from methods_user import MethodsUser
    from panels import open_panel

    return MethodsUser(slicer_app, open_panel("XAIMethods"))


@pytest.fixture(scope="session")
def brain() -> Any:
    """Voxels (i, j, k) and affine of a brain with bright spots."""
    image, _ = spotted_brain(seed=11)
    return image.array, image.affine
