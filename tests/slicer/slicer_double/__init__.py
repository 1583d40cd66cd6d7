"""A test double of 3D Slicer's application around the real MRML of the `slicer-core` wheel. See README.md."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@functools.cache
def install() -> Any:
    """Put `qt` and `ctk` into `sys.modules` and complete `slicer`; returns the QApplication. Safe to call again."""
    import slicer
    import slicer.util
    from PySide6 import QtWidgets

    _keep_none_alive()
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
    application.setApplicationName("Slicer")
    application.setQuitOnLastWindowClosed(False)
    _remove_leaked_names(slicer)

    from . import dialogs, i18n, pythonqt, timers

    sys.modules["qt"] = pythonqt.make_qt_module()
    timers.watch_timers()
    from .ctk_widgets import make_ctk_module

    sys.modules["ctk"] = make_ctk_module()
    slicer.modules = SimpleNamespace()
    slicer.modules.__name__ = "slicer.modules"
    from . import qmrml_widgets, scripted, uiloader

    sys.modules["qt"].QUiLoader = uiloader.QUiLoader  # type: ignore[attr-defined]

    for widget in qmrml_widgets.WIDGETS:
        setattr(slicer, widget.__name__, widget)
    slicer.qSlicerScriptedLoadableModule = scripted.LoadedModule
    _add_module(slicer, "ScriptedLoadableModule", {n: v for n, v in vars(scripted).items() if n.startswith("Scripted")})
    i18n.provide()
    dialogs.record_instead_of_showing()
    return application


def _keep_none_alive() -> None:
    """PySide6 6.12 gives back a reference to None, which it never took, at each call without a result.

    From Python 3.12 on None cannot die of that; before, a run of some minutes would end in `none_dealloc`.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def start_application() -> Any:
    """A fresh `slicer.app` with a fresh scene; `close()` it before the next one."""
    qt_application = install()
    import slicer

    from .application import Application

    vars(slicer.modules).clear()
    slicer.app = None
    slicer.app = Application(qt_application)
    return slicer.app


def _add_module(package: ModuleType, name: str, content: dict[str, Any]) -> None:
    module = ModuleType(f"{package.__name__}.{name}")
    vars(module).update(content)
    sys.modules[module.__name__] = module
    setattr(package, name, module)


def _remove_leaked_names(slicer: ModuleType) -> None:
    """The wheel copies every name of `slicer.util` into `slicer`; Slicer does not."""
    for name, value in vars(slicer.util).items():
        if name not in ("__name__", "__path__") and not name.startswith("_") and vars(slicer).get(name) is value:
            delattr(slicer, name)
    for name in ("me", "sys", "info", "item_name", "module", "iter_modules", "extend_path", "import_module"):
        vars(slicer).pop(name, None)
