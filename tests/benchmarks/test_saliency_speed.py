"""The protocol on small images; its figures come from running it."""

from __future__ import annotations

from benchmarks.saliency_speed import measure


def test_both_compute_the_same_maps_and_every_figure_is_there():
    result = measure(size=32, turns=1, classes=(2,), memory=False)
    figures = result["figures"]
    assert figures["max_abs_difference"] < 1e-5
    assert all(figures[key] > 0 for key in ("ratio", "ratio_c2", "wall_ratio_c2", "share_of_limit"))
    assert [row["who"] for row in result["rows"]] == ["slicerxai", "captum", "limit", "network as it comes"]
