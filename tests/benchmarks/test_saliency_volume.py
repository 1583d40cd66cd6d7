"""The protocol on small patches; its figures come from running it."""

from __future__ import annotations

from benchmarks import saliency_volume


def test_both_compute_the_same_map_and_one_lesion_needs_fewer_patches(monkeypatch):
    monkeypatch.setattr(saliency_volume, "PATCH", (16, 16, 16))
    result = saliency_volume.measure((16, 16, 40), turns=1, memory=False)
    assert result["figures"]["max_abs_difference"] < 1e-5
    patches = {(row["region"], row["who"]): row["patches"] for row in result["rows"]}
    assert patches["whole", "captum"] == patches["lesion", "captum"] == 3
    assert patches["whole", "slicerxai"] == 2  # no box of the region touches the one in the middle
    assert patches["lesion", "slicerxai"] == patches["lesion", "limit"] == 1
