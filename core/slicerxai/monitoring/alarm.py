"""A fitted alarm: which of a model's predictions should be read again. Saved as JSON, bound to its model."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy.special import logit

from slicerxai.errors import ConflictError, InputError
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.distinctiveness import nearest_distance
from slicerxai.monitoring.fitted import Fitted
from slicerxai.monitoring.limits import Bands, flagged
from slicerxai.monitoring.logistic import Logistic
from slicerxai.monitoring.readings import Judgement, Readings

Array = NDArray[np.float64]


class Alarm(Fitted):
    """What was fitted on validation cases.

    Attributes:
        labels: classes, in the model's order. model_digest: the model that it belongs to.
        bands: for each class the ranges of the measure that are flagged; empty ranges flag nothing.
        limit: suspicion from which any prediction is flagged (action "review"); None flags by `bands`.
        classifiers: for each class, P(wrong) from its distances (rule "classifier"), which is then the measure.
        calibration: for each class, P(wrong) from the measure (and the margin, if asked for).
        cases: ids of the validation cases. figures: what the alarm achieves on them.
    """

    KIND: ClassVar[str] = "an alarm"

    labels: tuple[str, ...]
    parameters: AlarmParameters
    bands: tuple[Bands, ...]
    limit: float | None
    classifiers: tuple[Logistic, ...] | None
    calibration: tuple[Logistic, ...]
    cases: tuple[str, ...]
    figures: dict[str, float]

    @model_validator(mode="after")
    def _one_for_each_label(self) -> Self:
        for name in ("bands", "calibration", "classifiers"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.labels):
                msg = f"{len(values)} {name} for {len(self.labels)} labels"
                raise ValueError(msg)
        return self

    @property
    def low_is_suspicious(self) -> bool:
        """The measure is distinctiveness itself."""
        return self.parameters.score == "distinctiveness" and self.classifiers is None

    def judge(self, readings: Readings) -> Judgement:
        """Flags and suspicion of every prediction.

        Raises:
            ConflictError: readings of another measure, other maps or another number of classes.
        """
        self._fits(readings)
        measure = measured(readings, self.classifiers, self.parameters)
        suspicion = np.empty_like(measure)
        flags = np.zeros(measure.shape, bool)
        for c, model in enumerate(self.calibration):
            suspicion[:, c] = model.probability(calibration_features(self.parameters, readings, measure, c))
            flags[:, c] = flagged(self.bands[c], measure[:, c])
        if self.parameters.action == "review":
            flags = np.zeros(measure.shape, bool) if self.limit is None else suspicion >= self.limit
        return Judgement(flags, suspicion, measure)

    def _fits(self, readings: Readings) -> None:
        chosen = self.parameters
        wanted = chosen.score, (chosen.saliency if chosen.score == "distinctiveness" else None), len(self.labels)
        got = readings.score, readings.saliency, readings.probabilities.shape[1]
        if wanted != got:
            msg = f"the alarm judges {_kind(*wanted)}, not {_kind(*got)}"
            raise ConflictError(msg)


def measured(readings: Readings, classifiers: tuple[Logistic, ...] | None, parameters: AlarmParameters) -> Array:
    """What the limits are compared with, (N, L): the distances pooled, an uncertainty, or the classifiers' P(wrong)."""
    if classifiers is not None:
        features = (distance_features(readings, c, margin=parameters.margin) for c in range(len(classifiers)))
        return np.stack([model.probability(x) for model, x in zip(classifiers, features, strict=True)], 1)
    if parameters.score == "distinctiveness" and parameters.pooling == "nearest":
        return nearest_distance(_distances(readings))
    return readings.measure


def distance_features(readings: Readings, label: int, *, margin: bool) -> Array:
    """v_i, the distances of one class's map from each of the others, (N, L − 1), and its margin if asked for."""
    vector = np.delete(_distances(readings)[:, label], label, axis=1)
    return np.concatenate([vector, margins(readings, label)], 1) if margin else vector


def _distances(readings: Readings) -> Array:
    if readings.distances is None:
        msg = "the alarm reads distances between maps, and these readings have none"
        raise InputError(msg)
    return readings.distances


def calibration_features(parameters: AlarmParameters, readings: Readings, measure: Array, label: int) -> Array:
    """Suspicious-is-high measure of one class first, then its margin if asked for, (N, 1 or 3)."""
    own = measure[:, label]
    if parameters.rule == "classifier":
        return np.asarray(logit(np.clip(own, 1e-9, 1 - 1e-9)))[:, None]
    column = (-own if parameters.score == "distinctiveness" else own)[:, None]
    return np.concatenate([column, margins(readings, label)], 1) if parameters.margin else column


def margins(readings: Readings, label: int) -> Array:
    """Whether the class is called present (0 or 1), and how far its log-odds are from the threshold's, (N, 2)."""
    probability = np.clip(readings.probabilities[:, label], 1e-9, 1 - 1e-9)
    threshold = np.clip(readings.thresholds[label], 1e-9, 1 - 1e-9)
    return np.stack([readings.predicted[:, label], np.abs(logit(probability) - logit(threshold))], 1)


def _kind(score: str, saliency: str | None, labels: int) -> str:
    return f"{score}{f' of {saliency} maps' if saliency else ''}, {labels} labels"
