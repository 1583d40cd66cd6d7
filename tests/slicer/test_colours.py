"""Colours that stand side by side in the views differ for every reader, and coloured words can be read.

Bounds, CIE76 ΔE for any pair and any vision: 25 for outlines and areas, 45 between the two sides of a map. Words always
say what a colour of a verdict or a bar says, so that those need contrast and no distance.
"""

from __future__ import annotations

import sys
from itertools import pairwise, product
from pathlib import Path

import pytest
from XAICohortLib import palette
from XAICounterfactualLib import loading as counterfactual
from XAILib import readable, verdict
from XAIMethodsLib import loading as methods
from XAIPanels import colours, map_colours, side_views, words
from XAIPropertyLib import words as walks
from XAIReviewLib import opened as review
from XAIShiftLib import opened as shift

sys.path.insert(0, str(Path(__file__).parent))
from colour_vision import VISIONS, closest, contrast, distance, lab

FAR, SIDES = 25.0, 45.0
OUTLINES = (colours.LESIONS, colours.EXPLAINED)
TOGETHER = {
    "lesions": OUTLINES,
    "shift": (shift.SOURCE_COLOUR, shift.TARGET_COLOUR, shift.PREDICTION_COLOUR),
    "review": (review.FLAGGED_COLOUR, review.OTHER_COLOUR),
    "walk": (colours.LESIONS, walks.UNCHANGED_COLOUR, walks.EXPERT_COLOUR),
    "raters": (*palette.RATERS, palette.CONSENSUS),
    "segments of any method": methods.SEGMENTS,
    "views side by side": side_views.ACCENTS,
}
MAPS = {
    "saliency": (map_colours.FOR, map_colours.AGAINST),
    "difference": (map_colours.INCREASE, map_colours.DECREASE),
}
WORDS = (*verdict.COLOURS.values(), words.GOOD, words.BAD, walks.ORDINARY, walks.QUIET, walks.OPEN)
GROUNDS = {"light": ("#ffffff", "#efefef"), "dark": ("#323232", "#191919"), "darker": ("#1e1e1e", "#000000")}


@pytest.mark.parametrize("name", TOGETHER)
def test_what_stands_together_is_told_apart(name: str) -> None:
    assert closest(TOGETHER[name]) > (FAR,)


@pytest.mark.parametrize("name", MAPS)
def test_sides_of_a_map_are_told_apart(name: str) -> None:
    pairs = product(*MAPS[name])
    assert min(distance(one, other, vision) for one, other in pairs for vision in VISIONS) > SIDES


@pytest.mark.parametrize("name", MAPS)
def test_stronger_is_paler_for_everybody(name: str) -> None:
    for side, vision in product(MAPS[name], VISIONS):
        lightness = [lab(colour, vision)[0] for colour in side]
        assert lightness == sorted(lightness)


def test_outlines_are_told_from_the_maps_under_them() -> None:
    for outline, colour, vision in product(OUTLINES, map_colours.FOR + map_colours.AGAINST, VISIONS):
        assert distance(outline, colour, vision) > FAR, (outline, colour, vision)
    expert = counterfactual.STYLES["expert_mask"][1]
    for colour, vision in product(map_colours.INCREASE + map_colours.DECREASE, VISIONS):
        assert distance(expert, colour, vision) > FAR, (colour, vision)


def test_more_votes_are_lighter_for_everybody() -> None:
    for vision in VISIONS:
        lightness = [lab(colour, vision)[0] for colour in palette.VOTES]
        assert all(after > before + 5 for before, after in pairwise(lightness))


@pytest.mark.parametrize("ground", GROUNDS)
def test_coloured_words_are_read_on_every_ground(ground: str) -> None:
    try:
        readable.use(*GROUNDS[ground])
        for colour in WORDS:
            shown = words.coloured("word", colour).split("color: ")[1][:7]
            assert min(contrast(shown, one) for one in GROUNDS[ground]) >= 4.5
    finally:
        readable.use(*GROUNDS["light"])


def test_a_colour_that_is_read_stays_as_it_is() -> None:
    assert readable.readable("#123456") == "#123456"


def test_confusions_are_found() -> None:
    found, vision, _, _ = closest(("#bf4dac", "#0072b2"))
    assert found < 3
    assert vision == "protanopia"
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=1e-3)
