"""Which files are which, and how far raters agree: compared with the readers of the server and with plain counting."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from colour_vision import VISIONS, closest, lab
from XAICohortLib.palette import CONSENSUS, RATERS, TRUTH, VOTES, hexadecimal, rater_colours, vote_colours
from XAICohortLib.sources import table_problems
from XAILib.agreement import agreement_of, cropped, lesion_count, measure, on_one_grid, votes
from XAILib.msseg_folder import FolderError, read_folder
from XAILib.nrrd import Volume

from slicerxai.data.lesions import label_components
from slicerxai.data.readers import read_cohort

SHIFTED = np.array([[-2.0, 0, 0, 30], [0, -2, 0, 40], [0, 0, 3, -50], [0, 0, 0, 1]])


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def published(folder: Path) -> None:
    for patient in ("Training/Center_01/Patient_02", "Testing/Center_07/Patient_01"):
        touch(
            folder / patient, "Preprocessed_Data/FLAIR_preprocessed.nii.gz", "Preprocessed_Data/DP_preprocessed.nii.gz"
        )
        touch(folder / patient, "Preprocessed_Data/Brain_Mask.nii.gz", "Raw_Data/T2.nii.gz", "Raw_Data/.hidden.nii")
        touch(folder / patient, "Masks/ManualSegmentation_1.nii.gz", "Masks/ManualSegmentation_7.nii.gz")
        touch(folder / patient, "Masks/Consensus.nii.gz", "Masks/notes.txt")
    (folder / "Training" / "cases.csv").write_text("id,age,site\n01_02,31,01\n")


def handed_out(folder: Path) -> None:
    touch(folder / "unprocessed" / "01016SACH", "3DFLAIR.nii.gz", "3DT1.nii.gz", "Consensus.nii.gz")
    touch(folder / "processed" / "01016SACH", "FLAIR_preprocessed.nii.gz", "ManualSegmentation_3.nii.gz")
    touch(folder / "unprocessed" / "08002CHJE", "T2.nrrd")


def tabulated(folder: Path) -> None:
    touch(folder, "a.nii.gz", "b.nii.gz", "m1.nii", "m2.nii")
    lines = [
        "case_id,flair,PERFUSION,mask,mask_2,centre,age",
        "A,a.nii.gz,b.nii.gz,m1.nii,,07,30",
        "B,b.nii.gz,,,m2.nii,01,n/a",
    ]
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")


def plain(folder: Path) -> None:
    touch(folder, "patient07/FLAIR.nii.gz", "patient07/T1.nii.gz", "patient07/lesions.nii.gz", "patient08/lesions.nii")
    touch(folder, "patient09/T2.nrrd", "patient09/lesions_2.nii.gz")
    (folder / "patient_info.csv").write_text("patient_id,sex,age\n07,F,40\n9,M,41\n")


@pytest.mark.parametrize("layout", [published, handed_out, tabulated, plain], ids=lambda layout: layout.__name__)
def test_a_folder_is_read_as_the_server_reads_it(layout: object, tmp_path: Path) -> None:
    layout(tmp_path)  # type: ignore[operator]
    ours, theirs = read_folder(tmp_path), read_cohort(tmp_path)
    assert [case.id for case in ours.cohort.cases] == [case.id for case in theirs]
    for case in theirs:
        files = ours.files[case.id]
        assert dict(files.images) == dict(case.images)
        assert dict(files.masks) == dict(case.masks)
        assert (set(files.case.modalities), set(files.case.raters)) == (set(case.images), set(case.masks))
        own = {key: value for key, value in files.case.metadata.items() if key != "scanner"}
        assert own == dict(case.metadata)


def test_the_scanner_of_a_centre_is_known_unless_the_table_says_another(tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "Testing" / "cases.csv").write_text("id,scanner\n07_01,ours\n")
    scanners = [case.metadata["scanner"] for case in read_folder(tmp_path).cohort.cases]
    assert scanners == ["ours", "Siemens Verio 3T"]


@pytest.mark.parametrize(
    ("names", "table", "words"),
    [
        ((), "", "No case with an image"),
        (
            ("Center_01/Patient_1/Raw_Data/FLAIR.nii", "Center_01/Patient_1/Raw_Data/3DFLAIR.nii"),
            "",
            "are both “FLAIR”",
        ),
        (("a.nii",), "case_id,FLAIR\nA,a.nii\nA,a.nii\n", "more than one case “A”"),
        (("a.nii",), "case_id,FLAIR\nA,../../a.nii\n", "outside its folder"),
    ],
)
def test_a_folder_that_is_no_cohort_is_refused_in_words(
    names: tuple[str, ...], table: str, words: str, tmp_path: Path
) -> None:
    touch(tmp_path, *names)
    if table:
        (tmp_path / "cases.csv").write_text(table)
    with pytest.raises(FolderError, match=words):
        read_folder(tmp_path)


def test_what_a_case_lacks_is_said(msseg: Path) -> None:
    assert table_problems(read_folder(msseg).cohort) == {"01_01": (), "01_02": (), "07_03": ("no GADO", "no mask of 7")}


def random_masks(seed: int, count: int = 3) -> dict[str, Volume]:
    noise = np.random.default_rng(seed)
    return {str(n + 1): Volume((noise.random((9, 8, 7)) < 0.15).astype(np.uint8), SHIFTED) for n in range(count)}


@pytest.mark.parametrize("seed", range(6))
def test_lesions_are_counted_as_on_the_server(seed: int) -> None:
    mask = next(iter(random_masks(seed).values()))
    for least in (0.0, 12.0, 30.0):  # a voxel has 12 mm³
        assert lesion_count(mask, least) == label_components(mask.array != 0, least / 12.0)[1]


def test_a_bent_lesion_is_one() -> None:
    array = np.zeros((30, 30, 3), np.uint8)
    array[1:29, 1, 1] = array[28, 1:29, 1] = array[1:29, 28, 1] = array[1, 3:29, 1] = 1
    assert lesion_count(Volume(array, np.eye(4))) == 1
    assert lesion_count(Volume(np.zeros((3, 3, 3)), np.eye(4))) == 0


def test_agreement_is_what_plain_counting_says() -> None:
    masks = random_masks(3)
    masks["consensus"] = Volume(masks["1"].array & masks["2"].array, SHIFTED)
    found = measure({name: cropped(mask) for name, mask in masks.items()})
    for (one, first), (other, second) in itertools.product(enumerate(masks.values()), repeat=2):
        voxels = list(zip(first.array.ravel(), second.array.ravel(), strict=True))
        both, total = sum(a and b for a, b in voxels), sum(int(a) + int(b) for a, b in voxels)
        assert found.dice[one][other] == pytest.approx(2 * both / total)
    for row, (name, mask) in zip(found.raters, masks.items(), strict=True):
        assert (row.rater, row.volume_ml) == (name, pytest.approx(mask.array.sum() * 12 / 1000))
        assert row.dice == found.dice[list(masks).index(name)][3]
    assert found.mean_dice == pytest.approx((found.dice[0][1] + found.dice[0][2] + found.dice[1][2]) / 3)
    assert agreement_of(found.document()) == found
    assert measure({"1": masks["1"]}).mean_dice is None


def test_votes_are_what_plain_counting_says() -> None:
    masks = {**random_masks(4), "consensus": Volume(np.ones((9, 8, 7)), SHIFTED)}
    counted = votes({name: cropped(mask) for name, mask in masks.items()})
    assert counted is not None
    expected = sum(mask.array for name, mask in masks.items() if name != "consensus")
    for index in np.ndindex(counted.array.shape):
        place = np.linalg.inv(SHIFTED) @ counted.affine @ [*index, 1]
        assert counted.array[index] == expected[tuple(np.rint(place[:3]).astype(int))]
    assert counted.array.sum() == expected.sum()
    assert votes({"1": Volume(np.zeros((2, 2, 2)), SHIFTED)}) is None
    assert votes({"consensus": Volume(np.ones((2, 2, 2)), SHIFTED)}) is None


def test_masks_of_other_grids_are_compared_in_the_world() -> None:
    mask = random_masks(5)["1"]
    flipped = SHIFTED @ np.array([[-1, 0, 0, 8], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    mirrored = Volume(mask.array[::-1], flipped)  # the same voxels at the same places, other indices
    turned = Volume(mask.array.transpose(1, 0, 2), SHIFTED[:, [1, 0, 2, 3]])
    finer = Volume(
        mask.array.repeat(2, axis=2), SHIFTED @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, -0.25], [0, 0, 0, 1]])
    )
    found = measure({"1": mask, "2": mirrored, "3": turned, "4": finer})
    assert np.allclose(found.dice, 1.0)
    assert len({row.volume_ml for row in found.raters}) == 1


def test_an_empty_mask_agrees_with_nothing_but_another_empty_one() -> None:
    empty, mask = Volume(np.zeros((1, 1, 1), np.uint8), np.eye(4)), random_masks(6)["1"]
    found = measure({"1": empty, "2": mask, "3": Volume(np.zeros((2, 2, 2)), SHIFTED)})
    assert found.dice[0] == (1.0, 0.0, 1.0)
    common, _ = on_one_grid({"1": empty, "2": mask})
    assert common["2"].sum() == mask.array.sum()


def test_outlines_can_be_told_apart_by_every_reader() -> None:
    assert closest((*RATERS, CONSENSUS)) >= (32,)
    assert min(lab(colour, vision)[0] for colour in RATERS for vision in VISIONS) > 25  # none is lost on black


def test_colours_of_votes_are_taken_from_few_to_many() -> None:
    assert [hexadecimal(colour) for colour in vote_colours(7)] == list(VOTES)
    assert hexadecimal(vote_colours(2)[0]) == VOTES[0]
    assert hexadecimal(vote_colours(1)[0]) == VOTES[-1]
    lightness = [lab(hexadecimal(colour))[0] for colour in vote_colours(4)]
    assert lightness == sorted(lightness)


def test_a_rater_keeps_the_colour() -> None:
    assert rater_colours(("3", "7", "consensus"))["3"] == rater_colours(("1", "2", "3"))["3"] == RATERS[2]
    assert rater_colours(("anna", "bert", "1", "truth"))["truth"] == TRUTH
    assert len(set(rater_colours(("anna", "bert", "1")).values())) == 5
