"""Verdicts on properties of a cohort, their words, and self-tests of the result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slicerxai.explain.contract import Check, Flag
from slicerxai.explain.numbers import number
from slicerxai.explain.property_cohort_parameters import CohortPropertyParameters
from slicerxai.interventions.cohort_summary import Reading, Summary
from slicerxai.interventions.effect import effect
from slicerxai.interventions.outcomes import Output
from slicerxai.interventions.property_info import PROPERTIES

DEPENDS = "depends"
NO_MORE = "changes, but no more than under other changes of its size"
NO_CHANGE = "no change"
SURE, LIKELY = 0.95, 0.8
"""Probabilities of being first from which the leading property is clear, and likely."""
COARSE = 0.25
"""Relative difference of the effect at every second value from which the course is too coarse."""


def verdict(found: Summary, index: int, delta: float) -> str:
    """What is said of one property."""
    if found.negligible[index]:
        return NO_CHANGE
    tested = found.controls[index]
    if tested is None:
        return "not resolved: no controls were drawn"
    if tested.resolution * len(found.properties) > delta:
        least = number(tested.resolution * len(found.properties), 2)
        return f"not resolved: so few cases and controls cannot bring p below {least}"
    return DEPENDS if found.p_controls_adjusted[index] <= delta else NO_MORE


def flags(found: Summary, output: Output, delta: float) -> list[Flag]:
    """One for each property that the predictions depend on, the largest effect first."""
    units = f" {output.units}" if output.units and output.units != output.name else ""
    made = []
    for index in found.order:
        if verdict(found, index, delta) != DEPENDS:
            continue
        low, high = found.ranking.interval[index]
        words = (
            f"{output.name} depends on it: it changes by {number(float(found.ranking.mean[index]), 3)}{units} over the "
            f"range ({number(float(low), 3)} to {number(float(high), 3)}), more than under arbitrary changes of the "
            f"same size (p = {number(float(found.p_controls_adjusted[index]), 2)}), {_direction(found, index, delta)}."
        )
        made.append(Flag(subject=PROPERTIES[found.properties[index]].title, message=words))
    return made


def _direction(found: Summary, index: int, delta: float) -> str:
    p = number(float(found.p_sign_adjusted[index]), 2)
    if found.p_sign_adjusted[index] <= delta:
        return f"and {'rises' if found.change[index] > 0 else 'falls'} over the cases (p = {p})"
    if found.sign_resolution[index] * len(found.properties) > delta:
        return "in too few cases to tell whether they go one way"
    return f"with no common direction over the cases (p = {p})"


def all_checks(
    readings: Sequence[Reading],
    found: Summary,
    unusable: Sequence[tuple[str, str, str]],
    parameters: CohortPropertyParameters,
) -> list[Check]:
    """Of the ranked output."""
    checks = [_resolution(found, parameters), _leading(found), _course(readings, found)]
    control = _control(found, parameters.delta)
    if control is not None:
        checks.append(control)
    if unusable:
        names = ", ".join(dict.fromkeys(PROPERTIES[name].title for _, name, _ in unusable))
        reason = f"Some properties could not be changed on all cases, and are means over fewer: {names}."
        checks.append(
            Check(name="all on all cases", value=float(len(unusable)), limit=0.0, verdict="caution", reason=reason)
        )
    return checks


def _resolution(found: Summary, parameters: CohortPropertyParameters) -> Check:
    name, delta, many = "p can reach the level", parameters.delta, len(found.properties)
    tested = [one.resolution for one in found.controls if one is not None]
    if not tested:
        reason = "No controls were drawn, so nothing says whether an arbitrary change would have done the same."
        return Check(name=name, value=None, limit=delta, verdict="caution", reason=reason)
    least = max(tested) * many
    sign = float(found.sign_resolution.max()) * many
    if least > delta:
        reason = (
            f"With so few cases and controls the test against controls cannot fall below {number(least, 2)} for "
            f"{many} properties; {delta:g} is wanted. Take more of either."
        )
        return Check(name=name, value=least, limit=delta, verdict="unreliable", reason=reason)
    if sign > delta:
        reason = (
            f"The test against controls can reach {number(least, 2)}; that of a common direction over the cases cannot "
            f"fall below {number(sign, 2)} with so few cases."
        )
        return Check(name=name, value=sign, limit=delta, verdict="caution", reason=reason)
    reason = f"The tests can reach {number(least, 2)} (controls) and {number(sign, 2)} (common direction)."
    return Check(name=name, value=max(least, sign), limit=delta, verdict="reliable", reason=reason)


def _leading(found: Summary) -> Check:
    first = found.order[0]
    chance = float(found.ranking.first[first])
    title = PROPERTIES[found.properties[first]].title
    reason = f"{title} has the largest mean effect in {100 * chance:.0f} % of the draws of other cases like these."
    state = "reliable" if chance >= SURE else "caution"
    if chance < LIKELY:
        reason += " Which property comes first is open."
    return Check(name="leading property", value=chance, limit=SURE, verdict=state, reason=reason)  # type: ignore[arg-type]


def _course(readings: Sequence[Reading], found: Summary) -> Check:
    """Whether the effect is the same from every second value."""
    differences = {}
    for index, name in enumerate(found.properties):
        group = [one for one in readings if one.property == name and len(one.values) >= 5]
        if not group or found.negligible[index]:
            continue
        coarse = [_coarse(one) for one in group]
        differences[name] = abs(np.mean(coarse) / found.ranking.mean[index] - 1)
    if not differences:
        reason = "Too few values along the properties to tell whether they are enough."
        return Check(name="fine enough", value=None, limit=COARSE, verdict="caution", reason=reason)
    worst = max(differences, key=lambda name: differences[name])
    value = float(differences[worst])
    title = PROPERTIES[worst].title
    reason = f"From every second value alone, effects differ by at most {100 * value:.0f} % ({title})."
    if value > COARSE:
        reason += " More steps are needed."
    state = "reliable" if value <= COARSE else "caution"
    return Check(name="fine enough", value=value, limit=COARSE, verdict=state, reason=reason)  # type: ignore[arg-type]


def _coarse(one: Reading) -> float:
    kept = sorted({*range(0, len(one.values), 2), len(one.values) - 1})
    return float(effect(one.values[kept], one.predictions[kept, None], [None]).over_range[0])


def _control(found: Summary, delta: float) -> Check | None:
    """A property that the model must not see."""
    for index, name in enumerate(found.properties):
        if PROPERTIES[name].kind != "control":
            continue
        largest = float(found.ranking.mean.max())
        share = float(found.ranking.mean[index]) / largest if largest > 0 else 0.0
        seen = verdict(found, index, delta) == DEPENDS
        title = PROPERTIES[name].title
        reason = f"The control {title} has {100 * share:.1f} % of the leading effect and is "
        reason += "flagged: either the model does not normalise intensities, or the tests err." if seen else "quiet."
        state = "unreliable" if seen else "reliable"
        return Check(name="control is quiet", value=share, limit=0.0, verdict=state, reason=reason)  # type: ignore[arg-type]
    return None
