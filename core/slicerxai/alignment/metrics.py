"""How well a classifier decides, and from where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from slicerxai.errors import InputError

CAM_THRESHOLD = 0.5
"""Share of a map's maximum from which a place counts as lit, unless another is stated."""


def cam_precision(cam: Tensor, mask: Tensor, threshold: float = CAM_THRESHOLD) -> Tensor:
    """Share of the lit places that lie inside the mask, (B,) in [0, 1]; 0 for a map that is nowhere positive.

    Args:
        cam: (B, *spatial) or (B, 1, *spatial); lit where it is at least `threshold` times its maximum.
        mask: 0 or 1, of the same size.
        threshold: in (0, 1].
    """
    values, inside = _flat(cam, mask)
    peak = values.amax(1, keepdim=True)
    lit = ((values >= threshold * peak) & (peak > 0)).to(values.dtype)
    return _share((lit * inside).sum(1), lit.sum(1))


def energy_inside(relevance: Tensor, mask: Tensor) -> Tensor:
    """Share of Σ|map| inside the mask, (B,) in [0, 1]; no threshold; 0 for a map that is zero everywhere.

    (Wang et al., CVPR workshops 2020, "energy-based pointing game".)

    Args:
        relevance: (B, *spatial) or (B, C, *spatial); channels are summed up.
        mask: 0 or 1, (B, *spatial) or (B, 1, *spatial).
    """
    values, inside = _flat(relevance.abs(), mask)
    return _share((values * inside).sum(1), values.sum(1))


def counterfactual_precision(change: Tensor, mask: Tensor) -> Tensor:
    """Share of the counterfactual's change ‖x* − x‖₁ inside the mask, (B,) in [0, 1]; NaN where nothing changed.

    Arguments as of `energy_inside`.
    """
    values, inside = _flat(change.abs(), mask)
    total = values.sum(1)
    return ((values * inside).sum(1) / total).masked_fill(total == 0, float("nan"))


def accuracy(logits: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Share of the labels (N, L) whose logit has the right sign (probability above 0.5)."""
    return float(((logits > 0) == truth).mean())


def auc(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Mean area under the ROC curve over the labels (N, L), each with both values."""
    return float(np.mean([roc_auc_score(truth[:, n], scores[:, n]) for n in range(truth.shape[1])]))


@dataclass(frozen=True)
class SizeControlled:
    """How well scores tell a label apart among lesions of like size, and how far size alone gets.

    Attributes:
        auc: of the scores, without control.
        size_auc: of size alone.
        stratified_auc: share of rightly ordered pairs (present, absent) within strata of size (quantiles).
        pairs: pairs that were compared within strata.
        matched_auc: of the scores among pairs (present, absent) matched on size.
        matched: pairs that were matched, each case used once.
        matched_size_auc: of size among the matched pairs; near 0.5 when matching worked.
        partial: coefficient of the standardised score in a logistic regression of the label on score and log size.
    """

    auc: float
    size_auc: float
    stratified_auc: float
    pairs: int
    matched_auc: float
    matched: int
    matched_size_auc: float
    partial: float


def size_controlled(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], size: NDArray[np.floating], strata: int = 5
) -> SizeControlled:
    """Evaluation that size alone cannot win.

    Args:
        scores: (N,) higher where the label is more likely.
        truth: (N,) both values occur.
        size: (N,) positive, such as the lesion's area.
        strata: quantile classes of size.

    Raises:
        InputError: one value of the label only, or a size that is not positive.
    """
    if truth.all() or not truth.any() or not (size > 0).all():
        msg = "a size-controlled evaluation needs cases with and without the label, and positive sizes"
        raise InputError(msg)
    log_size = np.log(size)
    edges = np.quantile(log_size, np.linspace(0, 1, strata + 1)[1:-1])
    stratum = np.searchsorted(edges, log_size, side="right")
    won, pairs = 0.0, 0
    for one in range(strata):
        here = stratum == one
        ordered = _ordered(scores[here & truth], scores[here & ~truth])
        won, pairs = won + float(ordered.sum()), pairs + ordered.size
    first, second = _matched(log_size, truth)
    design = np.stack([_standardised(scores), _standardised(log_size)], 1)
    return SizeControlled(
        auc=float(roc_auc_score(truth, scores)),
        size_auc=float(roc_auc_score(truth, size)),
        stratified_auc=won / pairs if pairs else float("nan"),
        pairs=pairs,
        matched_auc=_auc(scores[first], scores[second]),
        matched=len(first),
        matched_size_auc=_auc(log_size[first], log_size[second]),
        partial=float(LogisticRegression(C=1e6, max_iter=1000).fit(design, truth).coef_[0, 0]),
    )


CALIPER = 0.2
"""Standard deviations of log size by which the two cases of a matched pair may differ (Austin, 2011)."""


def _matched(log_size: NDArray[np.floating], truth: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of cases with and without the label, paired greedily by least difference of size within the caliper."""
    present, absent = np.flatnonzero(truth), np.flatnonzero(~truth)
    difference = np.abs(log_size[present][:, None] - log_size[absent][None])
    order = np.argsort(difference, axis=None, kind="stable")
    limit, used = CALIPER * log_size.std(), (set[int](), set[int]())
    pairs = []
    for flat in order:
        i, j = divmod(int(flat), len(absent))
        if difference[i, j] > limit:
            break
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append((present[i], absent[j]))
    found = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _ordered(present: NDArray[np.floating], absent: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 for each pair with the higher score in the present case, 0.5 for equal ones."""
    difference = present[:, None] - absent[None]
    return (difference > 0) + 0.5 * (difference == 0)


def _auc(present: NDArray[np.floating], absent: NDArray[np.floating]) -> float:
    return float(_ordered(present, absent).mean()) if len(present) else float("nan")


def _standardised(values: NDArray[np.floating]) -> NDArray[np.float64]:
    centred = np.asarray(values, dtype=np.float64) - values.mean()
    return centred / (centred.std() or 1.0)


def _flat(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Values (channels summed) and mask, both (B, places)."""
    if mask.ndim == values.ndim + 1 and mask.shape[1] == 1:
        mask = mask[:, 0]
    elif mask.ndim == values.ndim and mask.shape[1] == 1:
        values = values.sum(1, keepdim=True)
    if values.shape != mask.shape:
        msg = f"the map has shape {tuple(values.shape)}, the mask {tuple(mask.shape)}"
        raise ValueError(msg)
    return values.flatten(1), mask.flatten(1).to(values)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.masked_fill(whole == 0, 1)
