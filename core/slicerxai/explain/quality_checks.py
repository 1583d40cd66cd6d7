"""Self-tests of a quality check: do the maps account for the decisions, and was the alarm worth anything?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from slicerxai.explain.contract import Check, Verdict
from slicerxai.saliency.checks import GAP_HARD_LIMIT, GAP_LIMIT
from slicerxai.saliency.class_attribution import ClassMaps
from slicerxai.saliency.class_method import ClassMethod

ENOUGH_CASES = 20
"""Labelled cases below which an alarm's limits are called uncertain."""
USEFUL_AUROC = 0.6
"""An alarm that ranks wrong predictions of held-out cases worse than this is hardly better than chance (0.5)."""


def map_checks(maps: ClassMaps, labels: Sequence[str], method: ClassMethod) -> list[Check]:
    """Each map finite and not empty, adding up to what its method promises, and every layer ruled."""
    return [_informative(maps, labels), _conservation(maps, labels), *_coverage(maps, method)]


def alarm_check(figures: Mapping[str, float] | None, cases: int) -> list[Check]:
    """Whether there is an alarm, fitted on enough cases, that finds errors of cases it had not seen.

    Args:
        figures: of the alarm on its labelled cases; None without an alarm.
    """
    if figures is None:
        reason = (
            "No alarm is fitted to this model, so nothing is flagged and no chance of an error is known; fit one on "
            "labelled cases with slicerxai alarm."
        )
        return [Check(name="alarm", value=None, limit=ENOUGH_CASES, verdict="caution", reason=reason)]
    enough = cases >= ENOUGH_CASES
    reason = (
        f"The alarm was fitted on {cases} labelled cases{'' if enough else ', too few for limits to be relied on'}."
    )
    verdict: Verdict = "reliable" if enough else "caution"
    return [
        Check(name="labelled cases", value=float(cases), limit=ENOUGH_CASES, verdict=verdict, reason=reason),
        _usefulness(figures.get("auroc_held_out")),
    ]


def _usefulness(auroc: float | None) -> Check:
    name = "wrong predictions found"
    if auroc is None:
        reason = "How well the alarm finds wrong predictions of cases that it has not seen was not measured."
        return Check(name=name, value=None, limit=USEFUL_AUROC, verdict="caution", reason=reason)
    how = (
        f"On labelled cases left out in turn, the alarm ranked a wrong prediction above a right one {100 * auroc:.0f} %"
    )
    if auroc >= USEFUL_AUROC:
        return Check(name=name, value=auroc, limit=USEFUL_AUROC, verdict="reliable", reason=f"{how} of the time.")
    chance = "no" if auroc <= 0.5 else "hardly"
    reason = f"{how} of the time, {chance} better than chance: do not rely on it to find errors of this model."
    return Check(name=name, value=auroc, limit=USEFUL_AUROC, verdict="caution", reason=reason)


def _informative(maps: ClassMaps, labels: Sequence[str]) -> Check:
    flat = maps.maps[0].flatten(1)
    finite = torch.isfinite(flat).all(1)
    varies = flat.amax(1) > flat.amin(1)
    bad = [label for label, good in zip(labels, (finite & varies).tolist(), strict=True) if not good]
    share = 1 - len(bad) / len(labels)
    if bad:
        reason = f"The maps of {', '.join(bad)} are empty or not finite, so their distances mean nothing."
        return Check(name="finite maps", value=share, limit=1.0, verdict="unreliable", reason=reason)
    reason = "Every map has a finite number at every voxel, and varies."
    return Check(name="finite maps", value=1.0, limit=1.0, verdict="reliable", reason=reason)


def _conservation(maps: ClassMaps, labels: Sequence[str]) -> Check:
    name, gaps = "adding up", maps.gap[0]
    promised = torch.isfinite(gaps)
    if not bool(promised.any()):
        reason = (
            "Maps of this method do not promise to add up to the logit; their likeness can be compared, their sizes "
            "cannot."
        )
        return Check(name=name, value=None, limit=GAP_LIMIT, verdict="caution", reason=reason)
    worst = int(torch.where(promised, gaps, -1.0).argmax())
    value = float(gaps[worst])
    if value <= GAP_LIMIT:
        reason = f"Each map adds up to its class's logit as its method promises, at worst {100 * value:.2g} % apart."
        return Check(name=name, value=value, limit=GAP_LIMIT, verdict="reliable", reason=reason)
    reason = f"The map of {labels[worst]} is {100 * value:.3g} % apart from what it should add up to."
    verdict: Verdict = "unreliable" if value > GAP_HARD_LIMIT else "caution"
    return Check(name=name, value=value, limit=GAP_LIMIT, verdict=verdict, reason=reason)


def _coverage(maps: ClassMaps, method: ClassMethod) -> list[Check]:
    if method != "lrp":
        return []
    count = len(maps.unruled)
    if not count:
        reason = "Every layer with parameters that took part was propagated by a rule."
        return [Check(name="rule coverage", value=0.0, limit=0.0, verdict="reliable", reason=reason)]
    reason = (
        f"{count} parts of the network with parameters have no propagation rule ({', '.join(maps.unruled[:5])}), so "
        "the maps do not follow how the network decides."
    )
    return [Check(name="rule coverage", value=float(count), limit=0.0, verdict="unreliable", reason=reason)]
