"""Fixtures of the Slicer tests: paths, `slicer_app` (a fresh application and scene) and the autouse `guard`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_EXTENSION = _HERE.parents[1] / "SlicerXAIExtension"
for folder in (_HERE, _EXTENSION, _EXTENSION / "XAISaliency"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture
def slicer_app() -> Iterator[Any]:
    """`slicer.app` with its own scene, four-up layout with three slice views and a 3D view, all closed afterwards."""
    import slicer_double

    application = slicer_double.start_application()
    yield application
    application.close()
