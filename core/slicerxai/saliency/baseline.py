"""The image without its details, against which integrated gradients and occlusion compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

BLUR_MM = 8.0
"""Standard deviation of the blur: removes most lesions, keeps tissue brightness and field inhomogeneity."""


def blurred(tensor: Tensor, spacing: Sequence[float], sigma: float = BLUR_MM) -> Tensor:
    """Gaussian blur within the foreground, by normalised convolution: (G∗(x m)) / (G∗m) ⊙ m.

    Against a constant image, normalisation layers (instance norm) make the path from baseline to image degenerate: the
    output is the same for every multiple of the image. A blurred image keeps their statistics sensible.

    Args:
        tensor: (C, *spatial); the foreground m is where any channel is not zero.
        spacing: voxel size along each spatial axis, mm.
        sigma: mm.
    """
    array = tensor.numpy()
    mask = (array != 0).any(axis=0).astype(np.float32)
    widths = [sigma / size for size in spacing]
    density = ndimage.gaussian_filter(mask, widths, mode="constant", truncate=3)
    smooth = [ndimage.gaussian_filter(c * mask, widths, mode="constant", truncate=3) for c in array]
    result = np.stack(smooth) * mask / np.maximum(density, np.float32(1e-6))
    return torch.from_numpy(result.astype(np.float32))
