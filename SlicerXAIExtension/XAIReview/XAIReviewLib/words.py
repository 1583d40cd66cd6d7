"""What the panel says: states, decisions, alarms, numbers. No Qt and no MRML."""

from __future__ import annotations

from html import escape

from XAILib.worklist import ACCEPTED, CLASSIFIER, CORRECTED, WRONG, Alarm, ClassItem, Item, Worklist

STATES = {ACCEPTED: "accepted", CORRECTED: "corrected", WRONG: "marked wrong"}
OPEN = "open"
SCORES = {
    "distinctiveness": "how distinct the maps of the classes are",
    "entropy": "entropy of the probabilities",
    "tta": "spread under test-time augmentation",
    "mc_dropout": "spread under Monte Carlo dropout",
}
ACTIONS = {
    "swap": "what is flagged is more likely to be the reverse",
    "review": "what is flagged asks for a second reading",
}
NO_ALARM = (
    "No alarm is fitted for this model; fit one with:<br><code>slicerxai alarm {} COHORT</code><br>"
    "then press “Refresh”. Until then nothing can be scored."
)


def state(item: Item) -> str:
    """What became of an image."""
    return OPEN if item.review is None else STATES[item.review.decision]


def suspicion(item: Item) -> str:
    """A number, or why there is none."""
    if item.suspicion is None:
        return "cannot be scored" if item.error else "not scored"
    return f"{item.suspicion:.2f}"


def suspicion_hint(item: Item, kind: str) -> str:
    """What the number means."""
    if item.suspicion is None:
        return item.error or "Not scored yet: press “Score images”."
    if kind == CLASSIFIER:
        return f"{item.suspicion:.2f} of {len(item.classes)} classes are expected to be predicted wrongly."
    return f"{item.suspicion:.2f} of {len(item.lesions)} predicted lesions are expected to be none."


def flagged(item: Item) -> str:
    """What is flagged in an image."""
    if item.lesions:
        return f"{item.flagged_lesions} of {len(item.lesions)} lesions" if item.flagged_lesions else ""
    return ", ".join(item.flagged_classes)


def flagged_hint(item: Item) -> str:
    """Why."""
    reasons = [f"{one.label}: {one.reason}" for one in item.classes if one.flagged]
    reasons += [f"lesion {lesion.number}: {lesion.reason}" for lesion in item.lesions if lesion.flagged]
    return "\n".join(reasons)


def alarm(found: Alarm | None, model: str) -> str:
    """Rich text on what scores the images."""
    if found is None:
        return NO_ALARM.format(escape(model))
    score = SCORES.get(found.score, found.score.replace("_", " "))
    action = ACTIONS.get(found.action, found.action)
    cases = f"{found.cases} case{'s' * (found.cases != 1)}"
    return f"Alarm: {escape(score)}; {escape(action)}. Fitted on {cases}. <small>({escape(found.id)})</small>"


def counts(worklist: Worklist, shown: int) -> str:
    """How much there is to read."""
    items = worklist.items
    if not items:
        return "The server has no image."
    waiting = [item for item in items if item.open]
    suspicious = sum(item.flagged for item in waiting)
    words = f"{images(len(items))}: {len(waiting)} open, {suspicious} of them flagged"
    unscored = sum(not item.scored for item in items)
    words += f"; {unscored} not scored" if unscored else ""
    return f"{words}. {len(items) - shown} hidden by the filters." if shown < len(items) else f"{words}."


def images(number: int) -> str:
    """Such as "1 image" or "15 images"."""
    return f"{number} image{'s' * (number != 1)}"


def percent(value: float | None) -> str:
    """A share or probability in [0, 1]."""
    return "–" if value is None else f"{100 * value:.0f} %"


def threshold(value: float | None) -> str:
    """From which probability a class counts as present."""
    return "" if value is None else f"Counts as present from {100 * value:.2g} % on."


def reasons(classes: tuple[ClassItem, ...], chosen: str) -> str:
    """Rich text: why classes are flagged, and what is known of the chosen one."""
    told = [one for one in classes if one.flagged or one.label == chosen]
    lines = [
        f"<b>{escape(one.label)}</b>{'' if one.flagged else ' (not flagged)'}: {escape(one.reason)}."
        for one in told
        if one.reason
    ]
    if not any(one.flagged for one in classes):
        lines.insert(0, "No class is flagged.")
    return "<br>".join(lines)


def review(item: Item) -> str:
    """What was decided, and when."""
    if item.review is None:
        return "Not decided yet."
    found = item.review
    when = found.time[:16].replace("T", " ")
    words = f"{STATES[found.decision].capitalize()} on {when} (UTC)"
    if found.decision == CORRECTED and found.labels is not None:
        present = [label for label, value in found.labels.items() if value]
        words += f": {', '.join(present) or 'no class'} present"
    return f"{words}."
