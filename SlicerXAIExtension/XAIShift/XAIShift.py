"""Slicer module “Shift Attribution”: why a model does worse at another site or under another rater."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

# Installed, XAILib and XAIPanels lie beside this file, which Slicer's module path covers. In a source tree they are one
# folder up.
if not (Path(__file__).parent / "XAILib").is_dir() and str(Path(__file__).parents[1]) not in sys.path:
    sys.path.append(str(Path(__file__).parents[1]))

from XAIPanels.words import RESEARCH_USE

HELP = f"""
Compares a model's performance between two selections of a cohort, such as two hospitals or two raters. Says how
much of the difference comes from the patients, the scanner and the people who drew the masks, and whether the data can
support that answer. <b>{RESEARCH_USE}</b>
"""


class XAIShift(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Shift Attribution"
        parent.categories = ["Explainable AI"]
        parent.dependencies = ["Segmentations", "Volumes"]
        parent.contributors = ["The slicerxai developers"]
        parent.helpText = HELP
        parent.acknowledgementText = ""


class XAIShiftWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel into the module's layout and passes Slicer's events on."""

    def __init__(self, parent: Any = None) -> None:
        self.panel: Any = None
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from XAIShiftLib.widget import ShiftPanel

        self.panel = ShiftPanel(self.resourcePath("UI/XAIShift.ui"))
        self.layout.addWidget(self.panel.root)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneReplaced)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneReplaced)

    def cleanup(self) -> None:
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
            self.panel = None

    def onSceneStartClose(self, *_: Any) -> None:
        self.panel.scene_closing()

    def onSceneReplaced(self, *_: Any) -> None:
        self.panel.restore()
