"""Slicer module “Saliency & Review”: which voxels made a model call this a lesion."""

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


class XAISaliency(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = "Saliency & Review"
    dependencies = ("Segmentations", "Volumes", "Markups")
    text = f"""
Asks an explanation server for the lesions that a model predicts in an image, for the voxels that made it decide so, and
for whether this very explanation can be trusted. <b>{RESEARCH_USE}</b>
"""


class XAISaliencyWidget(PanelWidget):
    """The module's panel."""

    def make_panel(self) -> Any:
        from XAISaliencyLib.widget import SaliencyPanel

        return SaliencyPanel(self.resourcePath("UI/XAISaliency.ui"))

    def exit(self) -> None:
        if self.panel is not None:
            self.panel.leave()
