"""A small cohort as MSSEG 2016 was published: two centres, five modalities, seven raters and a consensus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from tests.conftest import spotted_brain

MODALITIES = ("FLAIR", "T1", "T2", "DP", "GADO")
PATIENTS = (("01", "01"), ("01", "02"), ("07", "03"))
"""Centre and number; the last one lacks GADO and rater 7."""


def write_msseg(folder: Path) -> Path:
    """Center_XX/Patient_YY/{Preprocessed_Data,Masks}."""
    for number, (centre, patient) in enumerate(PATIENTS):
        write_patient(folder / f"Center_{centre}" / f"Patient_{patient}", seed=40 + number, whole=number < 2)
    return folder


def write_patient(folder: Path, seed: int, whole: bool) -> None:
    """Raters draw the same spots, each in another place by up to two voxels; the consensus is their majority."""
    (folder / "Preprocessed_Data").mkdir(parents=True)
    (folder / "Masks").mkdir()
    image, mask = spotted_brain(seed=seed)
    for number, name in enumerate(MODALITIES if whole else MODALITIES[:-1]):
        voxels = image.array * (1.0 + 0.1 * number) if number != 1 else image.array.max() - image.array
        write_volume(folder / "Preprocessed_Data" / f"{name}_preprocessed.nii.gz", image.with_array(voxels))
    drawn = raters_of(mask, 7 if whole else 6)
    for rater, voxels in drawn.items():
        write_volume(folder / "Masks" / f"ManualSegmentation_{rater}.nii.gz", mask.with_array(voxels))
    majority = (np.sum(list(drawn.values()), axis=0) > len(drawn) / 2).astype(np.uint8)
    write_volume(folder / "Masks" / "Consensus.nii.gz", mask.with_array(majority))


def raters_of(mask: Volume, count: int) -> dict[str, np.ndarray]:
    """The spots, moved by 0, 1 or 2 voxels along an axis that depends on the rater."""
    spots = (np.asarray(mask.array) == 1).astype(np.uint8)
    return {str(rater): np.roll(spots, rater % 3, axis=rater % 2) for rater in range(1, count + 1)}
