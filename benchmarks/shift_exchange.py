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
from slicerxai.shift.harmonise import Transport, fit_transport, transported

Array = NDArray[np.float64]


def paired(drawn: Draw) -> Swapped:
    """Every case with the other site's reader, on its own image."""
    n = len(drawn.pair.source)
    return Swapped("annotation", source=drawn.swapped[:n, 4], target=drawn.swapped[n:, 2])


def harmonised(root: Path, parameters: PoolParameters, pool: Pool, drawn: Draw) -> Swapped:
    """Every image carried over to the other environment's look, segmented and scored against its own drawing."""
    n = len(drawn.pair.source)
    images = [_image(root, parameters, pool, row) for row in drawn.rows]
    there = fit_transport(images[:n], images[n:])
    back = fit_transport(images[n:], images[:n])
    known: dict[tuple[int, ...], float] = {}
    values = []
    for case, (row, image) in enumerate(zip(drawn.rows, images, strict=True)):
        key = (int(case >= n), *map(int, row))
        if key not in known:
            known[key] = _dice(root, parameters, pool, row, image, there if case < n else back)
        values.append(known[key])
    return Swapped("acquisition", source=np.array(values[:n]), target=np.array(values[n:]))


def _dice(
    root: Path, parameters: PoolParameters, pool: Pool, row: NDArray[np.int_], image: Volume, transport: Transport
) -> float:
    moved = transported(image, transport, seed=int(pool.numbers[row[0]]))
    found = _model(root, parameters).predict({"FLAIR": moved}).labelmap
    return score(found, _mask(root, parameters, pool, row))["dice"]


def _image(root: Path, parameters: PoolParameters, pool: Pool, row: NDArray[np.int_]) -> Volume:
    return _volume(root, parameters, int(pool.numbers[row[0]]), f"scan_{list(SCANNERS)[row[1]]}")


def _mask(root: Path, parameters: PoolParameters, pool: Pool, row: NDArray[np.int_]) -> Volume:
    return _volume(root, parameters, int(pool.numbers[row[0]]), f"mask_{list(READERS)[row[2]]}")


def _volume(root: Path, parameters: PoolParameters, number: int, name: str) -> Volume:
    with np.load(pool_folder(root, parameters.seed) / "volumes" / f"{number:04d}.npz") as arrays:
        return Volume(arrays[name], arrays["affine"])


@lru_cache(maxsize=1)
def _model(root: Path, parameters: PoolParameters) -> Segmenter:
    return train_segmenter(root, parameters)
