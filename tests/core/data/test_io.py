"""Round trips, agreement with other readers, and bad files."""

import bz2
import gzip
import tracemalloc
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from slicerxai.data.io import DTYPES, WRITABLE, VolumeError, inspect_volume, read_volume, write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def affines(draw: st.DrawFn, *, shear: bool = True) -> np.ndarray:
    """Rotated, anisotropic, of either handedness, in some cases sheared; representable in single precision."""
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 6.0)] * 3))
    flips = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    skew = np.eye(3)
    if shear:
        skew[0, 1] = draw(st.sampled_from([0.0, 0.2]))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ skew @ np.diag(spacing)
    affine[:3, :3] *= flips
    affine[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    return affine.astype(np.float32).astype(np.float64)


@st.composite
def volumes(draw: st.DrawFn, *, shear: bool = True) -> Volume:
    dtype = np.dtype(draw(st.sampled_from([*DTYPES, "bool", ">i2", ">f4"])))
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        array = rng.integers(limits.min, limits.max, shape, endpoint=True, dtype=dtype.newbyteorder("=")).astype(dtype)
    else:
        array = (rng.normal(size=shape) * 1e3).astype(dtype)
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    return Volume(array, draw(affines(shear=shear)))


def oblique_left_handed(dtype: str = "float32") -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() @ np.diag([-1.0, 1.25, 3.0])
    affine[:3, 3] = [5.0, -7.5, 11.0]
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype)
    return Volume(array, affine.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("suffix", WRITABLE)
@PROPERTY
@given(volume=volumes())
def test_round_trip_is_exact(tmp_path: Path, suffix: str, volume: Volume) -> None:
    path = tmp_path / f"volume{suffix}"
    write_volume(path, volume)
    back = read_volume(path)
    expected = np.uint8 if volume.array.dtype == np.bool_ else volume.array.dtype.newbyteorder("=")
    assert back.array.dtype == expected
    assert np.array_equal(back.array, volume.array)
    # MetaImage stores direction and spacing apart; their product differs in the last bits
    tolerance = 1e-13 if suffix == ".mha" else 0.0
    assert np.allclose(back.affine, volume.affine, rtol=tolerance, atol=tolerance)


@PROPERTY
@given(volume=volumes(), noise=st.floats(1e-12, 1e-9))
def test_nrrd_keeps_a_double_precision_affine(tmp_path: Path, volume: Volume, noise: float) -> None:
    precise = Volume(volume.array, volume.affine * (1 + noise))
    write_volume(tmp_path / "a.nrrd", precise)
    assert np.array_equal(read_volume(tmp_path / "a.nrrd").affine[:3], precise.affine[:3])


@pytest.mark.parametrize("suffix", WRITABLE)
@PROPERTY
@given(volume=volumes(shear=False))
def test_simpleitk_sees_every_voxel_at_the_same_place(tmp_path: Path, suffix: str, volume: Volume) -> None:
    path = tmp_path / f"volume{suffix}"
    write_volume(path, volume)
    image = sitk.ReadImage(str(path))
    assert image.GetSize() == volume.shape
    for index in [(0, 0, 0), tuple(n - 1 for n in volume.shape), (volume.shape[0] - 1, 0, 0)]:
        left, posterior, superior = image.TransformContinuousIndexToPhysicalPoint([float(i) for i in index])
        world = volume.affine @ [*index, 1]
        # single-precision headers leave 1e-6 of the distance
        assert np.allclose([-left, -posterior, superior], world[:3], atol=2e-3)
        value = image.GetPixel(*index)
        assert value == volume.array[index]


def test_nibabel_reads_the_same_from_sform_and_qform(tmp_path: Path) -> None:
    volume = oblique_left_handed()
    write_volume(tmp_path / "a.nii.gz", volume)
    image = nib.load(tmp_path / "a.nii.gz")
    assert np.array_equal(image.get_sform(), volume.affine)
    assert np.allclose(image.get_qform(), volume.affine, atol=1e-5)
    assert image.header.get_zooms() == pytest.approx(volume.spacing)


def test_a_sheared_affine_is_not_forced_into_a_quaternion(tmp_path: Path) -> None:
    volume = oblique_left_handed()
    affine = volume.affine.copy()
    affine[:3, 1] += 0.25 * affine[:3, 0]
    write_volume(tmp_path / "a.nii.gz", Volume(volume.array, affine))
    assert int(nib.load(tmp_path / "a.nii.gz").header["qform_code"]) == 0
    assert np.allclose(read_volume(tmp_path / "a.nii.gz").affine, affine, atol=1e-6)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_same_volume_same_bytes(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = oblique_left_handed()
    write_volume(tmp_path / f"first{suffix}", volume)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_volume(tmp_path / "new" / "folder" / f"second{suffix}", Volume(volume.array.copy(order="F"), volume.affine))
    assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / "new" / "folder" / f"second{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1)), ("LPS", (-1, -1, 1))],
)
def test_nrrd_spaces(tmp_path: Path, space: str, signs: tuple[int, int, int]) -> None:
    volume = oblique_left_handed("int16")
    stored = np.diag([*signs, 1]) @ volume.affine
    header = {"space": space, "space directions": stored[:3, :3].T, "space origin": stored[:3, 3]}
    nrrd.write(str(tmp_path / "a.nrrd"), volume.array, header)
    back = read_volume(tmp_path / "a.nrrd")
    assert np.array_equal(back.array, volume.array)
    assert np.allclose(back.affine, volume.affine, atol=1e-12)


@pytest.mark.parametrize("encoding", ["raw", "ascii", "bzip2"])
def test_nrrd_encodings_and_detached_data(tmp_path: Path, encoding: str) -> None:
    volume = oblique_left_handed("int16")
    lps = np.diag([-1, -1, 1, 1]) @ volume.affine
    header = {
        "space": "left-posterior-superior",
        "space directions": lps[:3, :3].T,
        "space origin": lps[:3, 3],
        "encoding": encoding,
    }
    for name in ("a.nrrd", "b.nhdr"):
        nrrd.write(str(tmp_path / name), volume.array, header)
        assert np.array_equal(read_volume(tmp_path / name).array, volume.array)


def test_mhd_with_its_own_data_file(tmp_path: Path) -> None:
    volume = oblique_left_handed("int16")
    write_volume(tmp_path / "a.mha", volume)
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.mha")), str(tmp_path / "b.mhd"))
    assert np.array_equal(read_volume(tmp_path / "b.mhd").array, volume.array)


def test_trailing_axis_of_one_and_scaling(tmp_path: Path) -> None:
    volume = oblique_left_handed("int16")
    image = nib.Nifti1Image(volume.array[..., None], volume.affine)
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / "a.nii")
    back = read_volume(tmp_path / "a.nii")
    assert back.shape == volume.shape
    assert back.array.dtype == np.float64
    assert np.array_equal(back.array, volume.array * 0.5 + 3)


