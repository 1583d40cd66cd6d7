"""Fitting an alarm over predicted lesions, on cases that the segmenter was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.monitoring import evaluation
from slicerxai.monitoring.alarm_fit import review_limit
from slicerxai.monitoring.lesion_alarm import LesionAlarm
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.monitoring.lesion_readings import Array, Flags, LesionReadings
from slicerxai.monitoring.logistic import fit_logistic


def fit_lesion_alarm(
    readings: Sequence[LesionReadings],
    false: Sequence[Flags],
    model_digest: str,
    parameters: LesionAlarmParameters,
    *,
    cases: Sequence[str],
    groups: Sequence[str] | None = None,
) -> LesionAlarm:
    """Ridge-penalised logistic regression of "false" on the features, and the limit from which lesions are flagged.

    Args:
        readings: of each case. false: which of its lesions are false (`lesion_quality.false_lesions`).
        cases: their ids. groups: patient of each case, by default each case is one; folds keep patients together.

    Raises:
        InputError: lengths that do not fit, other maps than the parameters ask for, no false or no true lesion, or
            fewer patients with lesions than folds.
    """
    _check(readings, false, parameters, cases, groups)
    features = np.concatenate([one.features for one in readings])
    wrong = np.concatenate([np.asarray(one, bool) for one in false])
    if wrong.all() or not wrong.any():
        msg = f"of {len(wrong)} predicted lesions {int(wrong.sum())} are false; an alarm needs both true and false ones"
        raise InputError(msg)
    patient = np.repeat(np.asarray(list(groups or cases)), [len(one.lesions) for one in readings])
    held_out = _held_out(features, wrong, patient, parameters)
    limit = _best_f1(held_out, wrong) if parameters.rule == "f1" else review_limit(held_out, parameters.budget)
    probability = np.concatenate([one.column("mean probability") for one in readings])
    flags = np.zeros(len(wrong), bool) if limit is None else held_out >= limit
    figures = {
        "lesions": float(len(wrong)),
        "false": float(wrong.mean()),
        "flagged_held_out": float(flags.mean()),
        "auroc_held_out": evaluation.error_auroc(held_out, wrong),
        "auroc_mean_probability": evaluation.error_auroc(-probability, wrong),
        "calibration_error_held_out": evaluation.calibration_error(held_out, wrong),
    }
    return LesionAlarm(
        model_digest=model_digest,
        parameters=parameters,
        model=fit_logistic(features, wrong),
        limit=limit,
        cases=tuple(cases),
        figures=figures,
    )


def _best_f1(suspicion: Array, wrong: Flags) -> float:
    """The limit of largest F1 of finding false lesions; the highest of equals."""
    values = np.unique(suspicion)[::-1]
    hits = np.array([np.count_nonzero(wrong & (suspicion >= value)) for value in values])
    flags = np.array([np.count_nonzero(suspicion >= value) for value in values])
    return float(values[int(np.argmax(2 * hits / (flags + np.count_nonzero(wrong))))])


def _held_out(features: Array, wrong: Flags, patient: NDArray[np.str_], parameters: LesionAlarmParameters) -> Array:
    """P(false) of each lesion from a fit without its patient's fold."""
    patients = np.unique(patient)
    if len(patients) < parameters.folds:
        msg = (
            f"{parameters.folds} folds need as many patients with predicted lesions, got {len(patients)}; "
            "accepted: more cases, or fewer folds"
        )
        raise InputError(msg)
    order = np.random.default_rng(parameters.seed).permutation(len(patients))
    fold_of = dict(zip(patients[order], np.arange(len(patients)) % parameters.folds, strict=True))
    folds, chance = np.array([fold_of[one] for one in patient]), np.zeros(len(wrong))
    for fold in range(parameters.folds):
        rest = folds != fold
        chance[~rest] = fit_logistic(features[rest], wrong[rest]).probability(features[~rest])
    return chance


def _check(
    readings: Sequence[LesionReadings],
    false: Sequence[Flags],
    parameters: LesionAlarmParameters,
    cases: Sequence[str],
    groups: Sequence[str] | None,
) -> None:
    counts = {"readings": len(readings), "truths": len(false), "cases": len(cases)}
    counts |= {} if groups is None else {"groups": len(groups)}
    if len(set(counts.values())) != 1 or not readings:
        msg = f"an alarm needs one of each for every case, got {', '.join(f'{n} {what}' for what, n in counts.items())}"
        raise InputError(msg)
    for case, one, flags in zip(cases, readings, false, strict=True):
        if len(one.lesions) != len(flags):
            msg = f"case {case} has {len(one.lesions)} predicted lesions and the truth of {len(flags)}"
            raise InputError(msg)
        if one.saliency != parameters.saliency:
            msg = f"case {case} was read with {one.saliency or 'no maps'}, not with {parameters.saliency or 'no maps'}"
            raise InputError(msg)
