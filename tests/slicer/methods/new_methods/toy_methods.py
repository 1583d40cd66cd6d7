"""Methods that the tests add to a server: quick, and with all that a result may hold."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
from toy_parameters import ToyCaseParameters, ToyCohortParameters

from slicerxai.explain.contract import (
    Check,
    CohortInputs,
    Explainer,
    Explanation,
    Flag,
    Inputs,
    Overlay,
    Table,
)
from slicerxai.progress import Progress


class ToyCase(Explainer[Inputs, ToyCaseParameters]):
    """A map that rises from left to right around a point, and labels of its two halves."""

    subject: ClassVar[Any] = "case"
    name: ClassVar[str] = "toy_case"
    title: ClassVar[str] = "Toy of a case"
    summary: ClassVar[str] = "What lies around a point."
    Parameters: ClassVar[Any] = ToyCaseParameters

    def explain(self, inputs: Inputs, parameters: ToyCaseParameters, progress: Progress) -> Explanation:
        """Wait as long as was asked, then look around the point."""
        end = time.monotonic() + parameters.seconds
        while time.monotonic() < end:
            progress(0.5, "thinking")
            time.sleep(0.05)
        image = next(iter(inputs.images.values()))
        grid = np.indices(image.shape).reshape(3, -1)
        world = (image.affine[:3, :3] @ grid + image.affine[:3, 3:]).reshape(3, *image.shape)
        middle = parameters.around or tuple(world.reshape(3, -1).mean(axis=1).tolist())
        away = world - np.array(middle)[:, None, None, None]
        region = parameters.region
        reach = region.radius if region.shape == "ball" else region.edge / 2
        inside = np.sqrt((away**2).sum(axis=0)) <= reach if region.shape == "ball" else (abs(away) <= reach).all(axis=0)
        rising = np.where(inside, away[0] * parameters.contrast, 0).astype(np.float32)
        halves = np.where(inside, 1 + (away[0] > 0), 0).astype(np.uint8)
        rows: list[list[str | int | float | bool | None]] = [
            [name, place * 1.5, *middle, None] for place, name in enumerate(parameters.names or ["only"])
        ]
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.image_id,
            overlays={
                "FLAIR": Overlay(image, "image", "intensity", "The image."),
                "rising": Overlay(image.with_array(rising), "saliency", "mm", "Rises to the right"),
                "chance": Overlay(image.with_array(inside.astype(np.float32)), "probability", "probability", "Inside."),
                "halves": Overlay(image.with_array(halves), "labelmap", "label", "Left and right."),
            },
            tables={
                "places": Table(title="Places", columns=["name", "far", "R mm", "A mm", "S mm", "none"], rows=rows)
            },
            metrics={"inside_ml": float(inside.sum() * image.voxel_volume / 1000)},
            flags=[Flag(subject="case", message="a toy")],
            checks=[Check(name="toy", value=0.5, limit=1, verdict="caution", reason="This is a toy.")],
        )


class ToyCohort(Explainer[CohortInputs, ToyCohortParameters]):
    """Counts cases."""

    subject: ClassVar[Any] = "cohort"
    name: ClassVar[str] = "toy_cohort"
    title: ClassVar[str] = "Toy of a cohort"
    summary: ClassVar[str] = "How many cases there are."
    Parameters: ClassVar[Any] = ToyCohortParameters

    def explain(self, inputs: CohortInputs, parameters: ToyCohortParameters, progress: Progress) -> Explanation:
        """Count them."""
        ids = [case.id for case in inputs.cohort][: parameters.most]
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.cohort_id,
            tables={"cases": Table(title="Cases", columns=["case"], rows=[[name] for name in ids])},
            metrics={"cases": float(len(ids))},
        )
