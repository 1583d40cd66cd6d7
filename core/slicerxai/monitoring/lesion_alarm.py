"""A fitted alarm over predicted lesions: which of them are likely false. Saved as JSON, bound to its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from slicerxai.errors import ConflictError
from slicerxai.monitoring.fitted import Fitted
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.monitoring.lesion_readings import Array, Flags, LesionReadings, names
from slicerxai.monitoring.logistic import Logistic

UNITS = {"volume": " mm³", "entropy": " bits", "contrast": " SD", "depth": " mm"}
DECIMALS = {"volume": 0, "depth": 0}


@dataclass(frozen=True)
class LesionJudgement:
    """Of the lesions of one image.

    Attributes:
        suspicion: estimated probability that each is false, (lesions,), in (0, 1).
        flagged: those to read again, (lesions,).
        reasons: one sentence each: what speaks most for its being false, against the lesions of the fitting cases.
    """

    suspicion: Array
    flagged: Flags
    reasons: tuple[str, ...]


class LesionAlarm(Fitted):
    """What was fitted on cases with a reference.

    Attributes:
        model_digest: the segmenter that it belongs to.
        model: P(false) from the features of `lesion_readings.names(parameters.saliency)`, in that order.
        limit: suspicion from which a lesion is flagged; None flags nothing.
        cases: ids of the fitting cases.
        figures: what the alarm achieves on them; names that end in `_held_out` are of patients that a fit had not seen.
    """

    KIND: ClassVar[str] = "an alarm over lesions"

    parameters: LesionAlarmParameters
    model: Logistic
    limit: float | None
    cases: tuple[str, ...]
    figures: dict[str, float]

    def judge(self, readings: LesionReadings) -> LesionJudgement:
        """Suspicion of every lesion of one image.

        Raises:
            ConflictError: readings with other maps than those of the fit.
        """
        if readings.saliency != self.parameters.saliency:
            wanted, got = (value or "no maps" for value in (self.parameters.saliency, readings.saliency))
            msg = f"the alarm judges lesions by {wanted}, not by {got}"
            raise ConflictError(msg)
        suspicion = self.model.probability(readings.features)
        flags = np.zeros(len(suspicion), bool) if self.limit is None else suspicion >= self.limit
        return LesionJudgement(suspicion, flags, tuple(self._reason(row) for row in readings.features))

    def _reason(self, row: Array) -> str:
        """The measure that raises the suspicion of this lesion most, beside its mean over the fitting cases."""
        centre, scale = np.array(self.model.centre), np.array(self.model.scale)
        raise_by = np.array(self.model.weights) * (row - centre) / scale
        strongest = int(np.argmax(raise_by))
        if raise_by[strongest] <= 0:
            return "nothing about it is more suspicious than usual"
        name = names(self.parameters.saliency)[strongest]
        return f"{_shown(name, row[strongest])}, where {_shown(name, centre[strongest], named=False)} is usual"


def _shown(name: str, value: float, *, named: bool = True) -> str:
    """A measure in words with its unit; logarithms are undone."""
    if name == "log volume":
        name, value = "volume", float(np.exp(value))
    amount = f"{value:.{DECIMALS.get(name, 2)}f}{UNITS.get(name, '')}"
    return f"{name} {amount}" if named else amount
