"""Which attributes made an expert give the label: conditional counterfactual causal effect of subsets of attributes.

Attributes and label are binary, and coded so that an attribute's presence can only raise the label (monotonicity). For
evidence A = a, Y = y and a subset S of the attributes (Zhao et al., UAI 2023, theorem 2),

    CCCE(S) = E(Y_{A_S=1} − Y_{A_S=0} | A = a, Y = y)
            = 1 − P(Y = 0 | A_S = 1, a_{−S}) / P(Y = 0 | a)   for y = 0: the label would have risen with S present,
            = 1 − P(Y = 1 | A_S = 0, a_{−S}) / P(Y = 1 | a)   for y = 1: it would have fallen with S absent.

The first is the formula as it is often printed for any y; for y = 1 monotonicity makes Y_{A_S=1} = 1 certain, so that
the other potential outcome counts.

P(Y | A) is estimated cell by cell: the mean of each of the 2^P cells is that of a ridge-penalised logistic regression
until the cell's own cases speak, Beta(k + s·m, n − k + s·(1 − m)) with k of n cases positive, m the regression's mean
and s its weight in cases. Draws from the Betas carry the uncertainty of the cells into that of the chosen subset; the
regression's own is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
LARGEST_SUBSET = 3
MOST_ATTRIBUTES = 12
RIDGE = 1.0
"""Penalty ½·RIDGE·‖weights‖² of the logistic regression, whose loss is summed over cases."""


@dataclass(frozen=True)
class LabelGivenAttributes:
    """P(Y = 1 | A) of every combination of P attributes; cell Σ_k a_k 2^k.

    Attributes:
        positive: (2^P,) first parameter of each cell's Beta distribution.
        negative: (2^P,) second parameter.
        cases: (2^P,) number of cases seen in each cell.
    """

    positive: Floats
    negative: Floats
    cases: NDArray[np.int64]

    @property
    def mean(self) -> Floats:
        """(2^P,) posterior mean of each cell."""
        return self.positive / (self.positive + self.negative)

    def draws(self, count: int, generator: np.random.Generator) -> Floats:
        """(count, 2^P) draws of the cells' probabilities."""
        return generator.beta(self.positive, self.negative, size=(count, len(self.positive)))


@dataclass(frozen=True)
class Annotation:
    """The attributes that made each case's label.

    Attributes:
        r: (N, P) 1 for an attribute of the chosen subset; all 1 where no subset explains the label, so that nothing is
            held against a decision there.
        score: (N,) CCCE of the chosen subset, posterior mean.
        probability: (N,) share of the draws in which no other subset does better than the chosen one by more than
            `TOLERANCE`.
        explained: (N,) a subset has a score above 0.
    """

    r: NDArray[np.uint8]
    score: Floats
    probability: Floats
    explained: Flags


TOLERANCE = 0.05
"""Differences of CCCE that do not count in `Annotation.probability`."""


def label_given_attributes(attributes: Flags, labels: Flags, weight: float = 4.0) -> LabelGivenAttributes:
    """Estimate P(Y | A).

    Args:
        attributes: (N, P), P ≤ 12.
        labels: (N,) with both values.
        weight: of the logistic regression in each cell, in cases.

    Raises:
        InputError: too many attributes, no cases, lengths that differ, or labels all alike.
    """
    _check(attributes, labels)
    size = 1 << attributes.shape[1]
    cells = cell_of(attributes)
    cases = np.bincount(cells, minlength=size)
    positive = np.bincount(cells, weights=labels, minlength=size)
    regression = _logistic(attributes.astype(np.float64), labels.astype(np.float64))
    prior = 1 / (1 + np.exp(-(combinations_of(attributes.shape[1]) @ regression[1:] + regression[0])))
    return LabelGivenAttributes(positive + weight * prior, cases - positive + weight * (1 - prior), cases)


def subsets(attributes: int, largest: int = LARGEST_SUBSET) -> tuple[tuple[int, ...], ...]:
    """All subsets of 1 to `largest` attributes, small ones first."""
    return tuple(s for size in range(1, largest + 1) for s in combinations(range(attributes), size))


def ccce(probability: Floats, attributes: Flags, labels: Flags, candidates: tuple[tuple[int, ...], ...]) -> Floats:
    """CCCE of each subset for each case.

    Args:
        probability: (..., 2^P) P(Y = 1 | cell), such as posterior means or draws; in (0, 1).
        attributes: (N, P). labels: (N,).
        candidates: S subsets of attributes.

    Returns:
        (..., N, S), at most 1; negative where monotonicity does not hold.
    """
    cells = cell_of(attributes)
    bits = np.array([sum(1 << k for k in subset) for subset in candidates], dtype=np.int64)
    other = np.where(labels[:, None], cells[:, None] & ~bits, cells[:, None] | bits)
    present, after = probability[..., cells], probability[..., other]
    was = np.where(labels, present, 1 - present)
    would_be = np.where(labels[:, None], after, 1 - after)
    result: Floats = 1 - would_be / was[..., None]
    return result


