"""Stand-in for `slicer.i18n`: the application's translators are asked, with a context named after the file."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import slicer
from PySide6 import QtCore


def provide() -> None:
    """Make `slicer.i18n` importable; the wheel has none. Needs no application."""
    module = ModuleType("slicer.i18n")
    module.tr, module.translate = tr, translate  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    slicer.i18n = module


def translate(context: str, text: str) -> str:
    """The text in the language of the application."""
    return QtCore.QCoreApplication.translate(context, text)


@functools.cache
def context_of(file: str) -> str:
    """`Package.file` for a file of a package, else `file`."""
    path = Path(file)
    in_package = (path.parent / "__init__.py").is_file()
    return f"{path.parent.name}.{path.stem}" if in_package else path.stem


def tr(text: str) -> str:
    """As `translate`, for the file that calls; a translation with other placeholders is not taken."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    translated = translate(context_of(frame.f_back.f_code.co_filename), text)
    return translated if _placeholders(translated) == _placeholders(text) else text


@functools.cache
def _placeholders(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"(?<!\{)\{([^\{\}]+)\}(?!\})", text))
