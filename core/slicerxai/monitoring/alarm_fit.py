"""Fitting an alarm to one model on cases that the model was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.readings import Flags, Readings


def fit_alarm(
    readings: Readings,
    truth: Flags,
    labels: Sequence[str],
    model_digest: str,
    parameters: AlarmParameters,
    *,
    cases: Sequence[str],
    groups: Sequence[str] | None = None,
) -> Alarm:
    """Choose limits and calibrate suspicion.

    Args:
        readings, truth: N cases, truth (N, L). cases: their ids.
        groups: subject of each case, which folds keep together; by default each case is one.

    Raises:
        InputError: shapes that do not fit, or too few cases (groups) for the folds.
    """
    raise NotImplementedError
