"""Self-tests of property gradients: is the curve the model's, fine enough, and can its tests reach the level at all?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import numpy as np

from slicerxai.explain.case_parts import domain_findings
from slicerxai.explain.contract import Check
from slicerxai.explain.numbers import number
from slicerxai.explain.property_case import PropertyCase, changes
from slicerxai.explain.property_words import needed_controls
from slicerxai.interventions.effect import effect
from slicerxai.interventions.measure import Measured

UNCHANGED_LIMIT: Final = 0.01
COURSE_LIMIT: Final = 0.25
MATCH_LIMIT: Final = 1e-3
COMPARED: Final = ("lesion_volume_ml", "lesion_count", "lesion_probability", "dice")
"""Outputs of a segmenter that follow from its segmentation alone."""


def checks(case: PropertyCase) -> list[Check]:
    """All of them."""
    domain = [Check(**asdict(one)) for one in domain_findings(case.prepared, case.channels, brain=case.brain)]
    found = [_unchanged(case), _course(case), _controls(case)]
    return [*found, *_matched(case), *_permutations(case), *domain]


def _unchanged(case: PropertyCase) -> Check:
    """The unchanged image, read as every step is, against the model's own prediction of it."""
    worst, name = 0.0, case.ranked.name
    for column, output in enumerate(case.outputs):
        if case.brain and output.name not in COMPARED:
            continue
        own = float(case.reported[column])
        error = max(abs(float(one.unchanged[column]) - own) for one in case.measured) / max(abs(own), 1e-3)
        if error > worst:
            worst, name = error, output.name
    title = "unchanged image"
    if worst <= UNCHANGED_LIMIT:
        reason = "At the neutral value the prediction is the model's own of the unchanged image."
        return Check(name=title, value=worst, limit=UNCHANGED_LIMIT, verdict="reliable", reason=reason)
    reason = f"Read as the steps are, the unchanged image gives another {name} than the model itself (by {worst:.1%})."
    return Check(name=title, value=worst, limit=UNCHANGED_LIMIT, verdict="unreliable", reason=reason)


def _course(case: PropertyCase) -> Check:
    """Does the effect of the leading property change when every second step is left out?"""
    one, title = case.measured[0], "course"
    if not changes(one, case.output):
        reason = f"{case.ranked.name} does not change, however fine the steps are."
        return Check(name=title, value=0.0, limit=COURSE_LIMIT, verdict="reliable", reason=reason)
    if len(one.values) < 5:
        reason = f"{len(one.values)} steps are too few to see whether they follow the curve; ask for 11."
        return Check(name=title, value=None, limit=COURSE_LIMIT, verdict="caution", reason=reason)
    value = coarse_difference(one, case.output)
    what = f"E|∇| of {case.ranked.name} along “{one.property.title}”"
    if value <= COURSE_LIMIT:
        reason = f"With every second step {what} is the same within {100 * value:.0f} %."
        return Check(name=title, value=value, limit=COURSE_LIMIT, verdict="reliable", reason=reason)
    reason = (
        f"With every second step {what} differs by {100 * value:.0f} %: the curve may turn between steps; ask for more."
    )
    return Check(name=title, value=value, limit=COURSE_LIMIT, verdict="caution", reason=reason)


def coarse_difference(one: Measured, output: int) -> float:
    """Relative difference of E|∇| between every second step, with both ends, and all steps."""
    kept = np.unique([*range(0, len(one.values), 2), len(one.values) - 1])
    coarse = effect(one.values[kept], one.predictions[kept], [None] * one.predictions.shape[1])
    fine = float(one.effect.mean_abs_gradient[output])
    return abs(float(coarse.mean_abs_gradient[output]) - fine) / fine if fine else 0.0


def _controls(case: PropertyCase) -> Check:
    """Can the test against controls reach the level?"""
    title, tested = "resolution of the control test", case.tested()
    asked = [one.controls.resolution for one in case.measured if one.controls is not None]
    if not asked:
        why = case.measured[0].uncontrolled
        if not any(changes(one, case.output) for one in case.measured):
            reason = "Nothing changes the prediction, so there is nothing to compare with control paths."
            return Check(name=title, value=None, limit=case.delta, verdict="reliable", reason=reason)
        reason = (
            f"No property was compared with control paths ({why}): its effect may be that of any change of its size."
        )
        return Check(name=title, value=None, limit=case.delta, verdict="caution", reason=reason)
    value = max(asked) * tested
    over = "" if tested == 1 else f", adjusted over {tested} properties,"
    if value <= case.delta + 1e-12:
        reason = (
            f"The smallest p that so many controls can give{over} is {number(value, 2)}; the level is {case.delta:g}."
        )
        return Check(name=title, value=value, limit=case.delta, verdict="reliable", reason=reason)
    reason = (
        f"The smallest p that {round(1 / max(asked)) - 1} controls can give{over} is {number(min(1.0, value), 2)}, "
        f"above the level {case.delta:g}: no verdict of dependence is possible, whatever the effect. Ask for "
        f"{needed_controls(case.delta, tested)} controls" + (", or for one property alone." if tested > 1 else ".")
    )
    return Check(name=title, value=value, limit=case.delta, verdict="caution", reason=reason)


def _matched(case: PropertyCase) -> list[Check]:
    """Do controls change the image as much?"""
    sizes = [one.mismatch for one in case.measured if one.controls is not None]
    if not sizes:
        return []
    value, title = max(sizes), "size of controls"
    if value <= MATCH_LIMIT:
        reason = "Control paths change the image the network sees as much as the property does, at every step."
        return [Check(name=title, value=value, limit=MATCH_LIMIT, verdict="reliable", reason=reason)]
    reason = f"Control paths change the image by up to {value:.1%} more or less than the property does."
    return [Check(name=title, value=value, limit=MATCH_LIMIT, verdict="caution", reason=reason)]


def _permutations(case: PropertyCase) -> list[Check]:
    """Can the permutation test reach the level?"""
    found = [one.permutation for one in case.measured if one.permutation is not None]
    if not found:
        return []
    steps = min(len(one.values) for one in case.measured)
    smallest = max(one.resolution for one in found)
    value, title = min(1.0, smallest * len(found)), "resolution of the permutation test"
    over = "" if len(found) == 1 else f", adjusted over {len(found)} properties"
    if value <= case.delta:
        reason = (
            f"{steps} steps and {found[0].permutations} permutations can reach p = {number(value, 2)}{over}. A small p "
            "says that the prediction changes in an orderly way, which every smooth curve does."
        )
        return [Check(name=title, value=value, limit=case.delta, verdict="reliable", reason=reason)]
    reason = (
        f"With {steps} steps and {found[0].permutations} permutations a curve that only rises or only falls cannot "
        f"reach p = {case.delta:g}{over}; its smallest is {number(value, 2)}. A large p of the permutation test says "
        "nothing here."
    )
    return [Check(name=title, value=value, limit=case.delta, verdict="caution", reason=reason)]
