"""The sliding window of a segmenter over many versions of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from slicerxai.models.protocols import Segmenter
from slicerxai.models.sliding_window import Patch, importance_map, patch_grid
from slicerxai.progress import Progress, silent

BATCH_VOXELS: Final = 2**21
"""Voxels of the windows that a network computes at once. A CPU gains nothing by that and computes them one by one, as
`blended_logits` does, so that it gives the same bits."""


class Windows:
    """Logits of whole volumes, with the patches and the blending of `slicerxai.models.sliding_window.blended_logits`.

    Windows in which an image is the very same as the first one keep its logits, so that a local change costs only the
    windows that it touches.
    """

    def __init__(self, model: Segmenter, first: Tensor) -> None:
        """Args: first, (C, I, J, K), the image whose logits are kept from when it is first computed."""
        self._network, self._device, self._first = model.network, model.device, first
        shape = first.shape[1:]
        size = [min(patch, n) for patch, n in zip(model.patch_size, shape, strict=True)]
        self._patches = patch_grid(shape, size, model.overlap)
        self._weight = importance_map(size)
        self._batch = 1 if self._device.type == "cpu" else max(1, BATCH_VOXELS // self._weight.numel())
        self._known: dict[int, Tensor] = {}
        self.computed = 0

    @torch.no_grad()
    def logits(self, tensor: Tensor, progress: Progress = silent) -> tuple[Tensor, Tensor]:
        """Logits (L, I, J, K) of an image (C, I, J, K), and where it was covered, bool (I, J, K); both on the CPU.

        Raises:
            ValueError: the image is zero everywhere.
        """
        needed = [index for index, patch in enumerate(self._patches) if bool(self._cut(tensor, patch).any())]
        if not needed:
            msg = "the image is zero everywhere"
            raise ValueError(msg)
        same = {
            index
            for index in needed
            if torch.equal(self._cut(tensor, self._patches[index]), self._cut(self._first, self._patches[index]))
        }
        missing = [index for index in needed if index not in same or index not in self._known]
        found = {index: self._known[index] for index in needed if index in same and index in self._known}
        for start in range(0, len(missing), self._batch):
            progress(start / len(missing), f"window {start + 1} of {len(missing)}")
            batch = missing[start : start + self._batch]
            found |= dict(zip(batch, self._computed(tensor, batch), strict=True))
        self._known |= {index: found[index] for index in same}
        return self._blended(found, needed)

    def _cut(self, tensor: Tensor, patch: Patch) -> Tensor:
        return tensor[(slice(None), *patch)]

    def _computed(self, tensor: Tensor, batch: Sequence[int]) -> Tensor:
        stack = torch.stack([self._cut(tensor, self._patches[index]) for index in batch])
        self.computed += len(batch)
        logits: Tensor = self._network(stack.to(self._device)).float().cpu()
        return logits

    def _blended(self, found: dict[int, Tensor], needed: Sequence[int]) -> tuple[Tensor, Tensor]:
        shape = self._first.shape[1:]
        total = torch.zeros(found[needed[0]].shape[0], *shape)
        weights = torch.zeros(shape)
        for index in needed:
            patch = self._patches[index]
            total[(slice(None), *patch)] += found[index] * self._weight
            weights[patch] += self._weight
        covered = weights > 0
        return total / weights.where(covered, torch.ones(())), covered
