"""The panel “Shift Attribution” over a real scene, used like a person would, against a real server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parent))

from server_fixtures import own_server, server
from small_cohort import write_cohort

__all__ = ["own_server", "server"]


@pytest.fixture(scope="session")
def shift_server(server: Any) -> Any:
    """The session's server, which has the cohort "small" now. The second of two equal requests is answered at once."""
    folder = server.home / "cohorts" / "small"
    if not folder.exists():
        write_cohort(folder)
    return server


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from panels import open_panel
    from shift_user import ShiftUser

    module = open_panel("XAIShift")
    return ShiftUser(slicer_app, module)
