"""Fixtures of the Slicer tests: paths, `slicer_app` (a fresh application and scene) and the autouse `guard`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.slicer.server_fixtures import *  # noqa: F403 - fixtures

_HERE = Path(__file__).parent
_EXTENSION = _HERE.parents[1] / "SlicerXAIExtension"
for folder in (_HERE, _EXTENSION, _EXTENSION / "XAISaliency"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from slicer_double.fixtures import guard, slicer_app  # noqa: E402, F401 - fixtures
