"""Every layout, what it leaves out, and what it refuses."""

import os
from pathlib import Path

import numpy as np
import pytest

from slicerxai.data.cohort import Environment
from slicerxai.data.readers import LAYOUTS, read_cohort
from slicerxai.errors import InputError


def touch(root: Path, *names: str) -> None:
    """Readers look at names only, so empty files do."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def relative(paths, root: Path) -> dict[str, str]:
    return {key: path.relative_to(root).as_posix() for key, path in paths.items()}


CENTRE_PATIENT = (
    *[f"Raw_Data/{name}.nii.gz" for name in ("FLAIR", "T1", "T2", "DP", "GADO")],
    *[f"Preprocessed_Data/{name}_preprocessed.nii.gz" for name in ("FLAIR", "T1", "T2", "DP", "GADO")],
    *[f"Masks/ManualSegmentation_{rater}.nii.gz" for rater in range(1, 8)],
    "Masks/Consensus.nii.gz",
    "Masks/Brain_Mask.nii.gz",
)


def test_msseg2016_centres(tmp_path: Path) -> None:
    for patient in ("Center_01/Patient_01", "Center_01/Patient_02", "Center_07/Patient_01"):
        touch(tmp_path / patient, *CENTRE_PATIENT)
    touch(tmp_path / "Center_08/Patient_03", "Masks/Consensus.nii.gz", "Raw_Data/._FLAIR.nii.gz")
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort] == ["01_01", "01_02", "07_01"]
    assert [case.metadata["centre"] for case in cohort] == ["01", "01", "07"]
    first = tmp_path / "Center_01/Patient_01"
    assert relative(cohort["01_01"].images, first) == {
        "FLAIR": "Preprocessed_Data/FLAIR_preprocessed.nii.gz",
        "T1": "Preprocessed_Data/T1_preprocessed.nii.gz",
        "T2": "Preprocessed_Data/T2_preprocessed.nii.gz",
        "PD": "Preprocessed_Data/DP_preprocessed.nii.gz",
        "GADO": "Preprocessed_Data/GADO_preprocessed.nii.gz",
    }
    assert relative(cohort["01_01"].masks, first) == {
        "consensus": "Masks/Consensus.nii.gz",
        **{str(rater): f"Masks/ManualSegmentation_{rater}.nii.gz" for rater in range(1, 8)},
    }
    raw = read_cohort(tmp_path, prefer="raw")
    assert relative(raw["01_01"].images, first)["PD"] == "Raw_Data/DP.nii.gz"
    selected = cohort.select(Environment.model_validate({"where": {"centre": {"values": ["07"]}}, "rater": "3"}))
    assert [case.id for case in selected] == ["07_01"]


def test_msseg2016_kinds_are_never_mixed_within_a_case(tmp_path: Path) -> None:
    touch(tmp_path / "Center_01/Patient_01", "Raw_Data/FLAIR.nii.gz", "Raw_Data/T1.nii.gz")
    touch(tmp_path / "Center_01/Patient_01", "Preprocessed_Data/FLAIR_preprocessed.nii.gz")
    touch(tmp_path / "Center_01/Patient_02", "Raw_Data/FLAIR.nii.gz")
    cohort = read_cohort(tmp_path)
    assert set(cohort["01_01"].images) == {"FLAIR"}
    assert cohort["01_02"].images["FLAIR"].parent.name == "Raw_Data"


def test_msseg2016_splits_keep_ids_apart(tmp_path: Path) -> None:
    for split in ("Training", "Testing"):
        touch(tmp_path / split / "Center_01/Patient_01", *CENTRE_PATIENT)
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort] == ["Testing_01_01", "Training_01_01"]
    assert [case.metadata["split"] for case in cohort] == ["testing", "training"]


def test_msseg2016_table_adds_metadata_and_truth(tmp_path: Path) -> None:
    touch(tmp_path / "Center_01/Patient_01", *CENTRE_PATIENT, "Masks/Truth.nii.gz", "Masks/Regions.nii.gz")
    (tmp_path / "cases.csv").write_text("id,centre,scanner,age\n01_01,01,Aera,41.5\n")
    (case,) = read_cohort(tmp_path)
    assert case.metadata == {"centre": "01", "scanner": "Aera", "age": 41.5}
    assert "truth" in case.masks
    assert "regions" not in case.masks


def test_msseg2016_flat(tmp_path: Path) -> None:
    masks = ["Consensus.nii.gz", *[f"ManualSegmentation_{rater}.nii.gz" for rater in range(1, 8)]]
    images = ["3DFLAIR.nii.gz", "3DT1.nii.gz", "3DT1GADO.nii.gz", "DP.nii.gz", "T2.nii.gz"]
    touch(tmp_path / "01016SACH", *images, *masks, "elastix.log", "Mask_registered.nii.gz")
    touch(tmp_path / "08002CHJE", "FLAIR_preprocessed.nii.gz", "3DFLAIR.nii.gz", *masks)
    cohort = read_cohort(tmp_path)
    assert [(case.id, case.metadata["centre"]) for case in cohort] == [("01016SACH", "01"), ("08002CHJE", "08")]
    assert relative(cohort["01016SACH"].images, tmp_path / "01016SACH") == {
        "FLAIR": "3DFLAIR.nii.gz",
        "T1": "3DT1.nii.gz",
        "GADO": "3DT1GADO.nii.gz",
        "PD": "DP.nii.gz",
        "T2": "T2.nii.gz",
    }
    assert sorted(cohort["01016SACH"].masks) == ["1", "2", "3", "4", "5", "6", "7", "consensus"]
    assert cohort["08002CHJE"].images["FLAIR"].name == "FLAIR_preprocessed.nii.gz"
    assert read_cohort(tmp_path, prefer="raw")["08002CHJE"].images["FLAIR"].name == "3DFLAIR.nii.gz"


def test_msseg2016_flat_archives_side_by_side_are_one_case(tmp_path: Path) -> None:
    touch(tmp_path / "Unprocessed/TrainingDataset_MSSEG/01016SACH", "3DFLAIR.nii.gz", "Consensus.nii.gz")
    touch(tmp_path / "Pre-processed/TrainingDataset_MSSEG/01016SACH", "FLAIR_preprocessed.nii.gz")
    (case,) = read_cohort(tmp_path)
    assert case.images["FLAIR"].name == "FLAIR_preprocessed.nii.gz"
    assert set(case.masks) == {"consensus"}


def test_bids(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "dataset_description.json",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-01/anat/sub-01_FLAIR.json",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_FLAIR.nii.gz",
        "sub-02/ses-2/anat/sub-02_ses-2_FLAIR.nii.gz",
        "sub-03/dwi/sub-03_dwi.nii.gz",
        "derivatives/manual/sub-01/anat/sub-01_desc-rater3_mask.nii.gz",
        "derivatives/manual/sub-01/anat/sub-01_desc-consensus_label-lesion_mask.nii.gz",
        "derivatives/fmriprep/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "derivatives/manual/sub-02/ses-2/anat/sub-02_ses-2_label-lesion_mask.nii.gz",
        "derivatives/manual/sub-02/ses-2/anat/sub-02_ses-2_label-lesion_probseg.nii.gz",
    )
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tsite\nsub-01\t33\t01\nsub-02\tn/a\t07\n")
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort] == ["sub-01", "sub-02_ses-1", "sub-02_ses-2"]
    assert set(cohort["sub-01"].images) == {"FLAIR", "T1", "GADO"}
    assert set(cohort["sub-01"].masks) == {"3", "consensus"}
    assert cohort["sub-01"].metadata == {"subject": "sub-01", "age": 33.0, "site": "01"}
    assert cohort["sub-02_ses-1"].masks == {}
    assert set(cohort["sub-02_ses-2"].masks) == {"consensus"}
    assert cohort["sub-02_ses-2"].metadata == {"subject": "sub-02", "site": "07", "session": "ses-2"}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["derivatives/a/sub-01_mask.nii.gz", "derivatives/b/sub-01_lesion_mask.nii.gz"], "both 'consensus'"),
        (["sub-01/anat/sub-01_run-2_FLAIR.nii.gz"], "both 'FLAIR'"),
        (["sub-01/anat/sub-01_FLAIR.nii"], "both 'sub-01_FLAIR'"),
    ],
)
def test_bids_does_not_choose_between_two_files(tmp_path: Path, names: list[str], says: str) -> None:
    touch(tmp_path, "sub-01/anat/sub-01_FLAIR.nii.gz", *names)
    with pytest.raises(InputError, match=says):
        read_cohort(tmp_path)


def test_bids_mask_without_its_session(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz", "derivatives/sub-01_lesion_mask.nii.gz")
    (case,) = read_cohort(tmp_path)
    assert set(case.masks) == {"consensus"}
    touch(tmp_path, "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz")
    with pytest.raises(InputError, match="which session"):
        read_cohort(tmp_path)


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_table(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "\ufeffcase_id,FLAIR,t1,SWI,mask,mask_2,centre,age\n"
        "a,img/a.nii.gz,img/a_t1.nrrd,img/a_swi.nii.gz,m/a.nii.gz,m/a2.nii.gz,01,30\n"
        "b,img/b.nii.gz,,,,,02,41.5\n\n",
    )
    for source in (path, tmp_path):
        cohort = read_cohort(source)
        assert relative(cohort["a"].images, tmp_path) == {
            "FLAIR": "img/a.nii.gz",
            "T1": "img/a_t1.nrrd",
            "SWI": "img/a_swi.nii.gz",
        }
        assert relative(cohort["a"].masks, tmp_path) == {"consensus": "m/a.nii.gz", "2": "m/a2.nii.gz"}
        assert cohort["a"].metadata == {"centre": "01", "age": 30.0}
        assert set(cohort["b"].images) == {"FLAIR"}
        assert cohort["b"].masks == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("case_id,FLAIR\na,../secret.nii.gz\n", "outside the table's folder"),
        ("case_id,FLAIR\na,/etc/passwd\n", "outside the table's folder"),
        ("case_id,mask\na,x/../../m.nii.gz\n", "outside the table's folder"),
        ("case_id,FLAIR\na,x.nii.gz\n,y.nii.gz\n", "no case_id"),
        ("FLAIR,T1\na.nii.gz,b.nii.gz\n", "case_id"),
        ("case_id,FLAIR,FLAIR\na,b.nii,c.nii\n", "each column once"),
        ("case_id,FLAIR\na,b.nii,c\n", "line 2: 3 values for 2 columns"),
        ("", "first line"),
        ("case_id,FLAIR\n", "no rows"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_cohort(table(tmp_path, text))


def test_two_tables_in_a_folder_are_ambiguous(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("case_id,FLAIR\na,a.nii\n")
    with pytest.raises(InputError, match="not recognised"):
        read_cohort(tmp_path)
    assert len(read_cohort(tmp_path / "two.csv")) == 1


def test_binary_table(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_bytes(b"\xff\xfe\x00case_id")
    with pytest.raises(InputError, match="UTF-8"):
        read_cohort(tmp_path / "cohort.csv")


def test_table_does_not_follow_a_link_out_of_its_folder(tmp_path: Path) -> None:
    inside = tmp_path / "cohort"
    touch(tmp_path, "secret.nii.gz")
    inside.mkdir()
    (inside / "a.nii.gz").symlink_to(tmp_path / "secret.nii.gz")
    with pytest.raises(InputError, match="outside"):
        read_cohort(table(inside, "case_id,FLAIR\na,a.nii.gz\n"))


def test_folder(tmp_path: Path) -> None:
    touch(tmp_path / "patient02", "FLAIR.nii.gz", "T1.nii.gz", "lesions.nii.gz", "lesions_3.nii.gz", "notes.txt")
    touch(tmp_path / "patient03", "lesions.nii.gz")
    (tmp_path / "patient_info.csv").write_text("patient_id,age,sex\n2,33,M\n3,40,F\n")
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort] == ["patient02"]
    assert set(cohort["patient02"].images) == {"FLAIR", "T1"}
    assert set(cohort["patient02"].masks) == {"consensus", "3"}
    assert cohort["patient02"].metadata == {"age": 33.0, "sex": "M"}


@pytest.mark.parametrize("layout", ["auto", *LAYOUTS])
def test_unrecognised_folder_lists_what_is_accepted(tmp_path: Path, layout: str) -> None:
    touch(tmp_path, "nothing/here.txt", "scan.dcm")
    with pytest.raises(InputError) as caught:
        read_cohort(tmp_path, layout)
    expected = LAYOUTS if layout == "auto" else [layout]
    assert all(LAYOUTS[name].DESCRIPTION in str(caught.value) for name in expected)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such"):
        read_cohort(tmp_path / "gone")
    with pytest.raises(InputError, match="'dicom' is unknown; accepted are auto, msseg2016"):
        read_cohort(tmp_path, "dicom")
    with pytest.raises(InputError, match="'both'"):
        read_cohort(tmp_path, prefer="both")  # type: ignore[arg-type]
    touch(tmp_path, "scan.nii.gz")
    with pytest.raises(InputError, match="not recognised"):
        read_cohort(tmp_path / "scan.nii.gz")


def test_folders_without_any_image(tmp_path: Path) -> None:
    touch(tmp_path / "Center_01/Patient_01", "Masks/Consensus.nii.gz")
    with pytest.raises(InputError, match="no case with an image"):
        read_cohort(tmp_path)


def real_data() -> Path:
    folder = Path(os.environ.get("SLICERXAI_REAL_DATA", Path(__file__).parents[4] / "shared/data")) / "open_ms"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.mark.real_data
def test_real_patients() -> None:
    cohort = read_cohort(real_data())
    assert len(cohort) >= 1
    for case in cohort:
        image, mask = case.image("FLAIR"), case.mask("consensus")
        assert image.shape == mask.shape
        assert np.array_equal(image.affine, mask.affine)
        assert set(np.unique(mask.array)) == {0, 1}
