"""What the modules' own files have in common: the entry in Slicer's menus, and a panel that hears of the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin
from XAILib import readable

from .job_tray import JobTray
from .job_tray_home import home, leave_home
from .tabs import leave


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
        parent.categories = [translate("qSlicerAbstractCoreModule", "Explainable AI")]
        parent.dependencies = list(self.dependencies)
        parent.contributors = ["The slicerxai developers"]
        parent.helpText = self.text
        parent.acknowledgementText = ""


class PanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel into the module's layout and passes Slicer's events on."""

    def __init__(self, parent: Any = None) -> None:
        self.panel: Any = None
        self.tray: Any = None
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def make_panel(self) -> Any:
        """The panel, with `root`, `restore`, `scene_closing` and `close`."""
        raise NotImplementedError

    def form(self, name: str) -> str:
        """The file of a form of this module, or of a library beside it.

        Installed, the forms of all modules lie in one folder. In a source tree a library has its own.
        """
        installed = Path(self.resourcePath(f"UI/{name}.ui"))
        if installed.is_file():
            return str(installed)
        return str(installed.parents[3] / name / "Resources" / "UI" / installed.name)

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        colours = slicer.app.palette()
        readable.use(*(colours.color(role).name() for role in (qt.QPalette.Window, qt.QPalette.Base)))
        self.panel = self.make_panel()
        self.panel.root.layout().setContentsMargins(0, 0, 0, 0)
        self.layout.addWidget(self.panel.root)
        self.tray = JobTray(home())
        self.layout.addWidget(self.tray.root)
        home().join(self.tray)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneReplaced)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneReplaced)

    def cleanup(self) -> None:
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
            self.panel = None
            leave_home(self.tray)

    def enter(self) -> None:
        """The module is shown, perhaps again."""
        if hasattr(self.panel, "enter"):
            self.panel.enter()

    def exit(self) -> None:
        """Another module is shown."""
        if self.panel is not None:
            leave(self.panel)

    def onSceneStartClose(self, *_unused: Any) -> None:
        self.panel.scene_closing()

    def onSceneReplaced(self, *_unused: Any) -> None:
        home().scene_replaced()
        self.panel.restore()
