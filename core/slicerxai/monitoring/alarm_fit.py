"""Fitting an alarm to one model on cases that the model was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.monitoring import evaluation
from slicerxai.monitoring.alarm import Alarm, calibration_features, distance_features, measured
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.limits import Bands, f1, fit_bands, fit_threshold, flagged, majority, swapped
from slicerxai.monitoring.logistic import Logistic, fit_logistic
from slicerxai.monitoring.readings import Array, Flags, Readings

Folds = NDArray[np.int_]
Fit = Callable[[Array, Flags, Flags], Bands]


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
        InputError: shapes that do not fit, or fewer subjects than folds.
    """
    _check(readings, truth, labels, cases, groups)
    folds = _folds(list(groups or cases), parameters)
    classes, wrong = range(len(labels)), readings.predicted ^ truth
    measure, classifiers = measured(readings, None, parameters), None
    if parameters.rule == "classifier" and folds is not None:
        classifiers, measure = _classifiers(readings, wrong, parameters, folds)
    low = parameters.score == "distinctiveness" and classifiers is None
    fit: Fit = fit_bands if parameters.rule == "steps" else partial(fit_threshold, low_is_suspicious=low)
    bands = [_bands(fit, measure[:, c], readings.predicted[:, c], truth[:, c], folds) for c in classes]
    features = [calibration_features(parameters, readings, measure, c) for c in classes]
    calibration = tuple(fit_logistic(features[c], wrong[:, c], rising=0) for c in classes)
    inner = np.stack([calibration[c].probability(features[c]) for c in classes], 1)
    limit = review_limit(inner, parameters.budget) if parameters.action == "review" else None
    if parameters.action == "review":
        figures = _review_figures(readings, truth, features, folds, inner, limit)
    else:
        figures = _figures(readings, truth, measure, bands, fit, folds, features)
    return Alarm(
        labels=tuple(labels),
        model_digest=model_digest,
        parameters=parameters,
        bands=tuple(bands),
        limit=limit,
        classifiers=classifiers,
        calibration=calibration,
        cases=tuple(cases),
        figures=figures,
    )


def review_limit(suspicion: Array, budget: float) -> float | None:
    """The lowest suspicion whose flags (all predictions at or above it) stay within the budget; None: nothing does."""
    values, counts = np.unique(suspicion, return_counts=True)
    within = np.cumsum(counts[::-1])[::-1] <= budget * suspicion.size
    return float(values[within][0]) if within.any() else None


def _check(
    readings: Readings, truth: Flags, labels: Sequence[str], cases: Sequence[str], groups: Sequence[str] | None
) -> None:
    shape = readings.probabilities.shape
    sizes = {"truth": truth.shape, "cases × labels": (len(cases), len(labels))}
    if groups is not None:
        sizes["groups × labels"] = (len(groups), len(labels))
    for name, size in sizes.items():
        if size != shape:
            msg = f"an alarm over {shape} predictions (cases, labels) was given {name} {size}"
            raise InputError(msg)
    if truth.dtype != np.bool_:
        msg = f"truth must be true or false for each label, got {truth.dtype}"
        raise InputError(msg)


def _folds(groups: list[str], parameters: AlarmParameters) -> Folds | None:
    """Number of the fold of each case, whole subjects together; None without cross-validation."""
    if parameters.folds == 0:
        return None
    subjects = sorted(set(groups))
    if len(subjects) < parameters.folds:
        msg = (
            f"an alarm over {parameters.folds} folds needs as many validation subjects, got {len(subjects)}; "
            "accepted: more cases, or fewer folds (0: none)"
        )
        raise InputError(msg)
    order = np.random.default_rng(parameters.seed).permutation(len(subjects))
    place = {subjects[s]: n % parameters.folds for n, s in enumerate(order)}
    return np.array([place[group] for group in groups])


def _classifiers(
    readings: Readings, wrong: Flags, parameters: AlarmParameters, folds: Folds
) -> tuple[tuple[Logistic, ...], Array]:
    """One for each class, fitted on all cases, and P(wrong) of each case from a fit without its fold."""
    models, held_out = [], np.zeros(wrong.shape)
    for c in range(wrong.shape[1]):
        features = distance_features(readings, c, margin=parameters.margin)
        models.append(fit_logistic(features, wrong[:, c]))
        held_out[:, c] = _held_out(features, wrong[:, c], folds, rising=None)
    return tuple(models), held_out


def _held_out(features: Array, wrong: Flags, folds: Folds, rising: int | None) -> Array:
    chance = np.zeros(len(wrong))
    for fold in np.unique(folds):
        rest = folds != fold
        chance[~rest] = fit_logistic(features[rest], wrong[rest], rising=rising).probability(features[~rest])
    return chance


