"""What a header announces is judged before memory is taken for it."""

import numpy as np
import pytest

from slicerxai.data.limits import GridError, check_grid, voxel_limit
from slicerxai.settings import settings

REFUSED = [
    ((), "no voxels"),
    ((3, 0, 3), "no voxels"),
    ((3, -5, 3), "no voxels"),
    ((512, 512, 513), "GiB"),
    ((1, 1, 1, 1, 1, 1, 1, 1, 1), "axes"),
    ((3, 3, 10**5000), "longer"),
    ((2**20, 2**20, 2**20, 2**20), "GiB"),
]


@pytest.mark.parametrize(("shape", "says"), REFUSED)
def test_refused(shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(GridError, match=says) as caught:
        check_grid(shape, np.uint8, "a.nii")
    assert str(caught.value).startswith("a.nii: ")
    assert len(str(caught.value)) < 300


def test_bytes_are_returned_and_limited() -> None:
    assert check_grid((512, 512, 512), np.float64) == 2**30
    assert check_grid((4, 5, 6), "<i2") == 240
    with pytest.raises(GridError, match="complex128"):
        check_grid((512, 512, 512), np.complex128)


def test_the_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert voxel_limit() == 512**3
    monkeypatch.setenv("SLICERXAI_VOXEL_LIMIT", "119")
    settings.cache_clear()
    try:
        with pytest.raises(GridError, match="119"):
            check_grid((4, 5, 6), np.uint8)
    finally:
        settings.cache_clear()
    assert check_grid((4, 5, 6), np.uint8, limit=120) == 120
