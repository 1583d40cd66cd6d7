"""Slicer module “Review worklist”: which predictions should be read again, and what the reader decides."""

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
Lists the images of a server with the predictions most likely to be wrong first, each with the maps that made it
suspicious, and writes back what the reader decides: accepted, corrected or wrong. <b>{RESEARCH_USE}</b>
"""


class XAIReview(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Review worklist"
        parent.categories = ["Explainable AI"]
        parent.dependencies = ["Segmentations", "Volumes"]
        parent.contributors = ["The slicerxai developers"]
        parent.helpText = HELP
        parent.acknowledgementText = ""


class XAIReviewWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel into the module's layout and passes Slicer's events on."""

    def __init__(self, parent: Any = None) -> None:
        self.panel: Any = None
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from XAIReviewLib.widget import ReviewPanel

        self.panel = ReviewPanel(self.resourcePath("UI/XAIReview.ui"))
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
