"""Results as DICOM objects: read back by other libraries, in place, of the right patient, the same each time."""

from __future__ import annotations

import io
import shutil
import subprocess

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from pydicom.uid import UID

from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import Algorithm
from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.example import Patient, example_study, write_study
from slicerxai.dicom.parametric import parametric_map
from slicerxai.dicom.report import Measurement, structured_report
from slicerxai.dicom.results import results_of
from slicerxai.dicom.secondary import picture, secondary_capture
from slicerxai.dicom.segmentation import read_segmentation, segmentation
from slicerxai.dicom.series import read_series
from slicerxai.dicom.words import shortened
from slicerxai.errors import InputError
from slicerxai.explain.contract import Check, Explanation, Figure, Flag, Overlay, Provenance

SHAPE = (20, 16, 9)
ALGORITHM = Algorithm("tiny", "ab" * 32, "saliency", "2026-01-02T03:04:05+00:00")
PATIENT = Patient("MÜLLER^ÄNNE", "ID-7", "19800229", "F")
COSINE, SINE = np.cos(0.3), np.sin(0.3)
TURN = np.array([[COSINE, 0, SINE, 0], [0, 1, 0, 0], [-SINE, 0, COSINE, 0], [0, 0, 0, 1]])
# sagittal slices, turned by 0.3 rad; their order runs against row × column, so that reading reverses them
GRID = TURN @ np.array([[0, 0, -3.0, 3.3], [-1.1, 0, 0, 20.0], [0, -1.1, 0, 40.5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    return Volume(rng.integers(0, 4000, SHAPE).astype(np.uint16), GRID)


@pytest.fixture(scope="module")
def series(image, tmp_path_factory):
    datasets = example_study({"FLAIR": image}, PATIENT)
    [found] = read_series(write_study(datasets, tmp_path_factory.mktemp("study")))
    return found


@pytest.fixture(scope="module")
def lesions():
    """Two lesions in the voxel order of the written image, not in that of the read one."""
    array = np.zeros(SHAPE, dtype=np.int16)
    array[3:7, 5:8, 2:4] = 1
    array[12, 10, 6] = 5
    return Volume(array, GRID)


def reread(dataset):
    """The object as another program gets it."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, write_like_original=False)
    return pydicom.dcmread(io.BytesIO(buffer.getvalue()))


def frame_volumes(dataset):
    """World position, LPS mm, and value of the first voxel of every frame and of one in its middle, plainly."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    between_rows, between_columns = (float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)

        def place(row, column, position=position):
            return position + orientation[:3] * between_columns * column + orientation[3:] * between_rows * row

        yield group, place


def value_at(volume, lps):
    index = np.linalg.inv(volume.affine) @ [-lps[0], -lps[1], lps[2], 1]
    assert np.allclose(index, np.rint(index), atol=1e-3)
    return volume.array[tuple(np.rint(index[:3]).astype(int))]


def valid(dataset, tmp_path):
    """No error of the DICOM validator."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    dataset.save_as(tmp_path / "object.dcm", write_like_original=False)
    found = subprocess.run(["dciodvfy", str(tmp_path / "object.dcm")], capture_output=True, text=True, check=False)
    return [line for line in found.stderr.splitlines() if line.startswith("Error")]


def of_the_patient(dataset, series):
    read, source = reread(dataset), series.datasets[0]
    assert str(read.PatientName) == "MÜLLER^ÄNNE"
    assert (read.PatientID, read.PatientBirthDate, read.PatientSex) == ("ID-7", "19800229", "F")
    assert read.StudyInstanceUID == source.StudyInstanceUID
    assert (read.StudyDate, read.StudyID) == (source.StudyDate, source.StudyID)
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    assert UID(read.SOPInstanceUID).is_valid
    assert read.SeriesDescription.endswith("(research use only)")
    return True


def test_the_fixture_reverses_the_slices(series, image):
    assert not np.allclose(series.grid().affine, image.affine)


def test_every_voxel_of_a_segmentation_lies_where_it_was_drawn(series, lesions):
    read = reread(segmentation(series, lesions, {"big": 1, "small": 5}, ALGORITHM))
    assert [segment.SegmentLabel for segment in read.SegmentSequence] == ["big", "small"]
    total = {1: 0, 2: 0}
    for frame, (group, place) in zip(read.pixel_array, frame_volumes(read), strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for row, column in np.ndindex(frame.shape):
            expected = value_at(lesions, place(row, column)) == {1: 1, 2: 5}[number]
            assert frame[row, column] == expected
        total[number] += int(frame.sum())
    assert total == {1: 24, 2: 1}


def test_a_segmentation_refers_to_the_very_slices(series, lesions):
    read = reread(segmentation(series, lesions, {"big": 1}, ALGORITHM))
    by_uid = {header.SOPInstanceUID: header for header in series.datasets}
    for group, place in frame_volumes(read):
        [derivation] = group.DerivationImageSequence
        [source] = derivation.SourceImageSequence
        header = by_uid[source.ReferencedSOPInstanceUID]
        assert np.allclose(place(0, 0), [float(x) for x in header.ImagePositionPatient], atol=1e-9)
    assert read.FrameOfReferenceUID == series.datasets[0].FrameOfReferenceUID


def test_a_segmentation_names_model_and_codes(series, lesions, tmp_path):
    made = segmentation(series, lesions, {"big": 1}, ALGORITHM, "Lesions of the model")
    segment = reread(made).SegmentSequence[0]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    assert segment.SegmentAlgorithmName == "tiny"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "ab" * 32
    assert of_the_patient(made, series)
    assert valid(made, tmp_path) == []


def test_highdicom_finds_the_segments_by_source_instance(series, lesions, tmp_path):
    segmentation(series, lesions, {"big": 1, "small": 5}, ALGORITHM).save_as(tmp_path / "seg.dcm")
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    pixels = read.get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in series.datasets],
        combine_segments=True,
        ignore_spatial_locations=False,
        assert_missing_frames_are_empty=True,
    )
    expected = resample_like(lesions, series.grid(), order=0).array
    assert np.array_equal(np.transpose(pixels, (2, 1, 0)), np.where(expected == 5, 2, expected))


def test_a_segmentation_comes_back_as_a_label_map(series, lesions):
    volume, names = read_segmentation(reread(segmentation(series, lesions, {"big": 1, "small": 5}, ALGORITHM)), series)
    back = resample_like(volume, lesions, order=0)
    assert names == {"big": 1, "small": 2}
    assert np.array_equal(back.array, np.where(lesions.array == 5, 2, lesions.array))


def test_one_frame_and_no_voxel_come_back_too(series, lesions):
    volume, names = read_segmentation(reread(segmentation(series, lesions, {"small": 5}, ALGORITHM)), series)
    assert np.count_nonzero(volume.array) == 1
    empty = lesions.with_array(np.zeros(SHAPE, dtype=np.uint8))
    volume, names = read_segmentation(reread(segmentation(series, empty, {"none": 1}, ALGORITHM)), series)
    assert names == {"none": 1}
    assert not volume.array.any()


def test_a_label_map_on_another_grid_is_brought_to_the_slices(series, lesions):
    finer = GRID.copy()
    finer[:3, :3] /= 2
    doubled = Volume(np.kron(lesions.array, np.ones((2, 2, 2), dtype=np.int16)), finer)
    doubled.affine[:3, 3] = GRID[:3, 3] - finer[:3, :3] @ [0.5, 0.5, 0.5]
    volume, _ = read_segmentation(reread(segmentation(series, doubled, {"big": 1}, ALGORITHM)), series)
    back = resample_like(volume, lesions, order=0)
    assert np.array_equal(back.array, lesions.array == 1)


def test_label_maps_that_do_not_fit_are_refused(series, lesions):
    away = Volume(lesions.array, lesions.affine + np.array([[0, 0, 0, 500.0], *[[0.0] * 4] * 3]))
    with pytest.raises(DicomError, match="outside of these images"):
        segmentation(series, away, {"big": 1}, ALGORITHM)
    with pytest.raises(InputError, match="0 labels"):
        segmentation(series, lesions, {}, ALGORITHM)
    with pytest.raises(InputError, match="other than 0"):
        segmentation(series, lesions, {"all": 0}, ALGORITHM)
    with pytest.raises(InputError, match="integers"):
        segmentation(series, lesions.with_array(lesions.array * 0.5), {"big": 1}, ALGORITHM)


def test_a_segmentation_of_other_slices_is_refused(series, lesions, image, tmp_path):
    made = reread(segmentation(series, lesions, {"big": 1}, ALGORITHM))
    moved = Volume(image.array, image.affine + np.array([[0, 0, 0, 1.0], *[[0.0] * 4] * 3]))
    [other] = read_series(write_study(example_study({"FLAIR": moved}), tmp_path))
    with pytest.raises(DicomError, match="off the slices"):
        read_segmentation(made, other)
    with pytest.raises(DicomError, match="not a binary"):
        read_segmentation(series.datasets[0], series)


def test_a_series_without_frame_of_reference_gets_no_results(image, lesions, tmp_path):
    datasets = example_study({"FLAIR": image})
    for one in datasets:
        del one.FrameOfReferenceUID
    [series] = read_series(write_study(datasets, tmp_path))
    with pytest.raises(DicomError, match="FrameOfReferenceUID"):
        segmentation(series, lesions, {"big": 1}, ALGORITHM)


def test_every_value_of_a_parametric_map_lies_where_it_was(series, tmp_path):
    rng = np.random.default_rng(1)
    values = Volume(rng.standard_normal(SHAPE).astype(np.float32), GRID)
    made = parametric_map(series, values, "saliency", "mm", ALGORITHM, "Positive speaks for the label.")
    read = reread(made)
    frames = np.frombuffer(read.FloatPixelData, "<f4").reshape(read.NumberOfFrames, read.Rows, read.Columns)
    for frame, (_, place) in zip(frames, frame_volumes(read), strict=True):
        for row, column in [(0, 0), (15, 19), (7, 3)]:
            assert frame[row, column] == value_at(values, place(row, column))
    mapping = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    assert read.ContentQualification == "RESEARCH"
    assert of_the_patient(made, series)
    assert valid(made, tmp_path) == []


def test_a_map_on_another_grid_is_interpolated_linearly(series):
    """A ramp along a world axis stays that ramp."""
    coarse = GRID.copy()
    coarse[:3, :3] *= 1.7
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    ramp = Volume((index @ coarse[1, :3] + coarse[1, 3]).astype(np.float32), coarse)
    read = reread(parametric_map(series, ramp, "ramp", "", ALGORITHM))
    frames = np.frombuffer(read.FloatPixelData, "<f4").reshape(read.NumberOfFrames, read.Rows, read.Columns)
    for frame, (_, place) in zip(frames[2:6], list(frame_volumes(read))[2:6], strict=True):
        assert frame[8, 9] == pytest.approx(-place(8, 9)[1], abs=1e-3)


def test_a_map_with_a_hole_is_refused(series):
    holed = Volume(np.full(SHAPE, np.nan, dtype=np.float32), GRID)
    with pytest.raises(InputError, match="not finite"):
        parametric_map(series, holed, "saliency", "mm", ALGORITHM)


def test_a_constant_map_is_written(series, tmp_path):
    made = parametric_map(series, Volume(np.zeros(SHAPE, dtype=np.float32), GRID), "saliency", "logit/mm³", ALGORITHM)
    assert valid(made, tmp_path) == []


def test_a_picture_is_kept_and_stamped(series, tmp_path):
    rng = np.random.default_rng(2)
    rgb = rng.integers(0, 256, (61, 83, 3), dtype=np.uint8)
    made = secondary_capture(series, rgb, "A figure", ALGORITHM, 3)
    made.save_as(tmp_path / "sc.dcm")
    read = pydicom.dcmread(tmp_path / "sc.dcm").pixel_array
    assert np.array_equal(read[:61], rgb)
    assert read.shape[0] > 61
    assert read[61:].std() > 5
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sc.dcm")))[0], read)
    assert (made.InstanceNumber, made.ImageComments) == (3, "A figure")
    assert of_the_patient(made, series)
    assert valid(made, tmp_path) == []
    other = secondary_capture(series, rgb, "Another", ALGORITHM, 4)
    assert other.SeriesInstanceUID == made.SeriesInstanceUID
    assert other.SOPInstanceUID != made.SOPInstanceUID


def test_pictures_that_are_none_are_refused(series):
    for rgb in (np.zeros((5, 5), dtype=np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 0, 3), dtype=np.uint8)):
        with pytest.raises(InputError, match="a picture is uint8"):
            secondary_capture(series, rgb, "", ALGORITHM)
    with pytest.raises(InputError, match="no readable PNG"):
        picture(b"\x89PNG\r\n\x1a\n")


def texts(item):
    """All text and numbers of a content tree with the meanings of their names."""
    for child in item.get("ContentSequence", []):
        name = child.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in child else ""
        if child.ValueType == "TEXT":
            yield name, child.TextValue
        elif child.ValueType == "NUM":
            measured = child.MeasuredValueSequence[0]
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            yield name, (float(measured.NumericValue), unit)
        yield from texts(child)


def test_a_report_holds_measurements_flags_and_segments(series, lesions, tmp_path):
    seg = segmentation(series, lesions, {"big": 1, "small": 5}, ALGORITHM)
    made = structured_report(
        series,
        [Measurement("lesions", 2), Measurement("lesion_volume_ml", 0.09075, "ml")],
        [Flag(subject="lesion 2", message="little evidence – look again")],
        [seg],
        ALGORITHM,
        ["Verdict: caution."],
    )
    read = reread(made)
    found = list(texts(read))
    assert ("lesions", (2.0, "1")) in found
    voxel_ml = 1.1 * 1.1 * 3 / 1000
    volumes = [value for name, (value, unit) in ((n, v) for n, v in found if n == "Volume") if unit == "ml"]
    assert volumes == pytest.approx([0.09075, 24 * voxel_ml, voxel_ml])
    comments = [value for name, value in found if name == "Comment"]
    assert comments == ["Research use only.", "Verdict: caution.", "lesion 2: little evidence – look again"]
    referenced = [
        item.ReferencedSOPInstanceUID
        for one in read.CurrentRequestedProcedureEvidenceSequence
        for item in [x for s in one.ReferencedSeriesSequence for x in s.ReferencedSOPSequence]
    ]
    assert seg.SOPInstanceUID in referenced
    made.save_as(tmp_path / "sr.dcm")
    report = highdicom.sr.srread(tmp_path / "sr.dcm").content
    assert len(report.get_volumetric_roi_measurement_groups()) == 2
    assert of_the_patient(made, series)
    assert valid(made, tmp_path) == []


def test_a_report_of_nothing_found_is_valid(series, tmp_path):
    assert valid(structured_report(series, [Measurement("lesions", 0)], [], [], ALGORITHM), tmp_path) == []
    with pytest.raises(InputError, match="nan"):
        structured_report(series, [Measurement("lesions", float("nan"))], [], [], ALGORITHM)


def explanation(lesions, method="saliency", provenance=True):
    buffer = io.BytesIO()
    Image.new("RGBA", (60, 40), (255, 0, 0, 128)).save(buffer, "PNG")
    mask = lesions.with_array((lesions.array > 0).astype(np.uint8))
    saliency = Volume(np.linspace(-1, 1, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE), GRID)
    made = Provenance(
        package_version="1", model="tiny", model_digest="ab" * 32, inputs={}, started="2026-01-02T03:04:05+00:00"
    )
    return Explanation(
        method=method,
        parameters={"seed": 0},
        image_id="case",
        overlays={
            "FLAIR": Overlay(saliency, "image", "intensity", "FLAIR, as given."),
            "lesions": Overlay(mask, "labelmap", "label", "Lesions that the model predicts."),
            "expert_mask": Overlay(mask, "labelmap", "label", "The expert's mask."),
            "saliency": Overlay(saliency, "saliency", "logit/mm³", "Input × gradient; positive speaks for the label."),
            "counterfactual": Overlay(saliency, "counterfactual", "intensity", "An altered image."),
        },
        figures={"one": Figure(buffer.getvalue(), "First figure")},
        flags=[Flag(subject="lesion 2", message="look again")],
        metrics={"lesions": 2.0, "lesion_volume_ml": 0.09, "gap": float("nan")},
        checks=[Check(name="completeness", value=0.3, limit=0.1, verdict="caution", reason="gap of 30 %")],
        provenance=made if provenance else None,
    )


def test_an_explanation_becomes_objects_that_say_all_of_it(series, lesions, tmp_path):
    made = results_of(explanation(lesions), series)
    assert [one.Modality for one in made] == ["SEG", "OT", "OT", "SR"]
    assert [segment.SegmentLabel for segment in made[0].SegmentSequence] == ["Lesion 1", "Lesion 2"]
    words = [value for name, value in texts(made[-1]) if name == "Comment"]
    assert "Verdict of the checks of this result: caution." in words
    assert "completeness: gap of 30 %" in words
    assert "gap is undefined." in words
    assert "lesion 2: look again" in words
    for one in made:
        assert of_the_patient(one, series)
        assert valid(one, tmp_path) == []


def test_the_same_explanation_gives_the_same_bytes(series, lesions):
    def content():
        buffers = [io.BytesIO() for _ in range(4)]
        for one, buffer in zip(results_of(explanation(lesions), series), buffers, strict=True):
            one.save_as(buffer, write_like_original=False)
        return [buffer.getvalue() for buffer in buffers]

    assert content() == content()


def test_another_content_gets_other_uids(series, lesions):
    smaller = lesions.with_array(np.where(lesions.array == 5, 0, lesions.array))
    one, other = (results_of(explanation(mask), series) for mask in (lesions, smaller))
    assert one[0].SOPInstanceUID != other[0].SOPInstanceUID
    assert one[1].SOPInstanceUID == other[1].SOPInstanceUID
    assert one[-1].SOPInstanceUID != other[-1].SOPInstanceUID


def test_results_without_provenance_or_of_a_cohort_are_refused(series, lesions):
    with pytest.raises(InputError, match="no provenance"):
        results_of(explanation(lesions, provenance=False), series)
    with pytest.raises(InputError, match="cohort"):
        results_of(explanation(lesions, method="shift"), series)


def test_results_of_an_enhanced_image_refer_to_its_frames(image, lesions, tmp_path):
    datasets = example_study({"FLAIR": image})
    for one in datasets:
        del one.AcquisitionDate, one.AcquisitionTime
    converted = highdicom.legacy.LegacyConvertedEnhancedMRImage(datasets[::-1], "1.2.3", 4, "1.2.4", 1)
    converted.save_as(tmp_path / "enhanced.dcm")
    [series] = read_series([tmp_path / "enhanced.dcm"])
    made = segmentation(series, lesions, {"big": 1, "small": 5}, ALGORITHM)
    volume, _ = read_segmentation(reread(made), series)
    back = resample_like(volume, lesions, order=0)
    assert np.array_equal(back.array, np.where(lesions.array == 5, 2, lesions.array))
    frames = [float(x) for x in reread(made).PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0][0x200032]]
    source = reread(made).PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    referenced = converted.PerFrameFunctionalGroupsSequence[source.ReferencedFrameNumber - 1]
    assert frames == pytest.approx([float(x) for x in referenced.PlanePositionSequence[0].ImagePositionPatient])
    for one in results_of(explanation(lesions), series):
        assert valid(one, tmp_path) == []


def test_long_words_fit_their_elements(series, tmp_path):
    long = "Relevance × 1/mm³ for the whole prediction, layer by layer, and much more than 64 characters of it"
    values = Volume(np.zeros(SHAPE, dtype=np.float32), GRID)
    made = parametric_map(series, values, f"saliency {long}", long, ALGORITHM, long)
    assert valid(made, tmp_path) == []
    assert made.ImageComments == long
    assert shortened("ä" * 40, 10) == "äää..."
    assert shortened("a\\b  c") == "a/b c"


def test_no_library_is_given_the_patient(image, lesions, tmp_path, caplog, recwarn):
    """highdicom quotes a name without "^" in a warning, and fails for a sex that it does not know."""
    caplog.set_level("DEBUG")
    doubtful = Patient("Anna Smith", "ID-7 ", "SMITH", "?")
    [series] = read_series(write_study(example_study({"FLAIR": image}, doubtful), tmp_path))
    recwarn.clear()
    made = results_of(explanation(lesions), series)
    assert {str(one.PatientName) for one in made} == {"Anna Smith"}
    assert {one.PatientSex for one in made} == {"?"}
    seen = caplog.text + " ".join(str(one.message) for one in recwarn)
    for secret in ("Smith", "SMITH", "ID-7"):
        assert secret not in seen
