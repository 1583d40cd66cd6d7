"""One server for all walk-throughs: two models, an alarm, images to review, and a cohort of two centres."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "panel"))
sys.path.insert(0, str(Path(__file__).parents[1] / "review"))
sys.path.insert(0, str(Path(__file__).parents[1] / "shift"))

from review_server import CLASSIFIER, SEGMENTER, running_review_server
from small_cohort import write_cohort


@pytest.fixture(scope="session")
def walk_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The server; what a walk-through writes stays."""
    with running_review_server(tmp_path_factory.mktemp("walk"), tiny_home) as running:
        write_cohort(running.home / "cohorts" / "small", cases=5)
        yield running


@pytest.fixture
def site(walk_server: Any) -> Any:
    """What that server has."""
    from tests.slicer.walk.desk import Site

    return Site(walk_server.url, SEGMENTER, CLASSIFIER, "small", "P01", ("01", "07"), ("1", "2"))


@pytest.fixture
def desk(slicer_app: Any) -> Any:
    """A Slicer with no module open yet."""
    from tests.slicer.walk.desk import Desk

    return Desk(slicer_app)
