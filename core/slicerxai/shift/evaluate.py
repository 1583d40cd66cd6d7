"""Score a segmenter on an environment: metrics and features of every case, cached so that nothing is computed twice.

Empty masks follow `slicerxai.data.metrics`: both empty is perfect agreement. A metric that has no meaning for a case,
such as the precision of no predicted lesion, is None, and `samples` leaves the case out and says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment
from slicerxai.data.files import replaced_text
from slicerxai.data.lesions import label_components
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, each, part, silent
from slicerxai.shift.features import (
    Features,
    agreement_features,
    population_features,
    reference_features,
    style_features,
)
from slicerxai.shift.harmonise import Transport
from slicerxai.shift.options import MetricName
from slicerxai.shift.reading import Agreement, Reading, bright_modality, case_file_digest, digest_of, volume_ml
from slicerxai.shift.samples import Samples

METRICS: Final[tuple[MetricName, ...]] = get_args(MetricName)
ERRORS: Final = ("volume_error_ml", "surface_distance_mm")
"""Metrics that are better when smaller; `samples` turns their sign."""


@dataclass(frozen=True)
class Burden:
    """Where a case's disease burden is read, independently of the environment's scanner and rater.

    Attributes:
        kind: "metadata" takes a number in ml, "mask" the volume of a rater's mask, such as the consensus of one panel.
        key: the metadata key or the rater.
    """

    kind: Literal["metadata", "mask"]
    key: str


def parse_burden(text: str) -> Burden | None:
    """Of the parameter: "none", "metadata:KEY" or "mask:RATER"."""
    kind, _, key = text.partition(":")
    if kind == "none":
        return None
    return Burden("metadata" if kind == "metadata" else "mask", key)


@dataclass(frozen=True)
class CaseScore:
    """Everything about one case under one rater.

    Attributes:
        case, subject: ids; the subject is the case unless its metadata name one.
        metrics: by name, see `METRICS`; None where a metric has no meaning.
        features: group ("population", "acquisition", "prediction", "embedding", "style", "agreement" and, where the
            burden is a mask, "reference") to numbers.
        drawn_ml, predicted_ml: volumes of the rater's mask and of the prediction.
    """

    case: str
    subject: str
    metrics: dict[str, float | None]
    features: dict[str, Features]
    drawn_ml: float
    predicted_ml: float


def check_burden(burden: Burden | None, raters: Sequence[str]) -> None:
    """Raises `InputError` when the burden is read from a mask of one of several compared raters.

    Then the annotation's shift would sit in the population.
    """
    if burden is not None and burden.kind == "mask" and len(set(raters)) > 1 and burden.key in raters:
        msg = (
            f"disease burden cannot be read from rater {burden.key!r}, whose masks are compared with those of another; "
            "take a consensus that every case has, a metadata key in ml, or none"
        )
        raise InputError(msg)


def evaluate_cohort(
    segmenter: Segmenter,
    cohort: Cohort,
    environment: Environment,
    cache: Path,
    *,
    burden: Burden | None = None,
    transport: Transport | None = None,
    rater: str | None = None,
    progress: Progress = silent,
) -> list[CaseScore]:
    """Score every case of an environment; finished cases are kept when it is cancelled.

    Args:
        cohort: with the model's modalities; one of them shows lesions bright (`BRIGHT`).
        environment: selects the cases and names their rater.
        cache: folder of results, by a digest of model, images, masks and settings; made when it is absent.
        burden: where disease burden is read; None leaves it out of the population's features.
        transport: applied to the bright modality before the model runs, to see the cases as another scanner's.
        rater: take this rater's masks instead of the environment's, to see the cases as another rater's.

    Returns:
        One score for each case, in the cohort's order.

    Raises:
        InputError: nothing selected, a modality, mask or metadata key is missing, or a file is unusable.
        Cancelled: through `progress`.
    """
    whose = rater or environment.rater
    cases = list(cohort.select(environment))
    bright_modality(segmenter)
    for case in cases:
        check_case(case, segmenter, [whose], burden)
    cache.mkdir(parents=True, exist_ok=True)
    scores = []
    for index, (case, step) in enumerate(each(progress, cases)):
        step(0.0, f"case {index + 1} of {len(cases)}")
        reading = Reading(segmenter, case, transport, cache, step)
        path = cache / f"{_key(reading, whose, burden)}.json"
        if not path.is_file():
            replaced_text(path, json.dumps(asdict(_score(reading, whose, burden))) + "\n")
        scores.append(CaseScore(**json.loads(path.read_text(encoding="utf-8"))))
    progress(1.0, f"{len(cases)} cases scored")
    return scores


def score_raters(
    segmenter: Segmenter,
    cases: Sequence[Case],
    raters: Sequence[str],
    cache: Path,
    *,
    transport: Transport | None = None,
    progress: Progress = silent,
) -> list[dict[str, Agreement]]:
    """Agreement of the model with several raters on every case, from one prediction of each.

    Args:
        cases: with a mask of every rater.
        cache, transport: as in `evaluate_cohort`.

    Returns:
        For each case, by rater.

    Raises:
        InputError: a modality or mask is missing, or a file is unusable.
        Cancelled: through `progress`.
    """
    for case in cases:
        check_case(case, segmenter, raters, None)
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for index, (case, step) in enumerate(each(progress, cases)):
        reading = Reading(segmenter, case, transport, cache, part(step, 0.0, 0.5))
        row = {}
        for number, rater in enumerate(raters):
            step(number / len(raters), f"case {index + 1} of {len(cases)}, rater {rater}")
            row[rater] = reading.agreement(rater)
        found.append(row)
    progress(1.0, f"{len(cases)} cases scored against {len(raters)} raters")
    return found


def samples(
    scores: Sequence[CaseScore], groups: Mapping[str, Sequence[str]], metric: str
) -> tuple[Samples, tuple[str, ...]]:
    """Scores as numbers.

    Args:
        groups: feature groups of each variable, such as {"S": ["population"], "X": ["acquisition"], "Y": ["style"]}.
        metric: one of `METRICS`; errors change their sign, so that greater is better.

    Returns:
        The samples, and the ids of the cases that were left out because the metric has no meaning for them.

    Raises:
        InputError: unknown metric or group, features that some cases lack, or too few cases left.
    """
    if metric not in METRICS:
        msg = f"unknown metric {metric!r}; known are {', '.join(METRICS)}"
        raise InputError(msg, accepted=METRICS)
    sign = -1.0 if metric in ERRORS else 1.0
    kept = [(score, value) for score in scores if (value := score.metrics[metric]) is not None]
    dropped = tuple(score.case for score in scores if score.metrics[metric] is None)
    variables = {name: np.array([_row(score, parts) for score, _ in kept]) for name, parts in groups.items()}
    values = np.array([sign * value for _, value in kept])
    return Samples(variables, values, np.array([score.subject for score, _ in kept])), dropped


def _row(score: CaseScore, groups: Sequence[str]) -> list[float]:
    row: list[float] = []
    for group in groups:
        if not score.features.get(group):
            has = [name for name, values in score.features.items() if values]
            msg = f"case {score.case!r} has no features {group!r}; it has {', '.join(has)}"
            raise InputError(msg, accepted=has)
        row += score.features[group].values()
    return row


def check_case(case: Case, segmenter: Segmenter, raters: Sequence[str], burden: Burden | None) -> None:
    """Raises `InputError` naming all that the case lacks."""
    wanted = sorted({*raters} | ({burden.key} if burden is not None and burden.kind == "mask" else set()))
    lacks = [name for name in segmenter.info.channels if name not in case.images]
    lacks += [f"a mask of rater {name!r}" for name in wanted if name not in case.masks]
    if burden is not None and burden.kind == "metadata" and not _is_number(case.metadata.get(burden.key)):
        lacks.append(f"a number as metadata {burden.key!r}")
    if lacks:
        msg = f"case {case.id!r} lacks {', '.join(lacks)}; choose environments without it"
        raise InputError(msg)


def _is_number(value: str | float | None) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _key(reading: Reading, rater: str, burden: Burden | None) -> str:
    """Digest of everything that the score depends on."""
    case = reading.case
    about: dict[str, Any] = {
        "reading": reading.key,
        "metadata": dict(case.metadata),
        "mask": case_file_digest(case, case.masks[rater]),
        "burden": None if burden is None else asdict(burden),
    }
    if burden is not None and burden.kind == "mask":
        about["reference"] = case_file_digest(case, case.masks[burden.key])
    return digest_of(about)


def _score(reading: Reading, rater: str, burden: Burden | None) -> CaseScore:
    case = reading.case
    drawn = reading.mask(rater)
    features: dict[str, Features] = reading.prediction.features | {
        "style": style_features(reading.bright, drawn),
        "agreement": agreement_features(drawn, reading.prediction.labelmap),
    }
    volume: float | None = None
    lesions: int | None = None
    if burden is not None and burden.kind == "mask":
        reference = reading.mask(burden.key)
        features["reference"] = reference_features(drawn, reference)
        volume = volume_ml(reference)
        lesions = label_components(np.asarray(reference.array) != 0)[1]
    elif burden is not None:
        volume = float(case.metadata[burden.key])
    features["population"] = population_features(case.metadata, volume, lesions)
    found = reading.agreement(rater)
    subject = str(case.metadata.get("subject", case.id))
    return CaseScore(case.id, subject, found.metrics, features, found.drawn_ml, found.predicted_ml)
