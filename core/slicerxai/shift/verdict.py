"""Can the attribution be believed? Self-tests of one result, in words."""

from __future__ import annotations

import numpy as np

from slicerxai.saliency.finding import Finding, Verdict
from slicerxai.shift.outcome import Outcome

SEPARATE_AUC, SEPARABLE_AUC = 0.98, 0.9
FEW_CASES, SOME_CASES = 4.0, 8.0
LARGE_REMAINDER = 0.5
RELEVANT = 0.1
"""A drop of more than this share of the source's performance matters."""
EXACT = 1e-9


def checks(outcome: Outcome, unit: str = "") -> tuple[Finding, ...]:
    """All self-tests, the sum first; the unit is written after the outcome's performances."""
    return (
        _sum(outcome),
        *((_sampling(outcome),) if outcome.sampling_error.any() else ()),
        _overlap(outcome),
        _separation(outcome),
        _null(outcome, unit),
        _uncertain(outcome),
        _remainder(outcome, unit),
        _interval(outcome),
    )


def _sum(j: Outcome) -> Finding:
    gap = abs(float(j.phi.sum() - (j.values[0] - j.values[-1])))
    right = gap <= EXACT
    reason = (
        "The shares add up to the drop that the estimator finds."
        if right
        else "The shares do not add up to the drop that the estimator finds: a fault of the computation."
    )
    return Finding("shares add up", gap, EXACT, "reliable" if right else "unreliable", reason)


def _sampling(j: Outcome) -> Finding:
    """Only where coalitions were sampled."""
    worst = float(j.sampling_error.max())
    limit = float(np.diff(j.interval, axis=1).max()) / 10
    fine = worst <= limit
    reason = "Too many mechanisms for all coalitions: a sample of them was read, "
    reason += (
        "with an error that is small beside the intervals."
        if fine
        else "and its error is large beside the intervals, which leave it out."
    )
    return Finding("coalitions sampled", worst, limit, "reliable" if fine else "caution", reason)


def _overlap(j: Outcome) -> Finding:
    effective = (j.overlap.ess * j.overlap.cases)[j.relevant]
    least = float(effective.min())
    clipped = float(j.overlap.clipped[j.relevant].max())
    if least < FEW_CASES:
        verdict: Verdict = "unreliable"
        reason = (
            f"Cannot be answered from these data, because a mixed case (one site's patients, the other's scanner or "
            f"annotator) is represented by only {least:.1f} effective cases. What would help: cases of both sites that "
            f"resemble each other, or the same images annotated by both sites."
        )
    else:
        verdict = "reliable" if least >= SOME_CASES and clipped <= 0.1 else "caution"
        reason = f"The least represented mixed case rests on {least:.0f} effective cases"
        reason += f"; {clipped:.0%} of its weights were cut." if clipped else "."
    return Finding("overlap", least, SOME_CASES, verdict, reason)


def _separation(j: Outcome) -> Finding:
    if not j.used.any():
        return Finding("sites resemble each other", None, SEPARATE_AUC, "reliable", "No reweighting was needed.")
    worst = int(np.argmax(np.where(j.used, j.auc[:, 1], -1.0)))
    value = float(j.auc[worst, 1])
    name = j.names[worst]
    if value >= SEPARATE_AUC:
        return Finding(
            "sites resemble each other",
            value,
            SEPARATE_AUC,
            "unreliable",
            f"Cannot be answered from these data, because the sites can be told apart almost perfectly by {name} "
            f"(AUC {value:.2f} on held-out subjects): no case of one site stands for the other. What would help: sites "
            f"that share scanners, harmonised images, or the same images annotated by both sites.",
        )
    verdict: Verdict = "caution" if value >= SEPARABLE_AUC else "reliable"
    return Finding(
        "sites resemble each other",
        value,
        SEPARATE_AUC,
        verdict,
        f"The sites are told apart by {name} with AUC {value:.2f} on held-out subjects.",
    )


