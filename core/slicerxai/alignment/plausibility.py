"""How usual an image is among those that a model was made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Generator, Tensor
from torch.nn import functional

from slicerxai.alignment.autoencoder import Autoencoder, fit_autoencoder
from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.errors import InputError
from slicerxai.progress import Progress, part, silent

MEASURES = ("error", "largest local error", "largest error", "latent distance")
"""Mean squared error of the reconstruction; its largest mean over a box of `BOX` places along each axis; its largest
value; squared Mahalanobis distance of the latent code from those of the training images. Errors are relative to what is
usual at their place, so that a mark where images are empty counts."""
BOX = 5
FLOOR = 0.1
"""Smallest error that is expected at a place, as a share of the mean over all places."""
FEWEST = 8
"""Images that the autoencoder learns from, and as many held out, at least."""
TOGETHER = 4
TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""


@dataclass(frozen=True)
class Density:
    """Normal distribution of latent codes, its covariance shrunk as Ledoit and Wolf (2004) choose.

    Attributes:
        mean: (D,).
        axes: (R, D), orthonormal, along which the codes of the training images vary.
        variances: (R,), of the shrunk covariance along these.
        rest: variance along every other direction.
    """

    mean: Tensor
    axes: Tensor
    variances: Tensor
    rest: float

    @classmethod
    def fit(cls, codes: Tensor) -> Density:
        """Of codes (N, D)."""
        mean = codes.mean(0)
        centred = codes - mean
        shrinkage = float(ledoit_wolf_shrinkage(centred.cpu().numpy(), assume_centered=True))
        _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
        variances = singular.square() / len(codes)
        average = float(variances.sum()) / codes.shape[1]
        rest = max(shrinkage * average, torch.finfo(codes.dtype).tiny)
        return cls(mean, axes, (1 - shrinkage) * variances + rest, rest)

    def distance(self, codes: Tensor) -> Tensor:
        """Squared Mahalanobis distance (N,) of codes (N, D)."""
        centred = codes - self.mean
        along = centred @ self.axes.T
        beside = (centred.square().sum(1) - along.square().sum(1)).clamp_min(0)
        return (along.square() / self.variances).sum(1) + beside / self.rest


@dataclass(frozen=True)
class Realism:
    """What a model's images look like.

    Attributes:
        model_digest: of the model that the images were prepared for.
        autoencoder: in eval mode, frozen.
        expected: (1, *spatial), mean squared error over the images that it learned from, smoothed.
        density: of the latent codes of these images.
        reference: (M, 4), `MEASURES` of held-out images.
        parameters: it was fitted with.
    """

    model_digest: str
    autoencoder: Autoencoder
    expected: Tensor
    density: Density
    reference: Tensor
    parameters: RealismParameters

    def plausibility(self, images: Tensor) -> Tensor:
        """Share of the held-out images that are at least as unusual, (B,) in [0, 1], on the CPU.

        An image is as unusual as its most unusual measure: the logarithm of each is taken against median and median
        absolute deviation of the held-out images. Another image of the same kind has any share with the same chance;
        0 says that no held-out image is as unusual.

        Args:
            images: (B, C, *spatial), prepared for the model.

        Raises:
            InputError: images of another shape than those that were learned.
        """
        unusual = self.unusualness(self.measures(images))
        usual = self.unusualness(self.reference)
        return (usual[None] >= unusual[:, None]).to(torch.float32).mean(1)

    def unusualness(self, measures: Tensor) -> Tensor:
        """Of measures (N, 4), the largest standardised one, (N,)."""
        usual = self.reference.log()
        middle = usual.median(0).values
        spread = TO_SIGMA * (usual - middle).abs().median(0).values
        return ((measures.log() - middle) / spread.clamp_min(torch.finfo(spread.dtype).eps)).amax(1)

    @torch.no_grad()
    def measures(self, images: Tensor) -> Tensor:
        """`MEASURES` of images (B, C, *spatial), (B, 4) on the CPU."""
        expected = (self.autoencoder.channels, *self.autoencoder.shape)
        if tuple(images.shape[1:]) != expected:
            msg = f"images of shape {tuple(images.shape[1:])}; what was learned has {expected}"
            raise InputError(msg)
        return measures(self.autoencoder, self.expected, self.density, images)


def fit_realism(
    images: Tensor,
    model_digest: str,
    parameters: RealismParameters | None = None,
    *,
    groups: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Realism:
    """Learn what images look like.

    Args:
        images: (N, C, *spatial), prepared for the model, on the device to train on.
        model_digest: of that model.
        parameters: by default its defaults.
        groups: (N,), such as subjects: images of one group are not separated. By default each image is one.
        progress: called often.

    Raises:
        InputError: fewer than 8 images to learn from or to hold out.
        Cancelled: through `progress`.
    """
    chosen = parameters or RealismParameters()
    names = list(groups) if groups is not None else [str(index) for index in range(len(images))]
    aside = _held_out(names, chosen.held_out, chosen.seed)
    held = torch.tensor([name in aside for name in names], dtype=torch.bool)
    counts = int((~held).sum()), int(held.sum())
    if min(counts) < FEWEST:
        msg = (
            f"{len(images)} images of {len(set(names))} subjects leave {counts[0]} to learn from and {counts[1]} held "
            f"out; at least {FEWEST} of each are needed"
        )
        raise InputError(msg)
    learned, reference = images[~held.to(images.device)], images[held.to(images.device)]
    autoencoder = fit_autoencoder(learned, chosen, part(progress, 0.0, 0.95))
    progress(0.95, "measuring held-out images")
    codes, expected = _learned(autoencoder, learned)
    density = Density.fit(codes)
    found = measures(autoencoder, expected, density, reference)
    progress(1.0, "learned")
    return Realism(model_digest, autoencoder, expected, density, found, chosen)


def _held_out(names: Sequence[str], share: float, seed: int) -> set[str]:
    """Groups that are not learned from, chosen by the seed."""
    groups = sorted(set(names))
    order = torch.randperm(len(groups), generator=Generator().manual_seed(seed))
    return {groups[index] for index in order[: round(share * len(groups))]}


@torch.no_grad()
def _learned(autoencoder: Autoencoder, images: Tensor) -> tuple[Tensor, Tensor]:
    """Latent codes (N, D) of the images that were learned from, and the error (1, *spatial) expected at each place."""
    codes, total = [], torch.zeros_like(images[:1, :1])
    for batch in images.split(TOGETHER):
        code = autoencoder.encode(batch)
        codes.append(code.flatten(1))
        total += _errors(autoencoder, code, batch).sum(0, keepdim=True)
    pool = functional.avg_pool2d if images.ndim == 4 else functional.avg_pool3d
    expected = pool(total / len(images), BOX, stride=1, padding=BOX // 2, count_include_pad=False)[0]
    return torch.cat(codes), expected.clamp_min(FLOOR * float(expected.mean()))


@torch.no_grad()
def measures(autoencoder: Autoencoder, expected: Tensor, density: Density, images: Tensor) -> Tensor:
    """`MEASURES` of images (B, C, *spatial), (B, 4) on the CPU, positive."""
    found = []
    for batch in images.to(expected.device).split(TOGETHER):
        code = autoencoder.encode(batch)
        error = _errors(autoencoder, code, batch) / expected
        rows = (error.flatten(1).mean(1), _local(error), error.flatten(1).amax(1), density.distance(code.flatten(1)))
        found.append(torch.stack(rows, 1))
    return torch.cat(found).cpu().clamp_min(torch.finfo(torch.float32).tiny)


def _errors(autoencoder: Autoencoder, code: Tensor, images: Tensor) -> Tensor:
    """Squared error of the reconstruction, in units of the channels' variances, mean of the channels: (B, 1, …)."""
    return ((autoencoder.decode(code) - images) / autoencoder.deviation).square().mean(1, keepdim=True)


def _local(error: Tensor) -> Tensor:
    """Largest mean over a box, (B,), of errors (B, 1, *spatial)."""
    pool = functional.avg_pool2d if error.ndim == 4 else functional.avg_pool3d
    return pool(error, [min(BOX, edge) for edge in error.shape[2:]], stride=1).flatten(1).amax(1)
