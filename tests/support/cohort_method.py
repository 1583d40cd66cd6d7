"""A small method of cohorts for the tests: how much larger the masks are in one environment than in another."""

import io
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw
from pydantic import Field

from slicerxai.data.cohort import Environment
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Check, CohortInputs, Explainer, ExplainParameters, Explanation, Figure, Table
from slicerxai.explain.registry import METHODS, Entry

NAME = "mask-volume"


class MaskVolumeParameters(ExplainParameters):
    source: Environment = Field(description="Where the masks are the measure.")
    target: Environment = Field(default=Environment(), description="Where they are compared.")
    steps: int = Field(default=0, ge=0, description="Pauses of 50 ms before the work.")


class MaskVolumeExplainer(Explainer[CohortInputs, MaskVolumeParameters]):
    subject: ClassVar = "cohort"
    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Mask volume"
    summary: ClassVar[str] = "How much larger the masks are in one environment than in another."
    Parameters: ClassVar = MaskVolumeParameters

    def explain(self, inputs, parameters, progress):
        for step in range(parameters.steps):
            progress(step / parameters.steps, f"step {step}")
            time.sleep(0.05)
        rows, means = [], {}
        for name, environment in (("source", parameters.source), ("target", parameters.target)):
            for case in inputs.cohort.select(environment):
                progress(len(rows) / (2 * len(inputs.cohort)), f"measuring {case.id}")
                assert set(case.images) <= set(inputs.model.info.channels)
                mask = case.mask(environment.rater)
                rows.append([name, case.id, float(mask.array.sum() * mask.voxel_volume)])
            means[name] = float(np.mean([volume for where, _, volume in rows if where == name]))
        return Explanation(
            method=NAME,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.cohort_id,
            tables={"cases": Table(title="Cases", columns=["environment", "case", "volume (mm³)"], rows=rows)},
            figures={"means": Figure(bars(means), "Mean volume of the masks, mm³.")},
            metrics={"difference_mm3": means["target"] - means["source"]},
            checks=[
                Check(name="cases", value=len(rows), limit=4, verdict="reliable", reason="There are enough cases.")
            ],
        )


ENTRY = Entry(
    name=NAME,
    subject="cohort",
    title=MaskVolumeExplainer.title,
    summary=MaskVolumeExplainer.summary,
    parameters=f"{__name__}:MaskVolumeParameters",
    explainer=f"{__name__}:MaskVolumeExplainer",
)


def register() -> None:
    """In this process, for good."""
    METHODS[NAME] = ENTRY


def bars(lengths: dict[str, float], width: int = 640) -> bytes:
    picture = Image.new("RGB", (width, 60 * len(lengths)), "white")
    draw = ImageDraw.Draw(picture)
    for index, (name, length) in enumerate(lengths.items()):
        draw.text((10, 60 * index + 24), name, fill="black")
        draw.rectangle(
            (100, 60 * index + 10, 100 + (width - 140) * length / max(lengths.values()), 60 * index + 50), "#0072b2"
        )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_cohort(folder: Path, patients: int = 6, modality: str = "FLAIR") -> Path:
    """Half of the patients of centre 01, half of 07, aged 30, 31, …; rater 2 marks a voxel more than rater 1."""
    folder.mkdir(parents=True)
    lines = [f"case_id,{modality},mask_1,mask_2,centre,age"]
    for index in range(patients):
        image = np.random.default_rng(index).normal(100, 10, (8, 8, 8)).astype(np.float32)
        names = [f"p{index}_{kind}.nii.gz" for kind in ("image", "mask1", "mask2")]
        write_volume(folder / names[0], Volume(image, np.eye(4)))
        for rater in (1, 2):
            mask = np.zeros(image.shape, np.uint8)
            mask.flat[: 10 * (index + 1) + rater] = 1
            write_volume(folder / names[rater], Volume(mask, np.eye(4)))
        lines.append(",".join([f"p{index}", *names, "01" if index < patients // 2 else "07", str(30 + index)]))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder
