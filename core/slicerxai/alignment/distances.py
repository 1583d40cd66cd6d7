"""Distances between an image and its counterfactual, and their proximal maps.

Eq. 2 of "Learning Causal Alignment for Reliable Disease Diagnosis" and its appendix C.4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from slicerxai.alignment.counterfactual_parameters import DistanceName

__all__ = ["DistanceName", "distance", "feature_scale", "is_l1", "prox"]

FLOOR = 0.1
"""Smallest scale of a place, as a share of the mean scale: a place that hardly varies must still be able to change."""


def is_l1(name: DistanceName) -> bool:
    """Whether a distance sums absolute changes, rather than squared ones."""
    return name in ("l1", "scaled_l1")


def feature_scale(images: Tensor, name: DistanceName) -> Tensor | None:
    """What a change is divided by at each place: MAD for scaled l1, standard deviation for scaled l2 (C.4).

    Args:
        images: (N, C, *spatial), N >= 2, the data that the model was trained on.
        name: the distance.

    Returns:
        (C, *spatial), positive, at least a tenth of its mean (at a place that never varies the published distance
        divides by zero); None for distances without a scale.

    Raises:
        ValueError: fewer than two images, or images that do not differ.
    """
    if name in ("l1", "l2"):
        return None
    if len(images) < 2:
        msg = f"{name}: a scale needs at least two images, got {len(images)}"
        raise ValueError(msg)
    scale = _mad(images) if name == "scaled_l1" else images.std(0, correction=0)
    mean = scale.mean()
    if not mean > 0:
        msg = f"{name}: the scale is zero everywhere, for at most half of the {len(images)} images differ at any place"
        raise ValueError(msg)
    return scale.clamp_min(FLOOR * float(mean))


def distance(change: Tensor, name: DistanceName, scale: Tensor | None = None) -> Tensor:
    """d(x0 + change, x0) of each image.

    Args:
        change: (B, C, *spatial).
        name: the distance.
        scale: (C, *spatial), see `feature_scale`; None is 1 everywhere.

    Returns:
        (B,), not negative: Σ |u|/s or Σ u²/s.
    """
    size = change.abs() if is_l1(name) else change.square()
    return (size if scale is None else size / scale).flatten(1).sum(1)


def prox(change: Tensor, threshold: Tensor, name: DistanceName, scale: Tensor | None = None) -> Tensor:
    """argmin over u of |u - change|²/2 + threshold · d(u), exactly zero where l1 says so.

    Args:
        change: (B, C, *spatial).
        threshold: (B,), not negative.
        name: the distance.
        scale: (C, *spatial); None is 1 everywhere.
    """
    at_place = threshold.view(-1, *[1] * (change.ndim - 1))
    if scale is not None:
        at_place = at_place / scale
    if is_l1(name):
        return change - torch.maximum(torch.minimum(change, at_place), -at_place)
    return change / (1 + 2 * at_place)


def _mad(images: Tensor) -> Tensor:
    """Median absolute deviation from the median, the mean of the two middle values for an even number."""
    return (images - images.quantile(0.5, 0)).abs().quantile(0.5, 0)
