"""Which of a segmenter's predicted lesions are likely to be false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.explain.case_parts import domain_findings, image_overlays
from slicerxai.explain.contract import Check, Explanation, Flag, Inputs, Overlay, Table
from slicerxai.explain.lesion_cells import LESION_COLUMNS, lesion_cells, rounded
from slicerxai.explain.quality_checks import alarm_check
from slicerxai.explain.quality_parameters import QualityParameters
from slicerxai.explain.slices import SUSPICION
from slicerxai.models.protocols import Segmentation, Segmenter
from slicerxai.monitoring.case_reading import LesionOutcome, lesion_outcomes
from slicerxai.monitoring.lesion_alarm import LesionAlarm
from slicerxai.monitoring.lesion_quality import lesion_readings
from slicerxai.progress import Progress, part


def explain_lesions(
    inputs: Inputs, model: Segmenter, alarm: LesionAlarm | None, parameters: QualityParameters, progress: Progress
) -> Explanation:
    """Suspicion of every predicted lesion. Lesions that the model missed are not looked for.

    Args:
        parameters: resolved. alarm: the one that they name.

    Raises:
        InputError: unusable images.
    """
    progress(0.0, "preparing the image")
    prepared = model.prepare(inputs.images)
    segmentation = model.predict(inputs.images, part(progress, 0.02, 0.6))
    saliency = None if alarm is None else alarm.parameters.saliency
    readings = lesion_readings(
        model, inputs.images, segmentation, saliency=saliency, progress=part(progress, 0.6, 0.95)
    )
    found = sorted(lesion_outcomes(readings, alarm), key=lambda one: (not one.flagged, -(one.suspicion or 0.0)))
    findings = domain_findings(prepared, model.info.channels, brain=True)
    figures, cases = (None, 0) if alarm is None else (alarm.figures, len(alarm.cases))
    return Explanation(
        method="quality",
        parameters=parameters.model_dump(mode="json"),
        image_id=inputs.image_id,
        overlays=image_overlays(inputs.images, model.info.channels) | _overlays(segmentation, readings.numbered, found),
        tables={"lesions": _table(found)},
        flags=[_flag(one) for one in found if one.flagged],
        metrics=_metrics(found),
        checks=[_predicted(found), *(Check(**asdict(one)) for one in findings), *alarm_check(figures, cases)],
    )


def _overlays(segmentation: Segmentation, numbered: Volume, found: Sequence[LesionOutcome]) -> dict[str, Overlay]:
    """Lesions that are flagged and that are not, and the suspicion at every voxel of a lesion."""
    count = len(found) + 1
    flagged, suspicion = np.zeros(count, np.uint8), np.zeros(count, np.float32)
    for one in found:
        flagged[one.lesion.number] = one.flagged
        suspicion[one.lesion.number] = one.suspicion or 0.0
    number = numbered.array.astype(np.intp)
    marked = flagged[number]
    rest = ((number > 0) & (marked == 0)).astype(np.uint8)
    return {
        "flagged_lesions": Overlay(
            numbered.with_array(marked), "labelmap", "label", "Predicted lesions that are likely to be false."
        ),
        "lesions": Overlay(numbered.with_array(rest), "labelmap", "label", "The other predicted lesions."),
        SUSPICION: Overlay(
            numbered.with_array(suspicion[number]),
            "probability",
            "probability",
            "Estimated probability that a predicted lesion is none, at each of its voxels.",
        ),
        "probability": Overlay(segmentation.probability, "probability", "probability", "1 − P(background)."),
    }


def _table(found: Sequence[LesionOutcome]) -> Table:
    rows: list[list[str | int | float | bool | None]] = [
        [*lesion_cells(one.lesion), rounded(one.suspicion), one.flagged, one.reason] for one in found
    ]
    columns = [*LESION_COLUMNS, "suspicion", "flagged", "reason"]
    return Table(title="Predicted lesions, most suspicious first", columns=columns, rows=rows)


def _flag(one: LesionOutcome) -> Flag:
    chance = "" if one.suspicion is None else f": an estimated {100 * one.suspicion:.0f} % that there is no lesion"
    where = ", ".join(f"{value:.0f}" for value in one.lesion.centroid)
    message = f"Look again at R, A, S {where} mm, {one.lesion.volume_ml:.2g} ml{chance}. Why: {one.reason}."
    return Flag(subject=f"lesion {one.lesion.number}", message=message)


def _metrics(found: Sequence[LesionOutcome]) -> dict[str, float]:
    values = {"lesions": float(len(found)), "flagged": float(sum(one.flagged for one in found))}
    suspicions = [one.suspicion for one in found if one.suspicion is not None]
    if len(suspicions) == len(found):
        values["expected_false_lesions"] = float(sum(suspicions))
    return values


def _predicted(found: Sequence[LesionOutcome]) -> Check:
    count = float(len(found))
    if found:
        reason = f"{len(found)} lesions are predicted and judged. Lesions that the model missed are not looked for."
        return Check(name="predicted lesions", value=count, limit=1.0, verdict="reliable", reason=reason)
    reason = "No lesion is predicted, so there is nothing to judge; lesions that the model missed are not looked for."
    return Check(name="predicted lesions", value=count, limit=1.0, verdict="caution", reason=reason)
