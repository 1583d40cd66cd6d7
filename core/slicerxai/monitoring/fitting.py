"""Fit a model's alarm on labelled cases that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicerxai.errors import InputError
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.progress import Progress, each, part, silent

if TYPE_CHECKING:
    from slicerxai.data.case import Case
    from slicerxai.models.classifier import ImageClassifier
    from slicerxai.models.protocols import Model
    from slicerxai.monitoring.alarm import Alarm
    from slicerxai.monitoring.lesion_alarm import LesionAlarm


def fit_for(
    model: Model,
    cases: Sequence[Case],
    parameters: AlarmParameters,
    *,
    rater: str = "consensus",
    progress: Progress = silent,
) -> Alarm | LesionAlarm:
    """The alarm of a model, fitted on cases whose truth is known.

    Args:
        cases: images of the model's channels; for a classifier the metadata that its targets name, for a segmenter a
            mask of the rater. None of them may have been used in training, which the caller sees to.
        rater: whose masks are the truth; for segmenters.

    Raises:
        InputError: no cases, a case without the truth or an unusable image, or too few cases to fit.
        Cancelled: through `progress`.
    """
    from slicerxai.models.classifier import ImageClassifier

    if not cases:
        msg = "an alarm needs labelled cases, got none"
        raise InputError(msg)
    if isinstance(model, ImageClassifier):
        return _fit_classes(model, cases, parameters, progress)
    raise NotImplementedError


def _fit_classes(
    model: ImageClassifier, cases: Sequence[Case], parameters: AlarmParameters, progress: Progress
) -> Alarm:
    from slicerxai.models.classifier_targets import case_labels
    from slicerxai.models.training_case import subject
    from slicerxai.monitoring.alarm_fit import fit_alarm
    from slicerxai.monitoring.case_reading import read_prepared
    from slicerxai.monitoring.readings import Readings

    truth = case_labels(cases, model.config.parsed_targets)
    found = []
    for case, inner in each(part(progress, 0.0, 0.98), cases):
        inner(0.0, f"reading case {case.id}")
        prepared = model.prepare({channel: case.image(channel) for channel in model.info.channels})
        found.append(read_prepared(model, prepared, parameters))
    progress(0.98, "fitting the alarm")
    return fit_alarm(
        Readings.join(found),
        truth,
        model.info.labels,
        model.info.digest,
        parameters,
        cases=[case.id for case in cases],
        groups=[subject(case) for case in cases],
    )
