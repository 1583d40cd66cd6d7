"""A cohort of brain-like volumes with bright spots."""

from __future__ import annotations

from pathlib import Path

from slicerxai.data.io import write_volume
from tests.conftest import spotted_brain


def write_cohort(folder: Path, cases: int) -> Path:
    """Cases "case 0", …, with masks of rater 1; the ids are not fit for files' names."""
    folder.mkdir()
    lines = ["case_id,FLAIR,mask_1"]
    for number in range(cases):
        for volume, name in zip(spotted_brain(100 + number), ("FLAIR", "mask"), strict=True):
            write_volume(folder / f"{number}_{name}.nii.gz", volume)
        lines.append(f"case {number},{number}_FLAIR.nii.gz,{number}_mask.nii.gz")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder
