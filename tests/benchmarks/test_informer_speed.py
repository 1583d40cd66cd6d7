"""The protocol on small images; its figures come from running it."""

from __future__ import annotations

import pytest

from benchmarks import informer_speed
from benchmarks.side_by_side import Disagreement


def test_readings_are_compared_with_a_plain_loop_before_they_are_timed(monkeypatch):
    result = informer_speed.measure(size=32, turns=1, classes=(3,))
    assert result["figures"]["max_abs_difference"] < 1e-5
    assert [row["who"] for row in result["rows"]] == ["INFORMER", "augmentation", "limit"]
    assert all(result["figures"][key] > 0 for key in ("ratio", "share_of_limit"))
    monkeypatch.setattr(informer_speed, "_distinctiveness", lambda maps: 0 * maps[:, 0])
    with pytest.raises(Disagreement, match="readings of 3 classes"):
        informer_speed.measure(size=32, turns=1, classes=(3,))
