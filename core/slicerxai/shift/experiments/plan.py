"""From a cohort and parameters to models to train and pairs of environments to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment, OneOf
from slicerxai.errors import InputError
from slicerxai.shift.experiments.parameters import CentresParameters, ExperimentParameters, RatersParameters
from slicerxai.shift.reading import BRIGHT
from slicerxai.shift.samples import MINIMUM_SUBJECTS

NOT_A_RATER = ("consensus", "truth")
"""Masks that nobody drew."""


@dataclass(frozen=True)
class ModelPlan:
    """One model: whose masks of which cases it learns."""

    name: str
    rater: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class PairPlan:
    """One comparison: a model in two environments of the test cases. `row` and `column` place it in the matrix."""

    name: str
    model: str
    row: str
    column: str
    source: Environment
    target: Environment


@dataclass(frozen=True)
class Plan:
    """The whole experiment.

    Attributes:
        kind: "raters" or "centres".
        raters: whose masks are compared, or are scored against.
        test: ids of the test cases; no model trains on a subject of theirs.
        left_out: ids of the cases that lack an image or a mask that the experiment needs.
    """

    kind: str
    raters: tuple[str, ...]
    models: tuple[ModelPlan, ...]
    pairs: tuple[PairPlan, ...]
    test: tuple[str, ...]
    left_out: tuple[str, ...]


def subject(case: Case) -> str:
    """What must not be split between training and test: the subject where it is known, else the case."""
    return str(case.metadata.get("subject", case.id))


def make_plan(cohort: Cohort, parameters: ExperimentParameters, channels: Sequence[str]) -> Plan:
    """Divide a cohort and list what is to be done; the same cohort and parameters give the same plan.

    Args:
        channels: modalities that the models read.

    Raises:
        InputError: an unknown rater or centre, too few raters, or too few subjects to train on or to compare.
    """
    if not set(BRIGHT) & set(channels):
        msg = f"models of {', '.join(channels)} cannot be compared; one modality must be of {', '.join(BRIGHT)}"
        raise InputError(msg, accepted=BRIGHT)
    if isinstance(parameters, RatersParameters):
        return _across_raters(cohort, parameters, channels)
    if isinstance(parameters, CentresParameters):
        return _across_centres(cohort, parameters, channels)
    msg = f"no experiment has parameters {type(parameters).__name__}"
    raise TypeError(msg)


def split(
    cases: Sequence[Case], key: str, share: float, seed: int, only: Sequence[str] | None = None
) -> tuple[list[Case], list[Case]]:
    """Training and test cases, divided by subject and within each value of a metadata key.

    Args:
        share: of the subjects of each value that is trained on, rounded, at least one of them.
        only: values to train on; cases of other values are test cases. None for all.
    """
    where: dict[str, list[str]] = {}
    seen: set[str] = set()
    for case in cases:
        if subject(case) not in seen:
            where.setdefault(_value(case, key), []).append(subject(case))
            seen.add(subject(case))
    rng = np.random.default_rng(seed)
    training: set[str] = set()
    for value in sorted(where):
        order = rng.permutation(sorted(where[value]))
        if only is None or value in only:
            training |= set(order[: max(1, round(share * len(order)))].tolist())
    learned = [case for case in cases if subject(case) in training and (only is None or _value(case, key) in only)]
    return learned, [case for case in cases if subject(case) not in training]


def _across_raters(cohort: Cohort, parameters: RatersParameters, channels: Sequence[str]) -> Plan:
    raters = _raters(cohort, parameters.raters)
    if len(raters) < 2:
        msg = f"an experiment across raters needs two or more; cohort {cohort.name!r} has {', '.join(raters) or 'none'}"
        raise InputError(msg, accepted=cohort.raters)
    if parameters.burden in {f"mask:{rater}" for rater in raters}:
        msg = f"burden {parameters.burden!r} is a mask of a rater who is compared; take a consensus or a metadata key"
        raise InputError(msg)
    usable, left_out = _usable(cohort, channels, raters, parameters.burden)
    training, test = split(usable, parameters.key, parameters.train_share, parameters.split_seed)
    _enough(training, test, f"masks of raters {', '.join(raters)}")
    models = tuple(ModelPlan(f"rater-{rater}", rater, _ids(training)) for rater in raters)
    pairs = tuple(
        PairPlan(f"{one}-{other}", f"rater-{one}", one, other, Environment(rater=one), Environment(rater=other))
        for one in raters
        for other in raters
        if one != other
    )
    return Plan("raters", raters, models, pairs, _ids(test), left_out)


def _across_centres(cohort: Cohort, parameters: CentresParameters, channels: Sequence[str]) -> Plan:
    key = parameters.key
    there = sorted({_value(case, key) for case in cohort if key in case.metadata})
    for centre in (*parameters.source, *parameters.target):
        if centre not in there:
            msg = f"cohort {cohort.name!r} has no case of {key} {centre!r}; it has {', '.join(there) or 'no such key'}"
            raise InputError(msg, accepted=there)
    both = sorted(set(parameters.source) & set(parameters.target))
    if both:
        msg = f"{key} {', '.join(both)} cannot be source and target at once; others are {', '.join(there)}"
        raise InputError(msg, accepted=there)
    raters = _raters(cohort, parameters.raters)
    if not raters:
        raters = (parameters.train_rater,)
    _known(cohort, (parameters.train_rater,))
    wanted = {*parameters.source, *parameters.target}
    chosen = Cohort(cohort.name, tuple(case for case in cohort if _value(case, key) in wanted))
    usable, left_out = _usable(chosen, channels, (*raters, parameters.train_rater), parameters.burden)
    training, test = split(usable, key, parameters.train_share, parameters.split_seed, only=parameters.source)
    for name, centres in (("source", parameters.source), ("target", parameters.target)):
        side = [case for case in test if _value(case, key) in centres]
        _enough(training, side, f"{key} {', '.join(centres)} ({name})")
    model = ModelPlan(f"centres-{'-'.join(parameters.source)}", parameters.train_rater, _ids(training))
    pairs = tuple(
        PairPlan(
            f"rater-{rater}",
            model.name,
            ", ".join(parameters.source),
            rater,
            Environment(where={key: OneOf(values=parameters.source)}, rater=rater),
            Environment(where={key: OneOf(values=parameters.target)}, rater=rater),
        )
        for rater in raters
    )
    return Plan("centres", raters, (model,), pairs, _ids(test), left_out)


def _raters(cohort: Cohort, wanted: Sequence[str]) -> tuple[str, ...]:
    if wanted:
        _known(cohort, wanted)
        repeated = sorted({rater for rater in wanted if list(wanted).count(rater) > 1})
        if repeated:
            msg = f"rater {', '.join(repeated)} is named twice"
            raise InputError(msg)
        return tuple(wanted)
    return tuple(rater for rater in cohort.raters if rater not in NOT_A_RATER)


def _known(cohort: Cohort, raters: Sequence[str]) -> None:
    for rater in raters:
        if rater not in cohort.raters:
            msg = f"no case of cohort {cohort.name!r} has rater {rater!r}; raters are {', '.join(cohort.raters)}"
            raise InputError(msg, accepted=cohort.raters)


def _usable(
    cohort: Cohort, channels: Sequence[str], raters: Sequence[str], burden: str
) -> tuple[list[Case], tuple[str, ...]]:
    """Cases with every channel, every mask and the burden, and the ids of the others."""
    kind, _, name = burden.partition(":")
    masks = {*raters, name} if kind == "mask" else set(raters)
    _known(cohort, sorted(masks))
    if kind == "metadata" and not any(isinstance(case.metadata.get(name), int | float) for case in cohort):
        msg = f"no case of cohort {cohort.name!r} has a number as metadata {name!r}, where burden is to be read"
        raise InputError(msg)
    usable = [
        case
        for case in cohort
        if set(channels) <= set(case.images)
        and masks <= set(case.masks)
        and (kind != "metadata" or isinstance(case.metadata.get(name), int | float))
    ]
    kept = {case.id for case in usable}
    if len(kept) < len(usable):
        msg = f"cohort {cohort.name!r} has cases of the same id; `slicerxai validate` lists them"
        raise InputError(msg)
    return usable, tuple(case.id for case in cohort if case.id not in kept)


def _enough(training: Sequence[Case], test: Sequence[Case], what: str) -> None:
    subjects = len({subject(case) for case in test})
    if not training or subjects < MINIMUM_SUBJECTS:
        msg = (
            f"too few subjects with {what}: {len({subject(case) for case in training})} to train on and {subjects} to "
            f"test on; needed are 1 and {MINIMUM_SUBJECTS}. Add cases, or change the share to train on"
        )
        raise InputError(msg)


def _value(case: Case, key: str) -> str:
    value = case.metadata.get(key, "")
    return value if isinstance(value, str) else f"{value:g}"


def _ids(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(case.id for case in cases)
