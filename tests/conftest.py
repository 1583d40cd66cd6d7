"""What many tests share: a brain-like volume with bright spots, and a home with a tiny model trained on such ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.settings import settings

hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

OBLIQUE_LEFT_HANDED = np.array(
    # 20° about x, 10° about z, spacing 2 × 2.5 × 3 mm, first axis flipped so that the determinant is negative
    [[-1.9696, -0.4079, 0.1781, 40.0], [-0.3473, 2.3135, -1.0105, -30.0], [0.0, 0.8551, 2.8191, -25.0], [0, 0, 0, 1]]
)


def spotted_brain(seed: int, shape: tuple[int, int, int] = (40, 44, 36), spacing: float = 3.0) -> tuple[Volume, Volume]:
    """An ellipsoid of value 100 ± 5 on zero background with bright spots (180), and the mask of the spots."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    brain = (grid**2).sum(0) < 0.8
    mask = np.zeros(shape, dtype=np.uint8)
    voxel = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    for _ in range(5):
        centre = np.array(shape) * rng.uniform(0.35, 0.65, 3)
        mask[((voxel - centre[:, None, None, None]) ** 2).sum(0) < rng.uniform(4, 12)] = 1
    image = np.where(brain, 100 + 5 * rng.standard_normal(shape), 0) + np.where(brain & (mask == 1), 80, 0)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -spacing * np.array(shape) / 2
    return Volume(image.astype(np.float32), affine), Volume(mask, affine)


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `SLICERXAI_HOME` with one model, "tiny", trained for seconds on spotted brains (FLAIR, 3 mm)."""
    import torch

    from slicerxai.models.fast_parameters import FastTrainingParameters
    from slicerxai.models.store import ModelStore
    from slicerxai.models.training import train

    home = tmp_path_factory.mktemp("home")
    cases = []
    for seed in range(4):
        image, mask = spotted_brain(seed)
        paths = [home / f"{seed}_{name}.nii.gz" for name in ("FLAIR", "mask")]
        write_volume(paths[0], image)
        write_volume(paths[1], mask)
        cases.append(Case(id=str(seed), images={"FLAIR": paths[0]}, masks={"consensus": paths[1]}))
    parameters = FastTrainingParameters(
        spacing=3.0, patch=16, features=(4, 8), batch=4, steps=120, lr=1e-2, augmentation=0.0, precision="float32"
    )
    train("fast", cases, "consensus", parameters, ModelStore(home / "models"), "tiny", torch.device("cpu"))
    return home


@pytest.fixture
def in_tiny_home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's settings point to the home with the tiny model."""
    monkeypatch.setenv("SLICERXAI_HOME", str(tiny_home))
    settings.cache_clear()
    yield tiny_home
    settings.cache_clear()


@pytest.fixture
def cohort_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small method of cohorts of the tests is registered in this process."""
    from slicerxai.explain.registry import METHODS
    from tests.support.cohort_method import ENTRY

    monkeypatch.setitem(METHODS, ENTRY.name, ENTRY)


@pytest.fixture
def oblique_scan(tmp_path: Path) -> Path:
    """A spotted brain on an oblique, left-handed, anisotropic grid."""
    image, _ = spotted_brain(seed=11)
    path = tmp_path / "oblique.nii.gz"
    write_volume(path, Volume(image.array, OBLIQUE_LEFT_HANDED))
    return path


@pytest.fixture
def bad_scan(tmp_path: Path) -> Callable[[str], Path]:
    """A file of a named fault: what a clumsy or hostile user might send."""
    import nibabel

    image, _ = spotted_brain(seed=12)

    def save(array: np.ndarray, affine: np.ndarray = image.affine, name: str = "bad.nii.gz") -> Path:
        path = tmp_path / name
        nibabel.save(nibabel.Nifti1Image(array, affine), path)
        return path

    def make(fault: str) -> Path:
        good = save(image.array, name="good.nii.gz")
        makers: dict[str, Callable[[], Path]] = {
            "truncated": lambda: _written(tmp_path / "bad.nii.gz", good.read_bytes()[: good.stat().st_size // 2]),
            "garbage": lambda: _written(tmp_path / "bad.nii.gz", os.urandom(2048)),
            "empty file": lambda: _written(tmp_path / "bad.nii.gz", b""),
            "text": lambda: _written(tmp_path / "bad.txt", b"not an image"),
            "corrupt nrrd": lambda: _written(tmp_path / "bad.nrrd", b"NRRD0005\ntype: float\ndimension: 3\n\n"),
            "2-D": lambda: save(image.array[:, :, 3]),
            "4-D": lambda: save(np.stack([image.array] * 3, axis=-1)),
            "NaN": lambda: save(np.where(image.array > 110, np.nan, image.array)),
            "infinite": lambda: save(np.where(image.array > 110, np.inf, image.array)),
            "all zero": lambda: save(np.zeros_like(image.array)),
            "constant": lambda: save(np.full_like(image.array, 7)),
            "colour": lambda: save(np.zeros(image.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])),
            "complex": lambda: save(image.array.astype(np.complex64)),
            "singular affine": lambda: _singular(good, tmp_path / "bad.nii.gz"),
            "huge": lambda: _huge(tmp_path / "bad.nii"),
        }
        return makers[fault]()

    return make


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _singular(good: Path, path: Path) -> Path:
    import gzip

    raw = bytearray(gzip.decompress(good.read_bytes()))
    raw[252:256] = b"\x00\x00\x01\x00"  # qform_code 0, sform_code 1
    raw[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(gzip.compress(bytes(raw)))
    return path


def _huge(path: Path) -> Path:
    """A header that announces 20000 × 20000 × 20000 voxels, and no data."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape((20000, 20000, 20000))
    header.set_data_dtype(np.float32)
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(header.binaryblock + bytes(4))
    return path
