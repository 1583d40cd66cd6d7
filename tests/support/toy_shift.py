"""A segmenter without training and cohorts of two small hospitals, for the tests of shift attribution."""

from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment, OneOf
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.fast import FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo, Segmentation
from slicerxai.models.unet import FastUNet
from slicerxai.progress import silent

SHAPE = (22, 24, 20)
RATERS = {"1": 0.0, "2": 0.8, "consensus": 0.4}
"""How much too large each draws, voxels."""


class Threshold(FastSegmenter):
    """Calls lesion what is brighter than 1.35 times the median, and counts its calls."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.calls = 0

    def predict(self, images, progress=silent):
        self.calls += 1
        progress(0.5, "half")
        image = images["FLAIR"]
        values = np.asarray(image.array, dtype=np.float32)
        labels = values > 1.35 * np.median(values[values > 0])
        probability = np.where(labels, 0.9, 0.1).astype(np.float32)
        return Segmentation(image.with_array(labels.astype(np.uint8)), image.with_array(probability))


def threshold() -> Threshold:
    config = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
    info = ModelInfo("threshold", "fast", ("FLAIR",), ("background", "lesion"), "digest", {})
    return Threshold(info, FastUNet(1, 2, config.features), config, torch.device("cpu"))


def environment(centre: str, rater: str = "consensus") -> Environment:
    return Environment(where={"centre": OneOf(values=(centre,))}, rater=rater)


def toy_cohort(folder: Path, patients: int = 8, noise: float = 0.05) -> Cohort:
    """So many patients in each of centre 01 and centre 03, whose scanner blurs; masks of all `RATERS`.

    The folder is a cohort for readers too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    axes = np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij")
    brain = np.sqrt(sum(axis**2 for axis in axes)) < 9.5
    cases = []
    for n in range(2 * patients):
        rng = np.random.default_rng(n)
        centre, blur = ("01", 0.4) if n < patients else ("03", 0.9)
        size = rng.uniform(2.0, 3.5)
        away = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(axes, rng.uniform(-3, 3, 3), strict=True)))
        tissue = 1 + 0.15 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.5) / 0.07
        signal = ndimage.gaussian_filter(np.where(away < size, rng.uniform(1.6, 2.0), np.clip(tissue, 0.5, 1.2)), blur)
        signal += noise * rng.standard_normal(SHAPE)
        name, paths = f"c{centre}p{n}", {}
        write_volume(
            folder / f"{name}.nii.gz", Volume(np.where(brain, 300 * np.clip(signal, 0.1, 9), 0).astype("f4"), affine)
        )
        for rater, more in RATERS.items():
            paths[rater] = folder / f"{name}-{rater}.nii.gz"
            write_volume(paths[rater], Volume((away < size + more).astype(np.uint8), affine))
        about = {"centre": centre, "age": float(rng.integers(20, 70)), "sex": "FM"[n % 2], "burden": size**3 / 30}
        cases.append(Case(name, {"FLAIR": folder / f"{name}.nii.gz"}, paths, about))
    (folder / "cases.csv").write_text("\n".join([HEADER, *map(_line, cases)]) + "\n")
    return Cohort("toy", tuple(cases))


HEADER = ",".join(["case_id", "FLAIR", *(f"mask_{rater}" for rater in RATERS), "centre", "age", "sex", "burden"])


def _line(case: Case) -> str:
    files = [case.images["FLAIR"].name, *(path.name for path in case.masks.values())]
    return ",".join([case.id, *files, *map(str, case.metadata.values())])