def _null(j: Outcome, unit: str) -> Finding:
    found = [name for name, state in zip(j.names, j.states, strict=True) if state == "shifted"]
    least = min(one.adjusted for one in j.evidence)
    if found:
        reason = f"A shift beyond chance was seen in: {', '.join(found)}."
        return Finding("shift beyond chance", least, 0.05, "reliable", reason)
    relevant = RELEVANT * abs(float(j.values[0]))
    low, high = (float(end) for end in j.drop_interval)
    between = f"between {_shown(low)} and {_shown(high, unit)}"
    if max(abs(low), abs(high)) <= relevant:
        reason = f"No mechanism differs beyond chance, and the drop is small: {between}."
        return Finding("shift beyond chance", least, 0.05, "caution", reason)
    return Finding(
        "shift beyond chance",
        least,
        0.05,
        "unreliable",
        f"Cannot be answered from these data, because no mechanism differs between the sites by more than two random "
        f"halves of one site would, while the drop may lie anywhere {between}. What would help: more "
        f"cases, or features that show the suspected difference.",
    )


def _uncertain(j: Outcome) -> Finding:
    named = {state: [n for n, s in zip(j.names, j.states, strict=True) if s == state] for state in set(j.states)}
    weak, blind = named.get("uncertain", []), named.get("untestable", [])
    quiet = named.get("not seen", [])
    share = len(weak + blind) / len(j.names)
    if blind:
        return Finding(
            "mechanisms left open",
            share,
            0.0,
            "caution",
            f"Whether {' and '.join(blind)} shifted cannot be tested: what comes before already tells the sites apart. "
            f"What it may have cost is left unresolved. What would help: the same images annotated by both sites.",
        )
    if weak:
        return Finding(
            "mechanisms left open",
            share,
            0.0,
            "caution",
            f"A shift in {' and '.join(weak)} is possible but not established: it gets no share, and what it may have "
            f"cost is left unresolved. What would help: more cases.",
        )
    reason = (
        f"No sign of a shift in {' and '.join(quiet)}; taken as unchanged, which rests on features that would show it."
        if quiet
        else "Every mechanism was seen to shift."
    )
    return Finding("mechanisms left open", share, 0.0, "reliable", reason)


def _remainder(j: Outcome, unit: str) -> Finding:
    ratio = abs(j.unresolved) / max(abs(j.drop), 1e-12)
    real = j.unresolved_interval[0] > 0 or j.unresolved_interval[1] < 0
    part = f"{_shown(j.unresolved)} of a drop of {_shown(j.drop, unit)}"
    large = ratio > LARGE_REMAINDER
    if large and real:
        return Finding(
            "unresolved remainder",
            ratio,
            LARGE_REMAINDER,
            "unreliable",
            f"Cannot be answered from these data, because {part} is tied to no "
            f"mechanism: the features do not show what changed. What would help: features nearer to the suspected "
            f"cause, or the same images annotated by both sites.",
        )
    return Finding(
        "unresolved remainder",
        ratio,
        LARGE_REMAINDER,
        "caution" if large else "reliable",
        f"{part} is tied to no mechanism"
        + (", within what chance differences between the samples give." if not real else "."),
    )


def _interval(j: Outcome) -> Finding:
    clear = (j.interval[:, 0] > 0) | (j.interval[:, 1] < 0)
    count = float(clear.sum())
    if clear.any():
        names = ", ".join(name for name, one in zip(j.names, clear, strict=True) if one)
        return Finding("intervals without zero", count, 1.0, "reliable", f"The share differs from zero for: {names}.")
    calm = j.drop_interval[0] <= 0 <= j.drop_interval[1]
    why = "the drop itself may be chance" if calm else "every mechanism's interval holds zero"
    return Finding(
        "intervals without zero",
        count,
        1.0,
        "caution",
        f"No share is established, because {why}. What would help: more cases of both sites.",
    )


def _shown(value: float, unit: str = "") -> str:
    """Three digits with their sign, and never a negative nothing."""
    return f"{round(value, 4) + 0.0:+.3g} {unit}".rstrip()
