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

MODULE = Path(__file__).parents[3] / "SlicerXAIExtension" / "XAIReview" / "XAIReview.py"


@pytest.fixture(scope="session")
def review_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests of the panel; its scores stay, decisions are for each test to take back."""
    with running_review_server(tmp_path_factory.mktemp("review"), tiny_home) as running:
        yield running


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from review_user import ReviewUser
    from slicer_double.scripted import load_module

    module = load_module(MODULE)
    module.enter()
    return ReviewUser(slicer_app, module)
