"""Quality of predicted probabilities of labels, and the thresholds that follow from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve


def roc_auc(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area under the ROC curve of each label, (L,), from scores and truth (N, L); each label has both
    values."""
    return np.array([roc_auc_score(truth[:, n], scores[:, n]) for n in range(truth.shape[1])], dtype=np.float64)


def youden(probabilities: NDArray[np.floating], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Threshold of each label that maximises sensitivity + specificity - 1 (Youden, Cancer 1950;3:32-35).

    Half way between the lowest probability that counts as present and the next one below it; of several best ones
    the highest. Each label must have both values.
    """
    return tuple(_youden(probabilities[:, n], truth[:, n]) for n in range(truth.shape[1]))


def _youden(probabilities: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    false_positive, true_positive, cuts = roc_curve(truth, probabilities, drop_intermediate=False)
    cut = float(cuts[max(1, int(np.argmax(true_positive - false_positive)))])
    below = probabilities[probabilities < cut]
    return (cut + float(below.max())) / 2 if below.size else cut / 2
