"""Observed exchanges on draws from a phantom pool: both readers' masks on every image, or images given another look.

The harmonised exchange sees only what a user has: the images of both environments as they were drawn. The model is the
pool's own, and each prediction is compared with the case's own drawing.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.shift_pool import READERS, SCANNERS, PoolParameters, pool_folder, score, train_segmenter
from benchmarks.shift_truth import Draw, Pool
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Segmenter
from slicerxai.shift.estimators.robust import Swapped
from slicerxai.shift.harmonise import fit_transport, transported

Array = NDArray[np.float64]


def paired(drawn: Draw) -> Swapped:
    """Every case with the other site's reader, on its own image."""
    n = len(drawn.pair.source)
    return Swapped("annotation", source=drawn.swapped[:n, 4], target=drawn.swapped[n:, 2])


def harmonised(root: Path, parameters: PoolParameters, pool: Pool, drawn: Draw) -> Swapped:
    """Every image carried over to the other environment's look, segmented and scored against its own drawing."""
    n = len(drawn.pair.source)
    scans = [(int(pool.numbers[row[0]]), list(SCANNERS)[row[1]]) for row in drawn.rows]
    found = _carried_over(root, parameters, tuple(scans[:n]), tuple(scans[n:]))
    values = [
        score(labelmap, _volume(root, parameters, number, f"mask_{list(READERS)[row[2]]}"))["dice"]
        for labelmap, (number, _), row in zip(found, scans, drawn.rows, strict=True)
    ]
    return Swapped("acquisition", source=np.array(values[:n]), target=np.array(values[n:]))


@lru_cache(maxsize=1)
def _carried_over(
    root: Path, parameters: PoolParameters, source: tuple[tuple[int, str], ...], target: tuple[tuple[int, str], ...]
) -> tuple[Volume, ...]:
    """Predictions on the source's, then the target's images with the other's look; shifts of the reader share them."""
    images = [
        [_volume(root, parameters, number, f"scan_{scanner}") for number, scanner in one] for one in (source, target)
    ]
    there, back = fit_transport(images[0], images[1]), fit_transport(images[1], images[0])
    found = []
    for scans, own, transport in zip((source, target), images, (there, back), strict=True):
        known: dict[tuple[int, str], Volume] = {}
        for scan, image in zip(scans, own, strict=True):
            if scan not in known:
                moved = transported(image, transport, seed=scan[0])
                known[scan] = _model(root, parameters).predict({"FLAIR": moved}).labelmap
            found.append(known[scan])
    return tuple(found)


def _volume(root: Path, parameters: PoolParameters, number: int, name: str) -> Volume:
    with np.load(pool_folder(root, parameters.seed) / "volumes" / f"{number:04d}.npz") as arrays:
        return Volume(arrays[name], arrays["affine"])


@lru_cache(maxsize=1)
def _model(root: Path, parameters: PoolParameters) -> Segmenter:
    return train_segmenter(root, parameters)
