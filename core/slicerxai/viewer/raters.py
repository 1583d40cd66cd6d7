"""How far the raters of the shown case agree: a map over the image, a table of them, and one of their overlaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from XAICohortLib import words
from XAICohortLib.case_node import CaseNode, show_legend
from XAICohortLib.palette import dice_colour, hexadecimal, rater_colours
from XAILib.agreement import Agreement

from slicerxai.viewer.application import Application
from slicerxai.viewer.images import Images
from slicerxai.viewer.origins import case_of

MEASURING = "The agreement is being measured …"
NOTHING = "Nobody has marked anything in this case."
HINT = "How many raters marked each voxel, in place of their outlines; the consensus has no vote."
Row = dict[str, Any]


class Raters:
    """Follows the chosen image, and the boxes of the raters and of the map."""

    def __init__(self, state: Any, application: Application, images: Images) -> None:
        self._state = state
        self._scene = application.scene
        self._images = images
        self._logic = images.cohorts
        state.update({"raters": [], "rater_overlaps": [], "raters_said": "", "raters_legend": ""})
        opacity = self._logic.parameters().opacity
        state.update({"agreement": False, "agreement_why": "", "agreement_opacity": opacity})
        state.change("agreement")(lambda agreement, **_: self.wish(agreement))
        state.change("agreement_opacity")(lambda agreement_opacity, **_: self._set_opacity(agreement_opacity))
        images.listeners.append(self.follow)

    def follow(self) -> None:
        """The chosen image is another one, or something was measured or drawn."""
        volume = self._images.chosen
        case = case_of(self._scene, volume) if volume is not None else None
        parameters = self._logic.parameters()
        if case is None:
            parameters.shown = None
            self._state.update({"raters": [], "rater_overlaps": [], "raters_said": "", "raters_legend": ""})
            return
        modality = next(name for name, image in case.images.items() if image is volume)
        if parameters.drawing.modality != modality:
            parameters.drawing = replace(parameters.drawing, modality=modality)
        if parameters.shown is not case.node:
            self._logic.show(case.node)
        self._tell(case)

    def wish(self, on: bool) -> None:
        """Draw the map of agreement, or do so no more."""
        if bool(on) == self._logic.parameters().drawing.agreement:
            return
        self._logic.wish_agreement(bool(on))
        self.follow()

    def draw(self, rater: str, on: bool) -> None:
        """Draw the outline of a rater or not."""
        parameters = self._logic.parameters()
        others = tuple(name for name in parameters.drawing.hidden if name != rater)
        parameters.drawing = replace(parameters.drawing, hidden=others if on else (*others, rater))
        self._logic.draw()
        self.follow()

    def _set_opacity(self, opacity: float) -> None:
        self._logic.parameters().opacity = float(opacity)
        self._logic.draw()
        self.follow()

    def _tell(self, case: CaseNode) -> None:
        parameters, agreement, voters = self._logic.parameters(), case.agreement, self._logic.voters(case.node)
        if case.votes is not None:
            show_legend(case.votes, False)  # the page has it beside the views
        few = words.ONE_RATER if voters < 2 else ""
        measuring = MEASURING if self._images.opener.measuring else ""
        self._state.update(
            {
                "raters": rater_rows(tuple(case.segments), parameters.drawing.hidden, agreement),
                "rater_overlaps": overlap_rows(agreement) if agreement is not None else [],
                "raters_said": words.summary(agreement) if agreement is not None else measuring,
                "raters_legend": words.legend(voters) if voters >= 2 and case.votes is not None else "",
                "agreement": parameters.drawing.agreement,
                "agreement_why": few or measuring or ("" if case.votes is not None else NOTHING),
                "agreement_opacity": parameters.opacity,
            }
        )


def rater_rows(raters: tuple[str, ...], hidden: tuple[str, ...], agreement: Agreement | None) -> list[Row]:
    """One for each rater; what was not measured yet is an ellipsis."""
    colours = rater_colours(raters)
    measured = {row.rater: row for row in agreement.raters} if agreement is not None else {}
    rows = []
    for rater in raters:
        found = measured.get(rater)
        texts = ("…",) * 3
        if found is not None:
            texts = (words.millilitres(found.volume_ml), str(found.lesions), words.dice(found.dice))
        name = words.rater_name(rater)
        row = {"rater": rater, "name": name, "colour": colours[rater], "drawn": rater not in hidden}
        rows.append(row | dict(zip(("volume", "lesions", "dice"), texts, strict=True)))
    return rows


def overlap_rows(agreement: Agreement) -> list[Row]:
    """The Dice of each pair, with a background that is darker for more."""
    names = [words.rater_name(row.rater) for row in agreement.raters]
    rows = []
    for one, name in enumerate(names):
        values = [None if other == one else value for other, value in enumerate(agreement.dice[one])]
        cells = [
            {"text": "" if value is None else words.dice(value), "colour": _css(dice_colour(value)), "other": other}
            for value, other in zip(values, names, strict=True)
        ]
        rows.append({"name": name, "cells": cells})
    return rows


def _css(colour: tuple[int, int, int]) -> str:
    return hexadecimal([value / 255 for value in colour])
