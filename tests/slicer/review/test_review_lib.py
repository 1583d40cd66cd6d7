"""Answers of the worklist's routes, image files, and what needs neither Qt nor MRML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from XAILib.nifti import decode_image
from XAILib.nrrd import Volume
from XAILib.worklist import Item, item_of, worklist_of

from slicerxai.server import worklist_schemas as schemas


def served(**changes: Any) -> dict[str, Any]:
    """A worklist as the server's own schemas write it."""
    seen = {"label": "left", "probability": 0.7, "predicted": True, "distinctiveness": 0.2, "suspicion": 0.6}
    classes = [{**seen, "flagged": True, "reason": "alike"}, {**seen, "label": "right", "flagged": False, "reason": ""}]
    lesion = {"lesion": 2, "volume_ml": 0.5, "probability": 0.9, "suspicion": 0.1, "flagged": False, "reason": "small"}
    review = {"decision": "corrected", "labels": {"left": False}, "comment": "c", "time": datetime.now(UTC)}
    items = [
        {"image": "a", "scored": True, "suspicion": 1.2, "classes": classes, "lesions": None, "error": None},
        {"image": "b", "scored": True, "suspicion": 0.1, "classes": None, "lesions": [{**lesion, "centre": (1, 2, 3)}]},
        {"image": "c", "scored": False, "suspicion": None, "classes": None, "lesions": None, "error": "too small"},
    ]
    items = [{"error": None, **item, "review": review if item["image"] == "b" else None} for item in items]
    alarm = {"id": "x", "score": "entropy", "rule": "threshold", "action": "swap", "cases": 7}
    document = {"model": "m", "digest": "d", "kind": "classifier", "labels": ["left", "right"], "alarm": alarm}
    made: dict[str, Any] = schemas.Worklist(**document, scoring=False, items=items).model_dump(mode="json")
    return made | changes


def test_the_servers_own_answer_is_understood() -> None:
    worklist = worklist_of(served())
    first, second, third = worklist.items
    assert (worklist.model, worklist.labels, worklist.alarm.cases) == ("m", ("left", "right"), 7)  # type: ignore[union-attr]
    assert first.flagged_classes == ("left",)
    assert first.flagged
    assert first.open
    assert second.lesions[0].centre == (1.0, 2.0, 3.0)
    assert second.review is not None
    assert second.review.labels == {"left": False}
    assert not second.flagged
    assert third.error == "too small"
    assert worklist.settled == 3
    assert item_of(served()["items"][0]) == first
    assert worklist_of(served(alarm=None)).alarm is None


@pytest.mark.parametrize(
    "broken",
    [
        {},
        [],
        None,
        {"items": []},
        served(kind="other"),
        served(scoring=1),
        served(items=[{"image": "a"}]),
        served(items=[{**served()["items"][0], "suspicion": "high"}]),
        served(items=[{**served()["items"][1], "review": {"decision": "maybe", "time": ""}}]),
        served(items=[{**served()["items"][1], "lesions": [{"lesion": 1}]}]),
    ],
)
def test_other_answers_are_refused(broken: Any) -> None:
    with pytest.raises(ValueError, match="not a worklist"):
        worklist_of(broken)


def affine(rng: np.random.Generator) -> np.ndarray:
    """Oblique, anisotropic; left-handed in half of the cases."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    made = np.eye(4)
    made[:3, :3] = rotation * [1.2, 0.9, 3.0]
    made[:3, 3] = rng.normal(size=3) * 50
    return made


def with_sform(image: Any, _place: np.ndarray) -> Any:
    return image


def with_qform(image: Any, place: np.ndarray) -> Any:
    image.set_sform(None, 0)
    image.set_qform(place, 1)
    return image


def scaled(image: Any, place: np.ndarray) -> Any:
    made = type(image)(image.get_fdata(dtype=np.float32), place)
    made.set_data_dtype(np.int16)
    return made


def swapped(image: Any, place: np.ndarray) -> Any:
    return type(image)(np.asarray(image.dataobj), place, header=image.header.as_byteswapped(">"))


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("change", [with_sform, with_qform, scaled, swapped])
def test_nifti_is_read_as_nibabel_reads_it(kind: Any, change: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for suffix, dtype in product((".nii", ".nii.gz"), ("u1", "i2", "f4", "f8", "u2")):
        place = affine(rng)
        array = rng.normal(100, 30, (7, 6, 5)).clip(0).astype(dtype)
        path = tmp_path / f"image{suffix}"
        nibabel.save(change(kind(array, place), place), path)
        wanted = nibabel.load(path)
        found = decode_image(path.read_bytes())
        assert found is not None
        assert np.allclose(found.array, wanted.get_fdata(), rtol=1e-5, atol=1e-4)
        assert np.allclose(found.affine, wanted.affine, atol=1e-4)


def test_nifti_without_a_place_has_its_spacing(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.float32), None)
    image.header.set_zooms((1, 2, 3))
    nibabel.save(image, tmp_path / "image.nii")
    found = decode_image((tmp_path / "image.nii").read_bytes())
    assert found is not None
    assert np.diag(found.affine).tolist() == [1, 2, 3, 1]


def test_what_is_no_image_and_what_is_a_damaged_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(9, 9, 9)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / "image.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 5, 5, 2), np.float32), np.eye(4)), tmp_path / "series.nii")
    content = (tmp_path / "image.nii.gz").read_bytes()
    assert decode_image(b"DICM" * 200) is None
    assert decode_image(b"") is None
    for bad in (content[: len(content) // 2], (tmp_path / "series.nii").read_bytes()):
        with pytest.raises(ValueError, match=r"bytes|unpacked|volume"):
            decode_image(bad)


def image(name: str, **changes: Any) -> Item:
    made = item_of({**served()["items"][0], "image": name})
    return replace(made, **changes)


def test_the_next_open_image() -> None:
    from XAIReviewLib.order import following

    done = item_of(served()["items"][1]).review
    items = [image("a"), image("b", review=done), image("c"), image("d", review=done)]

    def name(current: str, step: int) -> str | None:
        found = following(items, current, step)
        return None if found is None else found.image

    assert [name(current, 1) for current in ("", "a", "b", "c", "d", "gone")] == ["a", "c", "c", "a", "a", "a"]
    assert [name(current, -1) for current in ("", "a", "b", "c", "d")] == ["c", "c", "a", "a", "c"]
    assert following([image("a")], "a", 1) is None
    assert following([], "", 1) is None


def test_filters() -> None:
    from XAIReviewLib.order import Filters

    one = image("a")  # left is flagged, both are predicted
    done = replace(one, review=item_of(served()["items"][1]).review)
    assert Filters().show(one)
    assert Filters("right").show(one)
    assert not Filters("right", flagged=True).show(one)
    assert Filters("left", flagged=True).show(one)
    assert not Filters("elsewhere").show(one)
    assert not Filters(open=True).show(done)
    assert not Filters(flagged=True).show(item_of(served()["items"][2]))


def test_a_blend_against_a_plain_loop() -> None:
    from XAIReviewLib.blend import LEVELS, blended

    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(3, 4, 5)).astype(np.float32) for _ in range(2))
    found = blended(Volume(first, np.eye(4)), 1.0, Volume(second, np.eye(4)), 2.0).array
    for place in np.ndindex(3, 4, 5):
        one, other = float(first[place]), float(second[place]) / 2
        levels = [round(15 * min(abs(value), 1.0)) for value in (one, other)]
        if one * other < 0:
            levels[0 if levels[0] < levels[1] else 1] = 0
        assert divmod(int(found[place]), LEVELS) == tuple(levels)


def test_colours_of_a_blend() -> None:
    from XAIPanels.colours import rgb
    from XAIReviewLib.blend import BOTH, FIRST, LEVELS, SECOND, table

    for threshold in (0.0, 0.5):
        found = table(threshold).reshape(LEVELS, LEVELS, 4)
        drawn = [level / 15 >= threshold and level > 0 for level in range(LEVELS)]
        for one, other in np.ndindex(LEVELS, LEVELS):
            assert found[one, other, 3] == float(drawn[one] or drawn[other])
            if drawn[one] and drawn[other]:
                assert found[one, other, :3].tolist() == list(rgb(BOTH))
        assert found[15, 0, :3].tolist() == list(rgb(FIRST[-1]))
        assert found[0, 15, :3].tolist() == list(rgb(SECOND[-1]))


def test_maps_are_found_by_the_names_of_their_classes() -> None:
    from XAIReviewLib.prepared import named

    from slicerxai.explain.case_parts import slugs

    for labels in (["deep white matter", "periventricular"], ["No Finding", "Effusion (left)"], ["a b", "a-b", "c"]):
        names = [f"saliency_{slug}" for slug in slugs(labels)]
        assert named(labels, names[::-1]) == dict(zip(labels, names, strict=True))
    assert named(["left"], ["saliency_right"]) == {}


def test_the_place_of_a_map_is_its_strongest_voxel() -> None:
    from XAIReviewLib.prepared import place_of

    array = np.zeros((3, 4, 5), np.float32)
    assert place_of(Volume(array, np.eye(4))) is None
    array[1, 2, 3], array[2, 0, 0] = -5, 4
    assert place_of(Volume(array, np.diag([2.0, 2, 2, 1]))) == (2.0, 4.0, 6.0)
    assert place_of(Volume(np.asfortranarray(array), np.diag([2.0, 2, 2, 1]))) == (2.0, 4.0, 6.0)


def test_the_window_of_an_image() -> None:
    from XAIReviewLib.prepared import image_of

    array = np.zeros((20, 20, 20), np.float32)
    assert image_of(Volume(array, np.eye(4))).window == (0.0, 1.0)
    array[5:15, 5:15, 5:15] = 100
    low, high = image_of(Volume(array, np.eye(4))).window
    assert (low, high) == (0.0, 100.0)


def test_the_class_whose_map_is_most_alike() -> None:
    from XAIReviewLib.tables import nearest_of

    columns, rows = ["class", "a", "b", "c"], [["a", 0.0, 0.4, 0.3], ["b", 0.4, 0.0, None], ["c", 0.3, None, 0.0]]
    document = {"tables": {"distances": {"title": "", "columns": columns, "rows": rows}}}
    assert [nearest_of(document, label) for label in ("a", "b", "c", "d")] == ["c", "a", "a", ""]
    assert nearest_of({"tables": {}}, "a") == ""
    assert nearest_of({}, "a") == ""


def test_words() -> None:
    from XAIReviewLib import words

    worklist = worklist_of(served())
    first, second, third = worklist.items
    assert words.suspicion(third) == "cannot be scored"
    assert words.suspicion_hint(third, "classifier") == "too small"
    assert words.suspicion_hint(first, "classifier") == "1.20 of 2 classes are expected to be predicted wrongly."
    assert words.flagged_hint(first) == "left: alike"
    assert words.state(second) == "corrected"
    assert "no class present" in words.review(second)
    assert words.counts(worklist, 3) == "3 images: 2 open, 1 of them flagged; 1 not scored."
    assert words.counts(worklist, 1).endswith("2 hidden by the filters.")
    assert words.reasons(first.classes, "left") == "<b>left</b>: alike."
    assert "slicerxai alarm &lt;m&gt; COHORT" in words.alarm(None, "<m>")
    assert (
        "entropy of the probabilities; what is flagged is more likely to be the reverse. Fitted on 7 cases."
        in words.alarm(worklist.alarm, "m")
    )