def annotation_vector(
    attributes: Flags,
    labels: Flags,
    *,
    model: LabelGivenAttributes | None = None,
    largest: int = LARGEST_SUBSET,
    margin: float = 1.0,
    draws: int = 200,
    seed: int = 0,
) -> Annotation:
    """The subset of attributes that made each case's label.

    A larger subset never has the smaller effect when labels are monotone, so the highest score alone would nearly
    always name as many attributes as it may. Of the subsets whose score is within `margin` posterior standard
    deviations (of the difference) of the highest, the smallest is taken, among equals that of the highest score;
    `margin` 0 is the highest score itself, ties going to the smaller subset.

    Args:
        attributes: (N, P). labels: (N,).
        model: P(Y | A); estimated from the same cases unless given.
        largest: attributes in a subset at most.
        draws: from the posterior. seed: of them.

    Raises:
        InputError: as `label_given_attributes`.
    """
    _check(attributes, labels, both=model is None)
    model = model or label_given_attributes(attributes, labels)
    keys = 2 * cell_of(attributes) + labels
    distinct, first, place = np.unique(keys, return_index=True, return_inverse=True)
    candidates = subsets(attributes.shape[1], largest)
    sizes = np.array([len(subset) for subset in candidates])
    kinds, kind_labels = attributes[first], labels[first]
    means = ccce(model.mean, kinds, kind_labels, candidates)
    drawn = ccce(model.draws(draws, np.random.default_rng(seed)), kinds, kind_labels, candidates)
    chosen = np.array([_choose(means[n], drawn[:, n], sizes, margin) for n in range(len(distinct))], dtype=np.int64)
    rows = np.arange(len(distinct))
    score = means[rows, chosen]
    reached = drawn[:, rows, chosen] >= drawn.max(axis=2) - TOLERANCE
    members = np.zeros((len(candidates), attributes.shape[1]), dtype=np.uint8)
    for n, subset in enumerate(candidates):
        members[n, list(subset)] = 1
    explained = score > 0
    r = np.where(explained[:, None], members[chosen], np.uint8(1))
    return Annotation(r[place], score[place], reached.mean(axis=0)[place], explained[place])


def cell_of(attributes: Flags) -> NDArray[np.int64]:
    """Number of each case's combination of attributes, (N,)."""
    return attributes.astype(np.int64) @ (1 << np.arange(attributes.shape[1], dtype=np.int64))


def combinations_of(attributes: int) -> Floats:
    """All combinations of so many attributes in the order of their numbers, (2^P, P)."""
    numbers = np.arange(1 << attributes)
    return (numbers[:, None] >> np.arange(attributes) & 1).astype(np.float64)


def _choose(mean: Floats, drawn: Floats, sizes: NDArray[np.int64], margin: float) -> int:
    """Index of the chosen subset from scores (S,), draws (D, S) and sizes (S,)."""
    best = int(np.lexsort((sizes, -mean.round(12)))[0])
    spread = (drawn[:, best, None] - drawn).std(axis=0)
    near = np.flatnonzero(mean[best] - mean <= margin * spread + 1e-12)
    return int(near[np.lexsort((-mean[near], sizes[near]))[0]])


def _logistic(attributes: Floats, labels: Floats) -> Floats:
    """Intercept and weights (1 + P,) of the ridge-penalised logistic regression, by Newton's method."""
    design = np.hstack([np.ones((len(attributes), 1)), attributes])
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 1e-6
    found = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(design @ found)))
        slope = design.T @ (p - labels) + penalty @ found
        step = np.linalg.solve(design.T @ (design * (p * (1 - p))[:, None]) + penalty, slope)
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    return found


def _check(attributes: Flags, labels: Flags, *, both: bool = True) -> None:
    if attributes.ndim != 2 or not 1 <= attributes.shape[1] <= MOST_ATTRIBUTES:
        msg = f"attributes have shape {attributes.shape}; (N, 1 to {MOST_ATTRIBUTES}) is accepted"
        raise InputError(msg)
    if not len(labels) or labels.shape != attributes.shape[:1]:
        msg = f"labels have shape {labels.shape}; ({len(attributes)},) with at least one case is needed"
        raise InputError(msg)
    if both and (labels.all() or not labels.any()):
        msg = f"all {len(labels)} labels are alike; P(label | attributes) needs cases with and without it"
        raise InputError(msg)
