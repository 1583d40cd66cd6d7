"""MR series as volumes: geometry against SimpleITK and a plain formula, and what is refused."""

from __future__ import annotations

import gzip
import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from slicerxai.data.limits import GridError
from slicerxai.data.volume import Volume
from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.example import Patient, example_study, write_study
from slicerxai.dicom.series import dicom_files, read_series, sequences

SHAPE = (12, 10, 7)
SCAN = (256, 256, 176)


def rotation(x_degrees, z_degrees):
    x, z = np.radians(x_degrees), np.radians(z_degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_x


def affine_from(directions, spacing, origin):
    affine = np.eye(4)
    affine[:3, :3] = directions * np.asarray(spacing)
    affine[:3, 3] = origin
    return affine


SAGITTAL = np.array([[0, 0, -1.0], [-1, 0, 0], [0, -1, 0]])
CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
AFFINES = {
    "axial": affine_from(np.diag([-1.0, -1.0, 1.0]), (0.9, 1.1, 3.0), (80.5, 90.25, -40.125)),
    "sagittal": affine_from(SAGITTAL, (1.0, 1.2, 1.3), (60, 100, 90)),
    "coronal": affine_from(CORONAL, (1.0, 1.0, 4.0), (90, -100, 90)),
    "oblique": affine_from(rotation(20, 10), (0.8, 0.9, 2.5), (-40.3, 12.7, 5.1)),
    "oblique, slices reversed": affine_from(rotation(20, 10) * [1, 1, -1], (0.8, 0.9, 2.5), (-40.3, 12.7, 5.1)),
}


def numbered(affine=AFFINES["axial"], shape=SHAPE):
    return Volume(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), affine)


def written(folder: Path, images=None):
    """Datasets and files of a study with a FLAIR."""
    datasets = example_study(images or {"FLAIR": numbered()})
    return datasets, write_study(datasets, folder)


def only(files):
    [series] = read_series(files)
    return series


def with_change(tmp_path, change):
    """The one series of a study whose datasets were changed, written in order."""
    datasets = example_study({"FLAIR": numbered()})
    datasets = change(datasets) or datasets
    return only(write_study(datasets, tmp_path))


@pytest.mark.parametrize("name", AFFINES)
def test_voxels_and_affine_are_those_that_were_written_and_those_of_simpleitk(tmp_path, name):
    volume = numbered(AFFINES[name])
    _, files = written(tmp_path, {"FLAIR": volume})
    read = only(reversed(files)).volume()
    for index in [(0, 0, 0), (11, 9, 6), (3, 8, 2)]:
        world = volume.affine @ [*index, 1]
        found = np.linalg.inv(read.affine) @ world
        assert np.allclose(found, np.rint(found), atol=1e-6)
        i, j, k = np.rint(found[:3]).astype(int)
        assert read.array[i, j, k] == volume.array[index]
    assert np.linalg.det(read.affine) > 0
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(files[0].parent))
    image = sitk.ReadImage(names)
    assert np.array_equal(sitk.GetArrayFromImage(image).T, read.array)
    lps = affine_from(np.reshape(image.GetDirection(), (3, 3)), image.GetSpacing(), image.GetOrigin())
    assert np.allclose(np.diag([-1, -1, 1, 1]) @ lps, read.affine, atol=1e-6)


def test_the_affine_is_the_equation_of_the_standard(tmp_path):
    """PS3.3 C.7.6.2.1.1: position + orientation · spacing · (column, row), slice by slice."""
    _, files = written(tmp_path, {"FLAIR": numbered(AFFINES["oblique"])})
    series = only(files)
    read = series.volume()
    for k, header in enumerate(series.datasets):
        stored = pydicom.dcmread(series.files[k]).pixel_array
        orientation = [float(x) for x in header.ImageOrientationPatient]
        between_rows, between_columns = (float(x) for x in header.PixelSpacing)
        for row, column in [(0, 0), (9, 11), (4, 7)]:
            lps = [
                float(header.ImagePositionPatient[x])
                + orientation[x] * between_columns * column
                + orientation[3 + x] * between_rows * row
                for x in range(3)
            ]
            world = read.affine @ [column, row, k, 1]
            assert np.allclose(world[:3], [-lps[0], -lps[1], lps[2]], atol=1e-6)
            assert read.array[column, row, k] == stored[row, column]


