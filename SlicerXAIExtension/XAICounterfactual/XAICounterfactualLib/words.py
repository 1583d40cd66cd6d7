"""What the panel says. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAIPanels.words import BAD, GOOD, coloured, percent, sentence

METHOD = "counterfactual"
"""The server's method that this panel asks for."""
JOB = _("Counterfactuals")
"""What the job tray calls it."""
PREDICTION = "prediction"
"""The server's method that lists the lesions of an image."""
TASK = "aligned"
"""The server's training that makes a model decide from the lesion."""

VERDICTS = {
    "reliable": _("The checks of this result are passed: the changed image really turns the decision of the model."),
    "caution": _("Use this result with caution: at least one of its checks is doubtful."),
    "unreliable": _("Do not rely on this result: at least one of its checks failed."),
}
MOSTLY = 0.5
"""Share of the change from which on it is said to lie mostly inside something."""


def count(value: float | None) -> str:
    """Such as "12 345", with thin groups; a dash where there is no number."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def yes(value: Any) -> str:
    """A truth for people."""
    return "–" if value is None else _("yes") if value else _("no")


def inside(share: float | None, what: str) -> str:
    """Rich text: how much of the change lies inside something, and what that means."""
    if share is None:
        return ""
    colour = GOOD if share >= MOSTLY else BAD
    meaning = (
        _("what turns the decision is mostly there") if share >= MOSTLY else _("what turns it is mostly elsewhere")
    )
    return _("{share} of the change lies inside {what}: {meaning}.").format(
        share=coloured(percent(share), colour), what=escape(what), meaning=meaning
    )


def headline(document: Mapping[str, Any]) -> str:
    """Rich text: what would happen to the decision, and where the change lies."""
    metrics = document.get("metrics", {})
    before, after = metrics.get("probability_before"), metrics.get("probability_after")
    lines = []
    if before is not None and after is not None:
        voxels = metrics.get("changed_voxels")
        changed = _(" by changing {voxels} voxels").format(voxels=count(voxels)) if voxels is not None else ""
        lines.append(
            _("Probability {before} → <b>{after}</b>{changed}.").format(
                before=percent(before), after=percent(after), changed=changed
            )
        )
    told = inside(metrics.get("share_inside_mask"), _("the expert’s mask"))
    lines += [told] if told else []
    for flag in document.get("flags", ()):
        lines.append(f"{coloured(sentence(str(flag['subject'])), BAD)}: {escape(str(flag['message']))}")
    return "<br>".join(lines)


def legend(decrease: tuple[str, ...], increase: tuple[str, ...], scale: float | None) -> str:
    """Rich text that explains the colours of the difference."""
    cells = "".join(f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;</td>' for colour in (*reversed(decrease), *increase))
    low, high = (
        (_("darker"), _("brighter"))
        if scale is None
        else (_("darker (−{scale:.3g})").format(scale=scale), _("brighter (+{scale:.3g})").format(scale=scale))
    )
    return _(
        '<table cellspacing="0" cellpadding="1"><tr><td>made {low}&nbsp;</td>{cells}<td>&nbsp;{high} by the '
        "change</td></tr></table>"
    ).format(low=low, cells=cells, high=high)