def _bands(fit: Fit, measure: Array, predicted: Flags, truth: Flags, folds: Folds | None) -> Bands:
    """What is flagged of one class.

    Cross-validated, it is what most folds' fits flag, and only if limits fitted without a case gain more on it, in F1
    of all cases, than one standard error (jackknife over the folds). Never worse on these cases than flagging nothing.
    """
    if folds is None:
        return fit(measure, predicted, truth)
    names = np.unique(folds)
    votes = [fit(measure[folds != f], predicted[folds != f], truth[folds != f]) for f in names]
    after = swapped(predicted, _flags_by_fold(votes, measure, folds))
    if _gain(predicted, after, truth) <= _gain_error(predicted, after, truth, folds):
        return ()
    bands = majority(votes)
    return bands if f1(swapped(predicted, flagged(bands, measure)), truth) > f1(predicted, truth) else ()


def _flags_by_fold(votes: Sequence[Bands], measure: Array, folds: Folds) -> Flags:
    flags = np.zeros(len(measure), bool)
    for fold, bands in zip(np.unique(folds), votes, strict=True):
        flags[folds == fold] = flagged(bands, measure[folds == fold])
    return flags


def _gain(before: Flags, after: Flags, truth: Flags) -> float:
    return f1(after, truth) - f1(before, truth)


def _gain_error(before: Flags, after: Flags, truth: Flags, folds: Folds) -> float:
    names = np.unique(folds)
    left = [_gain(before[folds != f], after[folds != f], truth[folds != f]) for f in names]
    return float(np.sqrt((len(names) - 1) / len(names) * np.sum((np.array(left) - np.mean(left)) ** 2)))


def _figures(
    readings: Readings,
    truth: Flags,
    measure: Array,
    bands: Sequence[Bands],
    fit: Fit,
    folds: Folds | None,
    features: Sequence[Array],
) -> dict[str, float]:
    """On the validation cases; names that end in `_held_out` are of cases that the fit had not seen.

    `f1_held_out` is a little too good: which classes are flagged at all was decided on these cases.
    """
    predicted, wrong = readings.predicted, readings.predicted ^ truth
    flags = np.stack([flagged(b, measure[:, c]) for c, b in enumerate(bands)], 1)
    figures = {
        "wrong": float(wrong.mean()),
        "f1": evaluation.mean_f1(predicted, truth),
        "f1_swapped": evaluation.mean_f1(swapped(predicted, flags), truth),
        "flagged": float(flags.mean()),
    }
    if folds is None:
        return figures
    held = np.zeros(truth.shape, bool)
    for c, chosen in enumerate(bands):
        if chosen:
            columns = measure[:, c], predicted[:, c], truth[:, c]
            votes = [fit(*(column[folds != f] for column in columns)) for f in np.unique(folds)]
            held[:, c] = _flags_by_fold(votes, measure[:, c], folds)
    figures["f1_swapped_held_out"] = evaluation.mean_f1(swapped(predicted, held), truth)
    return figures | _ranking_figures(_suspicion_held_out(features, wrong, folds), wrong)


def _review_figures(
    readings: Readings, truth: Flags, features: Sequence[Array], folds: Folds | None, inner: Array, limit: float | None
) -> dict[str, float]:
    """As `_figures`; what the flags would have found among cases left out in turn."""
    predicted, wrong = readings.predicted, readings.predicted ^ truth
    figures = {"wrong": float(wrong.mean()), "f1": evaluation.mean_f1(predicted, truth)}
    figures["flagged"] = 0.0 if limit is None else float((inner >= limit).mean())
    if folds is None:
        return figures
    suspicion = _suspicion_held_out(features, wrong, folds)
    flags = np.zeros(wrong.shape, bool) if limit is None else suspicion >= limit
    if flags.any():
        figures["flagged_wrong_held_out"] = float(wrong[flags].mean())
    if wrong.any():
        figures["wrong_flagged_held_out"] = float(flags[wrong].mean())
    return figures | _ranking_figures(suspicion, wrong)


def _suspicion_held_out(features: Sequence[Array], wrong: Flags, folds: Folds) -> Array:
    return np.stack([_held_out(f, wrong[:, c], folds, rising=0) for c, f in enumerate(features)], 1)


def _ranking_figures(suspicion: Array, wrong: Flags) -> dict[str, float]:
    figures = {
        "aurc_held_out": evaluation.aurc(suspicion, wrong),
        "calibration_error_held_out": evaluation.calibration_error(suspicion, wrong),
    }
    if wrong.any() and not wrong.all():
        figures["auroc_held_out"] = evaluation.error_auroc(suspicion, wrong)
    return figures