def test_header_in_metres_becomes_millimetres(tmp_path: Path) -> None:
    volume = oblique_left_handed("int16")
    affine = volume.affine.copy()
    affine[:3] /= 1000
    image = nib.Nifti1Image(volume.array, affine)
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    assert np.allclose(read_volume(tmp_path / "a.nii").affine, volume.affine, atol=1e-4)


def nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def truncated(path: Path) -> None:
    write_volume(path, Volume(np.random.default_rng(0).normal(size=(9, 9, 9)), np.eye(4)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def with_nan(path: Path) -> None:
    array = np.zeros((3, 3, 3), np.float32)
    array[1, 1, 1] = np.nan
    nifti(path, array)


def nan_affine(path: Path) -> None:
    nifti(path, np.zeros((3, 3, 3), np.float32))
    content = bytearray(path.read_bytes())
    content[280:284] = np.float32(np.nan).tobytes()
    path.write_bytes(bytes(content))


def singular_nrrd(path: Path) -> None:
    directions = np.diag([1.0, 1.0, 0.0])
    header = {"space": "LPS", "space directions": directions, "space origin": np.zeros(3)}
    nrrd.write(str(path), np.zeros((3, 3, 3), np.int16), header)


def flat_nrrd(path: Path) -> None:
    directions = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    header = {"space": "LPS", "space directions": directions, "space origin": np.zeros(3)}
    nrrd.write(str(path), np.zeros((3, 3, 3), np.int16), header)


def escaping_nhdr(path: Path) -> None:
    (path.parent.parent / "secret.raw").write_bytes(bytes(27))
    path.write_text(
        "NRRD0005\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 3 3 3\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
        "encoding: raw\nspace origin: (0,0,0)\ndata file: ../secret.raw\n"
    )


def escaping_mha(path: Path) -> None:
    (path.parent.parent / "secret.raw").write_bytes(bytes(27))
    path.write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nDimSize = 3 3 3\n"
        "ElementType = MET_UCHAR\nElementDataFile = ../secret.raw\n"
    )


NHDR = (
    "NRRD0005\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 3 3 3\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
    "space origin: (0,0,0)\n"
)


def endless_skip(path: Path) -> None:
    path.write_text(f"{NHDR}encoding: raw\nline skip: 999999999999\n\n" + "x" * 27)


def two_data_files(path: Path) -> None:
    """The harmless one may be checked, and the other read."""
    (path.parent.parent / "secret.raw").write_bytes(bytes(27))
    path.with_name("own.raw").write_bytes(bytes(27))
    path.write_text(f"{NHDR}encoding: raw\ndata file: own.raw\ndatafile: ../secret.raw\n")


def packed_beside(path: Path) -> None:
    """A file beside the header that unpacks to 200 MB."""
    path.with_name("data.raw").write_bytes(bz2.compress(bytes(200 * 1024**2)))
    path.write_text(f"{NHDR.replace('3 3 3', '3 3 4')}encoding: bzip2\ndata file: data.raw\n")


def meta(path: Path, lines: str, data: bytes = bytes(27)) -> None:
    known = "NDims = 3\nBinaryData = True\nDimSize = 3 3 3\nElementType = MET_UCHAR\n"
    path.write_bytes((lines + known + "ElementDataFile = LOCAL\n").encode() + data)


def far_voxels(path: Path) -> None:
    """A packed file of 200 kB whose voxels are said to lie 200 MB behind its header."""
    header = nib.Nifti1Header()
    header.set_data_shape((3, 3, 3))
    header["magic"], header["vox_offset"] = b"n+1", 200 * 1024**2
    path.write_bytes(gzip.compress(header.binaryblock + bytes(200 * 1024**2 + 27), 1))


def huge_nifti(path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)))


