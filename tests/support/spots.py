"""A hand-weighted segmenter of bright spots, and scans that have two of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from slicerxai.data.resample import resample, resample_like
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import ModelInfo, Prepared, Segmentation
from slicerxai.models.sliding_window import blended_logits
from slicerxai.progress import silent

CPU = torch.device("cpu")
OBLIQUE = np.array(  # left-handed: the first axis is flipped
    [[-1.9696, -0.4079, 0.1781, 40.0], [-0.3473, 2.3135, -1.0105, -30.0], [0.0, 0.8551, 2.8191, -25.0], [0, 0, 0, 1]]
)
SHAPE = (44, 40, 36)
SPOTS = {1: (16, 20, 18), 2: (30, 18, 16)}


def bright_spots(channels: int) -> nn.Module:
    """Margin = 3 (local mean of the first channel) - 4: a lesion is what is bright."""
    blur, head = nn.Conv3d(channels, 1, 3, padding=1, bias=False), nn.Conv3d(1, 2, 1)
    blur.weight.data.zero_()
    blur.weight.data[:, 0] = 1 / 27
    head.weight.data = torch.tensor([0.0, 3.0]).reshape(2, 1, 1, 1, 1)
    head.bias.data = torch.tensor([4.0, 0.0])
    return nn.Sequential(blur, nn.ReLU(), head).eval().requires_grad_(requires_grad=False)


class SpotSegmenter:
    """Works on an isotropic 2.5 mm grid along RAS."""

    def __init__(self, channels: tuple[str, ...] = ("FLAIR",), patch: int = 16) -> None:
        self.info = ModelInfo("spots", "fast", channels, ("background", "lesion"), "0" * 64, {})
        self.network, self.patch_size, self.device = bright_spots(len(channels)), (patch,) * 3, CPU
        self.overlap = 0.25
        self.threshold = 0.5

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        reference = images[self.info.channels[0]]
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in reference.shape], [1])).reshape(4, -1)
        world = (reference.affine @ corners)[:3]
        affine = np.diag([2.5, 2.5, 2.5, 1.0])
        affine[:3, 3] = world.min(1)
        shape = tuple(int(n) for n in np.ceil(np.ptp(world, axis=1) / 2.5) + 1)
        arrays = [resample(images[name], affine, shape).array.astype(np.float32) for name in self.info.channels]
        return Prepared(torch.from_numpy(np.stack(arrays)), affine, reference)

    def predict(self, images: Mapping[str, Volume], progress=silent) -> Segmentation:
        prepared = self.prepare(images)
        patch = [min(p, n) for p, n in zip(self.patch_size, prepared.tensor.shape[1:], strict=True)]
        logits, covered = blended_logits(self.network, prepared.tensor, patch, self.overlap, CPU, progress)
        working = Volume((torch.softmax(logits, 0)[1] * covered).numpy(), prepared.affine)
        probability = resample_like(working, prepared.reference)
        return Segmentation(probability.with_array((probability.array >= 0.5).astype(np.uint8)), probability)


def scan(bright: float = 5.0, affine: np.ndarray = OBLIQUE) -> Volume:
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"))
    centre = (np.array(SHAPE) - 1).reshape(3, 1, 1, 1) / 2
    rng = np.random.default_rng(0)
    brain = (((grid - centre) / (centre - 2)) ** 2).sum(0) < 1
    array = np.where(brain, 0.5 + 0.1 * rng.standard_normal(SHAPE), 0)
    for number, spot in SPOTS.items():
        array[((grid - np.reshape(spot, (3, 1, 1, 1))) ** 2).sum(0) < (12 if number == 1 else 7)] = bright
    return Volume(array.astype(np.float32), affine)
