"""Slicer module “Counterfactuals”: what would have to be different for the model to decide otherwise."""

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


class XAICounterfactual(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = "Counterfactuals"
    dependencies = ("Segmentations", "Volumes", "Markups")
    text = f"""
Asks an explanation server for the smallest change of an image that would have made a model decide otherwise, shows
whether that change lies inside the lesion, and has the model retrained so that it does. <b>{RESEARCH_USE}</b>
"""


class XAICounterfactualWidget(PanelWidget):
    """The module's panel."""

    def make_panel(self) -> Any:
        from XAICounterfactualLib.widget import CounterfactualPanel

        return CounterfactualPanel(self.resourcePath("UI/XAICounterfactual.ui"))

    def exit(self) -> None:
        if self.panel is not None:
            self.panel.leave()
