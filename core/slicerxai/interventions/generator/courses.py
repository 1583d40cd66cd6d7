"""The courses that a generated sequence can take: which condition each slice is drawn under at a value.

Two courses, for either condition:

- by the *condition*: it goes from the scan's own to others in equal steps, under a guidance of fixed scale;
- by the *guidance*: the condition to go to is fixed, and the scale of the guidance towards it grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slicerxai.errors import InputError
from slicerxai.interventions.generator.conditions import CentreCondition, Condition, LoadCondition
from slicerxai.interventions.generator.slices import Slices

By = Literal["condition", "guidance"]


@dataclass(frozen=True)
class Drawn:
    """What slices are drawn under: encoded conditions (K, F) and the scale of the guidance towards them."""

    target: Tensor
    scale: float


class Course(Protocol):
    """Values, and what each of them is drawn under.

    `source` are the slices' own conditions (K, F), `active` (K,) those slices that change at all, `ends` what is drawn
    to find the region in which slices may change; empty where they may change everywhere.
    """

    title: str
    units: str
    limits: tuple[float, float]
    neutral: float
    source: Tensor
    active: NDArray[np.bool_]
    ends: tuple[Drawn, ...]

    def at(self, value: float) -> Drawn: ...


class LoadCourse:
    """Lesion load of all slices, ml, from none to more than the own; or guidance towards the greatest load.

    Below the own load every slice keeps its share of it. Above, what is added is spread over the slices as it was in
    training; no slice goes beyond what was learned. Slices at heights at which loads were not learned stay as they are.

    Args:
        condition: of the generator.
        area: own lesion area (K,) of each slice, cm².
        slices: the scan.
        by: which course.
        scale: of the guidance along the condition.
        most_scale: largest guidance of the other course, in both directions.
    """

    def __init__(
        self,
        condition: LoadCondition,
        area: NDArray[np.float64],
        slices: Slices,
        by: By,
        scale: float,
        most_scale: float,
    ) -> None:
        self._condition, self._area, self._by, self._scale = condition, area, by, scale
        self._thickness = slices.thickness / 10
        usual = _usual(condition, slices)
        self.active = usual > 0
        if not self.active.any():
            msg = "no slice is at a height at which the generator learned lesion loads"
            raise InputError(msg)
        self._share = usual / usual.sum()
        self._fixed = float(area[~self.active].sum()) * self._thickness
        self.own = float(area.sum()) * self._thickness
        most = self.own + _room(condition.most - area, self._share, self._thickness)
        typical = float(usual.sum()) * self._thickness
        self.most = min(most, max(2 * self.own, self.own + typical))
        self.source = condition.encoded(area)
        none, full = self._areas(self._fixed), self._areas(self.most)
        self.ends = tuple(Drawn(condition.encoded(end), scale) for end in (none, full))
        self._full = condition.encoded(full)
        if by == "condition":
            self.title, self.units = "Lesion load", "ml"
            self.limits, self.neutral = (self._fixed, self.most), self.own
        else:
            self.title, self.units = "Guidance towards more lesions", ""
            self.limits, self.neutral = (-most_scale, most_scale), 0.0

    def at(self, value: float) -> Drawn:
        if self._by == "guidance":
            return Drawn(self._full, value)
        return Drawn(self._condition.encoded(self._areas(value)), self._scale)

    def _areas(self, load: float) -> NDArray[np.float64]:
        """Area (K,) of each slice, cm², for a load of all slices, ml."""
        if load >= self.own:
            return self._area + (load - self.own) * self._share / self._thickness
        kept = (load - self._fixed) / (self.own - self._fixed)
        return np.where(self.active, kept * self._area, self._area)


class CentreCourse:
    """Share in [0, 1] of the way from a scan of no known centre to one of a centre; or guidance towards that centre."""

    def __init__(
        self, condition: CentreCondition, target: str, count: int, by: By, scale: float, most_scale: float
    ) -> None:
        self._target = condition.encoded([target] * count)
        self._by, self._scale = by, scale
        self.source = torch.zeros_like(self._target)
        self.active = np.ones(count, dtype=np.bool_)
        self.ends: tuple[Drawn, ...] = ()
        self.title, self.units = f"Looks like centre {target}", ""
        self.limits, self.neutral = (0.0, 1.0 if by == "condition" else most_scale), 0.0

    def at(self, value: float) -> Drawn:
        if self._by == "guidance":
            return Drawn(self._target, value)
        return Drawn(torch.lerp(self.source, self._target, value), self._scale)


def target_of(condition: Condition, target: str | None) -> str | None:
    """The centre to go to. Raises `InputError` when it is missing, unknown, or there is nothing to choose."""
    if isinstance(condition, LoadCondition):
        if target is not None:
            msg = f"the generator draws lesion loads and has no target {target!r}; accepted is its name alone"
            raise InputError(msg)
        return None
    if target not in condition.names:
        named = "no centre" if target is None else f"the centre {target!r}"
        known = ", ".join(f"NAME:{name}" for name in condition.names)
        msg = f"the generator draws the looks of centres, and {named} was named; accepted: {known}"
        raise InputError(msg, accepted=condition.names)
    return target


def _usual(condition: LoadCondition, slices: Slices) -> NDArray[np.float64]:
    if not np.isfinite(slices.height).all():
        return np.full(len(slices.height), condition.typical)
    return condition.usual(slices.height) * slices.head.any(axis=(1, 2))


def _room(left: NDArray[np.float64], share: NDArray[np.float64], thickness: float) -> float:
    """How much can be spread by the shares (K,), ml, before the first slice has none left (K,), cm²."""
    spread = share > 0
    return float((np.maximum(left[spread], 0) * thickness / share[spread]).min())
