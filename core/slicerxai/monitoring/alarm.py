"""A fitted alarm: which of a model's predictions should be read again. Saved as JSON, bound to its model."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.limits import Bands
from slicerxai.monitoring.readings import Judgement, Readings


class Alarm(BaseModel):
    """What was fitted on validation cases.

    Attributes:
        labels: classes, in the model's order. model_digest: the model that it belongs to.
        bands: for each class the ranges of the measure that are flagged (action "swap").
        limit: suspicion from which a prediction is flagged (action "review"), else None.
        cases: ids of the validation cases. figures: what the alarm achieves on them, cross-validated where fitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...]
    model_digest: str
    parameters: AlarmParameters
    bands: tuple[Bands, ...]
    limit: float | None
    cases: tuple[str, ...]
    figures: dict[str, float]

    def judge(self, readings: Readings) -> Judgement:
        """Flags and suspicion of every prediction. Raises `ConflictError` for readings of another kind."""
        raise NotImplementedError

    def text(self) -> str:
        """JSON."""
        raise NotImplementedError

    @staticmethod
    def parse(text: str, model_digest: str) -> Alarm:
        """Inverse of `text`.

        Raises:
            ConflictError: the alarm was fitted to another model; names both.
            InputError: not an alarm.
        """
        raise NotImplementedError
