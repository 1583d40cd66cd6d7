"""Fixtures of the Slicer tests: paths, `slicer_app` (a fresh application and scene) and the autouse `guard`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.server_fixtures import *  # noqa: F403 - fixtures

_HERE = Path(__file__).parent
_EXTENSION = _HERE.parents[1] / "SlicerXAIExtension"
for folder in (_HERE, _EXTENSION, _EXTENSION / "XAISaliency"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(autouse=True)
def guard() -> Iterator[Any]:
    """Fails the test on what would otherwise go unnoticed; see `slicer_double.guard`."""
    from slicer_double.guard import Guard

    watching = Guard().start()
    yield watching
    faults = watching.finish()
    if faults:
        pytest.fail("the guard found:\n" + "\n".join(str(fault) for fault in faults), pytrace=False)


@pytest.fixture
def slicer_app(guard: Any) -> Iterator[Any]:
    """`slicer.app` with its own scene, three slice views and a 3D view; modules are unloaded and all is closed after."""
    import slicer_double

    application = slicer_double.start_application()
    guard.listen_to_qt_and_vtk()
    guard.watch_scene(application.mrmlScene())
    yield application
    application.unload_modules()
    guard.check_application(application)
    application.close()
