"""Every module while it is at work: the module, the scene or the server goes, and nothing is left behind.

The guard looks for threads, timers, observers and errors after each test. The server is the real one, halted while a
job runs, so that the job is never over too early.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
for folder in ("panel", "shift"):
    sys.path.insert(0, str(HERE.parent / folder))
EXTENSION = HERE.parents[2] / "SlicerXAIExtension"
MODULES = sorted(path.stem for path in EXTENSION.glob("*/XAI*.py") if path.stem == path.parent.name)
THREAD = "XAILib background"
COHORT = "small"


@pytest.fixture(scope="module")
def halting(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server with a study and a cohort for all tests of the file; the last test kills it."""
    from small_cohort import write_cohort

    from tests.slicer.server_fixtures import running_server

    with running_server(tmp_path_factory.mktemp("closing"), tiny_home) as running:
        write_cohort(running.home / "cohorts" / COHORT, cases=2)
        yield running


@pytest.fixture
def halt(halting: Any) -> Iterator[Callable[[], None]]:
    """Let the server's process stand still until the test ends."""
    yield lambda: os.kill(halting.process.pid, signal.SIGSTOP)
    if halting.process.poll() is None:
        os.kill(halting.process.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def brain() -> tuple[np.ndarray, np.ndarray]:
    from tests.conftest import spotted_brain

    image, _ = spotted_brain(seed=11)
    return image.array, image.affine


def person(name: str, application: Any, brain: Any) -> Any:
    """Somebody in front of a module, with an image in the scene."""
    from panel_user import User
    from panels import open_panel

    user = User(application, open_panel(name))
    if not application.mrmlScene().GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"):
        user.loads(*brain)
    return user


def connects(user: Any, name: str, server: Any) -> None:
    """Connect, unless another panel has, and choose what is to be done."""
    if user.panel.server.server is None and not user.panel.server.connecting:
        user.connect_to(server.url)
    user.waits(lambda: user.panel.server.server is not None)
    ui = user.ui
    if name == "XAICohort":
        user.waits(lambda: ui.caseTable.rowCount > 0)
        ui.caseTable.selectRow(0)
    if name == "XAIShift":
        user.waits(lambda: user.panel.data.cohort is not None)
        for role, value in (("source", "01"), ("target", "07")):
            widget = getattr(ui, f"{role}Values")
            texts = [widget.item(row).text() for row in range(widget.count)]
            (row,) = [row for row, text in enumerate(texts) if text.startswith(value)]
            widget.item(row).setCheckState(type(widget.item(row).checkState()).Checked)
    user.app.processEvents()


def start_button(user: Any, name: str) -> Any:
    return user.ui.openButton if name == "XAICohort" else user.ui.runButton


def at_work(user: Any, name: str) -> bool:
    return bool(user.panel.opener.busy if name == "XAICohort" else user.panel.job.running)


def begins(user: Any, name: str) -> None:
    """Press the module's main button; the halted server lets nothing come of it."""
    button = start_button(user, name)
    assert button.enabled, button.toolTip
    user.click(button)
    assert at_work(user, name), user.sees()
    assert any(thread.name == THREAD for thread in threading.enumerate())


def ends(seconds: float = 30.0) -> None:
    """Wait for the panels' threads."""
    deadline = time.monotonic() + seconds
    while alive := [thread for thread in threading.enumerate() if thread.name == THREAD]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def resume(server: Any) -> None:
    os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("name", MODULES)
def test_module_closed(name: str, slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any) -> None:
    from XAIPanels import job_tray_home

    user = person(name, slicer_app, brain)
    connects(user, name, halting)
    halt()
    begins(user, name)
    user.close_module()
    assert job_tray_home._homes == []  # and its clock with it
    resume(halting)
    ends()


@pytest.mark.parametrize("name", MODULES)
def test_scene_closed(name: str, slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any) -> None:
    user = person(name, slicer_app, brain)
    connects(user, name, halting)
    halt()
    begins(user, name)
    slicer_app.mrmlScene().Clear(0)
    resume(halting)
    user.waits(lambda: not at_work(user, name))
    assert ("No case is open" if name == "XAICohort" else "The scene was closed") in user.sees()
    if name != "XAICohort":
        user.waits(lambda: user.jobs()[0].job)
        user.stops_all_jobs()


def test_server_killed(slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any) -> None:
    """Under all modules at once."""
    users = {}
    for name in MODULES:
        users[name] = person(name, slicer_app, brain)
        connects(users[name], name, halting)
        users[name].module.exit()
    halt()
    for name, user in users.items():
        user.module.enter()
        begins(user, name)
        user.module.exit()
    halting.kill()
    for name, user in users.items():
        user.module.enter()
        user.waits(lambda user=user, name=name: not at_work(user, name), 90)  # type: ignore[misc]
        assert "not connected" in user.sees().lower(), (name, user.sees())
        assert not user.ui.cancelButton.enabled
        user.module.exit()
