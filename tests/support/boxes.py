"""A hand-weighted classifier of how bright two boxes of the scan are, on a grid of its own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import ModelInfo, Prepared

CPU = torch.device("cpu")
SHAPE = (14, 15, 13)
BOXES = {
    "first": (slice(2, 9), slice(4, 7), slice(4, 7)),
    "second": (slice(3, 10), slice(9, 12), slice(6, 9)),
}
LABELS = tuple(BOXES)


class BoxClassifier:
    """Logit = gain (weighted mean of a box - level), weights rising along the first axis; on an isotropic grid of 6 mm
    along RAS, intensities divided by 10.
    """

    exclusive = False

    def __init__(self, level: float = 9.0, gain: float = 2.0, channels: tuple[str, ...] = ("FLAIR",)) -> None:
        self.info = ModelInfo("boxes", "classifier", channels, LABELS, "b" * 64, {})
        self.thresholds, self.device = (0.5, 0.3), CPU
        linear = nn.Linear(len(channels) * int(np.prod(SHAPE)), 2)
        weight = torch.zeros(2, len(channels), *SHAPE)
        rising = torch.arange(1.0, 8.0).reshape(7, 1, 1).expand(7, 3, 3)
        for index, box in enumerate(BOXES.values()):
            weight[(index, 0, *box)] = gain * rising / rising.sum()
        linear.weight.data, linear.bias.data = weight.reshape(2, -1), torch.full((2,), -gain * level)
        self.network = nn.Sequential(nn.Flatten(1), linear).eval().requires_grad_(requires_grad=False)

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        reference = images[self.info.channels[0]]
        middle = reference.affine @ [*(np.array(reference.shape) - 1) / 2, 1]
        affine = np.diag([6.0, 6.0, 6.0, 1.0])
        affine[:3, 3] = middle[:3] - 6.0 * (np.array(SHAPE) - 1) / 2
        arrays = [resample(images[name], affine, SHAPE).array.astype(np.float32) / 10 for name in self.info.channels]
        return Prepared(torch.from_numpy(np.stack(arrays)), affine, reference)

    @torch.no_grad()
    def predict(self, images: Mapping[str, Volume]) -> np.ndarray:
        return torch.sigmoid(self.network(self.prepare(images).tensor[None]))[0].numpy()


def head(affine: np.ndarray, shape: tuple[int, int, int] = (44, 40, 36)) -> Volume:
    """An ellipsoid of 100 ± 15, zero outside."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    noise = np.random.default_rng(0).standard_normal(shape)
    return Volume(np.where((grid**2).sum(0) < 0.95, 100 + 15 * noise, 0).astype(np.float32), affine)


def box_mask(model: BoxClassifier, image: Volume, label: str) -> Volume:
    """The box of a label on the image's grid, with a voxel of the network's grid around it."""
    array = np.zeros(SHAPE, np.uint8)
    array[tuple(slice(s.start - 1, s.stop + 1) for s in BOXES[label])] = 1
    prepared = model.prepare(dict.fromkeys(model.info.channels, image))
    return resample(Volume(array, prepared.affine), image.affine, image.shape, order=0)
