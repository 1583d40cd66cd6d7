"""What was measured of the properties of one case, as its tables, figures, checks and words need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.interventions.measure import Measured
from slicerxai.interventions.multiple import benjamini_hochberg, holm
from slicerxai.interventions.outcomes import Output
from slicerxai.models.protocols import Prepared

Array = NDArray[np.float64]
SAME: Final = 1e-6
"""Change of an output, relative to its size and at least 1, below which it is called none."""


@dataclass(frozen=True)
class Step:
    """The images of one property at one value, with what is predicted there."""

    images: Mapping[str, Volume]
    prediction: Volume | None


@dataclass(frozen=True)
class PropertyCase:
    """All properties of a case.

    Attributes:
        channels: of the model; images: by channel, as given.
        prepared: the unchanged images on the network's grid.
        measured: strongest effect on the ranked output first.
        output: index of the ranked output among `outputs`.
        reported: (O,), what the model's own prediction of the unchanged images gives.
        unusable: reason by name of the property.
        delta, correction: level of significance, and how p values are adjusted.
        expert: 0 and 1 on the first channel's image.
        lesions: predicted in the unchanged image by a segmenter, 0 and 1.
        steps: of the one property that was asked for; empty when there are several.
        brain: the model reads whole brains.
    """

    channels: tuple[str, ...]
    images: Mapping[str, Volume]
    prepared: Prepared
    measured: Sequence[Measured]
    output: int
    reported: Array
    unusable: Mapping[str, str]
    delta: float
    correction: Literal["holm", "bh"]
    brain: bool
    expert: Volume | None = None
    lesions: Volume | None = None
    steps: Sequence[Step] = field(default=())

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.measured[0].outputs

    @property
    def ranked(self) -> Output:
        """The output by which properties are ranked."""
        return self.outputs[self.output]

    def p_controls(self) -> Array:
        """(properties, O); NaN where there is no test."""
        return _p([None if one.controls is None else one.controls.p for one in self.measured], len(self.outputs))

    def p_permutation(self) -> Array:
        """(properties, O); NaN where there is no test."""
        return _p([None if one.permutation is None else one.permutation.p for one in self.measured], len(self.outputs))

    def adjusted(self, p: Array) -> Array:
        """p (properties, O), adjusted over the properties that were tested, for each output by itself."""
        adjust = holm if self.correction == "holm" else benjamini_hochberg
        found = np.full_like(p, np.nan)
        for column in range(p.shape[1]):
            tested = ~np.isnan(p[:, column])
            if tested.any():
                found[tested, column] = adjust(p[tested, column])
        return found

    def tested(self) -> int:
        """Properties that were compared with controls."""
        return sum(one.controls is not None for one in self.measured)


def _p(found: Sequence[Array | None], outputs: int) -> Array:
    return np.stack([np.full(outputs, np.nan) if p is None else p for p in found])


def changes(measured: Measured, output: int) -> bool:
    """Whether an output changes at all."""
    curve = measured.predictions[:, output]
    return measured.reaches_the_network() and bool(np.ptp(curve) > SAME * max(1.0, float(np.abs(curve).max())))
