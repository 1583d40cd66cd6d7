"""Widgets over the page's state, and the tables of the worklist, without a browser."""

from __future__ import annotations

from typing import Any

import pytest
from XAILib.worklist import Item, LesionItem
from XAIPanels.choosing import chosen, enable, offer

from slicerxai.viewer.review_rows import lesion_rows, worklist_rows
from slicerxai.viewer.section_widgets import Widgets


@pytest.fixture
def state() -> dict[str, Any]:
    return {}


def test_what_a_section_writes_is_in_the_state_and_calls_nobody(state: dict[str, Any]) -> None:
    ui, heard = Widgets(state, "review"), []
    ui.modelCombo.connect("currentIndexChanged(int)", heard.append)
    offer(ui.modelCombo, ["a", "b"], "b")
    enable(ui.scoreButton, "Connect first.", "Score all.")
    assert (state["review_modelCombo_items"][1], chosen(ui.modelCombo)) == ({"title": "b", "value": 1}, "b")
    assert (state["review_scoreButton_enabled"], state["review_scoreButton_toolTip"]) == (False, "Connect first.")
    assert not heard


def test_what_a_user_does_is_in_the_state_and_is_heard(state: dict[str, Any]) -> None:
    ui, heard = Widgets(state, "review"), []
    for widget, signal in (
        (ui.commentEdit, "textEdited(QString)"),
        (ui.moveOnCheck, "toggled(bool)"),
        (ui.slider, "valueChanged(double)"),
    ):
        widget.connect(signal, heard.append)
    ui.commentEdit.write("twice")
    ui.moveOnCheck.check(True)
    ui.slider.move(30)
    assert heard == ["twice", True, 30.0]
    assert (ui.commentEdit.text, ui.moveOnCheck.checked, ui.slider.value) == ("twice", True, 30.0)


@pytest.mark.parametrize("attribute", ["enabled", "visible"])
def test_a_button_that_cannot_be_used_does_nothing(state: dict[str, Any], attribute: str) -> None:
    ui, heard = Widgets(state, "review"), []
    ui.acceptButton.connect("clicked()", lambda: heard.append("clicked"))
    ui.acceptButton.click()
    setattr(ui.acceptButton, attribute, False)
    ui.acceptButton.click()
    assert heard == ["clicked"]


def test_an_attribute_that_the_page_does_not_draw_is_a_fault(state: dict[str, Any]) -> None:
    with pytest.raises(AttributeError):
        Widgets(state, "review").acceptButton.styleSheet = "color: red"


def test_the_most_suspicious_lesion_is_the_first_row_and_an_unscored_image_says_so() -> None:
    lesions = tuple(
        LesionItem(number, 1.0, 0.9, suspicion, suspicion == 0.8, "small", (0.0, 0.0, 0.0))
        for number, suspicion in ((1, 0.2), (2, 0.8), (3, None))
    )
    assert [row["number"] for row in lesion_rows(lesions)] == [2, 1, 3]
    scored = Item("p1", True, 2.0, (), lesions, "", None)
    rows = worklist_rows([scored, Item("p2", False, None, (), (), "", None)], "segmenter", "p2")
    assert [(row["suspicion"], row["share"], row["flagged"], row["shown"]) for row in rows] == [
        ("2.00", 100, "1 of 3 lesions", False),
        ("not scored", 0, "", True),
    ]
