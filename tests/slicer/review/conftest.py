"""The panel “Review worklist” over a real scene, used like a person would, against a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parent))

from review_server import running_review_server


@pytest.fixture(scope="session")
def review_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests of the panel; its scores stay, decisions are for each test to take back."""
    with running_review_server(tmp_path_factory.mktemp("review"), tiny_home) as running:
        yield running


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from panels import open_panel
    from review_user import ReviewUser

    module = open_panel("XAIReview")
    return ReviewUser(slicer_app, module)
