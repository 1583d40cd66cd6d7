"""Fixtures of the Slicer tests: paths, `slicer_app` (a fresh application and scene) and the autouse `guard`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# triton carries an LLVM of its own: loaded after that of Mesa's software renderer, it ends the process
sys.modules["triton"] = None  # type: ignore[assignment]

from tests.slicer.server_fixtures import *  # noqa: E402, F403 - fixtures

_HERE = Path(__file__).parent
_EXTENSION = _HERE.parents[1] / "SlicerXAIExtension"
_MODULES = ("XAICohort", "XAISaliency", "XAIShift", "XAIReview", "XAICounterfactual", "XAIProperty", "XAIMethods")
for folder in (_HERE, _EXTENSION, *(_EXTENSION / module for module in _MODULES)):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from slicer_double.fixtures import guard, slicer_app  # noqa: E402, F401 - fixtures

if find_spec("slicer") is not None:  # the extension's files translate their texts when they are imported
    from slicer_double import i18n

    i18n.provide()

_WITHOUT_SLICER = {"test_cmake.py", "test_extension_files.py"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The limit of `slicer_double.watchdog` for a measurement."""
    parser.addoption(
        "--block-limit",
        type=float,
        metavar="SECONDS",
        help="how long events may wait for the panels (default: generous)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set it; the double is not imported otherwise, as there may be no Qt."""
    if config.getoption("--block-limit") is not None:
        from slicer_double import watchdog

        watchdog.limit(config.getoption("--block-limit"))


class _Skipped(pytest.Module):
    def collect(self) -> Any:
        pytest.skip("slicer-core is not installed; there is no wheel for every platform")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    """Without slicer-core a test file could not even be imported: skip it whole, and say why."""
    if find_spec("slicer") is None and module_path.name not in _WITHOUT_SLICER:
        return _Skipped.from_parent(parent, path=module_path)
    return None
