"""The panel “MSSEG Cohort” over a real scene, used like a person would, with a folder and against a real server."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parents[1] / "shift"))
sys.path.insert(0, str(Path(__file__).parent))

from raters_by_hand import write_msseg
from server_fixtures import own_server, server

__all__ = ["own_server", "server"]


@pytest.fixture(scope="session")
def msseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small cohort; read only."""
    return write_msseg(tmp_path_factory.mktemp("cohorts") / "msseg")


@pytest.fixture(scope="session")
def cohort_server(server: Any, msseg: Path) -> Any:
    """The session's server, which has the cohort "msseg" now."""
    folder = server.home / "cohorts" / "msseg"
    if not folder.exists():
        shutil.copytree(msseg, folder)
    return server


@pytest.fixture
def user(slicer_app: Any) -> Any:
    """A person in front of the open module."""
    from cohort_user import CohortUser
    from panels import open_panel

    return CohortUser(slicer_app, open_panel("XAICohort"))
