"""Files with voxels and tables that are fuzzed: sound examples, how they are damaged, and who reads them."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np

from benchmarks.reader_fuzz_inputs import damaged_bytes, damaged_lines
from benchmarks.reader_fuzz_judge import SECRET, Kind, Sample
from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume

BOMB = 300 * 1024**2
"""Bytes that a packed file of little more than a megabyte becomes."""
SELDOM = 0.02
"""Share of such inputs."""
Samples = Callable[[Random], Sample]

AFFINE = np.array([[-1.9, -0.4, 0.2, 40], [-0.3, 2.3, -1.0, -30], [0, 0.8, 2.8, -25], [0, 0, 0, 1.0]])
NRRD_TOKENS = (
    b"encoding: gzip", b"encoding: raw", b"encoding: bzip2", b"encoding: ascii", b"encoding: hex", b"type: block",
    b"data file: ../secret.raw", b"data file: /etc/passwd", b"data file: LIST", b"data file: s%03d.raw 1 9999999 1",
    b"datafile: ../secret.raw", b"line skip: 99999999", b"byte skip: -1", b"byte skip: 4096", b"endian: big",
    b"dimension: 4", b"sizes: 4 5 6 1", b"sizes: 99999 99999 99999", b"space: RAS", b"spacings: 1 1 1", b"",
    b"space directions: none (1,0,0) (0,1,0) (0,0,1)", b"space directions: (nan,nan,nan) (0,1,0) (0,0,1)",
)  # fmt: skip
META_TOKENS = (
    b"ElementDataFile = ../secret.raw", b"ElementDataFile = LIST", b"ElementDataFile = s%03d.raw 1 9 1", b"NDims = 4",
    b"ElementDataFile = LOCAL", b"CompressedData = True", b"BinaryDataByteOrderMSB = True", b"HeaderSize = -1",
    b"ElementNumberOfChannels = 3", b"ElementType = MET_DOUBLE", b"DimSize = 99999 99999 99999", b"ElementByteOrderMSB",
)  # fmt: skip
CSV_TOKENS = (b"case_id,FLAIR", b'"', b'a,"b', b",,,,,,,", b"=1+1,../secret.raw", b"x,/etc/passwd", b"\xff\xfe", b"\r")


def _sound() -> tuple[Volume, ...]:
    rng = np.random.default_rng(0)
    return tuple(
        Volume((rng.normal(size=(4, 5, 6)) * 50).astype(dtype), AFFINE) for dtype in ("float32", "int16", "uint8")
    )


def _written(suffix: str, writer: Callable[[Path, Volume], None] = write_volume) -> list[bytes]:
    """The files of the sound volumes in one format."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"sound{suffix}"
        made = []
        for volume in _sound():
            writer(path, volume)
            made.append(path.read_bytes())
        return made


def _examples(package: str, names: Sequence[str]) -> list[bytes]:
    """Files that come with a library: made by scanners and by other programs."""
    folder = Path(str(import_module(package).__file__)).parent
    found = [path for name in names for path in folder.rglob(name) if path.stat().st_size < 45_000]
    return [path.read_bytes() for path in sorted(found)]


def _nifti() -> list[bytes]:
    return _written(".nii") + _examples("nibabel", ("*.nii",))


