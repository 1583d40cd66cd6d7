"""What a property does to a prediction, in words."""

from __future__ import annotations

from math import ceil

from slicerxai.explain.contract import Flag
from slicerxai.explain.numbers import number
from slicerxai.explain.property_case import PropertyCase, changes
from slicerxai.interventions.effect import Flip
from slicerxai.interventions.measure import Measured
from slicerxai.interventions.outcomes import Output

DEPENDS = "depends"
NO_MORE = "changes, but no more than under other changes of its size"
NO_CHANGE = "no change"
NOT_RESOLVED = "not resolved"


def verdict(case: PropertyCase, measured: Measured, output: int, p: float, adjusted: float) -> str:
    """Of one property and output.

    Args:
        p, adjusted: of the test against controls; NaN without.
    """
    if not changes(measured, output):
        return NO_CHANGE
    if measured.controls is None:
        return f"{NOT_RESOLVED}: {measured.uncontrolled}"
    if adjusted <= case.delta:
        return DEPENDS
    if p <= case.delta or measured.controls.resolution > case.delta:
        return _not_resolved(case, measured)
    return NO_MORE


def _not_resolved(case: PropertyCase, measured: Measured) -> str:
    assert measured.controls is not None  # noqa: S101 - checked by the caller
    tested, resolution = case.tested(), measured.controls.resolution
    if resolution * tested <= case.delta:
        return NO_MORE
    over = "" if tested == 1 else f" over {tested} properties"
    most = round(1 / resolution) - 1
    drawn = f"{most} control" + ("s" if most != 1 else "")
    return f"{NOT_RESOLVED}: {drawn} cannot reach {case.delta:g}{over}; {needed_controls(case.delta, tested)} can" + (
        "" if tested == 1 else ", or this property alone"
    )


def needed_controls(delta: float, tested: int) -> int:
    """Controls without which no p of so many properties can be adjusted to at most delta."""
    return max(1, ceil(tested / delta - 1 - 1e-9))


def plain(name: str) -> str:
    """The name of an output for people."""
    return name.replace("_", " ")


def output_title(output: Output) -> str:
    """Such as "lesion volume (ml)"."""
    name = plain(output.name)
    if output.units in ("", "probability", "lesions"):
        return name
    return f"{name.removesuffix(f' {output.units}')} ({output.units})"


def valued(measured: Measured, value: float) -> str:
    """A value of a property with its units."""
    units = measured.property.units
    return number(float(value), 3) + (f" {units}" if units else "")


def range_words(measured: Measured) -> str:
    """Such as "0 to 0.15 1/SNR"."""
    return f"{number(float(measured.values[0]), 3)} to {valued(measured, float(measured.values[-1]))}"


def flip_words(measured: Measured, output: Output, flip: Flip) -> str:
    """Such as "falls below 0.5 from contrast 1.21 on"."""
    one, neutral = measured.property, measured.neutral
    name = "a share of" if one.kind == "centre" else one.title.lower()
    at = valued(measured, flip.value)
    below = neutral is not None and flip.value < neutral
    rises = flip.upward != below
    verb = "reaches" if rises else "falls below"
    where = f"at {name} {at} and lower" if below else f"from {name} {at} on"
    return f"{verb} {number(output.threshold, 3)} {where}"


def flags(case: PropertyCase) -> list[Flag]:
    """Flips, and properties on which the prediction depends."""
    found = []
    p = case.p_controls()
    adjusted = case.adjusted(p)
    for row, measured in enumerate(case.measured):
        for column, output in enumerate(case.outputs):
            found += [
                Flag(subject=measured.property.title, message=f"{output.name} {flip_words(measured, output, flip)}.")
                for flip in measured.effect.flips[column]
            ]
        words = verdict(case, measured, case.output, float(p[row, case.output]), float(adjusted[row, case.output]))
        if words == DEPENDS:
            found.append(Flag(subject=measured.property.title, message=_depends(case, measured, adjusted[row])))
    return found


def _depends(case: PropertyCase, measured: Measured, adjusted: object) -> str:
    output, column = case.ranked, case.output
    low, high = measured.predictions[:, column].min(), measured.predictions[:, column].max()
    units = f" {output.units}" if output.units else ""
    return (
        f"{output.name} depends on it: it goes from {number(float(low), 3)} to {number(float(high), 3)}{units} "
        f"(unchanged image: {number(float(measured.unchanged[column]), 3)}), more than under other changes of its size."
    )
