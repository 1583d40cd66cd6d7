"""The discriminator of the paper: a multi-scale 3D network on the image, or on image and mask.

A small tower looks at patches in full resolution (noise, sharpness, how outlines are drawn), another at the whole
volume in low resolution (shading, where lesions are drawn); one linear layer reads both. Training keeps the gradient on
mixtures of source and target below 1 (the one-sided penalty of Gulrajani et al. 2017, section 4); a held-out case's
score is the mean over its mirror images. As with any discriminator, the known part of the log-odds is an offset, and
scores are cross-fitted by subject and calibrated by `RatioModel`.

Cases come as the segmenter prepares them, for an nnU-Net by nnU-Net's own preprocessing. Of nnU-Net's augmentation,
mirroring and random patches are used; its other transforms change noise, sharpness and tone, by which two scanners are
told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.progress import Progress, part, silent
from slicerxai.shift.discriminators import Folds, LogisticDiscriminator

Array = NDArray[np.float64]
AXES = (2, 3, 4)
MIRRORS = tuple(tuple(a for a, on in zip(AXES, which, strict=True) if on) for which in product((0, 1), repeat=3))
"""Axes of a BCIJK batch that each of the eight mirror images is flipped along."""


@dataclass(frozen=True)
class NetworkSettings:
    """Size of network and training.

    Attributes:
        edge: of a patch, and of the whole volume in low resolution, voxels.
        patches: kept of every case; in a training step each case shows `shown` of them.
        features: channels of each level; each halves the resolution.
        penalty: weight of the gradient penalty.
    """

    edge: int = 32
    patches: int = 8
    shown: int = 2
    features: tuple[int, ...] = (8, 16, 32)
    steps: int = 150
    batch: int = 8
    rate: float = 2e-3
    penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Views:
    """What the network sees of one case: whole volume (C, E, E, E) and patches (P, C, E, E, E), normalised."""

    whole: Tensor
    patches: Tensor


class MultiScaleNetwork(nn.Module):
    """Log-odds (B,) from whole volumes (B, C, E, E, E) and patches (B, P, C, E, E, E).

    Without normalisation layers, which would tie the cases of a batch together under the gradient penalty.
    """

    def __init__(self, channels: int, features: Sequence[int]) -> None:
        super().__init__()
        self.near, self.far = _tower(channels, features), _tower(channels, features)
        self.head = nn.Linear(2 * features[-1], 1)

    def forward(self, whole: Tensor, patches: Tensor) -> Tensor:
        near = self.near(patches.flatten(0, 1)).mean((2, 3, 4)).unflatten(0, patches.shape[:2]).mean(1)
        far = self.far(whole).mean((2, 3, 4))
        log_odds: Tensor = self.head(torch.cat([near, far], 1))[:, 0]
        return log_odds


def _tower(channels: int, features: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise((channels, *features)):
        layers += [nn.Conv3d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


def gradient_penalty(network: nn.Module, whole: Tensor, patches: Tensor) -> Tensor:
    """Mean of max(0, |∇ log-odds| - 1)² over the cases, the gradient being that by all voxels of a case's views.

    One-sided, as sites that do not differ call for a flat discriminator. Differentiable by the weights.
    """
    inputs = whole.detach().requires_grad_(), patches.detach().requires_grad_()
    gradients = torch.autograd.grad(network(*inputs).sum(), inputs, create_graph=True)
    squares = torch.cat([g.flatten(1) for g in gradients], 1).square().sum(1)
    return ((torch.sqrt(squares + 1e-12) - 1).clamp(min=0) ** 2).mean()


def averaged_log_odds(network: nn.Module, views: Views, device: torch.device) -> float:
    """Mean log-odds over the eight mirror images of a case, with all its patches."""
    whole, patches = views.whole[None].float().to(device), views.patches.float().to(device)
    with torch.no_grad():
        scores = [network(whole.flip(axes), patches.flip(axes)[None]) for axes in MIRRORS]
    return float(torch.stack(scores).mean())


def fit(
    views: Sequence[Views],
    labels: Array,
    offset: Array,
    settings: NetworkSettings,
    device: torch.device,
    progress: Progress = silent,
) -> nn.Module:
    """Minimise the cross-entropy of offset + network, plus the gradient penalty.

    Args:
        views: of the training cases. labels: (m,), 1 for the target. offset: (m,), known part of the log-odds.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = MultiScaleNetwork(views[0].whole.shape[0], settings.features)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    network = network.to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-2)
    generator = Generator().manual_seed(settings.seed)
    truth, known = (torch.from_numpy(values.astype(np.float32)) for values in (labels, offset))
    for step in range(settings.steps):
        progress(step / settings.steps, f"discriminator step {step + 1} of {settings.steps}")
        drawn = torch.randperm(len(views), generator=generator)[: settings.batch]
        whole, patches = _batch([views[int(n)] for n in drawn], settings, generator, device)
        log_odds = known[drawn].to(device) + network(whole, patches)
        loss = functional.binary_cross_entropy_with_logits(log_odds, truth[drawn].to(device))
        if settings.penalty:
            mixed = _mixtures(whole, patches, truth[drawn], generator)
            loss = loss + settings.penalty * gradient_penalty(network, *mixed)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def _batch(
    views: Sequence[Views], settings: NetworkSettings, generator: Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Some patches of each case, and its whole, mirrored at random."""
    wholes, patches = [], []
    for one in views:
        shown = torch.randperm(len(one.patches), generator=generator)[: settings.shown]
        axes = MIRRORS[int(torch.randint(len(MIRRORS), (), generator=generator))]
        wholes.append(one.whole.float()[None].flip(axes)[0])
        patches.append(one.patches[shown].float().flip(axes))
    return torch.stack(wholes).to(device), torch.stack(patches).to(device)


def _mixtures(whole: Tensor, patches: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Cases of the batch mixed with random ones of the other environment, or of any where it has none."""
    partners = []
    for label in labels:
        others = torch.nonzero(labels != label)[:, 0]
        pool = others if len(others) else torch.arange(len(labels))
        partners.append(pool[int(torch.randint(len(pool), (), generator=generator))])
    partner = torch.stack(partners).to(whole.device)
    share = torch.rand(len(labels), generator=generator).to(whole.device)
    a, b = share[:, None, None, None, None], share[:, None, None, None, None, None]
    return a * whole + (1 - a) * whole[partner], b * patches + (1 - b) * patches[partner]


@dataclass(frozen=True)
class NetworkDiscriminator:
    """Networks for variables that are images or masks, logistic regression for all others.

    Attributes:
        views: by the set of such variables that a discriminator is given, of every case of source, then target.
        refits: never; it is fitted to the cases as they are.
    """

    views: Mapping[frozenset[str], Sequence[Views]]
    settings: NetworkSettings
    device: torch.device
    progress: Progress = silent
    refits: bool = False
    _done: dict[tuple[frozenset[str], bytes, bytes], Array] = field(default_factory=dict, init=False, compare=False)

    def sees(self, variables: tuple[str, ...]) -> bool:
        """Whether any of the variables is an image or a mask."""
        return bool(self._visible(variables))

    def held_out(self, variables: tuple[str, ...], labels: Array, offset: Array, folds: Folds) -> Array:
        """Log-odds (n,) of every case, on top of the offset (n,), from networks that other folds trained."""
        visible = self._visible(variables)
        key = visible, offset.tobytes(), folds.tobytes()
        if key not in self._done:
            self._done[key] = self._cross_fitted(self.views[visible], labels, offset, folds)
        return self._done[key]

    def scores(self, train: Array, labels: Array, weights: Array, offset: Array, test: Array) -> Array:
        """Of the features of all other variables."""
        return LogisticDiscriminator().scores(train, labels, weights, offset, test)

    def _visible(self, variables: tuple[str, ...]) -> frozenset[str]:
        return frozenset(variables) & frozenset().union(*self.views)

    def _cross_fitted(self, views: Sequence[Views], labels: Array, offset: Array, folds: Folds) -> Array:
        scores = np.empty(len(labels))
        names = np.unique(folds)
        for number, fold in enumerate(names):
            finished = len(self._done) * len(names) + number
            watch = part(self.progress, finished / (finished + 6), (finished + 1) / (finished + 7))
            out = folds == fold
            kept = [view for view, left in zip(views, out, strict=True) if not left]
            network = fit(kept, labels[~out], offset[~out], self.settings, self.device, watch)
            for row in np.flatnonzero(out):
                scores[row] = averaged_log_odds(network, views[row], self.device)
        return scores
