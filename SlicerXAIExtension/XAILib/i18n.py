"""Translation of what this package says. It knows no Slicer; who uses it says how texts are translated.

Texts are marked as in Slicer's own modules: `_("…")` with `tr` imported as `_`, the context being package and file.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Callable

Translate = Callable[[str, str], str]
"""Called as `translate(context, text)` from any thread, as `slicer.i18n.translate`."""


def _as_it_is(_context: str, text: str) -> str:
    return text


_in_use: list[Translate] = [_as_it_is]


def use(translate: Translate) -> None:
    """From now on texts are translated with this; to be called before the other files of the package are imported."""
    _in_use[0] = translate


def tr(text: str) -> str:
    """The text in the language of the application; itself where there is no translation.

    A translation whose `{placeholders}` differ would fail when it is filled in, so it is not taken.
    """
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    file = Path(caller.f_code.co_filename if caller is not None else __file__)
    translated = _in_use[0](f"{file.parent.name}.{file.stem}", text)
    return translated if _placeholders(translated) == _placeholders(text) else text


def _placeholders(text: str) -> set[str]:
    """What stands between braces."""
    return {piece.split("}")[0] for piece in text.split("{")[1:]}
