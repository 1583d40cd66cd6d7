"""Black-box maps of all labels through captum: they see the network's outputs only.

Features are boxes that tile the image, hidden together in all channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import FeatureAblation, KernelShap, Lime
from torch import Tensor, nn

from slicerxai.models.modular import logits_of
from slicerxai.progress import Progress, each, silent
from slicerxai.saliency.class_attribution import ClassMaps, unpromised

BOXES = 64
"""About so many boxes tile an image: 8 along each axis of a slice, 4 of a volume."""
LIME_WIDTH = 0.25
"""σ of the nearness of a sample to the image, in cosine distance; that of the authors' image explainer."""
BATCH_VALUES = 2**21
"""Values of the images that are evaluated at once."""


def tiles(shape: torch.Size, boxes: int = BOXES) -> Tensor:
    """Number of the box at every place, int64, from 0; at most `boxes` boxes of about the same size."""
    edge = max(1, round(boxes ** (1 / len(shape))))
    ids = torch.zeros(shape, dtype=torch.int64)
    for axis, length in enumerate(shape):
        along = torch.arange(length) * min(edge, length) // length
        ids = ids * min(edge, length) + along.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return ids


def perturbation(
    network: nn.Module,
    images: Tensor,
    method: Literal["occlusion", "lime", "kernel_shap"],
    baseline: Tensor,
    steps: int,
    seed: int,
    progress: Progress = silent,
) -> ClassMaps:
    """The effect of each box on each logit, spread evenly over the box and its channels.

    * occlusion (Zeiler and Fergus 2014, arXiv:1311.2901): how z falls when one box is hidden; promises no sum;
    * lime (Ribeiro et al. 2016, arXiv:1602.04938): weights of a local linear model of z; promises no sum;
    * kernel_shap (Lundberg and Lee 2017, arXiv:1705.07874): Shapley values; sum to z(x) − z(baseline).

    All labels share the evaluations: each network output serves every label.

    Args:
        baseline: what hidden boxes show, of the images' shape.
        steps: samples for each box of LIME and KernelSHAP.
        seed: of those samples.
    """
    ids = tiles(images.shape[2:]).to(images.device)
    found = []
    for (image, hidden), inner in each(progress, list(zip(images.split(1), baseline.split(1), strict=True))):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found.append(_one(network, image, hidden, ids, method, steps, seed, inner))
    size = torch.bincount(ids.flatten()).to(images)[ids] * images.shape[1]
    maps = (torch.stack(found) / size).expand(-1, -1, *images.shape[1:])
    with torch.no_grad():
        logits = torch.cat([logits_of(network, image) for image in images.split(1)]).cpu()
        before = torch.cat([logits_of(network, image) for image in baseline.split(1)]).cpu()
    expected = logits - before if method == "kernel_shap" else unpromised(logits)
    return ClassMaps(maps.cpu(), logits, expected)


def _one(
    network: nn.Module,
    image: Tensor,
    baseline: Tensor,
    ids: Tensor,
    method: str,
    steps: int,
    seed: int,
    progress: Progress,
) -> Tensor:
    """Effects of one image (1, C, *spatial), each at every place of its box: (L, 1, *spatial)."""
    boxes = int(ids.max()) + 1
    samples = boxes * steps
    batch = max(1, min(boxes, BATCH_VALUES // image.numel()))
    total = boxes + 1 if method == "occlusion" else samples
    shared = Shared(lambda x: logits_of(network, x), total, progress)
    mask = ids.expand_as(image)
    if method == "occlusion":
        effects = FeatureAblation(shared).attribute(
            image, baselines=baseline, feature_mask=mask, perturbations_per_eval=batch
        )
        return effects[:, :1]
    rows = []
    labels = logits_of(network, image).shape[1]
    for label in range(labels):
        shared.rewind()
        torch.manual_seed(seed)
        explainer = KernelShap(shared) if method == "kernel_shap" else _lime(shared)
        row = explainer.attribute(
            image,
            target=label,
            baselines=baseline,
            feature_mask=mask,
            n_samples=samples,
            perturbations_per_eval=batch,
        )
        rows.append(row[:, :1])
    return torch.cat(rows)


def _lime(forward: Callable[[Tensor], Tensor]) -> Lime:
    """As the authors' image explainer: ridge regression of the samples weighted by their nearness to the image."""
    return Lime(forward, interpretable_model=SkLearnRidge(alpha=1.0), similarity_func=_nearness)


def _nearness(_image: Tensor, _hidden: Tensor, visible: Tensor, **_: object) -> Tensor:
    """π = exp(−D²/σ²), D the cosine distance between the visible boxes and all boxes."""
    distance = 1 - visible.float().mean(dim=1).sqrt()
    return torch.exp(-((distance / LIME_WIDTH) ** 2))


class Shared:
    """A network whose outputs are kept, so that the labels after the first, whose samples are the same, need none."""

    def __init__(self, forward: Callable[[Tensor], Tensor], total: int, progress: Progress) -> None:
        self.forward, self.total, self.progress = forward, total, progress
        self.kept: list[Tensor] = []
        self.next = 0

    def rewind(self) -> None:
        """The same inputs will come again from the first on."""
        self.next = 0

    def __call__(self, x: Tensor) -> Tensor:
        if self.next == len(self.kept):
            done = sum(len(k) for k in self.kept)
            self.progress(min(1.0, done / self.total), f"evaluation {done} of {self.total}")
            self.kept.append(self.forward(x))
        self.next += 1
        return self.kept[self.next - 1]
