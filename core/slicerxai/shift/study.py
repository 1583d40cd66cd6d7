"""From a segmenter and two environments of a cohort to an attribution: the one path of panel, command line, report and
experiments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, part, silent
from slicerxai.shift.attribution import Attribution, attribute
from slicerxai.shift.estimators.robust import Swapped
from slicerxai.shift.evaluate import (
    ERRORS,
    METRICS,
    Burden,
    CaseScore,
    check_burden,
    check_case,
    evaluate_cohort,
    samples,
    score_raters,
)
from slicerxai.shift.exchange import MECHANISM, Exchanged, ExchangeKind, choose_exchange, harmonised, paired
from slicerxai.shift.graph import DEFAULT_GRAPH, Mechanism, MechanismGraph
from slicerxai.shift.options import ExchangeName, MetricName, Options
from slicerxai.shift.reading import Agreement, bright_modality
from slicerxai.shift.samples import MINIMUM_SUBJECTS, Pair
from slicerxai.shift.views import network_discriminator

Array = NDArray[np.float64]

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "S": ("population",),
    "X": ("acquisition", "prediction"),
    "Y": ("style",),
}
"""Groups of features of each variable of the mechanism graph; a mask that a panel drew of every case replaces style."""
WITHOUT_POPULATION: Final = MechanismGraph(
    (Mechanism("acquisition", "X"), Mechanism("annotation", "Y", ("X",))),
)
"""For cases of whose patients nothing is known."""


@dataclass(frozen=True)
class StudySettings:
    """What is compared, apart from how it is estimated (`Options`).

    Attributes:
        metric: performance of the model on a case.
        burden: where disease burden is read; None leaves it out of the population.
        exchange: the mechanism that is observed instead of estimated; "auto" is paired where every case has both
            raters' masks, and none elsewhere.
    """

    metric: MetricName = "dice"
    burden: Burden | None = None
    exchange: ExchangeName = "auto"


@dataclass(frozen=True)
class Study:
    """An attribution with all that it rests on.

    Attributes:
        attribution: in units of the metric; errors with their sign turned, so that greater is better throughout.
        pair: what was attributed; its rows are `source_scores`, then `target_scores`.
        graph: the mechanisms; without the population where nothing is known of the patients.
        groups: groups of features that each variable was seen by, see `CaseScore`.
        source_scores, target_scores: of the cases that took part.
        exchange: the exchange that was made; `swapped` is what it observed.
        limits: what the exchange could not match, in words.
        excluded: "ENVIRONMENT/CASE" of cases that were left out because the metric has no meaning for them.
        omitted: features that some cases lack, which were left out.
        by_rater: the metric of every row of the pair against each rater whose masks all these cases have, (n,); greater
            is better; NaN where it has no meaning.
    """

    attribution: Attribution
    pair: Pair
    graph: MechanismGraph
    groups: dict[str, tuple[str, ...]]
    source_scores: list[CaseScore]
    target_scores: list[CaseScore]
    exchange: ExchangeKind
    swapped: Swapped | None
    limits: tuple[str, ...]
    excluded: tuple[str, ...]
    omitted: tuple[str, ...]
    by_rater: dict[str, Array]


def study(
    segmenter: Segmenter,
    cohort: Cohort,
    source: Environment,
    target: Environment,
    settings: StudySettings,
    options: Options,
    cache: Path,
    progress: Progress = silent,
) -> Study:
    """Score a segmenter in two environments and attribute the drop.

    Args:
        cohort: with the model's modalities and the raters' masks.
        cache: folder of predictions and scores, by digests; made when it is absent.

    Raises:
        InputError: an environment that selects too few subjects, cases that lack a modality, a mask or a burden, a
            burden of a compared rater, an exchange that is not possible, or a metric that has no meaning for too many
            cases. All but the last are found before the network runs.
        Cancelled: through `progress`; cases that were scored are kept.
    """
    environments = (source, target)
    raters = (source.rater, target.rater)
    sides = check_study(segmenter, cohort, source, target, settings, options)
    kind = choose_exchange(settings.exchange, options.estimator, raters, *sides)
    scoring = part(progress, 0.0, 0.5 if kind == "harmonised" else 0.85)
    exchanging = part(progress, 0.5, 0.85)
    count = len(sides[0]) / (len(sides[0]) + len(sides[1]))
    scored = [
        evaluate_cohort(
            segmenter, cohort, environment, cache, burden=settings.burden, progress=_named(part(scoring, *share), name)
        )
        for environment, name, share in zip(
            environments, ("source", "target"), ((0.0, 0.7 * count), (0.7 * count, 0.7)), strict=True
        )
    ]
    everyone = _raters_of_all([*sides[0], *sides[1]])
    agreements = score_raters(
        segmenter, [*sides[0], *sides[1]], everyone, cache, progress=_named(part(scoring, 0.7, 1.0), "every rater")
    )
    exchanged = _exchange(kind, segmenter, sides, raters, cache, exchanging)
    kept, excluded = _kept(scored, exchanged, settings.metric)
    scores = [[side[n] for n in rows] for side, rows in zip(scored, kept, strict=True)]
    _check_left(scores, excluded, settings.metric)
    scores, omitted = _comparable(scores)
    known = all(score.features["population"] for side in scores for score in side)
    graph = DEFAULT_GRAPH if known else WITHOUT_POPULATION
    groups = _groups(graph, scores)
    pair = Pair(*(samples(side, groups, settings.metric)[0] for side in scores))
    swapped = _swapped(exchanged, kept, settings.metric)
    discriminator = None
    if options.discriminator == "network":
        drawn = [(side[n], rater) for side, left, rater in zip(sides, kept, raters, strict=True) for n in left]
        discriminator = network_discriminator(segmenter, drawn, progress=part(progress, 0.85, 0.97))
    attribution = attribute(pair, graph, options, swapped, part(progress, 0.97, 1.0), discriminator)
    rows = [*kept[0], *(len(sides[0]) + n for n in kept[1])]
    return Study(
        attribution=attribution,
        pair=pair,
        graph=graph,
        groups=groups,
        source_scores=scores[0],
        target_scores=scores[1],
        exchange=kind,
        swapped=swapped,
        limits=() if exchanged is None else exchanged.limits,
        excluded=excluded,
        omitted=omitted,
        by_rater={rater: _values([agreements[n][rater] for n in rows], settings.metric) for rater in everyone},
    )


def check_study(
    segmenter: Segmenter,
    cohort: Cohort,
    source: Environment,
    target: Environment,
    settings: StudySettings,
    options: Options,
) -> tuple[list[Case], list[Case]]:
    """The cases of source and target. Raises `InputError` for all that can be known before the network runs."""
    if settings.metric not in METRICS:
        msg = f"unknown metric {settings.metric!r}; known are {', '.join(METRICS)}"
        raise InputError(msg, accepted=METRICS)
    bright_modality(segmenter)
    check_burden(settings.burden, (source.rater, target.rater))
    sides = list(cohort.select(source)), list(cohort.select(target))
    for name, environment, cases in zip(("source", "target"), (source, target), sides, strict=True):
        subjects = {str(case.metadata.get("subject", case.id)) for case in cases}
        if len(subjects) < MINIMUM_SUBJECTS:
            msg = (
                f"the {name} ({environment}) has {len(subjects)} subject{'s' * (len(subjects) != 1)}; "
                f"{MINIMUM_SUBJECTS} are the least, and some fifteen give intervals that say something"
            )
            raise InputError(msg)
        for case in cases:
            check_case(case, segmenter, [environment.rater], settings.burden)
    choose_exchange(settings.exchange, options.estimator, (source.rater, target.rater), *sides)
    return sides


def points(metric: MetricName) -> float:
    """What one unit of a metric is in the numbers that people read: 100 points for shares, 1 ml or mm for errors."""
    return 1.0 if metric in ERRORS else 100.0


def _exchange(
    kind: ExchangeKind,
    segmenter: Segmenter,
    sides: tuple[list[Case], list[Case]],
    raters: tuple[str, str],
    cache: Path,
    progress: Progress,
) -> Exchanged | None:
    if kind == "none":
        return None
    make = paired if kind == "paired" else harmonised
    return make(segmenter, *sides, raters, cache, progress if kind == "harmonised" else silent)


def _kept(
    scored: Sequence[Sequence[CaseScore]], exchanged: Exchanged | None, metric: MetricName
) -> tuple[tuple[list[int], list[int]], tuple[str, ...]]:
    """Rows of either side for which the metric has a meaning, also with the mechanism exchanged; and the others."""
    others = (None, None) if exchanged is None else (exchanged.source, exchanged.target)
    rows: list[list[int]] = []
    excluded: list[str] = []
    for name, side, other in zip(("source", "target"), scored, others, strict=True):
        defined = [
            score.metrics[metric] is not None and (other is None or other[n].metrics[metric] is not None)
            for n, score in enumerate(side)
        ]
        rows.append([n for n, good in enumerate(defined) if good])
        excluded += [f"{name}/{score.case}" for score, good in zip(side, defined, strict=True) if not good]
    return (rows[0], rows[1]), tuple(excluded)


def _check_left(scores: Sequence[Sequence[CaseScore]], excluded: Sequence[str], metric: MetricName) -> None:
    for name, side in zip(("source", "target"), scores, strict=True):
        left = len({score.subject for score in side})
        if left < MINIMUM_SUBJECTS:
            gone = sum(item.startswith(f"{name}/") for item in excluded)
            msg = (
                f"metric {metric!r} has no meaning for {gone} cases of the {name}, such as one without a lesion on "
                f"either side; {left} subjects are left, and {MINIMUM_SUBJECTS} are the least; choose dice or f1"
            )
            raise InputError(msg, accepted=("dice", "f1"))


def _comparable(scores: Sequence[Sequence[CaseScore]]) -> tuple[list[list[CaseScore]], tuple[str, ...]]:
    """The scores with the features that all cases have, and the names of the others."""
    every = [score for side in scores for score in side]
    groups = sorted({group for parts in GROUPS.values() for group in parts})
    common = {group: set.intersection(*(set(score.features[group]) for score in every)) for group in groups}
    omitted = sorted(
        {name for score in every for group in groups for name in set(score.features[group]) - common[group]}
    )

    def limited(score: CaseScore) -> CaseScore:
        held = {g: {k: v for k, v in score.features[g].items() if k in common[g]} for g in groups}
        return replace(score, features=score.features | held)

    return [[limited(score) for score in side] for side in scores], tuple(omitted)


def _groups(graph: MechanismGraph, scores: Sequence[Sequence[CaseScore]]) -> dict[str, tuple[str, ...]]:
    """Groups of features of each variable; the drawing is seen against a panel's mask where there is one."""
    panel = all("reference" in score.features for side in scores for score in side)
    return {name: ("reference",) if name == "Y" and panel else GROUPS[name] for name in graph.variables}


def _swapped(exchanged: Exchanged | None, kept: tuple[list[int], list[int]], metric: MetricName) -> Swapped | None:
    if exchanged is None:
        return None
    columns = [
        _values([side[n] for n in rows], metric)
        for side, rows in zip((exchanged.source, exchanged.target), kept, strict=True)
    ]
    return Swapped(MECHANISM[exchanged.kind], *columns)


def _values(agreements: Sequence[Agreement], metric: MetricName) -> Array:
    """(n,), greater is better; NaN where the metric has no meaning."""
    sign = -1.0 if metric in ERRORS else 1.0
    found = [agreement.metrics[metric] for agreement in agreements]
    return np.array([np.nan if value is None else sign * value for value in found])


def _raters_of_all(cases: Sequence[Case]) -> list[str]:
    """Raters whose masks every case has, sorted."""
    return sorted(set.intersection(*(set(case.masks) for case in cases)))


def _named(progress: Progress, name: str) -> Progress:
    def inner(fraction: float, message: str) -> None:
        progress(fraction, f"{name}: {message}")

    return inner
