"""Readings of a classifier on a batch of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn

from slicerxai.monitoring.alarm_parameters import Score
from slicerxai.monitoring.distinctiveness import cosine_distances, distinctiveness
from slicerxai.monitoring.readings import Array, Readings
from slicerxai.monitoring.uncertainty import augmentation_spread, binary_entropy, dropout_entropy
from slicerxai.progress import Progress, part, silent
from slicerxai.saliency.class_method import ClassMethod

if TYPE_CHECKING:
    from slicerxai.saliency.class_attribution import ClassMaps

BATCH = 8


def observe(
    network: nn.Module,
    images: Tensor,
    thresholds: Sequence[float],
    device: torch.device,
    *,
    score: Score = "distinctiveness",
    saliency: ClassMethod = "lrp",
    batch: int = BATCH,
    seed: int = 0,
    progress: Progress = silent,
) -> Readings:
    """Predict, and measure how much each prediction is to be doubted.

    Args:
        network: in eval mode, (B, C, ...) to logits (B, L).
        images: (N, C, I, J) or (N, C, I, J, K), prepared as the model wants them.
        thresholds: (L,), probability from which each class counts as present.
        batch: images whose maps are held at once.
    """
    limits = np.asarray(thresholds, np.float64)
    if score == "distinctiveness":
        return _by_maps(network, images, limits, device, saliency, batch, seed, progress)
    with torch.no_grad():
        logits = torch.cat([network(x.to(device)).cpu() for x in images.split(batch)])
    probabilities = expit(logits.double().numpy())
    watched = part(progress, 0.1, 1.0)
    if score == "entropy":
        measure = binary_entropy(probabilities)
    elif score == "tta":
        measure = augmentation_spread(network, images, device, seed=seed, progress=watched)
    else:
        measure = dropout_entropy(network, images, device, seed=seed, progress=watched)
    progress(1.0, "measured")
    return Readings(score, None, probabilities, limits, measure)


def read_maps(maps: ClassMaps, thresholds: Array, saliency: ClassMethod) -> Readings:
    """Readings of images whose maps are already there."""
    distances = cosine_distances(maps.maps.numpy())
    probabilities = expit(maps.logits.double().cpu().numpy())
    limits = np.asarray(thresholds, np.float64)
    return Readings("distinctiveness", saliency, probabilities, limits, distinctiveness(distances), distances)


def _by_maps(
    network: nn.Module,
    images: Tensor,
    thresholds: Array,
    device: torch.device,
    saliency: ClassMethod,
    batch: int,
    seed: int,
    progress: Progress,
) -> Readings:
    from slicerxai.saliency.class_maps import class_maps

    parts = []
    for start in range(0, len(images), batch):
        inner = part(progress, start / len(images), min(start + batch, len(images)) / len(images))
        maps = class_maps(network, images[start : start + batch], saliency, device, seed=seed, progress=inner)
        parts.append(read_maps(maps, thresholds, saliency))
    return Readings.join(parts)
