"""What the modules' own files have in common: the entry in Slicer's menus, and a panel that hears of the scene."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin


class PanelModule(ScriptedLoadableModule):
    """What Slicer shows of a module; its class says the rest.

    Attributes:
        title, dependencies, text: for people, modules that must be there, and what the module does.
    """

    title: str
    dependencies: tuple[str, ...]
    text: str

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = self.title
        parent.categories = ["Explainable AI"]
        parent.dependencies = list(self.dependencies)
        parent.contributors = ["The slicerxai developers"]
        parent.helpText = self.text
        parent.acknowledgementText = ""


class PanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel into the module's layout and passes Slicer's events on."""

    def __init__(self, parent: Any = None) -> None:
        self.panel: Any = None
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def make_panel(self) -> Any:
        """The panel, with `root`, `restore`, `scene_closing` and `close`."""
        raise NotImplementedError

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        self.panel = self.make_panel()
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
