"""The guard finds each kind of fault: a fault is made on purpose under an inner guard, which has to name it."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def inner(slicer_app: Any) -> Iterator[Any]:
    """A second guard inside the test's own one, which sees nothing of what happens before `finish()`."""
    from slicer_double.guard import Guard

    return Guard().start()


def _only(faults: list[Any], kind: str, text: str) -> None:
    assert [fault.kind for fault in faults] == [kind], faults
    assert text in faults[0].text


def test_nothing_wrong_is_no_fault(inner: Any) -> None:
    import qt
    from slicer_double.helpers import click

    button = qt.QPushButton("press")
    pressed: list[int] = []
    button.connect("clicked()", lambda: pressed.append(1))
    button.show()
    click(button)
    assert pressed == [1]
    assert inner.finish() == []


def test_exception_in_a_slot(inner: Any) -> None:
    import qt
    from slicer_double.helpers import click

    def slot() -> None:
        raise ValueError("lost in a slot")

    button = qt.QPushButton("press")
    button.connect("clicked()", slot)
    button.show()
    click(button)
    _only(inner.finish(), "exception", "lost in a slot")


def test_exception_in_a_vtk_observer(inner: Any) -> None:
    import slicer

    def observer(*_: Any) -> None:
        raise ValueError("lost in an observer")

    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, observer)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    slicer.mrmlScene.RemoveObserver(tag)
    _only(inner.finish(), "exception", "lost in an observer")


def test_exception_in_a_timer(inner: Any) -> None:
    import qt
    from slicer_double.helpers import wait_until

    def late() -> None:
        raise ValueError("lost in a timer")

    qt.QTimer.singleShot(0, late)
    wait_until(lambda: inner.faults, 5)
    _only(inner.finish(), "exception", "lost in a timer")


def test_exception_in_a_thread(inner: Any) -> None:
    def work() -> None:
        raise ValueError("lost in a thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    _only(inner.finish(), "exception", "lost in a thread")


def test_exception_that_python_cannot_raise(inner: Any) -> None:
    class Bad:
        def __del__(self) -> None:
            raise ValueError("lost in __del__")

    bad = Bad()
    del bad
    _only(inner.finish(), "exception", "lost in __del__")


def test_thread_that_does_not_end(inner: Any) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten worker")
    thread.start()
    _only(inner.finish(grace=0.05), "thread", "forgotten worker")
    end.set()
    thread.join()


def test_thread_that_ends_in_time_is_no_fault(inner: Any) -> None:
    threading.Thread(target=time.sleep, args=(0.1,)).start()
    assert inner.finish() == []


@pytest.mark.parametrize("target", ["scene", "node", "slice logic", "interactor"])
def test_observer_that_was_not_removed(inner: Any, slicer_app: Any, target: str) -> None:
    import slicer

    red = slicer_app.layoutManager().sliceWidget("Red")
    obj = {
        "scene": slicer.mrmlScene,
        "node": slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "t"),
        "slice logic": red.sliceLogic(),
        "interactor": red.interactor(),
    }[target]
    tag = obj.AddObserver("ModifiedEvent", lambda *_: None)
    inner.check_application(slicer_app)
    obj.RemoveObserver(tag)
    _only(inner.finish(), "observer", "1 left on")


def test_observers_of_a_mixin_are_found_and_gone_after_removal(inner: Any, slicer_app: Any) -> None:
    import slicer

    mixin = slicer.util.VTKObservationMixin()
    mixin.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: None)
    inner.check_application(slicer_app)
    assert len(inner.take("observer")) == 1
    mixin.removeObservers()
    inner.check_application(slicer_app)
    assert inner.finish() == []


def test_own_observers_of_the_double_are_no_fault_and_go_with_the_widget(inner: Any, slicer_app: Any) -> None:
    import slicer
    from slicer_double.observing import _own

    key = slicer.mrmlScene.GetAddressAsString("")
    before = len(_own.get(key, ()))
    combo = slicer.qMRMLNodeComboBox()
    combo.setMRMLScene(slicer.mrmlScene)
    assert len(_own[key]) > before
    inner.check_application(slicer_app)
    combo.deleteLater()
    slicer_app.processEvents()
    assert len(_own[key]) == before
    assert inner.finish() == []


