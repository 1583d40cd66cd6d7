"""An alarm for a model that has just been trained, where cases were left aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slicerxai.errors import InputError
from slicerxai.models.training_case import subject
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.fitting import fit_for
from slicerxai.monitoring.held_out import left_aside
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from slicerxai.data.case import Case
    from slicerxai.models.protocols import Model
    from slicerxai.monitoring.alarm_store import AlarmStore

FOLDS = 5
FEWEST = 4
"""Subjects left aside below which no alarm is fitted."""


@dataclass(frozen=True)
class AfterTraining:
    """An alarm's id, or why there is none."""

    id: str | None
    message: str


def fit_after_training(
    model: Model,
    cases: Sequence[Case],
    store: AlarmStore,
    *,
    rater: str = "consensus",
    progress: Progress = silent,
) -> AfterTraining:
    """Fit and keep an alarm on the cases of a training that were left aside for validation.

    It flags for review, within the default budget: turning predictions round needs more cases than are usual here.

    Args:
        cases: all of the training. rater: whose masks a segmenter learned.

    Raises:
        Cancelled: through `progress`. Unusable cases are no error here: the model stays without an alarm.
    """
    from slicerxai.models.protocols import Segmenter

    aside = left_aside(model.info, cases)
    subjects = len({subject(case) for case in aside})
    advice = f"fit one with: slicerxai alarm {model.info.name} COHORT"
    if subjects < FEWEST:
        few = (
            f"{subjects} subjects were left aside in training, {FEWEST} are needed"
            if subjects
            else "none was left aside"
        )
        return AfterTraining(None, f"no alarm: {few}; {advice}")
    parameters: AlarmParameters | LesionAlarmParameters
    if isinstance(model, Segmenter):
        parameters = LesionAlarmParameters(folds=min(FOLDS, subjects))
    else:
        parameters = AlarmParameters(folds=min(FOLDS, subjects))
    try:
        alarm = fit_for(model, aside, parameters, rater=rater, progress=progress)
    except InputError as error:
        return AfterTraining(None, f"no alarm: {error}; {advice}")
    return AfterTraining(
        store.save(model.info.name, alarm), f"alarm fitted on {len(aside)} cases left aside in training"
    )
