"""Attribution of a drop in performance to the mechanisms that shifted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.progress import Progress, part, silent
from slicerxai.saliency.finding import Finding
from slicerxai.shift.bootstrap import bca, draw, evaluate, jackknife_error, leave_out, studentised
from slicerxai.shift.discriminators import (
    BoostedDiscriminator,
    CaseDiscriminator,
    Discriminator,
    LogisticDiscriminator,
    subject_folds,
)
from slicerxai.shift.estimators.game import Game
from slicerxai.shift.estimators.robust import RobustGame, Swapped
from slicerxai.shift.estimators.weighting import WeightingGame
from slicerxai.shift.evidence import Evidence, State, gain_p_value, judge, p_value
from slicerxai.shift.graph import DEFAULT_GRAPH, MechanismGraph
from slicerxai.shift.options import Options
from slicerxai.shift.outcome import Outcome
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.samples import Pair
from slicerxai.shift.shapley import EXACT_LIMIT, Coalitions, coalitions
from slicerxai.shift.verdict import checks

Array = NDArray[np.float64]
UNTESTABLE_AUC = 0.95


@dataclass(frozen=True)
class Attribution(Outcome):
    """A drop in performance, divided, with self-tests of this result."""

    checks: tuple[Finding, ...] = field(default=())


def attribute(
    pair: Pair,
    graph: MechanismGraph = DEFAULT_GRAPH,
    options: Options | None = None,
    swapped: Swapped | None = None,
    progress: Progress = silent,
    discriminator: Discriminator | None = None,
) -> Attribution:
    """Attribute the drop from source to target to the mechanisms of a graph.

    Shapley values are exact up to `EXACT_LIMIT` mechanisms and sampled beyond, by weighting alone.

    Args:
        swapped: the observed exchange of one mechanism (both raters' masks on every image, or images carried over to
            the other site's look); its share is then measured, not estimated.
        discriminator: overrides the named one; one that looks at the cases themselves is trained for one division
            into folds, whatever `repeats` says.

    Raises:
        InputError: variables that are missing, or options that do not fit together.
    """
    options = Options() if options is None else options
    pair.check(graph)
    _check_resolution(len(graph), options)
    if swapped is not None and options.estimator == "plain":
        msg = "estimator 'plain' cannot use an observed exchange; accepted: robust, weighting"
        raise InputError(msg, accepted=("robust", "weighting"))
    if len(graph) > EXACT_LIMIT and options.estimator == "robust":
        msg = f"estimator 'robust' of {len(graph)} mechanisms; beyond {EXACT_LIMIT}, accepted: weighting, plain"
        raise InputError(msg, accepted=("weighting", "plain"))
    model = _ratio_model(pair, graph, options, discriminator)
    auc = model.held_out_auc()
    evidence = _evidence(model, options, part(progress, 0.0, 0.2))
    states = _states(evidence, auc, graph, swapped)
    game = _game(model, states, options, swapped)
    plain = options.estimator == "plain"
    shown = np.array([plain or state == "shifted" for state in states])
    chosen = coalitions(len(graph), options.seed)
    statistic = _Statistic(game, pair, shown, chosen)
    ones = np.ones((1, len(pair.metric)))
    estimate = statistic(ones)[0]
    intervals = _intervals(statistic, estimate, pair, options, part(progress, 0.2, 0.8))
    if not shown.all():
        everything = _game(model, tuple("shifted" for _ in states), options, swapped)
        open_statistic = _Statistic(everything, pair, np.ones(len(states), bool), chosen)
        wide = _jackknife(open_statistic, open_statistic(ones)[0], pair, options, part(progress, 0.8, 1.0))
        intervals[: len(states)][~shown] = wide[: len(states)][~shown]
    intervals = _with_zero(intervals, ~shown)
    n = len(graph)
    overlap = game.overlap(statistic.moving)
    relevant = np.sort(np.unique(statistic.moving, axis=0, return_index=True)[1])
    values = statistic.values(ones)[0]
    outcome = Outcome(
        names=graph.names,
        phi=estimate[:n],
        interval=intervals[:n],
        drop=float(estimate[n + 1]),
        drop_interval=intervals[n + 1],
        unresolved=float(estimate[n]),
        unresolved_interval=intervals[n],
        coalitions=chosen.members,
        values=values,
        sampling_error=chosen.error(values),
        evidence=evidence,
        states=states,
        auc=auc,
        overlap=overlap,
        used=overlap.used[relevant].any(0),
        relevant=relevant,
    )
    progress(1.0, "attributed")
    return Attribution(**vars(outcome), checks=checks(outcome))


def _check_resolution(mechanisms: int, options: Options) -> None:
    """Too few relabellings could never show a shift, however large."""
    least = math.ceil(mechanisms / options.evidence_level) - 1
    if options.permutations < least:
        msg = (
            f"permutations {options.permutations} cannot establish a shift in one of {mechanisms} mechanisms at level "
            f"{options.evidence_level:g}: the smallest p-value is {1 / (1 + options.permutations):.3g}; at least "
            f"{least} are needed"
        )
        raise InputError(msg)


@dataclass(frozen=True)
class _Statistic:
    """Case weights (B, n) to (B, mechanisms + 2): shares, unresolved remainder, drop."""

    game: Game
    pair: Pair
    shown: NDArray[np.bool_]
    coalitions: Coalitions

    def __call__(self, weights: Array) -> Array:
        values = self.values(weights)
        n = len(self.pair.source)
        metric = self.pair.metric
        means = [(weights[:, s] * metric[s]).sum(1) / weights[:, s].sum(1) for s in (slice(None, n), slice(n, None))]
        phi = self.coalitions.shapley(-values)
        drop = means[0] - means[1]
        return np.concatenate([phi, (drop - phi.sum(1))[:, None], drop[:, None]], 1)

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The coalitions of a game in which only the mechanisms that are shown move, (C, mechanisms)."""
        return self.coalitions.members & self.shown

    def values(self, weights: Array) -> Array:
        """Values (B, C) of these coalitions."""
        return self.game.values(weights, self.moving)


def _ratio_model(
    pair: Pair, graph: MechanismGraph, options: Options, discriminator: Discriminator | None
) -> RatioModel:
    if discriminator is None:
        if options.discriminator == "network":
            msg = "discriminator 'network' needs images; features alone accept: logistic, boosted"
            raise InputError(msg, accepted=("logistic", "boosted"))
        discriminator = BoostedDiscriminator() if options.discriminator == "boosted" else LogisticDiscriminator()
    repeats = 1 if isinstance(discriminator, CaseDiscriminator) else options.repeats
    folds = np.stack(
        [subject_folds(pair.subjects, pair.labels, options.folds, options.seed + r) for r in range(repeats)]
    )
    plain = options.estimator == "plain"
    return RatioModel(
        pair,
        graph,
        discriminator,
        folds,
        kind="joint" if plain else "conditional",
        calibrated=not plain,
    )


def _evidence(model: RatioModel, options: Options, progress: Progress) -> tuple[Evidence, ...]:
    pair, graph = model.pair, model.graph
    given, full = model.given_log_odds(), model.full_log_odds()
    p_values = []
    for k, mechanism in enumerate(graph.mechanisms):
        progress(k / len(graph), f"testing {mechanism.name}")
        p_values.append(
            p_value(
                [pair.variable(name) for name in mechanism.parents],
                pair.variable(mechanism.variable),
                pair.labels,
                pair.subjects,
                given[k],
                LogisticDiscriminator().components,
                options.permutations,
                options.seed + k,
            )
        )
        if isinstance(model.discriminator, CaseDiscriminator):
            seen = gain_p_value(given[k], full[k], pair.labels, pair.subjects)
            p_values[k] = min(1.0, 2 * min(seen, p_values[k]))
    return tuple(judge(np.array(p_values), options.evidence_level, options.quiet))


def _states(
    evidence: tuple[Evidence, ...], auc: Array, graph: MechanismGraph, swapped: Swapped | None
) -> tuple[State, ...]:
    """Of the evidence; an observed exchange needs none, nor does the only mechanism beside it.

    Where the parents alone tell the environments apart, no test of the variable means anything: no case of one
    environment says what the variable would be at the other's parents, and a sign of a shift is an extrapolation.
    """
    states: list[State] = [
        "untestable" if given >= UNTESTABLE_AUC else one.state for one, given in zip(evidence, auc[:, 0], strict=True)
    ]
    if swapped is not None:
        states[graph.index(swapped.mechanism)] = "shifted"
    others = [k for k, name in enumerate(graph.names) if swapped is None or name != swapped.mechanism]
    if len(others) == 1:
        states[others[0]] = "shifted"
    return tuple(states)


def _game(model: RatioModel, states: tuple[State, ...], options: Options, swapped: Swapped | None) -> Game:
    if options.estimator == "plain":
        return WeightingGame(model, np.inf)
    return RobustGame(model, states, options.limit, swapped, regress=options.estimator == "robust")


def _intervals(statistic: _Statistic, estimate: Array, pair: Pair, options: Options, progress: Progress) -> Array:
    if options.interval == "jackknife":
        return _jackknife(statistic, estimate, pair, options, progress)
    weights, kinds = leave_out(pair.subjects, pair.labels, options.seed)
    left_out = evaluate(statistic, weights, part(progress, 0.0, 0.1), "leaving subjects out")
    draws = evaluate(
        statistic,
        draw(pair.subjects, pair.labels, options.bootstraps, options.seed),
        part(progress, 0.1, 1.0),
        "bootstrap",
    )
    return bca(estimate, draws, left_out, kinds, options.level)


def _jackknife(statistic: _Statistic, estimate: Array, pair: Pair, options: Options, progress: Progress) -> Array:
    weights, kinds = leave_out(pair.subjects, pair.labels, options.seed)
    left_out = evaluate(statistic, weights, progress, "leaving subjects out")
    error, freedom = jackknife_error(left_out, kinds)
    return studentised(estimate, error, freedom, options.level)


def _with_zero(intervals: Array, which: NDArray[np.bool_]) -> Array:
    """Stretch the intervals of mechanisms whose shift is not established so that they hold 0."""
    out = intervals.copy()
    rows = np.flatnonzero(which)
    out[rows, 0] = np.minimum(out[rows, 0], 0.0)
    out[rows, 1] = np.maximum(out[rows, 1], 0.0)
    return out
