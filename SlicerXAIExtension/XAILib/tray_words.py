"""What a job tray says of its entries. Shared by every viewer."""

from __future__ import annotations

import time

from .i18n import tr as _
from .tray_entry import CANCELLED, FAILED, FINISHED, RUNNING, WAITING, Entry

COLUMNS = (_("State"), _("Method"), _("Image"), _("Asked"))
HINTS = (
    _("How far it is, or what came of it; the tooltip says more."),
    _("What was asked."),
    _("Of which image or cohort."),
    _("When it was asked."),
)
STATES = {
    RUNNING: _("Running"),
    WAITING: _("Waiting"),
    FINISHED: _("Finished"),
    FAILED: _("Failed"),
    CANCELLED: _("Cancelled"),
}
SYMBOLS = {RUNNING: "▶", WAITING: "…", FINISHED: "✓", FAILED: "✗", CANCELLED: "–"}
"""Told apart without colour."""
EARLIER = _("of an earlier session")


def row(entry: Entry, now: float | None = None) -> tuple[str, str, str, str]:
    """The texts of an entry's row, one for each of `COLUMNS`."""
    return state(entry), entry.title, entry.image or EARLIER, asked(entry.created, now)


def state(entry: Entry) -> str:
    """Such as "▶ Running 42 %"."""
    share = f" {100 * entry.fraction:.0f} %" if entry.state == RUNNING and entry.fraction > 0 else ""
    return f"{SYMBOLS[entry.state]} {STATES[entry.state]}{share}"


def hint(entry: Entry, left: str = "") -> str:
    """More of an entry than its row has room for.

    Args:
        left: the remaining time in words; empty while unknown.
    """
    lines = [f"{entry.title}: {entry.image or EARLIER}", STATES[entry.state]]
    lines += [text for text in (entry.message, left) if text]
    if entry.server:
        lines.append(_("Server: {server}").format(server=entry.server))
    return "\n".join(lines)


def asked(created: float, now: float | None = None) -> str:
    """The local time of day; with the date when that was another day."""
    then, today = time.localtime(created), time.localtime(time.time() if now is None else now)
    same = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same else "%Y-%m-%d %H:%M", then)


def title(entries: tuple[Entry, ...]) -> str:
    """Of the whole tray, such as "Jobs – 1 running, 2 finished"."""
    counts = {name: sum(entry.state == name for entry in entries) for name in STATES}
    parts = [f"{count} {STATES[name].lower()}" for name, count in counts.items() if count]
    return _("Jobs – {counts}").format(counts=", ".join(parts)) if parts else _("Jobs")
