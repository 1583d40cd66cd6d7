"""How far raters agree on one image, measured in the world: masks may lie on different grids. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .geometry import resample
from .nrrd import Volume

Array = Any
LESION_MM3 = 3.0
"""Smallest lesion that counts, as in the MSSEG 2016 evaluation (Commowick et al., Scientific Reports 8:13650, 2018)."""
CONSENSUS = "consensus"
DERIVED = frozenset({CONSENSUS, "truth"})
"""Masks that nobody drew by hand; no votes in a map of agreement."""
SAME_GRID = 1e-3
"""Voxels by which two grids may differ and still count as one; headers are rounded."""


@dataclass(frozen=True)
class RaterRow:
    """What one rater drew.

    Attributes:
        lesions: connected parts (26 neighbours) of at least `LESION_MM3`.
        dice: with the consensus, in [0, 1]; None where there is none.
    """

    rater: str
    volume_ml: float
    lesions: int
    dice: float | None


@dataclass(frozen=True)
class Agreement:
    """Raters in the order in which they were given; `dice` is the matrix of pairs, in [0, 1]."""

    raters: tuple[RaterRow, ...]
    dice: tuple[tuple[float, ...], ...]

    @property
    def mean_dice(self) -> float | None:
        """Over the pairs of raters; None with fewer than two."""
        drawn = [number for number, row in enumerate(self.raters) if row.rater not in DERIVED]
        pairs = [self.dice[one][other] for one in drawn for other in drawn if one < other]
        return sum(pairs) / len(pairs) if pairs else None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        rows = [[row.rater, row.volume_ml, row.lesions, row.dice] for row in self.raters]
        return {"raters": rows, "dice": [list(row) for row in self.dice]}


def agreement_of(document: Any) -> Agreement:
    """The agreement of its JSON. Raises `ValueError` for anything else."""
    try:
        rows = tuple(
            RaterRow(str(rater), float(volume), int(lesions), None if dice is None else float(dice))
            for rater, volume, lesions, dice in document["raters"]
        )
        return Agreement(rows, tuple(tuple(float(value) for value in row) for row in document["dice"]))
    except (KeyError, TypeError, ValueError) as error:
        msg = f"not an agreement: {error!r}"
        raise ValueError(msg) from None


def measure(masks: Mapping[str, Volume]) -> Agreement:
    """Volumes, lesions and overlaps of masks (0 is background) by rater.

    Volumes and lesions are counted on each mask's own grid. Overlaps are counted where all masks can be compared: see
    `on_one_grid`. Two masks in which nothing is drawn agree: their Dice is 1.
    """
    names = list(masks)
    common = on_one_grid(masks)[0] if masks else {}
    sizes = {name: int(np.count_nonzero(array)) for name, array in common.items()}
    dice = np.ones((len(names), len(names)))
    for first, one in enumerate(names):
        for second, other in enumerate(names[:first]):
            both = int(np.count_nonzero(common[one] & common[other]))
            total = sizes[one] + sizes[other]
            dice[first, second] = dice[second, first] = 2 * both / total if total else 1.0
    consensus = names.index(CONSENSUS) if CONSENSUS in names else None
    rows = tuple(
        RaterRow(
            name,
            volume_ml(masks[name]),
            lesion_count(masks[name]),
            None if consensus is None else float(dice[number, consensus]),
        )
        for number, name in enumerate(names)
    )
    return Agreement(rows, tuple(tuple(row) for row in dice.tolist()))


def votes(masks: Mapping[str, Volume]) -> Volume | None:
    """How many raters marked each voxel (uint8), on the part of the grid where any did; None where nobody did.

    Masks of `DERIVED` have no vote.
    """
    drawn = {name: mask for name, mask in masks.items() if name not in DERIVED}
    if not drawn:
        return None
    common, affine = on_one_grid(drawn)
    counts = sum((array.astype(np.uint8) for array in common.values()), np.zeros((1, 1, 1), np.uint8))
    return cropped(Volume(counts, affine)) if counts.any() else None


def on_one_grid(masks: Mapping[str, Volume]) -> tuple[dict[str, Array], Array]:
    """The masks as bool arrays of one shape, and the affine of their common grid.

    The grid is that of the first mask with anything drawn, grown so that all of every mask lies in it. A mask whose own
    grid is a part of it is taken as it is; any other one is read at the voxels' centres.
    """
    drawn = {name: np.asarray(mask.array) != 0 for name, mask in masks.items()}
    first = next((name for name, array in drawn.items() if array.any()), next(iter(masks)))
    affine = np.asarray(masks[first].affine, float)
    boxes = {name: _box(mask, affine) for name, mask in masks.items()}
    counted = [boxes[name] for name, array in drawn.items() if array.any()] or list(boxes.values())[:1]
    low = np.min([box[0] for box in counted], axis=0)
    high = np.max([box[1] for box in counted], axis=0)
    grid = affine.copy()
    grid[:3, 3] += affine[:3, :3] @ low
    shape = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))
    common = {}
    for name, array in drawn.items():
        start, end, exact = boxes[name]
        whole = np.zeros(shape, bool)
        if array.any():
            if exact:
                whole[tuple(slice(a, b) for a, b in zip(start - low, end - low))] = array
            else:
                whole = resample(array, masks[name].affine, shape, grid, 0)
        common[name] = whole
    return common, grid


def cropped(mask: Volume, margin: int = 0) -> Volume:
    """The part of a volume where anything is not 0, with its place; one voxel where all is 0.

    Args:
        margin: voxels around it that are kept too.
    """
    array, affine = np.asarray(mask.array), np.asarray(mask.affine, float)
    box = []
    for axis in range(3):
        across = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(array.any(axis=across))
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, 0)
        box.append(slice(max(first - margin, 0), min(last + margin + 1, array.shape[axis])))
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return Volume(array[tuple(box)], moved)


def volume_ml(mask: Volume) -> float:
    """Millilitres of what is not 0."""
    return float(np.count_nonzero(mask.array) * _voxel_mm3(mask) / 1000)


def lesion_count(mask: Volume, least_mm3: float = LESION_MM3) -> int:
    """Number of connected parts, over 26 neighbours, that have at least so much volume."""
    sizes = np.bincount(_parts(np.asarray(mask.array) != 0))
    return int(np.count_nonzero(sizes * _voxel_mm3(mask) >= least_mm3 * (1 - 1e-6)))


def _parts(mask: Array) -> Array:
    """Number of the connected part, from 0, of each voxel that is set: the roots of a forest that is flattened."""
    padded = np.pad(mask, 1)
    places = np.flatnonzero(padded)
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    steps = [step for step in np.ndindex(3, 3, 3) if step > (1, 1, 1)]
    number = np.full(padded.size, -1, np.int64)
    number[places] = np.arange(len(places))
    pairs = []
    for step in steps:
        beside = number[places + int((np.array(step) - 1) @ strides)]
        touching = np.flatnonzero(beside >= 0)
        pairs.append(np.stack([touching, beside[touching]]))
    first, second = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), np.int64)
    root = np.arange(len(places))
    while True:
        lowest = root.copy()
        least = np.minimum(root[first], root[second])
        np.minimum.at(lowest, root[first], least)
        np.minimum.at(lowest, root[second], least)
        joined = _flattened(lowest)[root]
        if np.array_equal(joined, root):
            return np.unique(root, return_inverse=True)[1]
        root = joined


def _flattened(parent: Array) -> Array:
    while not np.array_equal(parent[parent], parent):
        parent = parent[parent]
    return parent


def _box(mask: Volume, affine: Array) -> tuple[Array, Array, bool]:
    """First voxel, end, and whether its grid is a part of this one, of a mask in the indices of a grid."""
    shape = np.array(np.asarray(mask.array).shape)
    index = np.linalg.inv(affine) @ np.asarray(mask.affine, float)
    corners = _corners(shape)
    moved = index[:3, :3] @ corners + index[:3, 3:]
    start = np.rint(index[:3, 3])
    shifted = corners + start[:, None]
    if np.abs(moved - shifted).max() < SAME_GRID:
        return start.astype(int), (start + shape).astype(int), True
    return np.floor(moved.min(axis=1)).astype(int), np.ceil(moved.max(axis=1)).astype(int) + 1, False


def _corners(shape: Array) -> Array:
    return np.array(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij"), float).reshape(3, -1)


def _voxel_mm3(mask: Volume) -> float:
    return float(abs(np.linalg.det(np.asarray(mask.affine, float)[:3, :3])))
