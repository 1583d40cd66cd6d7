"""Fit a model's alarm on labelled cases that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicerxai.errors import InputError
from slicerxai.models.training_case import subject
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.progress import Progress, each, part, silent

if TYPE_CHECKING:
    from slicerxai.data.case import Case
    from slicerxai.data.volume import Volume
    from slicerxai.models.classifier import ImageClassifier
    from slicerxai.models.protocols import Model, Segmenter
    from slicerxai.monitoring.alarm import Alarm
    from slicerxai.monitoring.lesion_alarm import LesionAlarm

READING = 0.98
"""Share of the progress that reading the cases takes."""


def fit_for(
    model: Model,
    cases: Sequence[Case],
    parameters: AlarmParameters | LesionAlarmParameters | None = None,
    *,
    rater: str = "consensus",
    progress: Progress = silent,
) -> Alarm | LesionAlarm:
    """The alarm of a model, fitted on cases whose truth is known.

    Args:
        cases: images of the model's channels; for a classifier the metadata that its targets name, for a segmenter a
            mask of the rater. None of them may have been used in training, which the caller sees to.
        parameters: of the class that the model's kind takes (a segmenter: `LesionAlarmParameters`); by default its
            defaults.
        rater: whose masks are the truth; for segmenters.

    Raises:
        InputError: no cases, a case without the truth or an unusable image, too few cases to fit, or parameters of the
            other kind.
        Cancelled: through `progress`.
    """
    from slicerxai.models.classifier import ImageClassifier
    from slicerxai.models.protocols import Segmenter

    if not cases:
        msg = "an alarm needs labelled cases, got none"
        raise InputError(msg)
    if isinstance(model, ImageClassifier) and isinstance(parameters, AlarmParameters | None):
        return _fit_classes(model, cases, parameters or AlarmParameters(), progress)
    if isinstance(model, Segmenter) and isinstance(parameters, LesionAlarmParameters | None):
        return _fit_lesions(model, cases, parameters or LesionAlarmParameters(), rater, progress)
    msg = f"model {model.info.name!r} ({model.info.kind}) does not take {type(parameters).__name__}"
    raise InputError(msg)


def _fit_classes(
    model: ImageClassifier, cases: Sequence[Case], parameters: AlarmParameters, progress: Progress
) -> Alarm:
    from slicerxai.models.classifier_targets import case_labels
    from slicerxai.monitoring.alarm_fit import fit_alarm
    from slicerxai.monitoring.case_reading import read_prepared
    from slicerxai.monitoring.readings import Readings

    truth = case_labels(cases, model.config.parsed_targets)
    found = []
    for case, inner in each(part(progress, 0.0, READING), cases):
        inner(0.0, f"reading case {case.id}")
        found.append(read_prepared(model, model.prepare(_images(model, case)), parameters))
    progress(READING, "fitting the alarm")
    return fit_alarm(
        Readings.join(found),
        truth,
        model.info.labels,
        model.info.digest,
        parameters,
        cases=[case.id for case in cases],
        groups=[subject(case) for case in cases],
    )


def _fit_lesions(
    model: Segmenter, cases: Sequence[Case], parameters: LesionAlarmParameters, rater: str, progress: Progress
) -> LesionAlarm:
    from slicerxai.monitoring.lesion_alarm_fit import fit_lesion_alarm
    from slicerxai.monitoring.lesion_quality import false_lesions, lesion_readings

    found, false = [], []
    for case, inner in each(part(progress, 0.0, READING), cases):
        inner(0.0, f"reading case {case.id}")
        images, mask = _images(model, case), case.mask(rater)
        segmentation = model.predict(images, part(inner, 0.0, 0.7))
        readings = lesion_readings(
            model, images, segmentation, saliency=parameters.saliency, progress=part(inner, 0.7, 1.0)
        )
        found.append(readings)
        false.append(false_lesions(readings, mask))
    progress(READING, "fitting the alarm")
    return fit_lesion_alarm(
        found,
        false,
        model.info.digest,
        parameters,
        cases=[case.id for case in cases],
        groups=[subject(case) for case in cases],
    )


def _images(model: Model, case: Case) -> dict[str, Volume]:
    return {channel: case.image(channel) for channel in model.info.channels}
