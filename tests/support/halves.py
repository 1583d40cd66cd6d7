"""A cohort whose brains have bright spots in the left half, the right half, both or neither, as their metadata say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume

SHAPE = (20, 20, 20)


def halves_cohort(folder: Path, count: int) -> list[Case]:
    """Cases of 4 mm, two of each subject; metadata "subject", "left_ml" and "right_ml"."""
    return [_case(folder, index) for index in range(count)]


def _case(folder: Path, index: int) -> Case:
    rng = np.random.default_rng(index)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    image = np.where((grid**2).sum(0) < 0.9, 100 + 8 * rng.standard_normal(SHAPE), 0)
    present = {"left": index % 4 in (1, 3), "right": index % 4 in (2, 3)}
    for half, first in (("left", 4), ("right", 13)):
        if present[half]:
            i, j, k = first + rng.integers(0, 2), *rng.integers(6, 12, 2)
            image[i : i + 2, j : j + 2, k : k + 2] += 90
    path = folder / f"case{index:02d}_FLAIR.nii.gz"
    write_volume(path, Volume(image.astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0])))
    # the subjects' two examinations are not alike
    metadata: dict[str, str | float] = {"subject": f"s{index * 7 % 24 // 2}"}
    metadata |= {f"{half}_ml": 0.5 * value for half, value in present.items()}
    return Case(f"case{index:02d}", {"FLAIR": path}, {}, metadata)
