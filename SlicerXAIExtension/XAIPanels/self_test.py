"""Self tests of a module, as Slicer runs them: “Reload and Test”, or `ctest` of a build of the extension.

They need no server: what a panel must do without one is open, follow the scene, say in words that nobody answers, and
leave nothing behind.
"""

# ruff: noqa: PT009 - the form of Slicer's own tests

from __future__ import annotations

import time
from typing import Any

import numpy as np
import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

NOBODY = "http://127.0.0.1:9"
"""Port 9 discards: nothing listens there."""
SECONDS = 20.0


class PanelTest(ScriptedLoadableModuleTest):
    """Of the module whose name the class has, with "Test" at its end."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        """All of them, one after the other."""
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            self.delayDisplay(name)
            getattr(self, name)()

    @property
    def widget(self) -> Any:
        """The module's widget, made when it is first asked for."""
        return slicer.util.getModuleWidget(type(self).__name__[: -len("Test")])

    @property
    def panel(self) -> Any:
        """Its panel, or the one whose tab is open."""
        panel = self.widget.panel
        return getattr(panel, "current", panel)

    def test_every_button_that_is_off_says_why(self) -> None:
        """A radiologist is never left with a grey button without a word."""
        ui = vars(self.panel.ui)
        silent = [
            name
            for name, part in ui.items()
            if isinstance(part, qt.QPushButton) and part.visible and not part.enabled and not part.toolTip
        ]
        self.assertEqual(silent, [])

    def test_a_volume_is_offered(self) -> None:
        """A volume that is loaded can be chosen at once; gone, it is not."""
        selector = vars(self.panel.ui).get("inputSelector")
        if selector is None:  # this module takes no volume
            return
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "FLAIR")
        slicer.util.updateVolumeFromArray(volume, np.zeros((8, 8, 8), np.int16))
        slicer.app.processEvents()
        self.assertTrue(selector.currentNode() is volume)
        slicer.mrmlScene.RemoveNode(volume)
        slicer.app.processEvents()
        self.assertTrue(selector.currentNode() is None)

    def test_nobody_answers(self) -> None:
        """The panel says so in words, and stays usable."""
        ui = self.panel.ui
        if not hasattr(ui, "urlEdit"):
            return
        before = ui.urlEdit.text
        ui.urlEdit.text = NOBODY
        ui.connectButton.click()
        self._wait(lambda: NOBODY in ui.serverState.text and ui.connectButton.enabled)
        ui.urlEdit.text = before

    def test_a_closed_scene_leaves_an_empty_panel(self) -> None:
        """Closing and opening scenes leaves the panel as it was made."""
        for _time in range(2):
            slicer.mrmlScene.Clear(0)
            slicer.app.processEvents()
        self.assertTrue(self.widget.panel is not None)
        self.test_every_button_that_is_off_says_why()

    def _wait(self, done: Any) -> None:
        deadline = time.monotonic() + SECONDS
        while not done():
            self.assertLess(time.monotonic(), deadline, "waited too long")
            slicer.app.processEvents()
            time.sleep(0.01)