def test_timer_that_was_not_stopped(inner: Any) -> None:
    import qt

    timer = qt.QTimer()
    timer.start(5000)
    _only(inner.finish(), "timer", "5000 ms")


def test_timer_that_only_a_widget_knows(inner: Any) -> None:
    import qt

    window = qt.QWidget()
    qt.QTimer(window).start(5000)
    _only(inner.finish(), "timer", "5000 ms")


def test_single_shot_that_has_not_fired(inner: Any) -> None:
    import qt

    qt.QTimer.singleShot(50_000, print)
    _only(inner.finish(), "timer", "singleShot(50000, print) has not fired")


@pytest.fixture
def impatient(monkeypatch: Any) -> None:
    """Shorter than the real limit, for tests that have to exceed it."""
    monkeypatch.setattr("slicer_double.watchdog.BLOCK_LIMIT", 0.25)
    monkeypatch.setattr("slicer_double.watchdog._pages_read", lambda: 0)


def _wait(seconds: float) -> None:
    """Block without a call that would be found by its name."""
    threading.Event().wait(seconds)


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("block", [_wait, _compute])
@pytest.mark.usefixtures("impatient")
def test_main_thread_blocked_in_a_slot(inner: Any, block: Any) -> None:
    import qt
    from slicer_double.helpers import click

    button = qt.QPushButton("press")
    button.connect("clicked()", lambda: block(0.4))
    button.show()
    click(button)
    _only(inner.finish(), "blocked", "events waited ")


@pytest.mark.usefixtures("impatient")
def test_main_thread_blocked_from_the_event_loop_says_where(inner: Any, slicer_app: Any) -> None:
    import qt

    def too_slow() -> None:
        _wait(0.4)

    qt.QTimer.singleShot(0, too_slow)
    time.sleep(0.01)
    slicer_app.processEvents()
    _only(inner.finish(), "blocked", "in too_slow")


def _connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda port: time.sleep(0), ["time.sleep"]),
        (_connect, ["socket.getaddrinfo", "socket.connect"]),
        (
            lambda port: subprocess.run([sys.executable, "--version"], capture_output=True, check=True),
            ["subprocess.Popen"],
        ),
    ],
)
def test_calls_that_may_block_are_faults_however_quick(inner: Any, call: Any, found: list[str]) -> None:
    import qt
    from slicer_double.helpers import click

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        call(port)  # by the test itself
        worker = threading.Thread(target=call, args=(port,))
        button = qt.QPushButton("press")
        button.connect("clicked()", worker.start)
        button.show()
        click(button)
        worker.join()
        assert inner.faults == []
        button = qt.QPushButton("press")
        button.connect("clicked()", lambda: call(port))
        button.show()
        click(button)
    faults = inner.finish()
    assert [fault.kind for fault in faults] == ["blocked"] * len(found)
    assert [fault.text.split(" while events wait")[0] for fault in faults] == found
    assert "test_double_guard.py" in faults[0].text


@pytest.mark.usefixtures("impatient")
def test_long_wait_of_the_test_itself_and_excused_drawing_are_no_fault(inner: Any, slicer_app: Any) -> None:
    import qt
    from slicer_double.watchdog import watchdog

    def draws_slowly() -> None:
        with watchdog().excused():
            time.sleep(0.4)

    time.sleep(0.4)
    qt.QTimer.singleShot(0, draws_slowly)
    time.sleep(0.01)
    slicer_app.processEvents()
    assert inner.finish() == []


@pytest.mark.usefixtures("impatient")
def test_collecting_garbage_is_no_fault(inner: Any, slicer_app: Any) -> None:
    import qt
    from slicer_double.watchdog import watchdog

    def much_garbage(phase: str, _details: dict[str, int]) -> None:
        if phase == "start":
            time.sleep(0.4)

    watchdog()
    gc.callbacks.append(much_garbage)
    try:
        qt.QTimer.singleShot(0, gc.collect)
        time.sleep(0.01)
        slicer_app.processEvents()
    finally:
        gc.callbacks.remove(much_garbage)
    assert inner.finish() == []


