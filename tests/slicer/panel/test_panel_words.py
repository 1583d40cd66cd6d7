"""Durations, names and the legend in words."""

from __future__ import annotations

import pytest
from XAIPanels import words
from XAISaliencyLib import words as saliency_words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (8.4, "8 s"), (99, "99 s"), (100, "2 min"), (3540, "59 min"), (4800, "1 h 20 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "a few seconds left"),
        (12.4, "about 10 s left"),
        (13, "about 15 s left"),
        (61, "about 60 s left"),
    ],
)
def test_time_left(seconds: float | None, text: str) -> None:
    assert words.time_left(seconds) == text


def test_a_variant_of_a_newer_server_is_shown_by_its_name() -> None:
    assert saliency_words.variant("lrp") == "Layer-wise relevance"
    assert saliency_words.variant("smooth_grad") == "smooth grad"


def test_ranges_come_from_the_schema_where_it_has_them() -> None:
    schema = {"properties": {"steps": {"minimum": 4, "maximum": 64}, "window": {"exclusiveMinimum": 0, "maximum": 50}}}
    assert words.number_range(schema, "steps", (2, 512)) == (4, 64)
    assert words.number_range(schema, "window", (1, 100)) == (1, 50)
    assert words.number_range({}, "steps", (2, 512)) == (2, 512)


def test_coloured_words_cannot_carry_markup() -> None:
    assert "<img" not in words.coloured("<img src=x>", "#ff0000")


def test_legend_says_in_words_what_each_colour_means() -> None:
    text = saliency_words.legend(("#000001", "#000002"), ("#000003",), "#000004", "#000005")
    for word in ("against", "for a lesion", "predicted lesion", "explained lesion"):
        assert word in text
    assert text.index("#000002") < text.index("#000001") < text.index("#000003")


def test_headers_do_not_widen_the_panel() -> None:
    assert words.shortened("Source – 15 cases: centre 01; rater 3") == "Source – 15 cases: centre 01; rater 3"
    text = words.shortened("Source – 15 cases: centre 01 or 03 or 07 or 08, age from 30; rater 3")
    assert len(text) <= 46
    assert text.startswith("Source – 15 cases: centre 01")
    assert text.endswith("…")
