"""Volumes in XAILib's NRRD are those of the server's own reader and writer, voxel for voxel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from saliency_scenes import GRIDS
from XAILib.nrrd import Volume, decode, write

from slicerxai.data.io import DTYPES, read_volume, write_volume
from slicerxai.data.volume import Volume as ServerVolume

AFFINE, SHAPE = GRIDS["oblique, left-handed, anisotropic"]
ARRAY = np.random.default_rng(0).integers(0, 100, SHAPE)


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_ways(dtype: str, tmp_path: Path) -> None:
    array = ARRAY.astype(dtype)
    write_volume(tmp_path / "theirs.nrrd", ServerVolume(array, AFFINE))
    found = decode((tmp_path / "theirs.nrrd").read_bytes())
    write(tmp_path / "ours.nrrd", Volume(array, AFFINE))
    sent = read_volume(tmp_path / "ours.nrrd")
    for volume in (found, sent):
        assert volume.array.dtype == dtype
        assert np.array_equal(volume.array, array)
        assert volume.affine == pytest.approx(AFFINE, abs=1e-12)


HEADER = {
    "type": "short",
    "dimension": "3",
    "space": "right-anterior-superior",
    "sizes": "2 3 4",
    "space directions": "(2,0,0) (0,3,0) (0,0,4)",
    "endian": "big",
    "encoding": "raw",
    "space origin": "(5,6,7)",
}
VOXELS = np.arange(24, dtype=">i2").tobytes()


def content(voxels: bytes = VOXELS, **changes: str | None) -> bytes:
    """An NRRD file; underscores in the names of fields stand for blanks, None leaves a field out."""
    fields = {**HEADER, **{name.replace("_", " "): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\n".join(["NRRD0005", "# a comment: here", *lines]).encode() + b"\n\n" + voxels


def test_other_writers() -> None:
    volume = decode(content())
    assert volume.array[1, 2, 3] == 23
    assert volume.array[1, 0, 0] == 1
    assert volume.affine.tolist() == [[2, 0, 0, 5], [0, 3, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"", "no header"),
        (b"NRRD0005\ntype: short", "no header"),
        (b"\x89PNG\n\n", "no header"),
        (content(VOXELS[:-1]), "47 bytes of voxels"),
        (content(VOXELS + b"0"), "49 bytes of voxels"),
        (content(type="block"), "block"),
        (content(type=None), "type"),
        (content(space="scanner-xyz"), "scanner-xyz"),
        (content(sizes="2 3 4 1"), "no scalar 3D"),
        (content(sizes="2 3"), "no scalar 3D"),
        (content(sizes="2 0 4"), "no scalar 3D"),
        (content(sizes="100000 100000 100000"), "no scalar 3D"),
        (content(sizes="a b c"), "invalid"),
        (content(encoding="bzip2"), "bzip2"),
        (content(encoding="gzip"), "unpacked"),
        (content(space_directions="(2,0,0) (0,3,0) (0,0,0)"), "place"),
        (content(space_directions="(2,0,0) (0,3,0) (0,0,nan)"), "place"),
        (content(space_directions="(2,0,0) (0,3,0)"), ""),
        (content(space_directions="none (2,0,0) (0,3,0)"), ""),
    ],
)
def test_refused(wrong: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode(wrong)
