"""Measures of generated slices that know nothing of the generator: a segmenter of its own, brightness, similarity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from monai.networks.nets.basic_unet import BasicUNet
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from slicerxai.models.fast_training import fast_bfloat16

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
FEATURES = (16, 24, 32, 48, 64, 16)
STEPS, BATCH, LESION_SLICES = 700, 24, 16
GROWN_PIXELS = 2
"""Pixels about a lesion, found at any step or true, that count as edited."""


def trained_segmenter(pixels: Tensor, masks: Tensor, kept: Path, seed: int = 0) -> nn.Module:
    """A small U-Net that labels lesions in single slices, kept in a file once it is trained.

    Args:
        pixels: (N, 1, H, W) as the generator's slices, of patients that the generator never saw.
        masks: (N, 1, H, W), share of each pixel.
        kept: file of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = BasicUNet(2, 1, 1, features=FEATURES, norm=("group", {"num_groups": 8}))
        if kept.is_file():
            network.load_state_dict(torch.load(kept, map_location="cpu", weights_only=True))
            return network.eval()
        optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=STEPS)
        loss, with_lesions = DiceCELoss(sigmoid=True, batch=True), torch.nonzero(masks.sum((1, 2, 3)) > 0)[:, 0]
        for _ in range(STEPS):
            lesions = with_lesions[torch.randint(len(with_lesions), (LESION_SLICES,))]
            index = torch.cat([lesions, torch.randint(len(pixels), (BATCH - LESION_SLICES,))])
            images, truth = _varied(pixels[index], (masks[index] >= 0.5).float())
            with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16(torch.device("cpu"))):
                logits = network(images)
            optimiser.zero_grad()
            loss(logits.float(), truth).backward()
            optimiser.step()
            rate.step()
    torch.save(network.state_dict(), kept)
    return network.eval()


def _varied(images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored, with another contrast, offset and noise."""
    count = (len(images), 1, 1, 1)
    mirrored = torch.rand(count) < 0.5
    images, truth = (torch.where(mirrored, x.flip(2), x) for x in (images, truth))
    noise = 0.05 * torch.rand(count) * torch.randn_like(images)
    changed = images * (1 + 0.1 * torch.randn(count)) + 0.05 * torch.randn(count) + noise
    return torch.where(images > -0.95, changed, images), truth


@torch.no_grad()
def lesion_probability(network: nn.Module, pixels: Array) -> Array:
    """(N, H, W) in [0, 1] for slices (N, H, W)."""
    found = [torch.sigmoid(network(part[:, None].float()))[:, 0] for part in torch.from_numpy(pixels).split(32)]
    probability: Array = torch.cat(found).numpy()
    return probability


def excess_brightness(images: Array, head: Mask, unchanged: Array) -> Array:
    """How much brightness (T,) lies above the 98th percentile of the unchanged slice: no network, no mask.

    Args:
        images: (T, H, W). head, unchanged: (H, W).
    """
    threshold = np.percentile(unchanged[head], 98)
    excess: Array = np.maximum(images[:, head] - threshold, 0).sum(axis=1)
    return excess


def rank_correlation(values: Sequence[float] | Array, measured: Array) -> float:
    """Spearman's coefficient; 0 when nothing changes."""
    if np.ptp(measured) == 0:
        return 0.0
    return float(spearmanr(values, measured).statistic)


def edited_region(probabilities: Array, truth: Mask) -> Mask:
    """Where lesions are (H, W): at any step (T, H, W) by the segmenter, or truly in the unchanged slice; and near."""
    lesions = (probabilities >= 0.5).any(axis=0) | truth
    grown: Mask = ndimage.binary_dilation(lesions, iterations=GROWN_PIXELS)
    return grown


def similarity_outside(images: Array, unchanged: Array, where: Mask) -> Array:
    """SSIM (T,) of images (T, H, W) with the unchanged slice (H, W), mean over the pixels `where`.

    Gaussian windows of 1.5 pixels as in Wang et al. (2004); data range from the 0.5th to the 99.5th percentile there.
    """
    low, high = np.percentile(unchanged[where], (0.5, 99.5))
    return np.array(
        [
            structural_similarity(
                unchanged, image, data_range=float(high - low), gaussian_weights=True, use_sample_covariance=False,
                full=True,
            )[1][where].mean()
            for image in images
        ]
    )  # fmt: skip