def _volume(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        volume = read_volume(folder / name)
        if volume.array.tobytes(order="F")[:64] == SECRET[:64]:
            raise AssertionError("the voxels are those of a file outside")
        return volume

    return read


def _nii_samples() -> Samples:
    seeds = _nifti()
    return lambda random: {"fuzz.nii": damaged_bytes(random, seeds)}


def _nii_gz_samples() -> Samples:
    """Damaged and packed, or packed and damaged; now and then hundreds of megabytes of zeros behind the header."""
    seeds = _nifti()
    packed, zeros = [gzip.compress(seed) for seed in seeds], gzip.compress(bytes(BOMB), 1)

    def sample(random: Random) -> Sample:
        if random.random() < SELDOM:
            data = gzip.compress(damaged_bytes(random, seeds)[:348], 1) + zeros
        elif random.random() < 0.6:
            data = gzip.compress(damaged_bytes(random, seeds), 1)
        else:
            data = damaged_bytes(random, packed)
        return {"fuzz.nii.gz": data}

    return sample


def _mgh_samples() -> Samples:
    seeds = _mgh()
    return lambda random: {"fuzz.mgh": damaged_bytes(random, seeds)}


def _mgh() -> list[bytes]:
    def write(path: Path, volume: Volume) -> None:
        nib.save(nib.MGHImage(np.asarray(volume.array), volume.affine), path)

    return _written(".mgh", write)


def _nrrd() -> list[bytes]:
    """Headers with every encoding, each with its data."""
    made = _written(".nrrd")
    for seed in list(made):
        head, _, packed = seed.partition(b"\n\n")
        raw = gzip.decompress(packed)
        for name, data in {
            b"raw": raw, b"bzip2": bz2.compress(raw), b"hex": raw.hex().encode(),
            b"ascii": " ".join(map(str, np.arange(120) % 100)).encode(),
        }.items():  # fmt: skip
            made.append(head.replace(b"encoding: gzip", b"encoding: " + name) + b"\n\n" + data)
    return made


def _nrrd_bombs() -> list[bytes]:
    head = _written(".nrrd")[0].partition(b"\n\n")[0]
    packed = {b"gzip": gzip.compress(bytes(BOMB), 1), b"bzip2": _bz2_bomb()}
    return [head.replace(b"encoding: gzip", b"encoding: " + name) + b"\n\n" + data for name, data in packed.items()]


@cache
def _bz2_bomb() -> bytes:
    return bz2.compress(bytes(BOMB), 9)


def _nrrd_samples() -> Samples:
    seeds, bombs = _nrrd(), _nrrd_bombs()

    def sample(random: Random) -> Sample:
        if random.random() < SELDOM:
            return {"fuzz.nrrd": random.choice(bombs)}
        text = random.random() < 0.5
        return {"fuzz.nrrd": damaged_lines(random, seeds, NRRD_TOKENS) if text else damaged_bytes(random, seeds)}

    return sample


def _nhdr_samples() -> Samples:
    """A header whose data lie beside it, packed or not, or an endless lot of them."""
    split = [seed.partition(b"\n\n") for seed in _nrrd()]
    pairs = [(head + b"\ndata file: fuzz.raw\n", data) for head, _, data in split]
    bombs = [gzip.compress(bytes(BOMB), 1), _bz2_bomb()]

    def sample(random: Random) -> Sample:
        head, data = random.choice(pairs)
        if random.random() < 0.7:
            head = damaged_lines(random, [head], NRRD_TOKENS)
        else:
            data = damaged_bytes(random, [data])
        return {"fuzz.nhdr": head, "fuzz.raw": random.choice(bombs) if random.random() < SELDOM else data}

    return sample


def _mha_samples() -> Samples:
    seeds = _written(".mha")
    for seed in list(seeds):
        head, _, packed = seed.partition(b"LOCAL\n")
        plain = [line for line in head.split(b"\n") if not line.startswith(b"Compressed")]
        seeds.append(b"\n".join(plain) + b"LOCAL\n" + zlib.decompress(packed))
    bomb = seeds[0].partition(b"LOCAL\n")[0] + b"LOCAL\n" + zlib.compress(bytes(BOMB), 1)

    def sample(random: Random) -> Sample:
        if random.random() < SELDOM:
            return {"fuzz.mha": bomb}
        text = random.random() < 0.5
        return {"fuzz.mha": damaged_lines(random, seeds, META_TOKENS) if text else damaged_bytes(random, seeds)}

    return sample


def _mhd_samples() -> Samples:
    split = [seed.partition(b"LOCAL\n") for seed in _written(".mha")]

    def sample(random: Random) -> Sample:
        head, _, data = random.choice(split)
        return {"fuzz.mhd": damaged_lines(random, [head + b"fuzz.raw\n"], META_TOKENS), "fuzz.raw": data}

    return sample


def _dicom() -> list[bytes]:
    from slicerxai.dicom.example import example_study, write_study

    with TemporaryDirectory() as folder:
        volume = Volume((np.arange(120) % 50).reshape(4, 5, 6).astype(np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))
        paths = write_study(example_study({"FLAIR": volume}), Path(folder))
        made = [path.read_bytes() for path in paths[:2]]
    return made + _examples("pydicom", ("MR_small*.dcm", "emri_small*.dcm", "JPEG2000.dcm", "nested_priv_SQ.dcm"))


def _dicom_samples() -> Samples:
    seeds = _dicom()

    def sample(random: Random) -> Sample:
        names = ("fuzz.dcm", "other.dcm")[: random.randint(1, 2)]
        return {name: damaged_bytes(random, seeds) for name in names}

    return sample


def _read_dicom(folder: Path) -> object:
    from slicerxai.dicom.series import read_series, sequences

    found = read_series(sorted(folder.glob("*.dcm")))
    sequences(found)
    return [one.volume() for one in found]


def _table_samples() -> Samples:
    tables = [
        b"case_id,FLAIR,T1,mask,mask_1,centre,age\na,a.nii.gz,b.nii,m.nii.gz,n.nrrd,01,33.5\nb,c.nii,,m.nii,,02,41\n",
        b"\xef\xbb\xbfcase_id,flair,site\n1,x.nrrd,A\n2,y.nrrd,B\n",
    ]
    info = [b"patient_id,age,sex\n1,30,F\n02,41,M\n", b"participant_id\tage\nsub-1\t30\n"]

    def sample(random: Random) -> Sample:
        layout = random.choice(("table", "table", "table", "folder", "bids"))
        if layout == "table":
            text = damaged_bytes if random.random() < 0.4 else damaged_lines
            return {"table.csv": text(random, tables, CSV_TOKENS)}
        name, image = {
            "folder": ("patient_info.csv", "patient1/FLAIR.nii"),
            "bids": ("participants.tsv", "sub-1/anat/sub-1_FLAIR.nii"),
        }[layout]
        return {name: damaged_lines(random, info, CSV_TOKENS), image: b""}

    return sample


def _read_cohort(folder: Path) -> object:
    from slicerxai.data.readers import read_cohort
    from slicerxai.server.cohorts import describe

    return describe(read_cohort(folder)).model_dump_json()


def volume_kinds() -> dict[str, Kind]:
    """Files with voxels, and tables that name such files."""
    return {
        "NIfTI": Kind(15_000, _nii_samples, _volume("fuzz.nii"), "fuzz.nii"),
        "NIfTI, gzip": Kind(10_000, _nii_gz_samples, _volume("fuzz.nii.gz"), "fuzz.nii.gz"),
        "MGH": Kind(2_500, _mgh_samples, _volume("fuzz.mgh"), "fuzz.mgh"),
        "NRRD": Kind(12_500, _nrrd_samples, _volume("fuzz.nrrd"), "fuzz.nrrd"),
        "NRRD, detached": Kind(7_500, _nhdr_samples, _volume("fuzz.nhdr"), "fuzz.nhdr"),
        "MetaImage": Kind(7_500, _mha_samples, _volume("fuzz.mha"), "fuzz.mha"),
        "MetaImage, detached": Kind(2_500, _mhd_samples, _volume("fuzz.mhd"), "fuzz.mhd"),
        "DICOM": Kind(12_500, _dicom_samples, _read_dicom, ""),
        "cohort tables": Kind(7_500, _table_samples, _read_cohort, ""),
    }
