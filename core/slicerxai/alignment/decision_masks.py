"""What a decision about a whole image may come from, on the network's grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Prepared
from slicerxai.saliency.grids import mask_on

OPENING_MM = 6.0
"""What touches the brain over less than this is no part of it."""


def lesions_on(prepared: Prepared, mask: Volume) -> NDArray[np.bool_]:
    """A mask (not zero in lesions) on the grid of the network, (I, J, K); empty when it is empty.

    Raises:
        InputError: lesions, but none in the part of the image that the network sees.
    """
    i, j, k = prepared.tensor.shape[1:]
    if not np.any(mask.array):
        return np.zeros((i, j, k), dtype=np.bool_)
    return mask_on(prepared.affine, (i, j, k), mask)


def brain_on(prepared: Prepared) -> NDArray[np.bool_]:
    """The largest piece of what is not zero in the first channel, without what hangs on it by little; (I, J, K)."""
    there = prepared.tensor[0].numpy() != 0
    spacing = float(np.linalg.norm(prepared.affine[:3, 0]))
    times = max(1, round(OPENING_MM / spacing))
    neighbours = ndimage.generate_binary_structure(3, 1)
    pieces, count = ndimage.label(ndimage.binary_opening(there, neighbours, times))
    if count == 0:
        return there
    largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return ndimage.binary_dilation(largest, neighbours, times) & there


def decision_mask(lesions: NDArray[np.bool_], brain: NDArray[np.bool_] | None, labels: NDArray[np.bool_]) -> Tensor:
    """Where the labels of one image may be read from, (1, *spatial) in {0, 1}.

    Lesions speak for the labels that are present. For one that is absent every part of the brain does, by being free of
    lesions: were lesions alone allowed, a network that would say "present" if there were a new lesion would be taught
    not to. An image with every label therefore has its lesions for a mask, another one the brain with its lesions.

    Args:
        lesions: of the spatial shape.
        brain: likewise; None where there is none, as in single images: then lesions alone count.
        labels: (L,) which are present.
    """
    allowed = lesions if brain is None or labels.all() else lesions | brain
    return torch.from_numpy(allowed[None].astype(np.float32))
