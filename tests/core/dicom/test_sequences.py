"""Which sequence a header is of."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from slicerxai.dicom.sequences import recognise

SE, GR, IR = "SE", "GR", "IR"


def header(description, echo=None, repetition=None, inversion=None, scanning=None, **others):
    dataset = Dataset()
    values = {
        "SeriesDescription": description,
        "EchoTime": echo,
        "RepetitionTime": repetition,
        "InversionTime": inversion,
        "ScanningSequence": scanning,
    }
    for keyword, value in (values | others).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


CLEAR = [
    (("t2_tirm_tra_dark-fluid", 120, 9000, 2500, [SE, IR]), "FLAIR"),
    (("Ax T2 FLAIR", 125, 9000, 2400), "FLAIR"),
    (("Sag 3D FLAIR", 120, 8000), "FLAIR"),
    (("t2_space_dark-fluid_sag", 400, 5000, 1800), "FLAIR"),
    (("FLAIR post Gd", 120, 9000, 2500), "FLAIR"),
    (("Ax T1 FLAIR", 20, 2500, 900, IR), "T1"),
    (("T1W_3D_TFE", 4, 8, None, GR), "T1"),
    (("BRAVO", 3, 8, 450, GR), "T1"),
    (("T1 SE ohne KM", 12, 600, None, SE), "T1"),
    (("T1 pre contrast", 12, 600, None, SE), "T1"),
    (("T1 post op", 12, 600, None, SE), "T1"),
    (("T1 MPRAGE +C", 3, 2300, 900, GR), "GADO"),
    (("t1_mprage_sag_KM", 3, 2300, 900, GR), "GADO"),
    (("T1 SE post Gd", 12, 600, None, SE), "GADO"),
    (("PD/T2 TSE", 14, 3000), "PD"),
    (("PD/T2 TSE", 90, 3000), "T2"),
    (("DP axial", 12, 3000, None, SE), "PD"),
    (("T2 SPACE R2", 400, 3200), "T2"),
    (("axial", 90, 5000, None, SE), "T2"),
    (("axial", 120, 9000, 2500, IR), "FLAIR"),
    (("T2 tse",), "T2"),
]
UNCLEAR = [
    (("T1 SE", 90, 5000, None, SE), "says T1"),
    (("PD/T2 TSE", 50, 3000), "PD and T2"),
    (("axial", 3, 8, None, GR), "neither description nor timing"),
    (("axial",), "no timing stated"),
    (("T2* GRE", 20, 600, None, GR), "T2*"),
    (("t2_fl2d_hemo", 20, 600, None, GR), "T2*"),
    (("ep2d_diff_3scan_trace", 90, 5000), "diffusion"),
    (("3D TOF", 3, 20, None, GR), "angiography"),
    (("STIR sag", 60, 4000, 150), "inversion recovery"),
    (("T2 TSE sag C-Spine", 90, 4000), "spine"),
    (("localizer", 5, 20, None, GR), "localiser"),
]


@pytest.mark.parametrize(("values", "modality"), CLEAR, ids=[f"{values[0]}-{m}" for values, m in CLEAR])
def test_clear_headers(values, modality):
    found = recognise(header(*values))
    assert found.modality == modality, found.reason


@pytest.mark.parametrize(("values", "words"), UNCLEAR, ids=[str(values[0]) for values, _ in UNCLEAR])
def test_unclear_headers_say_why(values, words):
    found = recognise(header(*values))
    assert found.modality is None
    assert words in found.reason


def test_the_contrast_agent_makes_a_t1_the_one_after_contrast():
    plain = header("T1 SE", 12, 600, None, SE)
    assert recognise(plain).modality == "T1"
    for agent, modality in [("Gadovist", "GADO"), ("", "T1"), ("NONE", "T1")]:
        plain.ContrastBolusAgent = agent
        assert recognise(plain).modality == modality
    plain.ContrastBolusAgent = "Gadovist"
    plain.SeriesDescription = "T1 SE without contrast"
    found = recognise(plain)
    assert found.modality is None
    assert "before and after" in found.reason


def test_the_protocol_name_and_the_image_type_are_read():
    assert recognise(header("axial", ProtocolName="T2 FLAIR")).modality == "FLAIR"
    derived = recognise(header("T2 axial", ImageType=["DERIVED", "PRIMARY", "ADC"]))
    assert derived.modality is None
    assert "diffusion" in derived.reason


def test_the_spine_is_left_out_by_its_body_part():
    found = recognise(header("T2 TSE", 90, 4000, BodyPartExamined="CSPINE"))
    assert found.modality is None
    assert "spine" in found.reason


def test_a_reason_never_quotes_the_description():
    for values, _ in CLEAR + UNCLEAR:
        marked = header(f"{values[0]} SMITH", *values[1:])
        assert "smith" not in recognise(marked).reason.lower()
