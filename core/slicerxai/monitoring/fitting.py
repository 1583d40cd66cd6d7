"""Fit a model's alarm on labelled cases that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from slicerxai.data.case import Case
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
    raise NotImplementedError