def huge_nrrd(path: Path) -> None:
    path.write_text(
        "NRRD0005\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 5000 5000 5000\nencoding: gzip\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n"
    )


def overlong_nrrd(path: Path) -> None:
    text = (
        "NRRD0005\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 3 3 3\nencoding: gzip\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(text.encode() + gzip.compress(bytes(26)))


def rgb(path: Path) -> None:
    array = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nifti(path, array)


def vector_mha(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 3, 3, 2), np.float32), isVector=True), str(path))


BAD = [
    ("a.nii.gz", lambda p: None, "missing", "no such file"),
    ("a.nii", Path.mkdir, "missing", "folder"),
    ("a" * 300 + ".nii", lambda p: None, "unreadable", "too long"),
    ("a.png", lambda p: p.write_bytes(b"x"), "suffix", ".nii.gz"),
    ("a.nii.gz", lambda p: p.write_bytes(b""), "unreadable", "damaged"),
    ("a.nii.gz", lambda p: p.write_bytes(b"not an image at all"), "unreadable", "damaged"),
    ("a.nii", lambda p: p.write_bytes(bytes(400)), "unreadable", "damaged"),
    ("a.nrrd", lambda p: p.write_bytes(b"NRRD0005\nnonsense"), "unreadable", "damaged"),
    ("a.mha", lambda p: p.write_bytes(b"nonsense"), "unreadable", "damaged"),
    ("a.nii", truncated, "unreadable", "damaged"),
    ("a.nii.gz", truncated, "unreadable", "damaged"),
    ("a.nrrd", truncated, "unreadable", "a.nrrd"),
    ("a.mha", truncated, "unreadable", "damaged"),
    ("a.nrrd", overlong_nrrd, "unreadable", "26 bytes"),
    ("a.nii.gz", lambda p: nifti(p, np.zeros((3, 3, 3, 2), np.int16)), "dimensions", "(3, 3, 3, 2)"),
    ("a.nii.gz", lambda p: nifti(p, np.zeros((3, 3), np.int16)), "dimensions", "(3, 3)"),
    ("a.nrrd", lambda p: nrrd.write(str(p), np.zeros((3, 3))), "dimensions", "(3, 3)"),
    ("a.mha", lambda p: sitk.WriteImage(sitk.Image(3, 3, sitk.sitkUInt8), str(p)), "dimensions", "(3, 3)"),
    ("a.nii.gz", lambda p: nifti(p, np.zeros((3, 3, 3), np.complex64)), "dtype", "complex"),
    ("a.nii.gz", rgb, "dtype", "RGB"),
    ("a.mha", vector_mha, "dtype", "vector"),
    ("a.nii.gz", with_nan, "non-finite", "1 of 27"),
    ("a.nii", nan_affine, "affine", "affine"),
    ("a.nrrd", singular_nrrd, "affine", "singular"),
    ("b.nrrd", flat_nrrd, "affine", "singular"),
    ("a.nrrd", lambda p: nrrd.write(str(p), np.zeros((3, 3, 3))), "affine", "place"),
    ("a.nhdr", escaping_nhdr, "unreadable", "outside its folder"),
    ("a.mha", escaping_mha, "unreadable", "outside its folder"),
    ("a.nhdr", two_data_files, "unreadable", "two data files"),
    ("a.nrrd", endless_skip, "unreadable", "skip"),
    ("a.nii.gz", far_voxels, "unreadable", "start at byte"),
    ("a.mha", lambda p: meta(p, "NDims = 9223372036854775807\n"), "unreadable", "of its own"),
    ("a.mha", lambda p: meta(p, "ElementToIntensityFunctionSlope = 2\n"), "unreadable", "scaled"),
    ("a.mha", lambda p: meta(p, "CompressedData = True\n"), "unreadable", "damaged"),
    ("a.mha", lambda p: meta(p, "TransformMatrix = 1 0 0\n"), "unreadable", "3 numbers where 9"),
    ("a.mha", lambda p: meta(p, "", bytes(26)), "unreadable", "26 bytes"),
    ("a.mha", lambda p: meta(p, "ElementNumberOfChannels = 3\n", bytes(81)), "dtype", "vector"),
    ("a.nii.gz", huge_nifti, "size", "2000"),
    ("a.nrrd", huge_nrrd, "size", "5000"),
]


