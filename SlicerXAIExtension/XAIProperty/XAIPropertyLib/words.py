"""What the panel says. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAIPanels.colours import LESIONS
from XAIPanels.words import BAD, GOOD, coloured, counted, number, sentence

from .tables import Curve, Effect, Output, effects, outputs, ranked, unusable

METHOD = "property"
"""The server's method that this panel asks for."""
RANKING, WALK = _("Properties ranked"), _("Walk along {property}")
"""What the job tray calls it."""

VERDICTS = {
    "reliable": _("The checks of this result are passed."),
    "caution": _("Use this result with caution: at least one of its checks is doubtful."),
    "unreliable": _("Do not rely on this result: at least one of its checks failed."),
}
DEPENDS, SAME, UNRESOLVED = "depends", "no change", "not resolved"
"""How verdicts begin."""
SHORT = {DEPENDS: _("depends"), SAME: _("no change"), UNRESOLVED: _("unclear"), "changes, but": _("as others")}
"""Of verdicts, by how they begin."""
EXPERT_COLOUR, UNCHANGED_COLOUR = "#ffd23f", "#4aa3df"
"""Of outlines."""
ORDINARY, QUIET, OPEN = "#2f86f5", "#9a9a9a", "#c77700"
"""Colours of a verdict: changes as any change of its size does; no change; not resolved."""
TITLES = {"bias_field": _("Bias field"), "resolution": _("In-plane blur"), "lesion_load": _("Lesion load")}


def property_title(name: str) -> str:
    """Of a property whose title the server has not told yet."""
    if name.startswith("centre_"):
        return _("Looks like centre {name}").format(name=name.split("_", 1)[1])
    return TITLES.get(name) or sentence(name.replace("_", " "))


def output_title(output: Output) -> str:
    """What a model predicts, for people, with its units."""
    name = output.name.replace("_", " ")
    if output.units and name.endswith(f" {output.units}"):
        name = name[: -len(output.units) - 1]
    told = not output.units or output.units.rstrip("s") in name  # a count of lesions is in lesions
    return sentence(name) if told else f"{sentence(name)} ({output.units})"


def amount(value: float | None, units: str) -> str:
    """A number with its units, such as "3.4 ml"."""
    text = number(value).replace("-", "−")
    return f"{text} {units}" if units and value is not None else text


def colour_of(verdict: str) -> str:
    """Of a verdict."""
    if verdict.startswith(DEPENDS):
        return BAD
    if verdict.startswith(SAME):
        return QUIET
    return OPEN if verdict.startswith(UNRESOLVED) else ORDINARY


def headline(document: Mapping[str, Any], output: str) -> str:
    """Rich text: which properties the prediction depends on, and the flags."""
    found = ranked(document, output)
    what = next((output_title(one) for one in outputs(document) if one.name == output), output)
    lines = [_ranking(what, found)] if len(found) > 1 else []
    for flag in document.get("flags", ()):
        subject = sentence(str(flag["subject"]).replace("_", " "))
        lines.append(f"{coloured(subject, BAD)}: {escape(str(flag['message']))}")
    return "<br>".join(lines)


def _ranking(what: str, found: list[Effect]) -> str:
    """What the prediction depends on, what it does not, and what nobody can tell."""
    depends = [one.title.lower() for one in found if one.verdict.startswith(DEPENDS)]
    unclear = sum(one.verdict.startswith(UNRESOLVED) for one in found)
    told = (
        _("{coloured} on {depends}").format(coloured=coloured(_("depends"), BAD), depends=escape(", ".join(depends)))
        if depends
        else ""
    )
    if not depends and not unclear:
        return _("{what} {coloured} on any of {count} properties.").format(
            what=escape(what), coloured=coloured(_("does not depend"), GOOD), count=len(found)
        )
    if unclear:
        open_ones = _("{coloured} for {unclear} of {count} properties").format(
            coloured=coloured(_("not resolved"), OPEN), unclear=unclear, count=len(found)
        )
        told = (
            f"{told}; {open_ones}"
            if told
            else _("– {open_ones}: ask for more controls, or walk along one of them").format(open_ones=open_ones)
        )
    return f"{escape(what)} {told}."


def unusable_words(document: Mapping[str, Any]) -> str:
    """Rich text: what this scan does not allow, and why."""
    return "<br>".join(f"{escape(property_title(name))}: {escape(why)}" for name, why in unusable(document))


