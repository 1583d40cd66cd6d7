"""Score a segmenter on an environment: metrics and features of every case, cached so that nothing is computed twice.

Empty masks follow `slicerxai.data.metrics`: both empty is perfect agreement. A metric that has no meaning for a case,
such as the precision of no predicted lesion, is None, and `samples` leaves the case out and says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment
from slicerxai.data.files import replaced_text
from slicerxai.data.metrics import evaluate
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, part, silent
from slicerxai.shift.features import (
    Features,
    acquisition_features,
    agreement_features,
    embedding,
    population_features,
    prediction_features,
    reference_features,
    style_features,
)
from slicerxai.shift.harmonise import Transport, transported
from slicerxai.shift.samples import Samples

FORMAT: Final = 1
"""Version of what a cached score holds; another version is computed anew."""
METRICS: Final = ("dice", "f1", "precision", "recall", "volume_error_ml", "surface_distance_mm")
ERRORS: Final = ("volume_error_ml", "surface_distance_mm")
"""Metrics that are better when smaller; `samples` turns their sign."""
BRIGHT: Final = ("FLAIR", "T2", "PD")
"""Modalities in which lesions are bright, best first."""


@dataclass(frozen=True)
class Burden:
    """Where a case's disease burden is read, independently of the environment's scanner and rater.

    Attributes:
        kind: "metadata" takes a number in ml, "mask" the volume of a rater's mask, such as the consensus of one panel.
        key: the metadata key or the rater.
    """

    kind: Literal["metadata", "mask"]
    key: str


@dataclass(frozen=True)
class CaseScore:
    """Everything about one case under one rater.

    Attributes:
        case, subject: ids; the subject is the case unless its metadata name one.
        metrics: by name, see `METRICS`; None where a metric has no meaning.
        features: group ("population", "acquisition", "prediction", "embedding", "style", "agreement" and, where the
            burden is a mask, "reference") to numbers.
    """

    case: str
    subject: str
    metrics: dict[str, float | None]
    features: dict[str, Features]


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
    bright = _bright(segmenter)
    cache.mkdir(parents=True, exist_ok=True)
    scores = []
    for index, case in enumerate(cases):
        step = part(progress, index / len(cases), (index + 1) / len(cases))
        step(0.0, f"case {index + 1} of {len(cases)}: {case.id}")
        _require(case, segmenter, whose, burden)
        path = cache / f"{_key(segmenter, case, whose, burden, transport)}.json"
        if not path.is_file():
            score = _score(segmenter, case, whose, bright, burden, transport, step)
            replaced_text(path, json.dumps(asdict(score)) + "\n")
        scores.append(CaseScore(**json.loads(path.read_text(encoding="utf-8"))))
    progress(1.0, f"{len(cases)} cases scored")
    return scores


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


def _bright(segmenter: Segmenter) -> str:
    found = next((name for name in BRIGHT if name in segmenter.info.channels), None)
    if found is None:
        msg = (
            f"model {segmenter.info.name!r} reads {', '.join(segmenter.info.channels)}; features of the drawing need "
            f"a modality with bright lesions: {', '.join(BRIGHT)}"
        )
        raise InputError(msg, accepted=BRIGHT)
    return found


def _require(case: Case, segmenter: Segmenter, rater: str, burden: Burden | None) -> None:
    lacks = [name for name in segmenter.info.channels if name not in case.images]
    lacks += [f"a mask of rater {name!r}" for name in _masks(rater, burden) if name not in case.masks]
    if burden is not None and burden.kind == "metadata" and not _is_number(case.metadata.get(burden.key)):
        lacks.append(f"a number as metadata {burden.key!r}")
    if lacks:
        msg = f"case {case.id!r} lacks {', '.join(lacks)}; choose environments without it"
        raise InputError(msg)


def _is_number(value: str | float | None) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _masks(rater: str, burden: Burden | None) -> list[str]:
    return sorted({rater} | ({burden.key} if burden is not None and burden.kind == "mask" else set()))


def _key(segmenter: Segmenter, case: Case, rater: str, burden: Burden | None, transport: Transport | None) -> str:
    """Digest of everything that the score depends on."""
    files = {f"image {name}": case.images[name] for name in segmenter.info.channels}
    files |= {f"mask {name}": case.masks[name] for name in _masks(rater, burden)}
    about: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "model": segmenter.info.digest,
        "case": case.id,
        "metadata": dict(case.metadata),
        "rater": rater,
        "burden": None if burden is None else asdict(burden),
        "transport": None if transport is None else transport.digest,
        "files": {name: _digest(path, case) for name, path in files.items()},
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _digest(path: Path, case: Case) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path.name} of case {case.id!r} cannot be read ({error.strerror})"
        raise InputError(msg) from None


def _score(
    segmenter: Segmenter,
    case: Case,
    rater: str,
    bright: str,
    burden: Burden | None,
    transport: Transport | None,
    progress: Progress,
) -> CaseScore:
    images = {name: case.image(name) for name in segmenter.info.channels}
    if transport is not None:
        noise = int(hashlib.sha256(case.id.encode()).hexdigest()[:8], 16)
        images[bright] = transported(images[bright], transport, noise)
    found = segmenter.predict(images, progress)
    image = resample_like(images[bright], found.labelmap)
    drawn = _mask(case, rater, found.labelmap)
    deepest = embedding(segmenter, images)
    features: dict[str, Features] = {
        "acquisition": acquisition_features(images[bright]),
        "prediction": prediction_features(found),
        "embedding": {f"embedding_{n}": float(value) for n, value in enumerate(deepest)},
        "style": style_features(image, drawn),
        "agreement": agreement_features(drawn, found),
    }
    volume: float | None = None
    if burden is not None and burden.kind == "mask":
        reference = _mask(case, burden.key, found.labelmap)
        features["reference"] = reference_features(drawn, reference)
        volume = float(np.count_nonzero(reference.array)) * reference.voxel_volume / 1000
    elif burden is not None:
        volume = float(case.metadata[burden.key])
    features["population"] = population_features(case.metadata, volume)
    return CaseScore(case.id, str(case.metadata.get("subject", case.id)), _metrics(found.labelmap, drawn), features)


def _mask(case: Case, rater: str, like: Volume) -> Volume:
    mask = case.mask(rater)
    return resample_like(mask.with_array((np.asarray(mask.array) != 0).astype(np.uint8)), like, order=0)


def _metrics(found: Volume, drawn: Volume) -> dict[str, float | None]:
    scores = evaluate(found, drawn)
    return {
        "dice": scores.dice,
        "f1": scores.lesions.f1,
        "precision": scores.lesions.precision,
        "recall": scores.lesions.recall,
        "volume_error_ml": scores.absolute_volume_error_ml,
        "surface_distance_mm": scores.average_surface_distance,
    }
