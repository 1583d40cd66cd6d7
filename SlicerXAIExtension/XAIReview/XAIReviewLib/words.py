"""What the panel says: states, decisions, alarms, numbers. No Qt and no MRML."""

from __future__ import annotations

from html import escape

from slicer.i18n import tr as _
from XAILib.worklist import ACCEPTED, CLASSIFIER, CORRECTED, WRONG, Alarm, ClassItem, Item, Worklist
from XAIPanels.words import counted

STATES = {ACCEPTED: _("accepted"), CORRECTED: _("corrected"), WRONG: _("marked wrong")}
OPEN = _("open")
SCORES = {
    "distinctiveness": _("how distinct the maps of the classes are"),
    "entropy": _("entropy of the probabilities"),
    "tta": _("spread under test-time augmentation"),
    "mc_dropout": _("spread under Monte Carlo dropout"),
}
ACTIONS = {
    "swap": _("what is flagged is more likely to be the reverse"),
    "review": _("what is flagged asks for a second reading"),
}
NO_ALARM = _(
    "No alarm is fitted for this model; fit one with:<br><code>slicerxai alarm {} COHORT</code><br>"
    "then press “Refresh”. Until then nothing can be scored."
)


def state(item: Item) -> str:
    """What became of an image."""
    return OPEN if item.review is None else STATES[item.review.decision]


def suspicion(item: Item) -> str:
    """A number, or why there is none."""
    if item.suspicion is None:
        return _("cannot be scored") if item.error else _("not scored")
    return f"{item.suspicion:.2f}"


def suspicion_hint(item: Item, kind: str) -> str:
    """What the number means."""
    if item.suspicion is None:
        return item.error or _("Not scored yet: press “Score images”.")
    if kind == CLASSIFIER:
        return _("{suspicion:.2f} of {count} classes are expected to be predicted wrongly.").format(
            suspicion=item.suspicion, count=len(item.classes)
        )
    return _("{suspicion:.2f} of {count} predicted lesions are expected to be none.").format(
        suspicion=item.suspicion, count=len(item.lesions)
    )


def flagged(item: Item) -> str:
    """What is flagged in an image."""
    if item.lesions:
        return (
            _("{flagged_lesions} of {count} lesions").format(
                flagged_lesions=item.flagged_lesions, count=len(item.lesions)
            )
            if item.flagged_lesions
            else ""
        )
    return ", ".join(item.flagged_classes)


def flagged_hint(item: Item) -> str:
    """Why."""
    reasons = [f"{one.label}: {one.reason}" for one in item.classes if one.flagged]
    reasons += [
        _("lesion {number}: {reason}").format(number=lesion.number, reason=lesion.reason)
        for lesion in item.lesions
        if lesion.flagged
    ]
    return "\n".join(reasons)


def alarm(found: Alarm | None, model: str) -> str:
    """Rich text on what scores the images."""
    if found is None:
        return NO_ALARM.format(escape(model))
    score = SCORES.get(found.score, found.score.replace("_", " "))
    action = ACTIONS.get(found.action, found.action)
    cases = counted(found.cases, _("{number} case"), _("{number} cases"))
    return _("Alarm: {score}; {action}. Fitted on {cases}. <small>({id})</small>").format(
        score=escape(score), action=escape(action), cases=cases, id=escape(found.id)
    )


def counts(worklist: Worklist, shown: int) -> str:
    """How much there is to read."""
    items = worklist.items
    if not items:
        return _("The server has no image.")
    waiting = [item for item in items if item.open]
    suspicious = sum(item.flagged for item in waiting)
    words = _("{count}: {count2} open, {suspicious} of them flagged").format(
        count=images(len(items)), count2=len(waiting), suspicious=suspicious
    )
    unscored = sum(not item.scored for item in items)
    words += _("; {unscored} not scored").format(unscored=unscored) if unscored else ""
    return (
        _("{words}. {shown} hidden by the filters.").format(words=words, shown=len(items) - shown)
        if shown < len(items)
        else f"{words}."
    )


def images(number: int) -> str:
    """Such as "1 image" or "15 images"."""
    return counted(number, _("{number} image"), _("{number} images"))


def percent(value: float | None) -> str:
    """A share or probability in [0, 1]."""
    return "–" if value is None else f"{100 * value:.0f} %"


def threshold(value: float | None) -> str:
    """From which probability a class counts as present."""
    return "" if value is None else _("Counts as present from {value:.2g} % on.").format(value=100 * value)


def reasons(classes: tuple[ClassItem, ...], chosen: str) -> str:
    """Rich text: why classes are flagged, and what is known of the chosen one."""
    told = [one for one in classes if one.flagged or one.label == chosen]
    lines = [
        f"<b>{escape(one.label)}</b>{'' if one.flagged else _(' (not flagged)')}: {escape(one.reason)}."
        for one in told
        if one.reason
    ]
    if not any(one.flagged for one in classes):
        lines.insert(0, _("No class is flagged."))
    return "<br>".join(lines)


def review(item: Item) -> str:
    """What was decided, and when."""
    if item.review is None:
        return _("Not decided yet.")
    found = item.review
    when = found.time[:16].replace("T", " ")
    words = _("{capitalize} on {when} (UTC)").format(capitalize=STATES[found.decision].capitalize(), when=when)
    if found.decision == CORRECTED and found.labels is not None:
        present = [label for label, value in found.labels.items() if value]
        words += _(": {value} present").format(value=", ".join(present) or _("no class"))
    return f"{words}."