def test_another_limit_and_the_longest_wait(inner: Any, slicer_app: Any, monkeypatch: Any) -> None:
    import qt
    from slicer_double import watchdog

    for name in ("BLOCK_LIMIT", "COMPUTE_LIMIT"):
        monkeypatch.setattr(watchdog, name, getattr(watchdog, name))  # put back afterwards
    watchdog.limit(0.25)
    for seconds in (0.4, 0.05):
        qt.QTimer.singleShot(0, lambda seconds=seconds: _compute(seconds))
        time.sleep(0.01)
        slicer_app.processEvents()
    _only(inner.finish(), "blocked", "(computing 0.4")
    assert inner.longest is not None
    assert 0.4 <= inner.longest < 5


def test_many_short_slots_are_no_fault(inner: Any) -> None:
    import qt
    from slicer_double.helpers import wait_until

    runs: list[int] = []
    timer = qt.QTimer()
    timer.connect("timeout()", lambda: (_wait(0.05), runs.append(1)))
    timer.start(0)
    wait_until(lambda: len(runs) > 10)
    timer.stop()
    assert inner.finish() == []


@pytest.mark.usefixtures("impatient")
def test_processor_time_that_others_took_does_not_count(slicer_app: Any, monkeypatch: Any, tmp_path: Any) -> None:
    from slicer_double.watchdog import watchdog

    dog = watchdog()
    waits = tmp_path / "schedstat"
    waits.write_text("0 0 0")
    monkeypatch.setattr(dog, "_schedstat", waits)
    before = len(dog.stalls)
    with dog.watching():
        _wait(0.4)
        waits.write_text("0 400000000 0")
    assert len(dog.stalls) == before


@pytest.mark.usefixtures("impatient")
def test_a_wait_for_code_from_the_disk_does_not_count_but_what_is_computed_meanwhile(
    slicer_app: Any, monkeypatch: Any
) -> None:
    from slicer_double.watchdog import watchdog

    dog, pages = watchdog(), iter(range(100))
    monkeypatch.setattr("slicer_double.watchdog._pages_read", lambda: next(pages))
    before = len(dog.stalls)
    with dog.watching():
        _wait(0.4)
    assert len(dog.stalls) == before
    with dog.watching():
        _compute(0.6)
    assert len(dog.stalls) == before + 1
    dog.stalls.pop()


def test_error_that_vtk_only_logs(inner: Any) -> None:
    import vtk

    vtk.vtkXMLImageDataReader().Update()
    assert {fault.kind for fault in inner.finish()} == {"vtk"}
    assert "File name not specified" in inner.faults[0].text


def test_warning_that_qt_only_logs(inner: Any) -> None:
    import qt

    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    qt.QVBoxLayout(widget)
    _only(inner.finish(), "qt", "already has a layout")


def _in_thread(function: Any) -> None:
    def work() -> None:
        try:
            function()
        except RuntimeError:
            return

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()


def test_widget_used_from_another_thread(inner: Any) -> None:
    import qt

    label = qt.QLabel("a")
    _in_thread(lambda: setattr(label, "text", "b"))
    assert label.text == "a"
    _only(inner.finish(), "wrong-thread", "QLabel.text was used from thread 'worker'")


def test_scene_used_from_another_thread(inner: Any, slicer_app: Any) -> None:
    import slicer

    inner.watch_scene(slicer.mrmlScene)
    _in_thread(lambda: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode"))
    inner.check_application(slicer_app)
    assert {fault.kind for fault in inner.finish()} == {"wrong-thread"}


def test_a_fault_fails_the_test(tmp_path: Path) -> None:
    """The fixture itself: a swallowed exception turns a test that passes into one that does not."""
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from slicer_double.fixtures import guard, slicer_app\n"
    )
    (tmp_path / "test_quiet.py").write_text(
        "def test_quiet(slicer_app):\n"
        "    import qt\n"
        "    def slot():\n"
        "        raise ValueError('swallowed')\n"
        "    qt.QTimer.singleShot(0, slot)\n"
        "    slicer_app.processEvents()\n"
        "def test_clean(slicer_app):\n"
        "    slicer_app.processEvents()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "the guard found" in done.stdout
    assert "swallowed" in done.stdout


def test_hooks_are_restored(inner: Any) -> None:
    during = sys.excepthook
    inner.finish()
    assert sys.excepthook is not during
