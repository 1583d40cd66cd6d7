"""One case seen by a model and its alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.observe import observe
from slicerxai.monitoring.readings import Judgement, Readings
from slicerxai.monitoring.words import reasons
from slicerxai.progress import Progress, part, silent
from slicerxai.saliency.grids import squeeze_flat

if TYPE_CHECKING:
    from slicerxai.data.lesions import Lesion
    from slicerxai.data.volume import Volume
    from slicerxai.models.protocols import Classifier, Prepared, Segmenter
    from slicerxai.monitoring.lesion_alarm import LesionAlarm
    from slicerxai.monitoring.lesion_readings import LesionReadings


@dataclass(frozen=True)
class ClassOutcome:
    """One label of one case.

    Attributes:
        distinctiveness: of its map, in [0, 2 (L − 1)]; None when no maps were made.
        suspicion: estimated probability that this prediction is wrong; None without an alarm.
        flagged: read this prediction again; never without an alarm.
        reason: in words, what was measured.
    """

    label: str
    probability: float
    threshold: float
    predicted: bool
    distinctiveness: float | None
    suspicion: float | None
    flagged: bool
    reason: str


@dataclass(frozen=True)
class LesionOutcome:
    """One predicted lesion of one case.

    Attributes:
        suspicion: estimated probability that there is no lesion; None without an alarm.
        flagged: look at this lesion again; never without an alarm.
        reason: in words, what speaks most for its being false.
    """

    lesion: Lesion
    suspicion: float | None
    flagged: bool
    reason: str


def read_prepared(
    model: Classifier, prepared: Prepared, parameters: AlarmParameters, progress: Progress = silent
) -> Readings:
    """The readings of one prepared case, by an alarm's score and maps."""
    return observe(
        model.network,
        squeeze_flat(prepared.tensor, model.network)[None],
        model.thresholds,
        model.device,
        score=parameters.score,
        saliency=parameters.saliency,
        seed=parameters.seed,
        progress=progress,
    )


def judged_case(
    model: Classifier, images: Mapping[str, Volume], alarm: Alarm, progress: Progress = silent
) -> list[ClassOutcome]:
    """What the alarm says of every label of a case. Raises `InputError` for unusable images."""
    readings = read_prepared(model, model.prepare(images), alarm.parameters, progress)
    return outcomes(model.info.labels, readings, alarm)


def outcomes(labels: tuple[str, ...], readings: Readings, alarm: Alarm | None) -> list[ClassOutcome]:
    """The labels of the one case that was read."""
    judgement: Judgement | None = None if alarm is None else alarm.judge(readings)
    words = reasons(labels, readings, judgement, alarm)
    distinct = readings.distinctiveness
    return [
        ClassOutcome(
            label=label,
            probability=float(readings.probabilities[0, index]),
            threshold=float(readings.thresholds[index]),
            predicted=bool(readings.predicted[0, index]),
            distinctiveness=None if distinct is None else float(distinct[0, index]),
            suspicion=None if judgement is None else float(np.clip(judgement.suspicion[0, index], 0.0, 1.0)),
            flagged=judgement is not None and bool(judgement.flagged[0, index]),
            reason=words[label],
        )
        for index, label in enumerate(labels)
    ]


def judged_lesions(
    model: Segmenter, images: Mapping[str, Volume], alarm: LesionAlarm, progress: Progress = silent
) -> list[LesionOutcome]:
    """What the alarm says of every predicted lesion of a case. Raises `InputError` for unusable images."""
    from slicerxai.monitoring.lesion_quality import lesion_readings

    segmentation = model.predict(images, part(progress, 0.0, 0.6))
    saliency = alarm.parameters.saliency
    readings = lesion_readings(model, images, segmentation, saliency=saliency, progress=part(progress, 0.6, 1.0))
    return lesion_outcomes(readings, alarm)


def lesion_outcomes(readings: LesionReadings, alarm: LesionAlarm | None) -> list[LesionOutcome]:
    """The lesions of the one case that was read, in the order of their numbers."""
    if alarm is None:
        return [LesionOutcome(lesion, None, False, "no alarm is fitted") for lesion in readings.lesions]
    judgement = alarm.judge(readings)
    return [
        LesionOutcome(lesion, float(suspicion), bool(flagged), reason)
        for lesion, suspicion, flagged, reason in zip(
            readings.lesions, judgement.suspicion, judgement.flagged, judgement.reasons, strict=True
        )
    ]
