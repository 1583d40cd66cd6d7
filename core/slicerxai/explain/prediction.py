"""What a segmenter predicts for an image, with the checks of whether it is such an image as the model knows."""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar

import numpy as np

from slicerxai.data.lesions import Lesion, find_lesions
from slicerxai.explain.case_parts import domain_findings, image_overlays
from slicerxai.explain.contract import Check, Explainer, Explanation, Inputs, Overlay, Subject, Table
from slicerxai.explain.lesion_cells import LESION_COLUMNS, lesion_cells
from slicerxai.explain.prediction_parameters import PredictionParameters
from slicerxai.models.protocols import segmenter
from slicerxai.progress import Progress, part


class PredictionExplainer(Explainer[Inputs, PredictionParameters]):
    """The label map as the model gives it: every label but the background counts, however small the lesion."""

    subject: ClassVar[Subject] = "case"
    name: ClassVar[str] = "prediction"
    title: ClassVar[str] = "Prediction"
    summary: ClassVar[str] = "What a segmenter finds in this image: label map, probability and lesions."
    Parameters: ClassVar[type[PredictionParameters]] = PredictionParameters

    def explain(self, inputs: Inputs, parameters: PredictionParameters, progress: Progress) -> Explanation:
        """Segment the image.

        Raises:
            InputError: unusable images, or a model that classifies. Cancelled: through `progress`.
        """
        model = segmenter(inputs.model, inputs.model.info.name)
        progress(0.0, "preparing the image")
        prepared = model.prepare(inputs.images)
        found = model.predict(inputs.images, part(progress, 0.02, 0.95))
        progress(0.95, "measuring lesions")
        lesions = find_lesions(found.labelmap, found.probability, None, minimum_mm3=0.0)
        mask = found.labelmap.with_array((np.asarray(found.labelmap.array) != 0).astype(np.uint8))
        findings = domain_findings(prepared, model.info.channels, brain=True)
        overlays = image_overlays(inputs.images, model.info.channels) | {
            "prediction": Overlay(mask, "labelmap", "label", "What the model predicts."),
            "probability": Overlay(found.probability, "probability", "probability", "1 − P(background)."),
        }
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.image_id,
            overlays=overlays,
            tables={"lesions": _table(lesions)},
            metrics={
                "lesions": float(len(lesions)),
                "lesion_volume_ml": float(sum(lesion.volume_ml for lesion in lesions)),
            },
            checks=[Check(**asdict(finding)) for finding in findings],
        )


def _table(lesions: list[Lesion]) -> Table:
    return Table(
        title="Predicted lesions", columns=[*LESION_COLUMNS], rows=[lesion_cells(lesion) for lesion in lesions]
    )
