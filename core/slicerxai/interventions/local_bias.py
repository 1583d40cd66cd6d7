"""From a measure of one image to the prediction that the model is locally biased there.

A model is locally biased on an image when it changes its decision under an intervention. Attribution methods give
maps, not effects: what they say of an intervention is read from the maps of the unchanged and of the changed image in
three ways, and a threshold turns any score into a prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def map_scores(unchanged: Array, changed: Array, region: Array) -> dict[str, Array]:
    """What two attribution maps say of the part of the image in which they differ.

    Args:
        unchanged, changed: maps (B, H, W) of the image without and with the intervention.
        region: (B, H, W) in [0, 1], where the intervention lies.

    Returns:
        Scores (B,): "difference", mean squared difference of the two maps; "share", share of the absolute attribution
        of the changed image that lies within the region, as a reader of saliency maps sees it; "inside", the
        attribution that the region gets, with its sign. 0 where a map is zero everywhere.

    Raises:
        InputError: the shapes differ.
    """
    if not unchanged.shape == changed.shape == region.shape:
        msg = f"maps of shapes {unchanged.shape} and {changed.shape} do not fit a region of shape {region.shape}"
        raise InputError(msg)
    axes = (1, 2)
    total = np.abs(changed).sum(axes)
    within = (np.abs(changed) * region).sum(axes)
    return {
        "difference": ((changed - unchanged) ** 2).mean(axes),
        "share": np.divide(within, total, out=np.zeros_like(within), where=total > 0),
        "inside": (changed * region).sum(axes),
    }


@dataclass(frozen=True)
class Rule:
    """Biased where the score lies above (or else below) the threshold."""

    threshold: float
    above: bool

    def __call__(self, scores: Array) -> Flags:
        return (scores > self.threshold) == self.above


def fit_rule(scores: Array, truth: Flags) -> tuple[Rule, float]:
    """The rule that is right most often on scores (N,) with a known truth (N,), and its share of right answers.

    Thresholds lie in the middle between two neighbouring scores, or beyond all of them. Of equally good ones the one
    in the widest gap is taken, so that scores that come later have room.

    Raises:
        InputError: no scores, or one that is not finite.
    """
    if not len(scores) or not np.isfinite(scores).all():
        msg = f"a threshold needs finite scores; got {len(scores)}, {int((~np.isfinite(scores)).sum())} not finite"
        raise InputError(msg)
    order = np.argsort(scores, kind="stable")
    values, flags = scores[order], truth[order]
    absent_below = np.concatenate([[0], np.cumsum(~flags)])
    present_above = flags.sum() - np.concatenate([[0], np.cumsum(flags)])
    right = absent_below + present_above
    gaps = np.concatenate([[0.0], np.diff(values), [0.0]])
    possible = np.concatenate([[True], np.diff(values) > 0, [True]])
    found: list[tuple[tuple[int, float], Rule]] = []
    for above, hits in ((True, right), (False, len(values) - right)):
        best = hits[possible].max()
        cut = int(max(np.flatnonzero(possible & (hits == best)), key=lambda n: gaps[n]))
        found.append(((int(best), float(gaps[cut])), Rule(_middle(values, cut), above)))
    (hits_best, _), rule = max(found, key=lambda item: item[0])
    return rule, hits_best / len(scores)


def _middle(values: Array, cut: int) -> float:
    if cut == 0:
        return float(np.nextafter(values[0], -np.inf))
    if cut == len(values):
        return float(values[-1])
    middle = float((values[cut - 1] + values[cut]) / 2)
    return middle if middle < values[cut] else float(values[cut - 1])


@dataclass(frozen=True)
class SplitAccuracy:
    """Share of right predictions on the second half of each random split.

    Attributes:
        accuracy: (S,). balanced: (S,), mean of sensitivity and specificity (of the one that exists).
        chosen: of each split, the score that was used; "all" for a regression.
    """

    accuracy: Array
    balanced: Array
    chosen: tuple[str, ...]


def split_accuracy(
    scores: Mapping[str, Array], truth: Flags, groups: NDArray[np.int_], splits: int = 10, seed: int = 0
) -> SplitAccuracy:
    """Fit a rule on one half of the groups and apply it to the other, in several random splits.

    With several scores, the first half also chooses among them: the one whose rule is right most often there.

    Args:
        scores: name to (N,). truth: (N,). groups: (N,), such as the image that a row belongs to; a group is never in
            both halves. The same seed gives the same halves to every method.

    Raises:
        InputError: no score, or fewer than two groups.
    """
    found, chosen = [], []
    for first in _halves(scores, groups, splits, seed):
        fits = {name: fit_rule(values[first], truth[first]) for name, values in scores.items()}
        best = max(fits, key=lambda name: fits[name][1])
        found.append(_shares(fits[best][0](scores[best][~first]), truth[~first]))
        chosen.append(best)
    return _result(found, tuple(chosen))


def logistic_accuracy(
    scores: Mapping[str, Array], truth: Flags, groups: NDArray[np.int_], splits: int = 10, seed: int = 0
) -> SplitAccuracy:
    """As `split_accuracy`, with a logistic regression on all (standardised) scores together; the same halves."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = []
    features = np.stack(list(scores.values()), axis=1) if scores else np.empty((len(truth), 0))
    for first in _halves(scores, groups, splits, seed):
        if truth[first].all() or not truth[first].any():
            predicted = np.full(int((~first).sum()), bool(truth[first][0]))
        else:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            predicted = model.fit(features[first], truth[first]).predict(features[~first])
        found.append(_shares(predicted, truth[~first]))
    return _result(found, ("all",) * splits)


def _halves(scores: Mapping[str, Array], groups: NDArray[np.int_], splits: int, seed: int) -> list[Flags]:
    """Of each split, which rows (N,) the rule is fitted on."""
    names = np.unique(groups)
    if not scores or len(names) < 2:
        msg = f"{len(scores)} scores of {len(names)} groups; one score and two groups are needed"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    return [np.isin(groups, rng.permutation(names)[: len(names) // 2]) for _ in range(splits)]


def _shares(predicted: Flags, truth: Flags) -> tuple[float, float]:
    """Share of right predictions, and its mean over the two answers (over the one that exists)."""
    right = predicted == truth
    return float(right.mean()), float(np.mean([right[truth == flag].mean() for flag in np.unique(truth)]))


def _result(found: Sequence[tuple[float, float]], chosen: tuple[str, ...]) -> SplitAccuracy:
    accuracy, balanced = np.array(found).T
    return SplitAccuracy(accuracy, balanced, chosen)
