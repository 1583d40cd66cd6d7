"""A small cohort for the panel: spotted brains of two centres, each drawn by three raters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from slicerxai.data.io import write_volume
from tests.conftest import spotted_brain

CASES = 6
"""Of each centre."""


def write_cohort(folder: Path, cases: int = CASES) -> Path:
    """Centre 07 is noisier; rater 1 draws the spots, rater 2 a voxel more all around, rater 3 only their upper half.

    Rater 3 has not drawn the last case of centre 07. Ages are 30, 31, …
    """
    folder.mkdir(parents=True)
    lines = ["case_id,FLAIR,mask_1,mask_2,mask_3,centre,age,lesion_load_ml"]
    for number in range(2 * cases):
        centre = "01" if number < cases else "07"
        image, mask = spotted_brain(seed=100 + number)
        if centre == "07":
            noise = np.random.default_rng(number).normal(0, 12, image.shape)
            image = image.with_array(np.where(image.array > 0, image.array + noise, 0).astype(np.float32))
        spots = mask.array == 1
        upper = np.arange(mask.shape[2]) >= np.argwhere(spots)[:, 2].mean()
        drawn = {1: spots, 2: binary_dilation(spots), 3: spots & upper}
        if number == 2 * cases - 1:
            del drawn[3]
        name = f"P{number + 1:02d}"
        write_volume(folder / f"{name}.nii.gz", image)
        files = []
        for rater in (1, 2, 3):
            files.append(f"{name}_{rater}.nii.gz" if rater in drawn else "")
            if rater in drawn:
                write_volume(folder / files[-1], mask.with_array(drawn[rater].astype(np.uint8)))
        load = spots.sum() * mask.voxel_volume / 1000
        lines.append(",".join([name, f"{name}.nii.gz", *files, centre, str(30 + number), f"{load:.3f}"]))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder
