"""Panels in another language, for a screen reader and by the keyboard: every module, found by its file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
EXTENSION = HERE.parents[2] / "SlicerXAIExtension"
MODULES = sorted(path.stem for path in EXTENSION.glob("*/XAI*.py") if path.stem == path.parent.name)
sys.path.insert(0, str(HERE))

TAGS = re.compile(r"<[^>]*>|&\w+;|\b(Alt|Ctrl|Shift)\+")


def untranslated(text: str) -> str:
    """What stands outside of the brackets."""
    outside, depth = "", 0
    for character in text:
        depth += (character == "⟦") - (character == "⟧")
        outside += character if depth == 0 and character != "⟧" else ""
    return TAGS.sub(" ", outside)


@pytest.fixture(scope="module")
def said() -> list[tuple[str, str, str, str]]:
    """Module, widget, kind and text in the language that does not exist."""
    command = [sys.executable, str(HERE / "in_other_words.py")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(entry) for entry in json.loads(done.stdout)]


@pytest.mark.parametrize("module", MODULES)
def test_every_text_changes_with_the_language(module: str, said: list[tuple[str, str, str, str]]) -> None:
    mine = [entry for entry in said if entry[0] == module]
    assert len(mine) > 50
    left = [entry[1:] for entry in mine if re.search(r"[A-Za-z]{3,}", untranslated(entry[3]))]
    assert left == []


def test_an_untranslated_text_is_found() -> None:
    assert untranslated("⟦Model⟧ (Alt+1)").strip() == "( 1)"
    assert untranslated("⟦{name} of ⟦all⟧⟧ cases").strip() == "cases"


@pytest.mark.parametrize("module", MODULES)
def test_a_screen_reader_and_the_mouse_learn_what_a_widget_is_for(module: str, slicer_app: Any) -> None:
    from panel_widgets import interactive, opened, spoken_name

    with opened(EXTENSION / module / f"{module}.py") as (_, root):
        widgets = list(interactive(root))
        assert len(widgets) > 10
        assert [widget.objectName for widget in widgets if not spoken_name(widget)] == []
        seen = [widget for widget in widgets if widget.isVisible()]
        assert [widget.objectName for widget in seen if not _explained(widget)] == []


@pytest.mark.parametrize("module", MODULES)
def test_tab_goes_down_the_panel(module: str, slicer_app: Any) -> None:
    from panel_widgets import focus_order, opened
    from PySide6 import QtCore

    with opened(EXTENSION / module / f"{module}.py") as (_, root):
        chain = focus_order(root)
        assert len(chain) > 5
        tops = [widget.mapTo(root, QtCore.QPoint(0, 0)).y() for widget in chain]
        back = [
            (before.objectName, after.objectName)
            for before, after, top, next_top in zip(chain, chain[1:], tops, tops[1:], strict=False)
            if next_top + after.height <= top  # not even partly in the same line
        ]
        assert len(back) <= 1, back  # the chain is a ring: it ends at the panel's top


def _explained(widget: Any) -> bool:
    """Whether a tooltip, or a text that says it all, tells what the widget does."""
    from PySide6 import QtWidgets

    if isinstance(widget, QtWidgets.QTabBar):
        return all(widget.tabToolTip(index) for index in range(widget.count))
    return bool(widget.toolTip)
