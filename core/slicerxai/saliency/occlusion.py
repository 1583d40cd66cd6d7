"""Occlusion (Zeiler and Fergus 2014, arXiv:1311.2901) through captum's feature ablation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slicerxai.progress import Progress, silent
from slicerxai.saliency.attribution import Accumulator, Attribution
from slicerxai.saliency.target import Target


@dataclass(frozen=True)
class Boxes:
    """Boxes that tile the neighbourhood of a region.

    Attributes:
        ids: int64, (*spatial): 0 outside the neighbourhood, else the number of the box.
        count: number of boxes; ids run from 1 to count.
    """

    ids: Tensor
    count: int


@dataclass(frozen=True)
class Occlusion:
    """The map, and what it was made of.

    Attributes:
        effects: drop of T when box 1 … count is hidden, then that of hiding all the rest, in that order.
    """

    attribution: Attribution
    boxes: Boxes
    effects: tuple[float, ...]


def boxes_around(region: NDArray[np.bool_], window: float, spacing: Sequence[float]) -> Boxes:
    """Boxes of edge `window` mm, centred on the region, that come within one window of its bounding box.

    Args:
        region: at least one true voxel.
        spacing: voxel size along each axis, mm.
    """
    ids, count = np.zeros(region.shape, dtype=np.int64), 1
    for axis in range(region.ndim):
        edge = max(1, round(window / spacing[axis]))
        inside = np.flatnonzero(region.any(axis=tuple(a for a in range(region.ndim) if a != axis)))
        low, high = int(inside[0]), int(inside[-1]) + 1
        boxes = math.ceil((high - low) / edge) + 2
        start = math.floor((low + high - boxes * edge) / 2)
        position = np.arange(region.shape[axis]) - start
        box = np.where((position >= 0) & (position < boxes * edge), position // edge + 1, 0)
        shape = [-1 if a == axis else 1 for a in range(region.ndim)]
        box = box.reshape(shape)
        ids = (
            np.broadcast_to(box, region.shape)
            if axis == 0
            else np.where((ids > 0) & (box > 0), (ids - 1) * boxes + box, 0)
        )
        count *= boxes
    _, compact = np.unique(ids, return_inverse=True)
    compact = compact.reshape(region.shape) + (0 if (ids == 0).any() else 1)
    return Boxes(torch.from_numpy(compact.astype(np.int64)), int(compact.max()))


def occlusion(target: Target, baseline: Tensor, boxes: Boxes, progress: Progress = silent) -> Occlusion:
    """Replace one box at a time by the baseline: R = T(x) − T(x with the box hidden), spread evenly over the box.

    All channels are hidden together and share the effect evenly. A box is evaluated only in the windows that see it:
    hidden boxes leave the others unchanged. Effects of boxes interact, so they need not add up to T(x) − T(b).

    Args:
        baseline: b, same shape as the image.
    """
    from captum.attr import FeatureAblation

    accumulator, count = Accumulator(target), len(target.windows)
    effects = torch.zeros(boxes.count + 1, dtype=torch.float64)
    for index in range(count):
        ids, mask = torch.unique(boxes.ids[target.windows[index].slices], return_inverse=True)
        done = 0

        def forward(x: Tensor, index: int = index, total: int = len(ids)) -> Tensor:
            nonlocal done
            progress((index + min(1.0, done / total)) / count, f"patch {index + 1} of {count}, box {done} of {total}")
            done += len(x)
            logits = target.network(x)
            return (logits * target.weights([index], logits)).flatten(1).sum(1)

        accumulator.run(index)
        x = target.crop(target.tensor, [index])
        drop = FeatureAblation(forward).attribute(
            x,
            baselines=target.crop(baseline, [index]),
            feature_mask=mask[None, None].expand_as(x).to(x.device),
            perturbations_per_eval=target.batch,
        )
        effects[ids] += torch.zeros(len(ids)).scatter_(0, mask.flatten(), drop[0, 0].cpu().flatten()).double()
    size = torch.bincount(boxes.ids.flatten(), minlength=boxes.count + 1)
    density = effects / size.clamp(min=1) / target.tensor.shape[0]
    elsewhere, density[0] = float(effects[0]), 0.0
    attribution = Attribution(
        density.float()[boxes.ids].expand_as(target.tensor).clone(),
        accumulator.decision,
        tuple(accumulator.windows),
        expected=sum(accumulator.windows) - sum(target.evaluate(baseline)),
        expectation="the effect of hiding the whole image at once",
        elsewhere=elsewhere,
    )
    return Occlusion(attribution, boxes, (*effects[1:].tolist(), elsewhere))