def p_text(p: float | None) -> str:
    """Such as "0.05" or "< 0.001"."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def direction(effect: Effect) -> str:
    """Whether the output mostly rises or falls along the property."""
    if not effect.slope or not effect.per_unit:
        return ""
    share = effect.slope / effect.per_unit
    if abs(share) < 0.5:
        return _("up and down")
    return _("rising") if share > 0 else _("falling")


def verdict_words(curve: Curve, document: Mapping[str, Any]) -> str:
    """Rich text: effect size, verdict, and p with what it is worth."""
    effect = curve.effect
    units = effect.units or "unit"
    size = _("Effect: {over_range} over {low} to {high} ({per_unit} for 1 {units})").format(
        over_range=amount(effect.over_range, effect.output_units),
        low=amount(effect.low, ""),
        high=amount(effect.high, effect.units),
        per_unit=amount(effect.per_unit, effect.output_units),
        units=units,
    )
    course = direction(effect)
    lines = [f"<b>{escape(effect.title)}</b> – {coloured(effect.verdict, colour_of(effect.verdict))}"]
    lines.append(escape(f"{size}, {course}." if course else f"{size}."))
    lines += [escape(line) for line in (_controls(effect, document), _order(effect, document)) if line]
    return "<br>".join(lines)


def readout(curve: Curve, step: int, frames: bool) -> str:
    """Rich text: where the slider is, and what is predicted there.

    Args:
        frames: whether the image of this step is shown.
    """
    effect, output = curve.effect, curve.output
    prediction = curve.predictions[step]
    lines = [f"<b>{escape(effect.title)} {escape(amount(curve.values[step], effect.units))}</b>"]
    if step == curve.neutral:
        lines[0] += _(" – the image as it is")
    elif effect.neutral is not None:
        lines[0] += _(" (the image as it is: {neutral})").format(neutral=escape(amount(effect.neutral, effect.units)))
    text = f"{output_title(output)}: <b>{escape(number(prediction))}</b>"
    if prediction is not None and output.unchanged is not None and step != curve.neutral:
        text += _(", {unchanged} from the image as it is").format(
            unchanged=escape(signed(prediction - output.unchanged))
        )
    lines.append(text)
    if turned(curve, step):
        limit = number(output.threshold)
        lines.append(coloured(_("The decision is another one here (limit {limit}).").format(limit=limit), BAD))
    if not frames:
        lines.append(_("<i>Walk along it to see the images.</i>"))
    return "<br>".join(lines)


def legend() -> str:
    """Rich text that explains the outlines."""
    told = {
        LESIONS: _("predicted at the slider"),
        UNCHANGED_COLOUR: _("predicted in the image as it is"),
        EXPERT_COLOUR: _("expert"),
    }
    cells = "".join(f'<td bgcolor="{colour}">&nbsp;&nbsp;</td><td>{what}&nbsp;</td>' for colour, what in told.items())
    return f'<table cellspacing="2" cellpadding="0"><tr>{cells}</tr></table>'


def turned(curve: Curve, step: int) -> bool:
    """Whether the decision at a step is another one than that of the image as it is."""
    threshold, before, now = curve.output.threshold, curve.output.unchanged, curve.predictions[step]
    if threshold is None or before is None or now is None:
        return False
    return (now >= threshold) != (before >= threshold)


def signed(value: float) -> str:
    """Three digits with a sign."""
    return f"{value:+.3g}".replace("-", "−")


def row_of(effect: Effect) -> tuple[str, ...]:
    """Of the table of effects."""
    flips = amount(effect.first_flip, "") if effect.flips else "–"
    flips += f" ({effect.flips})" if effect.flips > 1 else ""
    adjusted = effect.p_adjusted if effect.p_adjusted is not None else effect.p
    return (effect.title, amount(effect.over_range, ""), flips, p_text(adjusted), short(effect.verdict))


def short(verdict: str) -> str:
    """A verdict for a narrow column."""
    for beginning, word in SHORT.items():
        if verdict.startswith(beginning):
            return word
    return verdict


def strengths(found: list[Effect]) -> list[float]:
    """Effects as shares of the largest."""
    largest = max([one.over_range or 0.0 for one in found] or [0.0])
    return [min((one.over_range or 0.0) / largest, 1.0) if largest > 0 else 0.0 for one in found]


def _controls(effect: Effect, document: Mapping[str, Any]) -> str:
    if effect.p is None or not effect.controls:
        return _(
            "Not compared with control changes: ask with controls to learn whether it is this property that matters."
        )
    least = 1 / (effect.controls + 1)
    changes = counted(effect.controls, _("{number} arbitrary change"), _("{number} arbitrary changes"))
    text = _("p = {p} against {changes} of the same size and course").format(p=p_text(effect.p), changes=changes)
    if effect.p <= least * 1.001:
        text += _(", the least that {controls} can reach").format(controls=effect.controls)
    return f"{text}.{_adjusted(effect.p_adjusted, document)}"


def _order(effect: Effect, document: Mapping[str, Any]) -> str:
    if effect.p_order is None:
        return ""
    return _("Order of the steps: p = {p_order} (any smooth course reaches a small one).{p_order_adjusted}").format(
        p_order=p_text(effect.p_order), p_order_adjusted=_adjusted(effect.p_order_adjusted, document)
    )


def _adjusted(p: float | None, document: Mapping[str, Any]) -> str:
    count = len({one.property for one in effects(document)})
    if p is None or count < 2:
        return ""
    name = {"bh": "Benjamini–Hochberg", "holm": "Holm"}.get(str(document.get("parameters", {}).get("correction")), "")
    return _(" {p} after correction{value} for {count} properties.").format(
        p=p_text(p), value=f" ({name})" if name else "", count=count
    )
