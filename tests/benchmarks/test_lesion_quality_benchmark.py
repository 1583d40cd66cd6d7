"""The comparison on made-up lesions; its figures come from running it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lesion_quality import KINDS, Read, area, compare
from slicerxai.data.lesions import Lesion
from slicerxai.data.volume import Volume
from slicerxai.monitoring.lesion_readings import LesionReadings, names


def made_up(seed: int) -> Read:
    """The probability is blind; volume tells a little, relevance inside a lot."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 9))
    false = np.arange(count) % 3 == 0
    lesions = tuple(Lesion(n + 1, 1.0, (0.0, 0.0, 0.0), 9) for n in range(count))
    numbered, readings = Volume(np.zeros((1, 1, 1), np.int32), np.eye(4)), {}
    plain = rng.normal(0, 1, (count, len(names(None))))
    plain[:, 0] -= 0.8 * false
    for kind, saliency in KINDS.items():
        maps = rng.normal(0, 1, (count, len(names(saliency)) - plain.shape[1]))
        if maps.size:
            maps[:, 0] -= 2.5 * false
        readings[kind] = LesionReadings(lesions, numbered, np.concatenate([plain, maps], 1), saliency)
    return Read(f"case {seed}", readings, false, dict.fromkeys(KINDS, 1.0))


def test_what_helps_is_found():
    result = compare([made_up(n) for n in range(20)], [made_up(n) for n in range(100, 125)], "a" * 64)
    figures = result["figures"]
    assert figures["gain_ixg_low"] > 0
    assert figures["auroc_lrp"] > figures["auroc_plain"] > 0.6
    assert figures["auroc_probability_low"] < 0.5 < figures["auroc_probability_high"]
    assert figures["gain_plain"] == pytest.approx(figures["auroc_plain"] - figures["auroc_probability"])
    assert [row["measure"] for row in result["rows"]] == ["probability", "volume", *KINDS]


def test_area_by_pairs():
    rng = np.random.default_rng(0)
    score, wrong = rng.normal(0, 1, 30).round(1), rng.random(30) < 0.4
    rows = rng.integers(0, 30, 30)
    for index, chosen in enumerate((np.arange(30), rows)):
        pairs = [
            1.0 if score[a] > score[b] else 0.5 if score[a] == score[b] else 0.0
            for a in chosen
            for b in chosen
            if wrong[a] and not wrong[b]
        ]
        assert area(score, wrong, [rows, np.flatnonzero(wrong)])[index] == pytest.approx(np.mean(pairs))
    assert len(area(score, wrong, [rows, np.flatnonzero(wrong)])) == 2
