"""Why a prediction is suspicious, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.readings import Array, Judgement, Readings

MEASURES = {
    "entropy": "the probability is undecided: entropy {value:.2f} bits",
    "tta": "turned, blurred and shifted copies disagree: spread of the logit {value:.2f}",
    "mc_dropout": "draws of dropout disagree: entropy {value:.2f} bits",
}


def reasons(
    labels: Sequence[str],
    readings: Readings,
    judgement: Judgement | None = None,
    alarm: Alarm | None = None,
    row: int = 0,
) -> dict[str, str]:
    """What was measured of each label of one image, against the alarm's limit, flagged or not.

    Such as "the maps for periventricular and juxtacortical overlap: cosine 0.97; mean of all others 0.95 (limit 0.93)".

    Args:
        judgement, alarm: without them the sentence says what was measured, and no limit. row: of the image.
    """
    return {label: _sentence(labels, readings, judgement, alarm, row, c) for c, label in enumerate(labels)}


def _sentence(
    labels: Sequence[str], readings: Readings, judgement: Judgement | None, alarm: Alarm | None, row: int, label: int
) -> str:
    others = len(labels) - 1
    text = _measured(labels, readings, row, label, mean=alarm is None or alarm.parameters.pooling == "sum")
    if alarm is None or judgement is None:
        return text
    if alarm.parameters.action == "review":
        limit = "" if alarm.limit is None else f" (limit {alarm.limit:.2f})"
        return f"{text}; chance of an error {judgement.suspicion[row, label]:.2f}{limit}"
    if alarm.classifiers is not None:
        text += f"; by its distances, wrong with probability {judgement.measure[row, label]:.2f}"
    bands = alarm.bands[label]
    if not bands:
        return text
    as_cosine = alarm.low_is_suspicious
    share = others if alarm.parameters.pooling == "sum" else 1
    ends = [[e if e is None else 1 - e / share if as_cosine else e for e in (b.low, b.high)] for b in bands]
    if len(ends) == 1 and None in ends[0]:
        return f"{text} (limit {next(e for e in ends[0] if e is not None):.2f})" if ends[0] != [None, None] else text
    return f"{text} (flagged: {', '.join(_range(*(end[::-1] if as_cosine else end)) for end in ends)})"


def _measured(labels: Sequence[str], readings: Readings, row: int, label: int, *, mean: bool) -> str:
    if readings.distances is None:
        return MEASURES[readings.score].format(value=readings.measure[row, label])
    text, others = overlap(labels, readings.distances[row], label), len(labels) - 1
    return (
        text
        if others == 1 or not mean
        else f"{text}; mean of all others {1 - readings.measure[row, label] / others:.2f}"
    )


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "any" if high is None else f"up to {high:.2f}"
    return f"from {low:.2f}" if high is None else f"{low:.2f} to {high:.2f}"


def overlap(labels: Sequence[str], distances: Array, label: int) -> str:
    """The class whose map is most like this one's, and how like; distances (L, L) of one image."""
    row = np.array(distances[label])
    row[label] = np.inf
    nearest = int(np.argmin(row))
    cosine = 1 - row[nearest]
    verb = "overlap" if cosine >= 0.5 else "overlap in part" if cosine >= 0.1 else "do not overlap"
    return f"the maps for {labels[label]} and {labels[nearest]} {verb}: cosine {cosine:.2f}"
