"""Sequences that a user recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PROPERTIES, PropertyInfo


class Recorded:
    """The scan's own sequence of images at the values that belong to them, 1, 2, … where none are given."""

    info: PropertyInfo = PROPERTIES["recorded"]

    def unusable(self, scan: Scan) -> str | None:
        if len(scan.sequence) < 2:
            return f"its sequence has {len(scan.sequence)} images; at least 2 are needed"
        if scan.sequence_values and len(scan.sequence_values) != len(scan.sequence):
            return f"its sequence has {len(scan.sequence)} images, but {len(scan.sequence_values)} values"
        values = np.asarray(scan.sequence_values, dtype=np.float64)
        if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
            return f"the values of its sequence are not ascending: {', '.join(f'{value:g}' for value in values)}"
        wanted = set(scan.images)
        for number, images in enumerate(scan.sequence, start=1):
            if not wanted <= set(images):
                missing = ", ".join(sorted(wanted - set(images)))
                return f"image {number} of its sequence lacks {missing}"
        return None

    def samples(self, scan: Scan) -> NDArray[np.float64]:
        values = scan.sequence_values or range(1, len(scan.sequence) + 1)
        return np.asarray(values, dtype=np.float64)

    def limits(self, scan: Scan) -> tuple[float, float]:
        values = self.samples(scan)
        return float(values[0]), float(values[-1])

    def neutral(self, scan: Scan) -> float | None:
        """The value of the recorded images that are the scan's own, voxel by voxel; None when none are."""
        for value, images in zip(self.samples(scan), scan.sequence, strict=True):
            if all(_same(images[key], volume) for key, volume in scan.images.items()):
                return float(value)
        return None

    def realise(self, scan: Scan, value: float) -> dict[str, Volume]:
        reason = self.unusable(scan)
        if reason is not None:
            msg = f"{self.info.title} cannot be used: {reason}"
            raise InputError(msg)
        samples = self.samples(scan)
        found = np.flatnonzero(samples == value)
        if not len(found):
            known = ", ".join(f"{sample:g}" for sample in samples)
            msg = f"no image was recorded at {value:g}; there are images at {known}"
            raise InputError(msg)
        if value == self.neutral(scan):
            return dict(scan.images)
        images = scan.sequence[int(found[0])]
        return {key: images[key] for key in scan.images}


def _same(one: Volume, other: Volume) -> bool:
    return (
        one.shape == other.shape
        and bool(np.allclose(one.affine, other.affine))
        and bool(np.array_equal(one.array, other.array))
    )
