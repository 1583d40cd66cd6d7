"""Slicer module “MSSEG Cohort”: a case with all its modalities and raters, and how far the raters agree."""

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


class XAICohort(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = _("MSSEG Cohort")
    dependencies = ("Segmentations", "Volumes")
    text = _(
        "Opens a case of a cohort with all its modalities in linked views and the masks of all raters as one "
        "segmentation, and says how far the raters agree: a map, their volumes and lesions, and the overlap of pairs. "
        "Cohorts come from a server, or from a folder of this computer such as MSSEG 2016."
    )
    text = f"{text} <b>{RESEARCH_USE}</b>"


class XAICohortWidget(PanelWidget):
    """The module's panel."""

    def make_panel(self) -> Any:
        from XAICohortLib.widget import CohortPanel

        return CohortPanel(self.resourcePath("UI/XAICohort.ui"))


class XAICohortTest(self_test.PanelTest):
    """The module's self test."""