def test_a_study_is_divided_into_its_sequences(tmp_path):
    images = {name: numbered() for name in ("FLAIR", "T1", "T2", "PD", "GADO")}
    _, files = written(tmp_path, images)
    (tmp_path / "DICOMDIR").write_bytes(files[0].read_bytes())
    (tmp_path / "notes.txt").write_text("no DICOM")
    assert dicom_files(tmp_path) == sorted(files)
    found = sequences(read_series(files))
    assert {name: series.modality for name, series in found.chosen.items()} == {name: name for name in images}
    assert not found.ambiguous
    assert not found.left_out


def test_nothing_is_chosen_among_two_series_of_one_kind(tmp_path):
    first = example_study({"FLAIR": numbered()})
    second = example_study({"T1": numbered(), "FLAIR": numbered()})
    for one in second:
        one.StudyInstanceUID, one.SeriesNumber = first[0].StudyInstanceUID, one.SeriesNumber + 1
    for one in second:
        one.SeriesInstanceUID += ".1"
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{one.SOPInstanceUID}.1"
    series = read_series(write_study(first + second, tmp_path))
    found = sequences(series)
    assert list(found.chosen) == ["T1"]
    assert len(found.ambiguous["FLAIR"]) == 2
    decided = sequences(series, {"FLAIR": second[-1].SeriesInstanceUID})
    assert decided.chosen["FLAIR"].number == 3
    assert [reason for _, reason in decided.left_out] == ["another series was chosen for FLAIR"]
    with pytest.raises(DicomError, match="no single series"):
        sequences(series, {"FLAIR": "1.2.3"})


def test_a_rescale_slope_applies_to_each_slice(tmp_path):
    def change(datasets):
        for k, one in enumerate(datasets):
            one.RescaleSlope, one.RescaleIntercept = str(0.5 + k), "-3"

    volume = with_change(tmp_path, change).volume()
    assert volume.array.dtype == np.float32
    stored = numbered().array.astype(float)
    assert np.allclose(volume.array, stored * (0.5 + np.arange(SHAPE[2])) - 3)


def test_signed_values_are_kept(tmp_path):
    def change(datasets):
        for one in datasets:
            one.PixelRepresentation, one.BitsStored, one.HighBit = 1, 16, 15
            one.PixelData = (np.frombuffer(one.PixelData, "<u2").astype("<i2") - 100).tobytes()

    volume = with_change(tmp_path, change).volume()
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, numbered().array.astype(np.int16) - 100)


def test_two_echoes_of_one_series_become_two(tmp_path):
    early, late = (example_study({"PD": numbered()}) for _ in range(2))
    for k, one in enumerate(late):
        one.EchoTime, one.SeriesDescription = "95", "PD/T2 TSE"
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{one.SOPInstanceUID}.1"
        one.InstanceNumber, one.PixelData = 100 + k, bytes(len(one.PixelData))
    for one in early + late:
        one.SeriesDescription = one.ProtocolName = "PD/T2 TSE"
    series = read_series(write_study(late + early, tmp_path))
    assert [(one.echo, one.modality) for one in series] == [(1, "PD"), (2, "T2")]
    assert np.array_equal(series[0].volume().array, numbered().array)
    assert not series[1].volume().array.any()


def test_an_enhanced_multiframe_image_is_read(tmp_path):
    from highdicom.legacy import LegacyConvertedEnhancedMRImage

    datasets, files = written(tmp_path / "single", {"FLAIR": numbered(AFFINES["oblique"])})
    single = only(files).volume()
    for one in datasets:
        del one.AcquisitionDate, one.AcquisitionTime
    enhanced = LegacyConvertedEnhancedMRImage(datasets[::-1], "1.2.3", 4, "1.2.4", 1)
    enhanced.save_as(tmp_path / "enhanced.dcm")
    series = only([tmp_path / "enhanced.dcm"])
    assert series.problem is None
    assert series.modality == "FLAIR"
    assert len(series.datasets) == 1
    assert np.array_equal(series.volume().array, single.array)
    assert np.allclose(series.volume().affine, single.affine, atol=1e-6)


