"""The fixtures of every test with the double: `slicer_app` and the autouse `guard`; a conftest imports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def guard(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Fails the test on what would otherwise go unnoticed; see `slicer_double.guard`.

    The longest wait and the number of too long ones become properties of the test, which `--junit-xml` writes.
    """
    from slicer_double.guard import Guard

    watching = Guard().start()
    yield watching
    faults = watching.finish()
    if watching.longest is not None:
        waits = sum(fault.kind == "blocked" for fault in faults)
        request.node.user_properties += [("longest_wait", watching.longest), ("blocked", waits)]
    if faults:
        pytest.fail("the guard found:\n" + "\n".join(str(fault) for fault in faults), pytrace=False)


@pytest.fixture
def slicer_app(guard: Any) -> Iterator[Any]:
    """`slicer.app` with its own scene, three slice views and a 3D view; unloads modules and closes all afterwards."""
    import slicer_double

    application = slicer_double.start_application()
    guard.listen_to_qt_and_vtk()
    guard.watch_scene(application.mrmlScene())
    yield application
    application.unload_modules()
    guard.check_application(application)
    application.close()
