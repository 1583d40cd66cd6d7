"""The page in a real Chromium, beside a real server with small models; skipped where either cannot run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# triton carries an LLVM of its own: loaded after that of Mesa's software renderer, it ends the process
sys.modules["triton"] = None  # type: ignore[assignment]

_HERE = Path(__file__).parent
_REVIEW = _HERE.parent / "slicer" / "review"
for folder in (_HERE, _REVIEW):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

CHROMIUM = shutil.which(os.environ.get("CHROMIUM", "chromium"))
NEEDED = {"slicer": "slicer-core", "trame_slicer": "trame-slicer", "playwright": "playwright"}


def _lacking() -> str:
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    missing += [] if CHROMIUM else ["the program chromium"]
    return f"not installed: {', '.join(missing)}" if missing else ""


if not _lacking():
    import slicerxai.viewer  # noqa: F401 - brings `slicer.i18n`, which the extension's libraries import


class _Skipped(pytest.Module):
    def collect(self) -> Any:
        pytest.skip(_lacking())


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    """Without these, a test file could not even be imported: skip it whole, and say why."""
    return _Skipped.from_parent(parent, path=module_path) if _lacking() else None


@pytest.fixture(scope="session")
def viewer_server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with four images, a segmenter, a classifier with an alarm for each, and a case of a cohort."""
    from browser_server import running_viewer_server

    with running_viewer_server(tmp_path_factory.mktemp("viewer"), tiny_home) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the tests of a file; each page of it has cookies and storage of its own.

    Not for longer: while Playwright runs, its event loop is that of the main thread, which other files need.
    """
    from browser_user import running_chromium

    with running_chromium(str(CHROMIUM)) as browser:
        yield browser


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open an address as a person would; whatever went wrong in the page meanwhile fails the test."""
    from browser_user import BrowserUser

    users: list[BrowserUser] = []

    def start(url: str, **options: Any) -> BrowserUser:
        users.append(BrowserUser(chromium, url, **options))
        return users[-1]

    yield start
    faults = [fault for user in users for fault in user.close()]
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def application() -> Any:
    """The scene of the page; a process has one."""
    from slicerxai.viewer.application import Application

    return Application()


@pytest.fixture
def desk(application: Any) -> Iterator[Any]:
    """The sections over an empty scene, connected to a server that never answers."""
    from desk import sections

    with sections(application) as found:
        yield found
