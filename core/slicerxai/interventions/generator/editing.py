"""Changing the slices of one scan: the difference between what is drawn under a target and under the own condition.

Only this difference is added to the scan, so that all that the generator cannot draw – its resolution is that of its
grid, and a small network blurs – stays as it was recorded, and the scan under its own condition is the scan itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from slicerxai.interventions.generator.conditions import position_features
from slicerxai.interventions.generator.courses import Course, Drawn
from slicerxai.interventions.generator.inversion import Inverted, draw, invert
from slicerxai.interventions.generator.slices import Slices
from slicerxai.interventions.generator.store import TrainedGenerator

BATCH = 32
"""Slices that go through the network together."""


@dataclass(frozen=True)
class EditSettings:
    """How slices are changed.

    Attributes:
        steps: of DDIM, each way.
        iterations: of each step's inversion.
        guide: go back to the own noisy slice outside the region at every step.
        region_share: change, as a share of the largest one of the slice, from which a pixel belongs to the region.
        region_mm: blur of the region's edge, standard deviation.
    """

    steps: int = 10
    iterations: int = 2
    guide: bool = True
    region_share: float = 0.3
    region_mm: float = 2.0


class SliceEditor:
    """The inverted slices of one scan along one course.

    Inversion is done once, at construction.
    """

    def __init__(
        self, generator: TrainedGenerator, slices: Slices, course: Course, settings: EditSettings | None = None
    ) -> None:
        self._generator, self._course = generator, course
        self._settings = settings or EditSettings()
        self._shape = tuple(slices.pixels.shape)
        self._index = torch.from_numpy(np.flatnonzero(course.active & slices.head.any(axis=(1, 2))))
        self._head = torch.from_numpy(slices.head)[self._index, None].float().to(generator.device)
        self._spacing = generator.config.spacing
        position = position_features(slices.height)
        self._inverted: list[tuple[Tensor, Inverted]] = [
            (
                rows,
                invert(
                    generator,
                    slices.pixels[self._index[rows]],
                    course.source[self._index[rows]],
                    position[self._index[rows]],
                    self._settings.steps,
                    self._settings.iterations,
                ),
            )
            for rows in torch.arange(len(self._index)).split(BATCH)
        ]
        self._own = self._drawn(Drawn(course.source, 0.0), None)
        self.region: Tensor | None = None
        if self._settings.guide and course.ends:
            self.region = self._region([self._drawn(end, None) - self._own for end in course.ends])
            self._own = self._drawn(Drawn(course.source, 0.0), self.region)

    def change(self, value: float) -> NDArray[np.float32]:
        """What is added to the slices at a value of the course, (K, C, H, W), zero outside the head."""
        drawn = self._drawn(self._course.at(value), self.region) - self._own
        found = np.zeros(self._shape, dtype=np.float32)
        found[self._index.numpy()] = (drawn * self._head).cpu().numpy()
        return found

    def region_of_slices(self) -> NDArray[np.float32] | None:
        """Where slices may change, (K, H, W) in [0, 1]; None: everywhere."""
        if self.region is None:
            return None
        found = np.zeros((self._shape[0], *self._shape[2:]), dtype=np.float32)
        found[self._index.numpy()] = (self.region * self._head)[:, 0].cpu().numpy()
        return found

    def _drawn(self, under: Drawn, region: Tensor | None) -> Tensor:
        """Active slices (A, C, H, W)."""
        return torch.cat(
            [
                draw(
                    self._generator,
                    inverted,
                    under.target[self._index[rows]],
                    under.scale,
                    None if region is None else region[rows],
                )
                for rows, inverted in self._inverted
            ]
        )

    def _region(self, changes: list[Tensor]) -> Tensor:
        """Where slices may change, (A, 1, H, W) in [0, 1]: where what is drawn at the course's ends differs from
        the own slice (Couairon et al., ICLR 2023), smoothed."""
        size = torch.stack([change.abs().amax(dim=1, keepdim=True) for change in changes]).amax(dim=0) * self._head
        sigma = self._settings.region_mm / self._spacing
        size = _smoothed(size, sigma)
        peak = size.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6)
        inside = (size >= self._settings.region_share * peak).float()
        wide = functional.max_pool2d(inside, 3, stride=1, padding=1)
        return _smoothed(wide, sigma).clamp(0, 1)


def _smoothed(images: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of images (B, 1, H, W); sigma in pixels."""
    radius = max(1, int(np.ceil(3 * sigma)))
    place = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (place / sigma) ** 2)
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(images, kernel[None, None, :, None], padding=(radius, 0))
    return functional.conv2d(rows, kernel[None, None, None, :], padding=(0, radius))