def geometry_faults():
    def missing(datasets):
        return datasets[:3] + datasets[4:]

    def turned(datasets):
        datasets[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    def twice(datasets):
        datasets[1].ImagePositionPatient = datasets[0].ImagePositionPatient

    def uneven(datasets):
        x, y, z = datasets[2].ImagePositionPatient
        datasets[2].ImagePositionPatient = [x, y, z + 0.4]

    def tilted(datasets):
        for k, one in enumerate(datasets):
            x, y, z = one.ImagePositionPatient
            one.ImagePositionPatient = [x, y + 0.5 * k, z]

    def single(datasets):
        return datasets[:1]

    def size(datasets):
        datasets[0].Rows = 9

    def spacing(datasets):
        datasets[0].PixelSpacing = [1.1, 0.95]

    def no_position(datasets):
        del datasets[0].ImagePositionPatient

    def infinite(datasets):
        datasets[0].PixelSpacing = ["1e999", "1"]

    def oblong(datasets):
        for one in datasets:
            one.ImageOrientationPatient = [1, 0, 0, 0.5, 0.5, 0]

    return {
        missing: "1 slices are missing, the first after slice 3",
        turned: "different orientations",
        twice: "7 images at 6 positions",
        uneven: "slice distances differ",
        tilted: "displaced sideways",
        single: "single slice",
        size: "different sizes",
        spacing: "different pixel spacing",
        no_position: "has no ImagePositionPatient",
        infinite: "finite numbers",
        oblong: "right angles",
    }


@pytest.mark.parametrize(("change", "words"), geometry_faults().items(), ids=[f.__name__ for f in geometry_faults()])
def test_a_series_that_is_no_volume_says_why(tmp_path, change, words):
    series = with_change(tmp_path, change)
    assert words in series.problem
    with pytest.raises(DicomError, match="series 1"):
        series.volume()
    assert sequences([series]).left_out[0][1] == series.problem


def test_the_same_instance_twice_counts_once(tmp_path):
    _, files = written(tmp_path)
    shutil.copy(files[0], tmp_path / "copy.dcm")
    assert only([*files, tmp_path / "copy.dcm"]).volume().shape == SHAPE
    changed = pydicom.dcmread(files[0])
    changed.PixelData = bytes(len(changed.PixelData))
    changed.save_as(tmp_path / "copy.dcm")
    with pytest.raises(DicomError, match="different files of the same instance"):
        read_series([*files, tmp_path / "copy.dcm"])


def test_other_objects_are_left_out(tmp_path):
    _, files = written(tmp_path)
    other = pydicom.dcmread(files[0])
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    other.save_as(tmp_path / "capture.dcm")
    assert only([*files, tmp_path / "capture.dcm"]).volume().shape == SHAPE


def test_files_that_are_no_dicom_are_named(tmp_path):
    _, files = written(tmp_path)
    (tmp_path / "text.dcm").write_bytes(b"nothing" * 100)
    for name, words in [("text.dcm", "not a DICOM file"), ("gone.dcm", "cannot be read")]:
        with pytest.raises(DicomError, match=words) as raised:
            read_series([*files, tmp_path / name])
        assert name in str(raised.value)
    cut = files[0].read_bytes()
    files[0].write_bytes(cut[:400])
    with pytest.raises(DicomError, match=r"damaged|no valid"):
        read_series(files)


def test_damaged_pixels_are_an_error_of_the_file(tmp_path):
    _, files = written(tmp_path)
    whole = files[2].read_bytes()
    files[2].write_bytes(whole[:-30])
    with pytest.raises(DicomError, match=r"00003\.dcm: .*damaged"):
        only(files).volume()


def test_a_file_that_changes_between_header_and_pixels_is_noticed(tmp_path):
    _, files = written(tmp_path)
    series = only(files)
    files[1].write_bytes(files[0].read_bytes())
    with pytest.raises(DicomError, match="changed while it was read"):
        series.volume()


def test_too_many_voxels_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_VOXEL_LIMIT", str(2**20))

    def change(datasets):
        for one in datasets:
            one.Rows = one.Columns = 60000

    series = with_change(tmp_path, change)
    assert series.grid().shape == (60000, 60000, 7)
    with pytest.raises(GridError, match="60000"):
        series.volume()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_lossless_compression_with_a_decoder_is_read(tmp_path, syntax):
    from highdicom.frame import encode_frame
    from pydicom.encaps import encapsulate

    image = numbered(shape=(64, 48, 3))
    datasets = example_study({"FLAIR": Volume(image.array % 4096, image.affine)})
    for one in datasets:
        pixels = np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns)
        one.PixelData = encapsulate([encode_frame(pixels, syntax, 16, 16, "MONOCHROME2", 0)])
        one.BitsStored, one.HighBit = 16, 15
        one["PixelData"].is_undefined_length = True
        one.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(only(write_study(datasets, tmp_path)).volume().array, image.array % 4096)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50"])