@pytest.mark.parametrize(("name", "make", "fault", "says"), BAD)
def test_bad_files_are_named_with_their_fault(tmp_path: Path, name: str, make, fault: str, says: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder / name)
    with pytest.raises(InputError) as caught:
        read_volume(folder / name)
    assert isinstance(caught.value, VolumeError)
    assert caught.value.fault == fault
    assert says in str(caught.value)
    assert str(folder / name) in str(caught.value)


def test_no_more_is_unpacked_than_the_header_announces(tmp_path: Path) -> None:
    packed_beside(tmp_path / "a.nhdr")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 36 bytes of voxels"):
            read_volume(tmp_path / "a.nhdr")
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024**2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float64", "uint32", "int64"])
@pytest.mark.parametrize("name", ["a.mha", "plain.mha", "a.mhd", "plain.mhd"])
def test_metaimage_is_read_as_itk_reads_it(tmp_path: Path, name: str, dtype: str) -> None:
    volume = oblique_left_handed()
    image = sitk.GetImageFromArray(np.ascontiguousarray((volume.array * 50).astype(dtype).T))
    image.SetSpacing((1.5, 2.0, 3.0))
    image.SetOrigin((-4.0, 5.0, 6.5))
    image.SetDirection((0.0, -0.8, 0.6, 1.0, 0.0, 0.0, 0.0, 0.6, 0.8))
    sitk.WriteImage(image, str(tmp_path / name), useCompression="plain" not in name)
    read = read_volume(tmp_path / name)
    known = sitk.ReadImage(str(tmp_path / name))
    np.testing.assert_array_equal(read.array, sitk.GetArrayFromImage(known).T)
    assert read.array.dtype == dtype
    for index in ((0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5)):
        place = np.array([-1, -1, 1]) * known.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((read.affine @ [*index, 1])[:3], place, atol=1e-9)


def test_metaimage_of_the_other_byte_order(tmp_path: Path) -> None:
    values = np.arange(27, dtype=">i2")
    text = "NDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\nDimSize = 3 3 3\nElementType = MET_SHORT\n"
    (tmp_path / "a.mha").write_bytes(f"{text}ElementDataFile = LOCAL\n".encode() + values.tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path / "a.mha").array.ravel(order="F"), np.arange(27))


def test_max_voxels_is_a_parameter(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii", oblique_left_handed())
    assert read_volume(tmp_path / "a.nii", max_voxels=120).shape == (4, 5, 6)
    with pytest.raises(VolumeError, match="119"):
        read_volume(tmp_path / "a.nii", max_voxels=119)


def test_inspection_lists_several_faults(tmp_path: Path) -> None:
    array = np.zeros((3, 3, 3, 2), np.complex64)
    nifti(tmp_path / "a.nii", array)
    assert [fault.fault for fault in inspect_volume(tmp_path / "a.nii").faults] == ["dimensions", "dtype"]


@pytest.mark.parametrize(
    ("name", "array", "affine", "error"),
    [
        ("a.png", np.zeros((2, 2, 2), np.uint8), np.eye(4), InputError),
        ("a.nii.gz", np.zeros((2, 2, 2), np.float16), np.eye(4), InputError),
        ("a.nrrd", np.zeros((2, 2, 2), np.complex64), np.eye(4), InputError),
        ("a.nrrd", np.full((2, 2, 2), np.inf), np.eye(4), ValueError),
        ("a.nii", np.zeros((2, 2, 2)), np.diag([1.0, 1, 0, 1]), ValueError),
    ],
)
def test_what_cannot_be_read_back_is_not_written(tmp_path: Path, name: str, array, affine, error) -> None:
    with pytest.raises(error, match=name):
        write_volume(tmp_path / name, Volume(array, affine))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nrrd"
    write_volume(path, oblique_left_handed())
    before = path.read_bytes()

    def half(temporary: Path, volume: Volume) -> None:
        temporary.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setitem(write_volume.__globals__["_WRITERS"], ".nrrd", half)
    with pytest.raises(OSError, match="disk full"):
        write_volume(path, oblique_left_handed("int16"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
