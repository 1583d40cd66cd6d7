"""Slicer module “Review worklist”: which predictions should be read again, and what the reader decides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# Installed, XAILib and XAIPanels lie beside this file, which Slicer's module path covers. In a source tree they are one
# folder up.
if not (Path(__file__).parent / "XAILib").is_dir() and str(Path(__file__).parents[1]) not in sys.path:
    sys.path.append(str(Path(__file__).parents[1]))

from XAIPanels.module import PanelModule, PanelWidget
from XAIPanels.words import RESEARCH_USE


class XAIReview(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = "Review worklist"
    dependencies = ("Segmentations", "Volumes")
    text = f"""
Lists the images of a server with the predictions most likely to be wrong first, each with the maps that made it
suspicious, and writes back what the reader decides: accepted, corrected or wrong. <b>{RESEARCH_USE}</b>
"""


class XAIReviewWidget(PanelWidget):
    """The module's panel."""

    def make_panel(self) -> Any:
        from XAIReviewLib.widget import ReviewPanel

        return ReviewPanel(self.resourcePath("UI/XAIReview.ui"))
