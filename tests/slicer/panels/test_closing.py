"""Every panel and the job tray at work: the module, the scene or the server goes, and nothing is left behind.

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
from panels import TABS

HERE = Path(__file__).resolve().parent
for folder in ("panel", "shift"):
    sys.path.insert(0, str(HERE.parent / folder))
EXTENSION = HERE.parents[2] / "SlicerXAIExtension"
MODULES = sorted(path.stem for path in EXTENSION.glob("*/XAI*.py") if path.stem == path.parent.name)
PANELS = (*MODULES, *TABS)
OPENING = ("XAICohort", "XAIReview")
"""Panels whose work is to open something, which the job tray does not have."""
NOTHING_OPEN = {"XAICohort": "No case is open", "XAIReview": "so nothing was opened"}
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
    """Somebody in front of a panel, with an image in the scene."""
    from panel_user import User
    from panels import open_panel

    user = User(application, open_panel(name))
    has_image(user, brain)
    return user


def has_image(user: Any, brain: Any) -> None:
    if not user.app.mrmlScene().GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"):
        user.loads(*brain)


def returns(user: Any, name: str) -> None:
    """Go back to a module, and to its tab."""
    user.module.enter()
    panel = user.module.widgetRepresentation().self().panel
    if hasattr(panel, "choose"):
        panel.choose(TABS.get(name, (name, 0))[1])


def connects(user: Any, name: str, server: Any) -> None:
    """Connect, unless another panel has, and choose what is to be done."""
    if user.panel.server.server is None and not user.panel.server.connecting:
        user.connect_to(server.url)
    user.waits(lambda: user.panel.server.server is not None)
    ui = user.ui
    if name == "XAICohort":
        user.waits(lambda: ui.caseTable.rowCount > 0)
        ui.caseTable.selectRow(0)
    if name == "XAIReview":
        user.waits(lambda: ui.worklistTable.rowCount > 0)
        ui.worklistTable.selectRow(0)
    if name == "XAIShift":
        user.waits(lambda: user.panel.data.cohort is not None)
        for role, value in (("source", "01"), ("target", "07")):
            widget = getattr(ui, f"{role}Values")
            texts = [widget.item(row).text() for row in range(widget.count)]
            (row,) = [row for row, text in enumerate(texts) if text.startswith(value)]
            widget.item(row).setCheckState(type(widget.item(row).checkState()).Checked)
    user.app.processEvents()


def start_button(user: Any, name: str) -> Any:
    return user.ui.openButton if name in OPENING else user.ui.runButton


def cancel_button(user: Any, name: str) -> Any:
    return user.ui.cancelItemButton if name == "XAIReview" else user.ui.cancelButton


def at_work(user: Any, name: str) -> bool:
    return bool(user.panel.opener.busy if name in OPENING else user.panel.job.running)


def begins(user: Any, name: str) -> None:
    """Press the panel's main button; the halted server lets nothing come of it."""
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


@pytest.mark.parametrize("name", PANELS)
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


@pytest.mark.parametrize("name", PANELS)
def test_scene_closed(name: str, slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any) -> None:
    user = person(name, slicer_app, brain)
    connects(user, name, halting)
    halt()
    begins(user, name)
    slicer_app.mrmlScene().Clear(0)
    resume(halting)
    user.waits(lambda: not at_work(user, name))
    assert NOTHING_OPEN.get(name, "The scene was closed") in user.sees()
    if name not in OPENING:
        user.waits(lambda: user.jobs()[0].job)
        user.stops_all_jobs()


def leaves_its_job(user: Any, server: Any, halt: Callable[[], None]) -> None:
    """A job that only the tray knows, before the server has answered."""
    connects(user, "XAISaliency", server)
    halt()
    begins(user, "XAISaliency")
    user.presses("background")
    assert not at_work(user, "XAISaliency")
    assert [entry.active for entry in user.jobs()] == [True]


def test_last_module_closed_with_a_job_in_the_tray(
    slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any
) -> None:
    from XAIPanels import job_tray_home

    user = person("XAISaliency", slicer_app, brain)
    leaves_its_job(user, halting, halt)
    user.close_module()
    assert job_tray_home._homes == []
    resume(halting)
    ends()


def test_scene_closed_with_a_job_in_the_tray(
    slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any
) -> None:
    user = person("XAISaliency", slicer_app, brain)
    leaves_its_job(user, halting, halt)
    slicer_app.mrmlScene().Clear(0)
    assert [entry.active for entry in user.jobs()] == [True]
    resume(halting)
    user.waits(lambda: user.jobs()[0].job)
    user.stops_all_jobs()


def test_server_killed(slicer_app: Any, halting: Any, halt: Callable[[], None], brain: Any) -> None:
    """Under all panels at once."""
    from panel_user import User
    from panels import open_panel

    modules = {name: open_panel(name) for name in MODULES}
    users = {name: User(slicer_app, modules[TABS.get(name, (name, 0))[0]]) for name in PANELS}
    for name, user in users.items():
        returns(user, name)
        has_image(user, brain)
        connects(user, name, halting)
        user.module.exit()
    halt()
    for name, user in users.items():
        returns(user, name)
        begins(user, name)
        user.module.exit()
    halting.kill()
    for name, user in users.items():
        returns(user, name)
        user.waits(lambda user=user, name=name: not at_work(user, name), 90)  # type: ignore[misc]
        assert "not connected" in user.sees().lower(), (name, user.sees())
        assert not cancel_button(user, name).isEnabled() or not cancel_button(user, name).isVisible()
        user.module.exit()
    jobs = user.jobs()
    assert len(jobs) == len(PANELS) - len(OPENING)
    assert not any(entry.active for entry in jobs), jobs
