"""Readings of properties on the cases of a cohort, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slicerxai.interventions.cohort import CombinedTest, Ranking, combine_controls, rank_effects
from slicerxai.interventions.measure import Measured
from slicerxai.interventions.multiple import benjamini_hochberg, holm
from slicerxai.interventions.replicates import sign_flip_test, smallest_p

Array = NDArray[np.float64]
Correction = Literal["holm", "bh"]
ADJUSTMENTS = {"holm": holm, "bh": benjamini_hochberg}
NEGLIGIBLE = 1e-3
"""Mean effect, as a share of the mean size of the unchanged output, below which a property changes nothing."""


@dataclass(frozen=True)
class Reading:
    """One output of a model along one property of one case.

    Attributes:
        case, property: their names.
        values: (N,) of the property, ascending.
        predictions: (N,) of the output.
        unchanged: output of the unchanged images.
        effect: E|∇F| times the range, in output units.
        change: E∇F times the range, in output units.
        flips: values at which the output crosses its threshold.
        exceedances, controls: of the test against control paths; 0 and 0 without it.
    """

    case: str
    property: str
    values: Array
    predictions: Array
    unchanged: float
    effect: float
    change: float
    flips: tuple[float, ...]
    exceedances: int
    controls: int


def readings(case: str, measured: Measured) -> list[Reading]:
    """One for each output, in their order."""
    effect, controls = measured.effect, measured.controls
    width = float(measured.values[-1] - measured.values[0])
    return [
        Reading(
            case=case,
            property=measured.property.name,
            values=measured.values,
            predictions=measured.predictions[:, n],
            unchanged=float(measured.unchanged[n]),
            effect=float(effect.over_range[n]),
            change=float(effect.mean_gradient[n]) * width,
            flips=tuple(flip.value for flip in effect.flips[n]),
            exceedances=0 if controls is None else int(controls.exceedances[n]),
            controls=0 if controls is None else controls.drawn,
        )
        for n in range(len(measured.outputs))
    ]


@dataclass(frozen=True)
class Summary:
    """M properties on the cases of a cohort, for one output.

    Attributes:
        properties: their names.
        cases: (M,) cases that each could be changed on.
        ranking: by `Reading.effect`.
        change: (M,) mean of `Reading.change`, with `change_interval` (M, 2).
        flipped: (M,) share of its cases in which the output crosses its threshold.
        p_sign, p_sign_adjusted: (M,) of "no consistent direction over cases" (sign flips).
        sign_resolution: (M,) smallest p that so many cases can give there.
        controls: (M,) the cases' tests against control paths combined; None without controls.
        p_controls_adjusted: (M,); NaN without controls.
        negligible: (M,) effects below `NEGLIGIBLE`.
    """

    properties: tuple[str, ...]
    cases: NDArray[np.int64]
    ranking: Ranking
    change: Array
    change_interval: Array
    flipped: Array
    p_sign: Array
    p_sign_adjusted: Array
    sign_resolution: Array
    controls: tuple[CombinedTest | None, ...]
    p_controls_adjusted: Array
    negligible: NDArray[np.bool_]

    @property
    def order(self) -> list[int]:
        """Indices of the properties, the largest mean effect first."""
        return [int(n) for n in np.argsort(-self.ranking.mean, kind="stable")]


def summarise(
    found: Sequence[Reading],
    *,
    bootstraps: int = 2000,
    level: float = 0.95,
    correction: Correction = "holm",
    seed: int = 0,
) -> Summary:
    """Combine the readings of one output.

    Args:
        found: at most one for each case and property.

    Raises:
        InputError: no reading.
    """
    properties = tuple(dict.fromkeys(reading.property for reading in found))
    cases = list(dict.fromkeys(reading.case for reading in found))
    effects = np.full((len(cases), len(properties)), np.nan)
    changes = effects.copy()
    for reading in found:
        place = cases.index(reading.case), properties.index(reading.property)
        effects[place], changes[place] = reading.effect, reading.change
    ranking = rank_effects(effects, bootstraps, level, seed)
    change = rank_effects(changes, bootstraps, level, seed)
    by = [[reading for reading in found if reading.property == name] for name in properties]
    tested = tuple(_combined(group) for group in by)
    p_sign = np.array([sign_flip_test(np.array([[r.change] for r in group]), seed=seed)[0] for group in by])
    adjust = ADJUSTMENTS[correction]
    size = float(np.mean([abs(reading.unchanged) for reading in found]))
    return Summary(
        properties=properties,
        cases=np.array([len(group) for group in by]),
        ranking=ranking,
        change=change.mean,
        change_interval=change.interval,
        flipped=np.array([np.mean([len(reading.flips) > 0 for reading in group]) for group in by]),
        p_sign=p_sign,
        p_sign_adjusted=adjust(p_sign),
        sign_resolution=np.array([smallest_p(len(group)) for group in by]),
        controls=tested,
        p_controls_adjusted=_adjusted(tested, correction),
        negligible=ranking.mean <= NEGLIGIBLE * size,
    )


def _combined(group: Sequence[Reading]) -> CombinedTest | None:
    tested = [reading for reading in group if reading.controls]
    if not tested:
        return None
    return combine_controls([one.exceedances for one in tested], [one.controls for one in tested])


def _adjusted(tested: Sequence[CombinedTest | None], correction: Correction) -> Array:
    adjusted = np.full(len(tested), np.nan)
    known = [n for n, one in enumerate(tested) if one is not None]
    adjusted[known] = ADJUSTMENTS[correction](np.array([one.p for one in tested if one is not None]))
    return adjusted
