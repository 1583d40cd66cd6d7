"""Slicer module “Shift Attribution”: why a model does worse at another site or under another rater."""

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


class XAIShift(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = _("Shift Attribution")
    dependencies = ("Segmentations", "Volumes")
    text = _("""
Compares a model's performance between two selections of a cohort, such as two hospitals or two raters. Says how
much of the difference comes from the patients, the scanner and the people who drew the masks, and whether the data can
support that answer. <b>{research_use}</b>
""").format(research_use=RESEARCH_USE)


class XAIShiftWidget(PanelWidget):
    """The module's panel."""

    def make_panel(self) -> Any:
        from XAIShiftLib.widget import ShiftPanel

        return ShiftPanel(self.resourcePath("UI/XAIShift.ui"))


class XAIShiftTest(self_test.PanelTest):
    """The module's self test."""
