r"""The multiply robust estimator: regression of the metric, corrected by weights (Quintas-Martínez et al. 2024).

Coalition I takes mechanism k from environment c_k. With variables V_1 … V_n in topological order, nested regressions

.. math:: \gamma_n = M, \qquad \gamma_k(v_1 … v_k) = E_{c_{k+1}}[\gamma_{k+1} \mid v_1 … v_k]

and weights α_k = ∏_{j <= k} p_{c_j}(v_j | pa_j) / p_{c_{k+1}}(v_j | pa_j) (their Theorem 2.4),

.. math:: v(I) = E_{c_1}[\gamma_1] + \sum_{k=1}^{n-1} E_{c_{k+1}}[\alpha_k (\gamma_{k+1} - \gamma_k)] .

Terms between mechanisms of the same environment cancel and are left out. The value is right when, at every step, either
the regression or the weight is; and the last mechanism, usually the annotation, needs no density ratio of its own.

Regressions here see the variables without parents alone: who the patients are. Features of the image follow the
metric within a site because patients differ, and carrying that slope over to another scanner is wrong by as much as the
scanner's whole share; there the weights work alone.

With all γ_k = 0 only E_{c_n}[α_{n-1} M] is left: importance weighting of the cases of whichever environment gives the
last mechanism, which uses both samples where the paper reweights the source alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from slicerxai.shift.basis import products, squares
from slicerxai.shift.discriminators import reduce_features
from slicerxai.shift.estimators.game import Members, Overlap
from slicerxai.shift.estimators.regression import PooledFit, PooledRidge, choose_ridge
from slicerxai.shift.evidence import State
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.weights import clipped_share, default_limit, effective_sample_size, memberships

Array = NDArray[np.float64]
Bits = tuple[int, ...]
COMPONENTS = 8


@dataclass(frozen=True)
class Swapped:
    """An observed exchange of one mechanism: the metric of the same cases with it taken from the other environment.

    Attributes:
        source: metric of the source's cases with the mechanism taken from the target, (n_source,).
        target: metric of the target's cases with the mechanism taken from the source, (n_target,).
    """

    mechanism: str
    source: Array
    target: Array


@dataclass(frozen=True)
class RobustGame:
    """Values of coalitions from regressions and weights.

    Attributes:
        states: what the evidence says of every mechanism. One that is "not seen" to shift has ratio 1; it stays with
            the source before the first other mechanism and follows the one before it afterwards, so that chance
            differences between the two samples are regressed away, not attributed.
        limit: largest weight; None for √n of the environment at hand.
        swapped: an observed exchange of one mechanism, or None.
        regress: False leaves the regressions out.
    """

    ratios: RatioModel
    states: tuple[State, ...]
    limit: float | None = None
    swapped: Swapped | None = None
    regress: bool = True
    _chain: tuple[int, ...] = field(init=False)
    _models: tuple[PooledRidge, ...] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.ratios.graph
        observed = None if self.swapped is None else graph.index(self.swapped.mechanism)
        object.__setattr__(self, "_chain", tuple(k for k in range(len(graph)) if k != observed))
        object.__setattr__(self, "_models", self._regressors() if self.regress else ())

    def _regressors(self) -> tuple[PooledRidge, ...]:
        """Of γ before every mechanism of the chain but the first."""
        pair, graph = self.ratios.pair, self.ratios.graph
        groups = [pair.variable(graph.variables[k]) for k in self._chain]
        reduced = [
            np.concatenate([reduce_features(g, g, COMPONENTS)[0], squares(g), *(products(g, e) for e in groups[:k])], 1)
            for k, g in enumerate(groups)
        ]
        roots = [not graph.mechanisms[k].parents for k in self._chain]
        models: dict[tuple[int, ...], PooledRidge] = {}
        seen = []
        for k in range(1, len(reduced)):
            known = tuple(j for j in range(k) if roots[j]) or tuple(range(k))
            if known not in models:
                features = np.concatenate([reduced[j] for j in known], 1)
                ridge = choose_ridge(features, pair.labels, pair.metric, self.ratios.folds[0])
                models[known] = PooledRidge(features, pair.labels, ridge)
            seen.append(models[known])
        return tuple(seen)

    def values(self, weights: Array, coalitions: Members | None = None) -> Array:
        return self._values(weights, self._log_ratios(weights), self._all(coalitions))

    def overlap(self, coalitions: Members | None = None) -> Overlap:
        log_ratios = self._log_ratios(np.ones((1, len(self.ratios.pair.labels))))
        labels = self.ratios.pair.labels
        coalitions = self._all(coalitions)
        ess, cases, clipped = (np.ones(len(coalitions)) for _ in range(3))
        clipped[:] = 0.0
        cases[:] = min((labels == 0).sum(), (labels == 1).sum())
        used, chain = np.zeros(coalitions.shape, bool), np.array(self._chain)
        moving = np.array([self.states[k] != "not seen" for k in self._chain])
        for number, coalition in enumerate(coalitions):
            bits, _ = self._environments(coalition)
            for k in _boundaries(bits):
                used[number, chain[:k]] |= moving[:k] & (np.array(bits[:k]) != bits[k])
                rows = labels == bits[k]
                raw = self._raw(log_ratios, bits, k)[0, rows]
                limit = self._limit(rows)
                share = float(effective_sample_size(np.minimum(raw, limit)) / rows.sum())
                if share <= ess[number]:
                    ess[number], cases[number] = share, rows.sum()
                clipped[number] = max(clipped[number], float(clipped_share(raw, limit)))
        return Overlap(ess, cases, clipped, used)

    def _environments(self, coalition: NDArray[np.bool_]) -> tuple[Bits, int | None]:
        """Environment of every mechanism of the chain, and that of the observed one."""
        bits: list[int] = []
        for k in self._chain:
            quiet = self.states[k] == "not seen"
            bits.append((bits[-1] if bits else 0) if quiet else int(coalition[k]))
        if self.swapped is None:
            return tuple(bits), None
        return tuple(bits), int(coalition[self.ratios.graph.index(self.swapped.mechanism)])

    def _outcome(self, observed: int | None) -> Array:
        """Metric of every case, with the observed mechanism taken from one environment throughout, (n,)."""
        pair = self.ratios.pair
        if self.swapped is None or observed is None:
            return pair.metric
        columns = (pair.source.metric, self.swapped.source), (self.swapped.target, pair.target.metric)
        return np.concatenate([columns[0][observed], columns[1][observed]])

    def _log_ratios(self, weights: Array) -> Array:
        """Of the chain's mechanisms, (B, chain, n); 0 where no shift was seen."""
        if len(self._chain) < 2:
            return np.zeros((len(weights), len(self._chain), weights.shape[1]))
        used = np.array([self.states[k] != "not seen" for k in self._chain])
        return np.where(used[:, None], self.ratios.log_ratios(weights)[:, list(self._chain)], 0.0)

    def _limit(self, rows: NDArray[np.bool_]) -> float:
        return default_limit(int(rows.sum())) if self.limit is None else self.limit

    def _raw(self, log_ratios: Array, bits: Bits, k: int) -> Array:
        """α of the first k mechanisms for cases of environment bits[k], before truncation, (B, n)."""
        sign = np.array([bits[j] - bits[k] for j in range(k)], dtype=np.float64)
        return np.exp(np.clip(np.einsum("j,bjn->bn", sign, log_ratios[:, :k]), -50.0, 50.0))

    def _all(self, coalitions: Members | None) -> Members:
        return memberships(len(self.states)) if coalitions is None else coalitions

    def _values(self, weights: Array, log_ratios: Array, coalitions: Members) -> Array:
        sources = [self._environments(row) for row in coalitions]
        regressions = self._regressions(weights, sources) if self.regress else {}
        done: dict[tuple[Bits, int | None], Array] = {}
        for bits, observed in sources:
            if (bits, observed) not in done:
                done[bits, observed] = self._value(bits, observed, weights, log_ratios, regressions)
        return np.stack([done[key] for key in sources], 1)

    def _regressions(
        self, weights: Array, sources: Sequence[tuple[Bits, int | None]]
    ) -> dict[tuple[Bits, int | None], Array]:
        """Held-out γ before every boundary of the coalitions, by what comes after it."""
        labels, folds = self.ratios.pair.labels, self.ratios.folds[0]
        wanted = {(bits[k:], observed) for bits, observed in sources for k in _boundaries(bits)}
        regressions = {key: np.zeros((len(weights), len(labels))) for key in wanted}
        for fold in np.unique(folds):
            out = folds == fold
            fits = {id(model): model.fitted(weights, ~out) for model in self._models}
            models = tuple(fits[id(model)] for model in self._models)
            fitted: dict[tuple[Bits, int | None], Array] = {}
            for key in sorted(wanted, key=lambda key: (len(key[0]), str(key))):
                regressions[key][:, out] = self._regression(*key, models, fitted)[:, out]
        return regressions

    def _regression(
        self,
        suffix: Bits,
        observed: int | None,
        models: tuple[PooledFit, ...],
        fitted: dict[tuple[Bits, int | None], Array],
    ) -> Array:
        """γ before the mechanisms of `suffix`, given all variables before them, for all cases, (B, n)."""
        key = (suffix, observed)
        if key not in fitted:
            inner = _boundaries(suffix)
            response = (
                self._regression(suffix[inner[0] :], observed, models, fitted) if inner else self._outcome(observed)
            )
            model = models[len(self._chain) - len(suffix) - 1]
            fitted[key] = model.predict(response, suffix[0])
        return fitted[key]

    def _value(
        self,
        bits: Bits,
        observed: int | None,
        weights: Array,
        log_ratios: Array,
        regressions: dict[tuple[Bits, int | None], Array],
    ) -> Array:
        """v of one coalition, (B,)."""
        labels = self.ratios.pair.labels
        outcome = np.broadcast_to(self._outcome(observed), weights.shape)
        boundaries = _boundaries(bits)
        if self.regress:
            levels = [regressions[bits[k:], observed] for k in boundaries] + [outcome]
        else:  # every γ but the outcome is 0, and so is every term but the last
            boundaries = boundaries[-1:]
            levels = [np.zeros(weights.shape) for _ in boundaries] + [outcome]
        total = _mean(levels[0], weights * (labels == bits[0]))
        for k, (before, after) in zip(boundaries, pairwise(levels), strict=True):
            rows = labels == bits[k]
            alpha = np.minimum(self._raw(log_ratios, bits, k), self._limit(rows))
            total += _mean(after - before, weights * alpha * rows)
        return total


def _boundaries(bits: Bits) -> list[int]:
    """Positions whose environment differs from the one before."""
    return [k for k in range(1, len(bits)) if bits[k] != bits[k - 1]]


def _mean(values: Array, weights: Array) -> Array:
    """Weighted mean over the last axis."""
    return (values * weights).sum(-1) / weights.sum(-1)
