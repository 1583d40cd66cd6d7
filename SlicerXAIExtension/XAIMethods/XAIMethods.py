"""Slicer module “All Methods”: any method of the server, by a form that is made from what the server says of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# Installed, XAILib and XAIPanels lie beside this file, which Slicer's module path covers. In a source tree they are one
# folder up.
if not (Path(__file__).parent / "XAILib").is_dir() and str(Path(__file__).parents[1]) not in sys.path:
    sys.path.append(str(Path(__file__).parents[1]))

from slicer.i18n import tr as _
from XAIPanels import self_test
from XAIPanels.module import PanelModule, PanelWidget
from XAIPanels.words import RESEARCH_USE


class XAIMethods(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = _("All Methods")
    dependencies = ("Segmentations", "Volumes", "Markups")
    text = _(
        "Asks an explanation server by any of its methods, also by those that have no panel of their own: what can be "
        "asked, and within which limits, the server says itself. <b>{note}</b>"
    ).format(note=RESEARCH_USE)


class XAIMethodsWidget(PanelWidget):
    """The module's panel."""

    def make_panel(self) -> Any:
        from XAIMethodsLib.widget import MethodsPanel

        return MethodsPanel(self.form("XAIMethods"))


class XAIMethodsTest(self_test.PanelTest):
    """The module's self test."""