def test_compression_without_a_decoder_is_refused_with_the_remedy(tmp_path, syntax):
    def change(datasets):
        from pydicom.encaps import encapsulate

        for one in datasets:
            one.file_meta.TransferSyntaxUID = syntax
            one.PixelData = encapsulate([bytes(100)])
            one["PixelData"].is_undefined_length = True

    series = with_change(tmp_path, change)
    assert series.modality == "FLAIR"
    with pytest.raises(DicomError, match=r"JPEG.*not decoded here.*Explicit VR Little Endian"):
        series.volume()


def test_deflated_files_are_refused(tmp_path):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    datasets = example_study({"FLAIR": numbered()})
    datasets[0].file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(DicomError, match="deflated"):
        read_series(write_study(datasets, tmp_path))


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [("PhotometricInterpretation", "MONOCHROME1", "MONOCHROME2"), ("BitsAllocated", 64, "64 bits")],
)
def test_unusual_pixels_are_refused(tmp_path, keyword, value, words):
    series = with_change(tmp_path, lambda datasets: [setattr(one, keyword, value) for one in datasets] and None)
    with pytest.raises(DicomError, match=words):
        series.volume()


def test_no_message_and_no_warning_names_the_patient(tmp_path, caplog, recwarn):
    caplog.set_level("DEBUG")
    datasets = example_study({"FLAIR": numbered()}, Patient("SMITH" * 20, "SMITH-7" * 20, "SMITH", "SMITH"))
    for one in datasets:
        one.SeriesDescription = "FLAIR of SMITH"
    files = write_study(datasets[:3] + datasets[4:], tmp_path)
    recwarn.clear()
    series = only(files)
    assert str(series.datasets[0].PatientName).startswith("SMITH")
    with pytest.raises(DicomError) as raised:
        series.volume()
    seen = f"{series} {series!r} {series.problem} {series.modality_reason} {raised.value}"
    assert "SMITH" not in seen + caplog.text + " ".join(str(one.message) for one in recwarn)


def test_a_scanners_enhanced_image_lies_where_nibabel_and_simpleitk_place_it(tmp_path):
    """A Philips MPRAGE of 176 frames (voxels blanked) that comes with nibabel."""
    import nibabel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its readers experimental
        from nibabel.nicom.dicomwrappers import wrapper_from_data

    packed = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / "philips_mprage.dcm.gz"
    if not packed.is_file():
        pytest.skip(f"{packed} is not part of this nibabel")
    file = tmp_path / "mprage.dcm"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    series = only([file])
    assert (series.modality, series.problem) == ("T1", None)
    volume = series.volume()
    image = sitk.ReadImage(str(file))
    lps = affine_from(np.reshape(image.GetDirection(), (3, 3)), image.GetSpacing(), image.GetOrigin())
    assert volume.shape == image.GetSize() == SCAN
    assert np.allclose(np.diag([-1, -1, 1, 1]) @ lps, volume.affine, atol=1e-6)
    other = wrapper_from_data(pydicom.dcmread(file))
    theirs, ours = corners(np.diag([-1, -1, 1, 1]) @ other.affine, other.image_shape), corners(volume.affine, SCAN)
    apart = np.linalg.norm(theirs[:, None] - ours[None], axis=-1)
    assert apart.min(0).max() < 0.01
    assert apart.min(1).max() < 0.01


def corners(affine, shape):
    """The world positions of a grid's corners, in any order."""
    indices = np.stack(np.meshgrid(*([0, size - 1] for size in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    return indices @ affine[:3, :3].T + affine[:3, 3]
