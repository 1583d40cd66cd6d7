"""Between the image's grid and the grid on which the network works."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

CONVOLUTIONS = {nn.Conv2d: 2, nn.Conv3d: 3}


def mask_on(affine: NDArray[np.float64], shape: tuple[int, int, int], mask: Volume) -> NDArray[np.bool_]:
    """A mask on another grid; one smaller than the grid's voxels keeps the voxels nearest to its own.

    Raises:
        InputError: the mask lies outside the grid.
    """
    moved = resample(mask.with_array(mask.array.astype(np.uint8)), affine, shape, order=0).array != 0
    if moved.any():
        return moved
    to_grid = np.linalg.inv(affine) @ mask.affine
    index = np.rint(np.argwhere(mask.array) @ to_grid[:3, :3].T + to_grid[:3, 3]).astype(int)
    index = index[((index >= 0) & (index < np.array(shape))).all(axis=1)]
    if not len(index):
        msg = "the lesion lies outside the part of the image that the network sees"
        raise InputError(msg)
    moved[tuple(index.T)] = True
    return moved


def padding(shape: Sequence[int], at_least: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that a patch fits, spread evenly."""
    missing = [max(0, p - n) for n, p in zip(shape, at_least, strict=True)]
    return [(m // 2, m - m // 2) for m in missing]


def pad(tensor: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    """Add zeros around the last axes of a tensor, as many as there are amounts; without any it is the tensor itself."""
    flat = [amount for pair in reversed(amounts) for amount in pair]
    return torch.nn.functional.pad(tensor, flat) if any(flat) else tensor


def unpad(tensor: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    """Undo `pad`."""
    for axis, (before, after) in zip(range(-len(amounts), 0), amounts, strict=True):
        tensor = tensor.narrow(axis, before, tensor.shape[axis] - before - after)
    return tensor


def density(relevance: Tensor, affine: NDArray[np.float64], reference: Volume) -> Volume:
    """Relevance of each working voxel (I, J, K) as relevance per mm³ on the image's grid, float32, zero outside.

    Dividing by the voxel volume makes maps of different spacing comparable: their integral over space is T.
    """
    voxel_volume = abs(float(np.linalg.det(affine[:3, :3])))
    return resample(Volume((relevance / voxel_volume).numpy(), affine), reference.affine, reference.shape)


def squeeze_flat(tensor: Tensor, network: nn.Module) -> Tensor:
    """(C, I, J, K) without its last axis when the network works in 2D and K is 1.

    Raises:
        InputError: a volume for a 2D network.
    """
    kinds = {dims for module in network.modules() for kind, dims in CONVOLUTIONS.items() if isinstance(module, kind)}
    if kinds != {2} or tensor.ndim == 3:
        return tensor
    if tensor.shape[-1] != 1:
        msg = f"the classifier works on single slices, got a volume of shape {tuple(tensor.shape[1:])}"
        raise InputError(msg)
    return tensor[..., 0]
