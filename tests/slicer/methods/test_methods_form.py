"""The form of all kinds of parameters, filled in as a person would."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from every_kind import Everything
from PySide6 import QtWidgets
from slicer_double import helpers
from XAILib.schema import fields_of

FIELDS = fields_of(Everything.model_json_schema())


class Picker:
    """Stands for the views."""

    def __init__(self) -> None:
        self.picked: Any = None

    def start(self, picked: Any, ended: Any) -> None:
        self.picked, self.ended = picked, ended

    def stop(self) -> None:
        self.picked = None


@pytest.fixture
def form(slicer_app: Any) -> Iterator[Any]:
    from XAIPanels.form import Form

    calls: list[Any] = []
    made = Form(FIELDS, lambda: calls.append(1), Picker())
    made.calls, made.was_folded = calls, made.folded.collapsed
    made.folded.collapsed = False
    made.root.resize(420, 1600)
    made.root.show()
    slicer_app.processEvents()
    yield made
    made.close()
    made.root.close()


def row(form: Any, name: str) -> Any:
    return next(row for row in (*form.usual.rows, *form.advanced.rows) if row.field.name == name)


def editor(form: Any, name: str) -> Any:
    return row(form, name).editor


def visible_words(form: Any) -> str:
    labels = form.root.findChildren(QtWidgets.QLabel)
    return "\n".join(label.text for label in labels if label.isVisible())


def test_it_begins_with_the_defaults(form: Any) -> None:
    assert form.request == {"yes": False}
    assert form.reason == ""
    assert Everything(**form.request).whole == 3
    assert not form.reset_button.isEnabled()
    assert not form.undo_button.isVisible()
    assert form.was_folded
    assert form.folded.isVisible()


VALUES = [
    {"whole": 8}, {"nothing": None}, {"nothing": 7}, {"mode": 3}, {"some": []}, {"some": ["c", "a"]},
    {"point": [1.25, -2.5, 3.0]}, {"pair": [3, 4]}, {"texts": ["a, b", "c"]}, {"mixed": [2, "b"]},
    {"roi": {"shape": "box", "edge_mm": 3.0}}, {"roi": {"shape": "ball", "radius": 1.5}}, {"either": [1, 2]},
    {"either": 6}, {"boxes": [{"shape": "box"}, {"shape": "box", "edge_mm": 4.5}]}, {"share": 1e-7},
    {"by_name": {"a b": {"shape": "box"}}}, {"tree": {"name": "x", "children": [{"name": "y"}]}},
    {"anything": {"a": [None, True]}}, {"hidden": -5}, {"seed": 77, "half": 2.5},
]  # fmt: skip


def test_any_request_is_shown_and_read_again_as_it_was(form: Any) -> None:
    for values in VALUES:
        form.show({"yes": True, **values})
        assert json.dumps(form.request, sort_keys=True) == json.dumps({"yes": True, **values}, sort_keys=True)
        assert form.reason == ""
    form.show({})
    assert form.request == {"yes": False}


def test_typing_and_choosing(form: Any) -> None:
    helpers.click(editor(form, "yes").widget)
    helpers.type_text(editor(form, "name").widget, "xyz")
    helpers.choose(editor(form, "mode").widget, "slow and exact")
    helpers.type_text(editor(form, "numbers").widget, "1, 2.5 ,3")
    helpers.click(row(form, "nothing").header)
    assert form.request == {
        "yes": True, "name": "xyz", "mode": "slow_and_exact", "numbers": [1, 2.5, 3], "nothing": None,
    }  # fmt: skip
    assert form.calls
    helpers.click(form.reset_button)
    assert form.request == {"yes": False}
    helpers.click(form.undo_button)
    assert form.request["name"] == "xyz"
    assert "nothing" in form.request
    assert not form.undo_button.isVisible()


def test_a_change_after_a_reset_cannot_be_undone_over(form: Any) -> None:
    helpers.type_text(editor(form, "name").widget, "xyz")
    form.reset()
    helpers.type_text(editor(form, "name").widget, "b")
    assert not form.undo_button.isVisible()
    form.undo_reset()
    assert form.request == {"yes": False, "name": "b"}


def test_faults_stand_beside_their_field(form: Any) -> None:
    helpers.type_text(editor(form, "name").widget, "abcd")
    assert "String should have at most 3 characters" in visible_words(form)
    assert form.reason == "Name: String should have at most 3 characters"
    helpers.type_text(editor(form, "name").widget, "abc")
    assert form.reason == ""
    assert "String should" not in visible_words(form)
    helpers.type_text(editor(form, "numbers").widget, "1, x")
    assert "1: Input should be a valid number" in visible_words(form)


def test_a_json_text_is_checked(form: Any) -> None:
    editor(form, "mixed").widget.setPlainText("[1,")
    assert form.reason.startswith("Mixed: This is not JSON")
    assert "This is not JSON" in visible_words(form)
    editor(form, "mixed").widget.setPlainText('[2, "b"]')
    assert form.request == {"yes": False, "mixed": [2, "b"]}


def test_lists_and_values_by_name_grow_and_shrink(form: Any) -> None:
    boxes, named = editor(form, "boxes"), editor(form, "by_name")
    helpers.click(boxes.add_button)
    helpers.click(boxes.add_button)
    assert form.request["boxes"] == [{"shape": "box"}, {"shape": "box"}]
    removes = [one for one in boxes.widget.findChildren(QtWidgets.QPushButton) if one.text == "Remove"]
    helpers.click(removes[0])
    assert form.request["boxes"] == [{"shape": "box"}]
    helpers.click(named.add_button)
    assert form.reason == "By name: Each value needs a name."
    line = next(one for one in named.widget.findChildren(QtWidgets.QLineEdit) if one.placeholderText == "name")
    helpers.type_text(line, "left")
    assert form.request["by_name"] == {"left": {"shape": "box"}}
    assert form.reason == ""


def test_an_alternative_is_chosen(form: Any) -> None:
    roi = editor(form, "roi") or None
    if roi is None:
        helpers.click(row(form, "roi").header)
        roi = editor(form, "roi")
    helpers.choose(roi.combo, "Box")
    assert form.request["roi"] == {"shape": "box"}
    helpers.choose(roi.combo, "Ball")
    assert form.request["roi"] == {"radius": 0.0} or form.request["roi"] == {"shape": "ball", "radius": 0.0}
    assert Everything(**form.request)


def test_a_point_is_picked(form: Any) -> None:
    helpers.click(row(form, "point").header)
    point = editor(form, "point")
    helpers.click(point.pick)
    form._picker.picked((12.3456, -4.0, 50.0))
    assert form.request["point"] == [12.346, -4.0, 50.0]
    assert not point.pick.checked
    helpers.click(row(form, "point").header)
    assert "point" not in form.request


def test_what_the_server_refuses_stands_beside_its_field_until_something_changes(form: Any) -> None:
    form.folded.collapsed = True
    form.refuse({"whole": "Input should be 7", "": "whole and share do not go together", "seed": "no"})
    words = visible_words(form)
    assert "Input should be 7" in words
    assert "do not go together" in words
    assert not form.folded.collapsed
    helpers.type_text(editor(form, "name").widget, "b")
    assert "Input should be 7" not in visible_words(form)


def test_every_control_has_a_name_and_a_hint(form: Any) -> None:
    for name in ("point", "tree", "anything"):
        helpers.click(row(form, name).header)
    kinds = (QtWidgets.QAbstractSpinBox, QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QAbstractButton,
             QtWidgets.QPlainTextEdit, QtWidgets.QListWidget)  # fmt: skip
    inner = ("qt_spinbox_lineedit",)
    for widget in form.root.findChildren(QtWidgets.QWidget):
        own = isinstance(widget, kinds) and widget.objectName not in inner
        if own and type(widget.parent()).__name__ not in ("ctkSliderWidget", "ctkCollapsibleButton"):
            assert widget.accessibleName, (type(widget), widget.parent().accessibleName)


def test_limits_hold_in_the_controls(form: Any) -> None:
    whole, share = editor(form, "whole").widget, editor(form, "share").widget
    assert (whole.minimum, whole.maximum) == (2, 8)
    assert 0 < share.minimum < share.maximum < 1
    assert type(share).__name__ == "ctkSliderWidget"
    assert type(whole).__name__ == "ctkSliderWidget"
    assert isinstance(editor(form, "hidden").widget, QtWidgets.QSpinBox)
    assert whole.suffix == " mm"
    assert editor(form, "hidden").widget.suffix == " ml"
    assert "From 2 to 9." in whole.toolTip


def test_tab_goes_through_the_form_from_top_to_bottom(form: Any) -> None:
    around = [QtWidgets.QLineEdit(form.root), QtWidgets.QLineEdit(form.root)]
    form.show({"boxes": [{"shape": "box"}], "by_name": {"left": {"shape": "box"}}, "point": [1, 2, 3]})
    form.tab_between(*around)
    helpers.click(editor(form, "boxes").add_button)
    chain = [around[0]]
    while chain[-1] is not around[1]:
        chain.append(chain[-1].nextInFocusChain())
        assert len(chain) < 1000
    stops = [one for one in chain[1:-1] if one.isVisible() and one.focusPolicy & 1 and one.focusProxy() is None]
    heights = [one.mapTo(form.root, one.rect.center()).y() for one in stops]
    assert len(stops) > 20
    assert all(after > before - 20 for before, after in itertools.pairwise(heights)), heights
