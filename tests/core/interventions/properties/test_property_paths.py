"""The catalogue, paths along a property, recorded sequences and colour patches."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError, NotFoundError
from slicerxai.interventions.catalogue import find_property, usable_properties
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PROPERTIES, PROPERTY_NAMES, Kind
from tests.support.toy_head import toy_head


def one_voxel(value: float) -> dict[str, Volume]:
    return {"FLAIR": Volume(np.full((4, 4, 4), value, np.float32), np.eye(4))}


def photograph(white: float = 255.0) -> Scan:
    rng = np.random.default_rng(0)
    images = {
        key: Volume((rng.uniform(0.3, 0.9, (60, 80, 1)) * white).astype(np.float32), np.eye(4))
        for key in ("RED", "GREEN", "BLUE")
    }
    lesion = np.zeros((60, 80, 1), np.uint8)
    lesion[5:30, 5:35] = 1
    return Scan(images, Volume(lesion, np.eye(4)), seed=2)


def test_names_are_those_of_the_catalogue_and_every_one_is_found() -> None:
    assert tuple(PROPERTIES) == PROPERTY_NAMES
    assert all(info.kind in get_args(Kind) for info in PROPERTIES.values())
    for name in set(PROPERTY_NAMES) - {"generated"}:
        assert find_property(name).info is PROPERTIES[name]
    with pytest.raises(NotFoundError, match="known: contrast, noise"):
        find_property("colour")
    with pytest.raises(InputError, match="trained generator"):
        find_property("generated")


def test_description_is_light() -> None:
    code = (
        "import sys, slicerxai.interventions.property_info; sys.exit(any(m in sys.modules for m in ('numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_usable_properties_come_in_order_with_reasons_for_the_others() -> None:
    images, lesions = toy_head(spacing=(3.0, 3.0, 3.0))
    usable, reasons = usable_properties(Scan(images, lesions))
    names = [one.info.name for one in usable]
    assert names == [name for name in PROPERTY_NAMES if name not in ("colour_patch", "recorded", "generated")]
    assert set(reasons) == {"colour_patch", "recorded"}
    usable, reasons = usable_properties(Scan(images, lesions), kinds=("control",))
    assert [one.info.name for one in usable] == ["gain"]
    assert not reasons


@pytest.mark.parametrize(
    ("low", "high", "steps", "expected"),
    [
        (None, None, 6, [0.6, 0.8, 1.0, 1.2, 1.4, 1.6]),
        (0.5, 2.0, 4, [0.5, 1.0, 1.5, 2.0]),
        (0.6, 1.6, 5, [0.6, 0.85, 1.0, 1.1, 1.35, 1.6]),  # inserted
        (0.55, 1.5, 3, [0.55, 1.0, 1.5]),  # moved: 1.025 is close
        (1.1, 1.5, 3, [1.1, 1.3, 1.5]),  # not within
    ],
)
def test_values_hold_the_neutral_one(low: float | None, high: float | None, steps: int, expected: list[float]) -> None:
    on = Scan(one_voxel(5))
    path = gradual_path(find_property("contrast"), on, low, high, steps)
    np.testing.assert_allclose(path.values, expected, atol=1e-12)
    assert len(path) == len(expected)
    neutral = path.neutral_step()
    if 1.0 in expected:
        assert neutral is not None
        assert path.values[neutral] == 1.0
        assert path[neutral]["FLAIR"] is on.images["FLAIR"]
    else:
        assert neutral is None
    assert len(list(path)) == len(expected)


@pytest.mark.parametrize(("low", "high", "steps"), [(0.1, 1.0, 5), (1.2, 1.2, 5), (1.5, 0.5, 5), (None, None, 1)])
def test_bad_ranges_are_refused(low: float | None, high: float | None, steps: int) -> None:
    with pytest.raises(InputError, match=r"0\.3 to 3|at least 2"):
        gradual_path(find_property("contrast"), Scan(one_voxel(5)), low, high, steps)


def test_a_property_that_is_unusable_has_no_path() -> None:
    with pytest.raises(InputError, match="Colour patch cannot be changed on this scan: it is no colour image"):
        gradual_path(find_property("colour_patch"), Scan(one_voxel(5)))


def test_recorded_images_come_in_their_order_at_their_values() -> None:
    sequence = tuple(one_voxel(value) for value in (3, 5, 9, 4))
    on = Scan(one_voxel(5), sequence=sequence, sequence_values=(0.0, 1.0, 4.0, 6.0))
    one = find_property("recorded")
    path = gradual_path(one, on, steps=3)
    np.testing.assert_array_equal(path.values, [0, 1, 4, 6])
    assert [float(images["FLAIR"].array[0, 0, 0]) for images in path] == [3, 5, 9, 4]
    assert path.neutral_step() == 1
    assert path[1]["FLAIR"] is on.images["FLAIR"]
    np.testing.assert_array_equal(gradual_path(one, on, 0.5, 5).values, [1, 4])
    with pytest.raises(InputError, match="images at 0, 1, 4, 6"):
        one.realise(on, 2.0)
    with pytest.raises(InputError, match="has 1 value"):
        gradual_path(one, on, 0.5, 3)
    unnumbered = Scan(one_voxel(7), sequence=sequence)
    assert gradual_path(one, unnumbered).values.tolist() == [1, 2, 3, 4]
    assert one.neutral(unnumbered) is None


@pytest.mark.parametrize(
    ("values", "sequence", "reason"),
    [
        ((), (one_voxel(1),), "1 images; at least 2"),
        ((1.0,), (one_voxel(1), one_voxel(2)), "2 images, but 1 values"),
        ((2.0, 1.0), (one_voxel(1), one_voxel(2)), "not ascending: 2, 1"),
        ((1.0, float("nan")), (one_voxel(1), one_voxel(2)), "not ascending"),
        ((), (one_voxel(1), {"T1": one_voxel(2)["FLAIR"]}), "image 2 of its sequence lacks FLAIR"),
    ],
)
def test_bad_sequences_are_refused_in_words(
    values: tuple[float, ...], sequence: tuple[dict[str, Volume], ...], reason: str
) -> None:
    on = Scan(one_voxel(1), sequence=sequence, sequence_values=values)
    assert reason in str(find_property("recorded").unusable(on))
    with pytest.raises(InputError, match="cannot be"):
        gradual_path(find_property("recorded"), on)


@pytest.mark.parametrize("white", [1.0, 255.0])
@pytest.mark.parametrize("value", [0.1, 0.3])
def test_patch_has_the_diameter_and_lies_beside_the_lesion(white: float, value: float) -> None:
    on = photograph(white)
    realised = find_property("colour_patch").realise(on, value)
    changed = np.any([realised[key].array != on.images[key].array for key in on.images], axis=0)[..., 0]
    padded = np.pi / 4 * (value * 80) ** 2
    assert 0.3 * padded < changed.sum() < 1.4 * padded  # a part may lie beyond the border
    assert not changed[on.lesions.array[..., 0] > 0].any()  # type: ignore[union-attr]
    assert all(volume.array.max() <= white for volume in realised.values())


def test_patch_grows_in_one_place_and_its_absence_is_the_scan() -> None:
    on = photograph()
    one = find_property("colour_patch")
    assert all(volume is on.images[key] for key, volume in one.realise(on, 0.0).items())
    small, large = (
        np.abs(one.realise(on, value)["RED"].array - on.images["RED"].array)[..., 0] > 0 for value in (0.1, 0.2)
    )
    assert (small & ~large).sum() == 0
    grey = Scan({key: Volume(volume.array * 3, volume.affine) for key, volume in on.images.items()})
    assert "0 to 255 are needed" in str(one.unusable(grey))
