"""What the panel says. No Qt and no MRML."""

from __future__ import annotations

from html import escape

from slicer.i18n import tr as _
from XAILib.catalogue import COHORT, Method
from XAILib.methods import words_of
from XAIPanels.words import number

VERDICTS = {
    "reliable": _("The checks of this result are passed."),
    "caution": _("Use this result with caution: at least one of its checks is doubtful."),
    "unreliable": _("Do not rely on this result: at least one of its checks failed."),
}
NO_RESULT = _("No result yet. Choose a method and press “Run”.")
NOT_RUN = _("No result")
NO_METHODS = _("Connect to a server to see its methods.")
NO_PARAMETERS = _("This method has no parameters.")
NO_COHORT = _("The server has no cohort; whoever runs it can add one.")
NOTHING_OVER = _("nothing")
UNKNOWN_SUBJECT = _("This extension is too old for this method: it explains neither an image nor a cohort.")


def about(method: Method) -> str:
    """Rich text that says what a method does and what it needs."""
    needs = _("It explains a cohort of the server.") if method.subject == COHORT else _("It explains one image.")
    return f"{escape(method.summary)}<br><small>{escape(needs)}</small>"


def layer_title(name: str, kind: str) -> str:
    """A volume of a result, for people."""
    title = words_of(name)
    return title if kind.lower() in title.lower() else f"{title} ({kind})"


def layer_words(description: str, units: str, scale: float | None) -> str:
    """What a layer shows, and what its strongest colour means."""
    said = description if not description or description.endswith(".") else f"{description}."
    if scale is None:
        return escape(said)
    strongest = _("Strongest colour: {value} {units}.").format(value=number(scale), units=units)
    return escape(f"{said} {strongest}".strip())
