"""`slicer.app`, `slicer.util`, scripted modules, .ui files and the node selector behave as in Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout">
<item><widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string></property>
<layout class="QFormLayout"><item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volume">
<property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
<property name="hideChildNodeTypes"><stringlist><string>vtkMRMLLabelMapVolumeNode</string></stringlist></property>
<property name="noneEnabled"><bool>true</bool></property></widget></item>
<item row="1" column="1"><widget class="ctkSliderWidget" name="threshold">
<property name="decimals"><number>2</number></property><property name="maximum"><double>1.0</double></property>
<property name="value"><double>0.25</double></property></widget></item></layout></widget></item></layout></widget>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>volume</receiver>
<slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""

MODULE = """
from slicer.ScriptedLoadableModule import *
import qt, slicer

class Probe(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Probe module"

class ProbeWidget(ScriptedLoadableModuleWidget, slicer.util.VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        slicer.util.VTKObservationMixin.__init__(self)
        self.calls = []

    def setup(self):
        self.calls.append("setup")
        self.button = qt.QPushButton("probe")
        self.layout.addWidget(self.button)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.closed)

    def enter(self): self.calls.append("enter")
    def exit(self): self.calls.append("exit")
    def closed(self, *_): self.calls.append("closed")
    def cleanup(self):
        self.calls.append("cleanup")
        self.removeObservers()

class ProbeLogic(ScriptedLoadableModuleLogic):
    pass
"""


def _volume(name: str = "scan", class_name: str = "vtkMRMLScalarVolumeNode") -> Any:
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((3, 4, 5), np.int16), None, name, class_name)


def test_each_test_has_its_own_scene(slicer_app: Any) -> None:
    import slicer

    assert slicer.mrmlScene is slicer_app.mrmlScene()
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    _volume()


test_each_test_has_its_own_scene_again = test_each_test_has_its_own_scene


def test_names_of_util_do_not_leak_into_slicer(slicer_app: Any) -> None:
    import slicer

    for name in ("loadVolume", "arrayFromVolume", "errorDisplay", "getNode", "mainWindow", "sys"):
        assert not hasattr(slicer, name), name
    assert hasattr(slicer, "vtkMRMLScene")
    assert hasattr(slicer.util, "getNode")


def test_ui_file_for_slicer(slicer_app: Any, tmp_path: Path) -> None:
    import slicer

    (tmp_path / "Panel.ui").write_text(UI)
    widget = slicer.util.loadUI(str(tmp_path / "Panel.ui"))
    ui = slicer.util.childWidgetVariables(widget)
    assert ui.inputs.text == "Inputs"
    assert (ui.threshold.value, ui.threshold.maximum, ui.threshold.decimals) == (0.25, 1.0, 2)
    assert list(ui.volume.nodeTypes) == ["vtkMRMLScalarVolumeNode"]
    assert not ui.volume.enabled
    widget.setMRMLScene(slicer.mrmlScene)
    assert ui.volume.enabled
    assert ui.volume.mrmlScene() is slicer.mrmlScene


def test_ui_file_with_an_unknown_class_fails(slicer_app: Any, tmp_path: Path) -> None:
    import slicer

    (tmp_path / "Panel.ui").write_text(UI.replace("ctkSliderWidget", "ctkUnheardOf"))
    with pytest.raises(NotImplementedError, match="ctkUnheardOf"):
        slicer.util.loadUI(str(tmp_path / "Panel.ui"))


def _selector(**options: Any) -> tuple[Any, list[Any]]:
    import slicer

    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    for name, value in options.items():
        setattr(combo, name, value)
    changes: list[Any] = []
    combo.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: changes.append(node.GetName() if node else None))
    combo.setMRMLScene(slicer.mrmlScene)
    return combo, changes


def test_selector_with_none_stays_empty_until_chosen(slicer_app: Any) -> None:
    import slicer

    combo, changes = _selector(noneEnabled=True)
    node = _volume("a")
    assert (combo.currentNode(), combo.nodeCount(), changes) == (None, 1, [])
    combo.setCurrentNode(node)
    slicer.mrmlScene.RemoveNode(node)
    assert (combo.currentNode(), combo.nodeCount(), changes) == (None, 0, ["a", None])


def test_selector_without_none_always_has_a_node(slicer_app: Any) -> None:
    import slicer

    combo, changes = _selector()
    first, _second = _volume("a"), _volume("b")
    combo.setCurrentNode(first)
    slicer.mrmlScene.RemoveNode(first)
    assert combo.currentNode().GetName() == "b"
    slicer.mrmlScene.Clear(0)
    assert combo.currentNode() is None
    assert changes[0] == "a"
    assert changes[-1] is None


def test_selector_filters(slicer_app: Any) -> None:
    combo, _ = _selector(noneEnabled=True, hideChildNodeTypes=["vtkMRMLLabelMapVolumeNode"])
    _volume("labels", "vtkMRMLLabelMapVolumeNode")
    _volume("hidden").SetHideFromEditors(True)
    kept = _volume("kept")
    combo.setMRMLScene(None)
    combo.setMRMLScene(slicer_app.mrmlScene())
    assert [combo.nodeFromIndex(i) for i in range(combo.nodeCount())] == [kept]
    combo.addAttribute("vtkMRMLScalarVolumeNode", "role", "input")
    assert combo.nodeCount() == 0
    kept.SetAttribute("role", "input")
    combo.removeAttribute("vtkMRMLScalarVolumeNode", "role")
    assert combo.nodeCount() == 1


def test_selector_shows_a_new_name(slicer_app: Any) -> None:
    combo, _ = _selector()
    node = _volume("before")
    node.SetName("after")
    from slicer_double.helpers import choose

    combo.show()
    choose(combo, "after")
    assert combo.currentNodeID == node.GetID()


def test_text_in_place_of_a_list_of_node_types_is_refused(slicer_app: Any) -> None:
    import slicer

    with pytest.raises(AttributeError, match="does not accept"):
        slicer.qMRMLNodeComboBox().nodeTypes = "vtkMRMLScalarVolumeNode"


def test_messages_are_recorded_and_answered(slicer_app: Any) -> None:
    import qt
    import slicer

    slicer.util.errorDisplay("no server")
    slicer_app.recorded.answers.append(qt.QMessageBox.No)
    assert not slicer.util.confirmYesNoDisplay("really?")
    assert slicer.util.confirmOkCancelDisplay("sure?")
    assert [m.text for m in slicer_app.recorded.messages] == ["no server", "really?", "sure?"]
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org/report"))
    assert slicer_app.recorded.opened_urls == ["https://example.org/report"]


def test_modal_dialog_without_an_answer_fails_instead_of_hanging(slicer_app: Any) -> None:
    import qt

    with pytest.raises(AssertionError, match="would wait for the user"):
        qt.QDialog().exec_()
    with pytest.raises(AssertionError, match="would wait for the user"):
        qt.QMessageBox.question(None, "t", "q")


def test_settings_are_empty_and_of_this_test(slicer_app: Any) -> None:
    import qt
    import slicer

    assert slicer.util.settingsValue("Probe/url", "none") == "none"
    qt.QSettings().setValue("Probe/url", "http://x")
    assert slicer.util.settingsValue("Probe/url", "none") == "http://x"


test_settings_are_empty_and_of_this_test_again = test_settings_are_empty_and_of_this_test


def test_life_of_a_scripted_module(slicer_app: Any, tmp_path: Path) -> None:
    import slicer
    from slicer_double.scripted import load_module

    (tmp_path / "Probe.py").write_text(MODULE)
    module = load_module(tmp_path / "Probe.py")
    assert module.parent.title == "Probe module"
    assert slicer.modules.probe.path == str(tmp_path / "Probe.py")
    widget = module.enter()
    assert widget.button.visible
    assert slicer.util.getModuleWidget("Probe") is widget
    assert widget.resourcePath("UI/Probe.ui") == str(tmp_path / "Resources/UI/Probe.ui")
    slicer.mrmlScene.Clear(0)
    module.exit()
    module.unload()
    assert widget.calls == ["setup", "enter", "closed", "exit", "cleanup"]
    node = module.python_module.ProbeLogic().getParameterNode()
    assert module.python_module.ProbeLogic().getParameterNode() is node
    assert node.GetSingletonTag() == "Probe"


def test_volume_is_written_and_read_again(slicer_app: Any, tmp_path: Path) -> None:
    import slicer

    node = _volume()
    slicer.util.arrayFromVolume(node)[1, 2, 3] = 7
    assert slicer.util.saveNode(node, str(tmp_path / "v.nrrd"))
    again = slicer.util.loadVolume(str(tmp_path / "v.nrrd"))
    assert slicer.util.arrayFromVolume(again)[1, 2, 3] == 7
    composite = slicer_app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == again.GetID()
