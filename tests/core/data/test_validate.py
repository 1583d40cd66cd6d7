"""Every problem is found, in one pass, and a sound cohort has none."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.data.io import write_volume
from slicerxai.data.validate import validate
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled

SHAPE = (5, 6, 7)
AFFINE = np.diag([-1.0, 1.2, 2.0, 1.0])
IMAGE = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
MASK = (IMAGE > 1).astype(np.uint8)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def sound(root: Path, name: str) -> Case:
    folder = root / name
    paths = {key: folder / f"{key}.nii.gz" for key in ("FLAIR", "T1", "mask")}
    for key, path in paths.items():
        write_volume(path, Volume(MASK if key == "mask" else IMAGE, AFFINE))
    return Case(name, {"FLAIR": paths["FLAIR"], "T1": paths["T1"]}, {"consensus": paths["mask"]})


def moved(by: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += by
    return affine


def sheared() -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 1] = 0.3
    return affine


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.astype(np.float32)
    changed[0, 0, 0] = value
    return changed


# file of the first case, what to do with it, the problems expected of it
FAULTS = [
    ("FLAIR", Path.unlink, ["missing"]),
    ("FLAIR", lambda p: p.write_bytes(p.read_bytes()[:100]), ["unreadable"]),
    ("T1", lambda p: save(p, IMAGE[:-1]), ["shape mismatch"]),
    ("T1", lambda p: save(p, IMAGE, moved(0.5)), ["affine mismatch"]),
    ("T1", lambda p: save(p, IMAGE[:-1], moved(0.5)), ["shape mismatch", "affine mismatch"]),
    ("T1", lambda p: save(p, IMAGE, moved(0.05)), []),
    ("T1", lambda p: save(p, np.stack([IMAGE, IMAGE], axis=-1)), ["dimensions"]),
    ("T1", lambda p: save(p, with_value(IMAGE, np.nan)), ["non-finite"]),
    ("FLAIR", lambda p: save(p, with_value(IMAGE, np.inf)), ["non-finite"]),
    ("T1", lambda p: save(p, with_value(IMAGE[:-1], np.nan)), ["non-finite", "shape mismatch"]),
    ("T1", lambda p: save(p, np.zeros(SHAPE, np.float32)), ["empty image"]),
    ("T1", lambda p: save(p, np.full(SHAPE, 7.0)), ["empty image"]),
    ("T1", lambda p: save(p, IMAGE.astype(np.complex64)), ["dtype"]),
    ("T1", lambda p: save(p, IMAGE, sheared()), ["non-orthogonal", "affine mismatch"]),
    ("mask", lambda p: save(p, MASK * 3), ["non-binary mask"]),
    ("mask", lambda p: save(p, with_value(MASK, 0.5)), ["non-binary mask"]),
    ("mask", lambda p: save(p, MASK.astype(np.float32)), []),
    ("mask", lambda p: save(p, MASK * 0), ["empty mask"]),
    ("mask", lambda p: save(p, MASK[:, :-1]), ["shape mismatch"]),
    ("mask", lambda p: save(p, MASK, moved(-3)), ["affine mismatch"]),
    ("mask", lambda p: save(p, MASK[:, :-1] * 2, moved(9)), ["shape mismatch", "affine mismatch", "non-binary mask"]),
]


@pytest.mark.parametrize(("key", "spoil", "expected"), FAULTS)
def test_each_fault(tmp_path: Path, key: str, spoil, expected: list[str]) -> None:
    cohort = Cohort("c", (sound(tmp_path, "a"), sound(tmp_path, "b")))
    path = tmp_path / "a" / f"{key}.nii.gz"
    spoil(path)
    problems = validate(cohort)
    assert Counter(problem.kind for problem in problems) == Counter(expected)
    assert {(problem.case, problem.file) for problem in problems} <= {("a", path)}
    assert all(str(path) in problem.message for problem in problems)


def test_sound_cohort(tmp_path: Path) -> None:
    assert validate(Cohort("c", (sound(tmp_path, "a"), sound(tmp_path, "b")))) == []
    assert validate(Cohort("c", ())) == []


def test_all_problems_at_once(tmp_path: Path) -> None:
    cases = [sound(tmp_path, name) for name in "abcdef"]
    cases[1] = replace(cases[1], images={"FLAIR": cases[1].images["FLAIR"]})
    cases[2] = replace(cases[2], masks={})
    cases[3].images["FLAIR"].unlink()
    save(cases[3].masks["consensus"], MASK[:-1] * 4)
    save(cases[4].masks["consensus"], MASK * 0)
    cases[5] = replace(cases[0])
    problems = validate(Cohort("c", tuple(cases)))
    assert [(problem.case, problem.kind, problem.severity) for problem in problems] == [
        ("a", "duplicate id", "error"),
        ("b", "missing modality", "error"),
        ("c", "missing mask", "warning"),
        ("d", "missing", "error"),
        ("d", "non-binary mask", "error"),
        ("d", "shape mismatch", "error"),
        ("e", "empty mask", "warning"),
    ]
    # with FLAIR gone, T1 is the reference of case d
    assert "T1" in problems[5].message


def test_case_without_images(tmp_path: Path) -> None:
    cases = (sound(tmp_path, "a"), sound(tmp_path, "b"), Case("c", {}, {}))
    assert [problem.kind for problem in validate(Cohort("c", cases))] == ["missing modality", "missing mask"]


def test_progress_can_cancel(tmp_path: Path) -> None:
    seen: list[float] = []

    def stop(fraction: float, message: str) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        validate(Cohort("c", tuple(sound(tmp_path, name) for name in "abc")), stop)
    assert seen == [0.0, pytest.approx(1 / 3)]
