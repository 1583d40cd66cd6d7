"""Finds what a test run would not notice: swallowed exceptions, leaks, logged errors, a frozen window."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any, ClassVar

_HARMLESS_QT = ("propagateSizeHints",)  # said by the offscreen platform about every top-level window


@dataclass(frozen=True)
class Fault:
    """`kind` is exception, thread, observer, timer, blocked, vtk, qt or wrong-thread."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"[{self.kind}] {self.text}"


class Guard:
    """`start()` … `finish()`; the faults in between are in `faults`. Guards nest: the inner one takes all.

    Attributes:
        longest: seconds that events waited at most; known after `finish`, None where nothing needed Qt.
    """

    _active: ClassVar[list[Guard]] = []

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.longest: float | None = None
        self._threads: set[int] = set()
        self._hooks: tuple[Any, ...] = ()
        self._vtk_tags: list[int] = []
        self._qt_handler: Any = None
        self._marks = (0, 0)
        self._scenes: list[tuple[Any, int]] = []
        self._timers: set[int] = set()

    # --- listening -----------------------------------------------------------------------------------------------

    def start(self) -> Guard:
        """Begin to listen to Python, and to Qt and VTK where the test has loaded them."""
        Guard._active.append(self)
        self._threads = {thread.ident or 0 for thread in threading.enumerate()}
        self._hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._exception
        threading.excepthook = self._thread_exception
        sys.unraisablehook = self._unraisable
        if "qt" in sys.modules:
            self.listen_to_qt_and_vtk()
        return self

    def listen_to_qt_and_vtk(self) -> None:
        """Called by `start` or, in the first test that needs Qt, after the double was installed."""
        if self._vtk_tags:
            return
        import vtk
        from PySide6 import QtCore

        from . import pythonqt
        from .watchdog import watchdog

        output = vtk.vtkOutputWindow.GetInstance()

        def vtk_message(_window: Any, _event: str, text: str = "") -> None:
            if Guard._active[-1] is self:
                self.faults.append(Fault("vtk", text.strip()))

        vtk_message.CallDataType = vtk.VTK_STRING  # type: ignore[attr-defined]
        self._vtk_tags = [output.AddObserver("ErrorEvent", vtk_message)]
        self._qt_handler = QtCore.qInstallMessageHandler(self._qt_message)
        self._marks = (len(watchdog().stalls), len(pythonqt.thread_faults))
        self._timers = {id(timer) for timer in self._active_timers()}
        watchdog().longest = 0.0

    def watch_scene(self, scene: Any) -> None:
        """Any event of the scene on another thread is a fault."""
        from .observing import observe

        def any_event(_scene: Any, event: str) -> None:
            if threading.current_thread() is not threading.main_thread() and Guard._active[-1] is self:
                self.faults.append(Fault("wrong-thread", f"{event} of the scene in {threading.current_thread().name}"))

        self._scenes.append((scene, observe(scene, "AnyEvent", any_event)))

    def _exception(self, kind: type[BaseException], value: BaseException, trace: Any) -> None:
        self.faults.append(Fault("exception", "".join(traceback.format_exception(kind, value, trace))))

    def _thread_exception(self, arguments: Any) -> None:
        if arguments.exc_type is not SystemExit:
            self._exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    def _unraisable(self, unraisable: Any) -> None:
        self._exception(unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback)

    def _qt_message(self, kind: Any, _context: Any, text: str) -> None:
        if kind.name in ("QtWarningMsg", "QtCriticalMsg") and not any(word in text for word in _HARMLESS_QT):
            self.faults.append(Fault("qt", text))

    # --- looking for what was left -------------------------------------------------------------------------------

    def check_application(self, application: Any) -> None:
        """Observers that outlive the panels and logics of a test, on the scene, its nodes, logics and views."""
        from .observing import python_observers, unobserve

        for scene, tag in self._scenes:
            unobserve(scene, tag)
        self._scenes.clear()
        scene = application.mrmlScene()
        objects = [scene, application.applicationLogic()]
        objects += [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
        for obj in objects:
            count = len(list(python_observers(obj)))
            if count:
                name = obj.GetID() if obj.IsA("vtkMRMLNode") else obj.GetClassName()
                self.faults.append(Fault("observer", f"{count} left on {name}"))
        for name, count in application.layoutManager().python_observers().items():
            self.faults.append(Fault("observer", f"{count} left on {name}"))

    def finish(self, grace: float = 10.0) -> list[Fault]:
        """Stop listening; threads get `grace` seconds to end. Returns the faults."""
        if self._vtk_tags:
            self._finish_qt_and_vtk()
        end = time.monotonic() + grace
        while (alive := self._new_threads()) and time.monotonic() < end:
            time.sleep(0.01)
        self.faults += [Fault("thread", f"{thread.name} still runs") for thread in alive]
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
        Guard._active.remove(self)
        return self.faults

    def take(self, kind: str) -> list[Fault]:
        """Remove and return the faults of one kind: for a test that provokes them."""
        taken = [fault for fault in self.faults if fault.kind == kind]
        self.faults = [fault for fault in self.faults if fault.kind != kind]
        return taken

    def _finish_qt_and_vtk(self) -> None:
        import vtk
        from PySide6 import QtCore

        from . import pythonqt, timers
        from .watchdog import pump, watchdog

        pump()
        self.faults += [Fault("timer", f"{text} has not fired") for text in timers.take_pending()]
        for timer in self._active_timers():
            if id(timer) not in self._timers:
                self.faults.append(Fault("timer", f"a QTimer of {timer.interval} ms still runs"))
                timer.stop()
        stalls, wrong = self._marks
        self.longest = watchdog().longest
        self.faults += [Fault("blocked", text) for text in watchdog().stalls[stalls:]]
        self.faults += [Fault("wrong-thread", text) for text in pythonqt.thread_faults[wrong:]]
        del watchdog().stalls[stalls:], pythonqt.thread_faults[wrong:]
        QtCore.qInstallMessageHandler(self._qt_handler)
        for tag in self._vtk_tags:
            vtk.vtkOutputWindow.GetInstance().RemoveObserver(tag)
        self._vtk_tags = []

    @staticmethod
    def _active_timers() -> list[Any]:
        from .timers import active_timers
        from .watchdog import watchdog

        return [timer for timer in active_timers() if timer is not watchdog().timer]

    def _new_threads(self) -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread.ident not in self._threads and thread.name != "slicer_double watchdog"
        ]
