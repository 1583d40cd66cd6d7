"""Which maps a report draws beside which."""

import numpy as np
import pytest

from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Explanation, Overlay
from slicerxai.explain.slice_tables import slice_tables

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SHAPE = (20, 22, 18)


def spot(at, value=1.0):
    array = np.zeros(SHAPE, np.float32)
    array[tuple(slice(n - 1, n + 2) for n in at)] = value
    return array


def explanation(maps, labelmap=False):
    overlays = {"FLAIR": Overlay(Volume(spot((10, 11, 9), 100.0) + 50, AFFINE), "image", "intensity", "as given")}
    for name, array in maps.items():
        overlays[f"saliency_{name}"] = Overlay(Volume(array, AFFINE), "saliency", "logit/mm³", f"Map of {name}")
    if labelmap:
        mask = spot((10, 11, 9)).astype(np.uint8)
        overlays["lesions"] = Overlay(Volume(mask, AFFINE), "labelmap", "label", "Lesions")
    return Explanation(method="quality", parameters={}, image_id="one", overlays=overlays)


def test_maps_of_classes_stand_side_by_side_on_the_same_slices():
    maps = {"a": spot((5, 6, 4)), "b": spot((14, 15, 13)) - 0.5 * spot((5, 6, 4))}
    (table,) = slice_tables(explanation(maps))
    assert table.columns == ["FLAIR", "saliency a", "saliency b"]
    assert [len(row.panels) for row in table.rows] == [3] * len(table.rows)
    axial = [row.title for row in table.rows if row.title.startswith("Axial")]
    assert axial == ["Axial at S 9 mm", "Axial at S 36 mm"], "the first slice of either spot"
    assert [scale.heat.diverging for scale in table.scales] == [True, True], "one of them speaks against something"
    assert [scale.heat.high for scale in table.scales] == [-scale.heat.low for scale in table.scales]


def test_maps_that_only_speak_for_their_class_keep_one_colour():
    (table,) = slice_tables(explanation({"a": spot((5, 6, 4)), "b": spot((14, 15, 13))}))
    assert not any(scale.heat.diverging for scale in table.scales)


@pytest.mark.parametrize(("count", "shown"), [(4, 4), (6, 4)])
def test_at_most_four_maps_are_drawn(count, shown):
    maps = {f"m{number}": spot((3 + 2 * number, 6, 4)) for number in range(count)}
    (table,) = slice_tables(explanation(maps))
    assert len(table.scales) == shown
    assert len(table.columns) == shown + 1


def test_one_map_or_outlines_have_tables_of_their_own():
    (one,) = slice_tables(explanation({"a": spot((5, 6, 4))}))
    assert one.columns == ["FLAIR", "saliency a"]
    tables = slice_tables(explanation({"a": spot((5, 6, 4)), "b": spot((14, 15, 13))}, labelmap=True))
    assert [table.columns for table in tables] == [
        ["FLAIR", "FLAIR with lesions", f"saliency {name}"] for name in ("a", "b")
    ]
