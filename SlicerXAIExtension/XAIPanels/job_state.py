"""How far a job is, and what came of it, in words."""

from __future__ import annotations

from html import escape
from typing import Any

from slicer.i18n import tr as _

from .words import BAD, GOOD, coloured, sentence, time_left


class JobState:
    """Writes into `ui.progressBar` and `ui.jobState`.

    Args:
        failed: what a job has come to that gave no result, such as "Not explained".
    """

    def __init__(self, ui: Any, failed: str) -> None:
        self.ui = ui
        self._bad = failed
        self.say("")

    def progress(self, fraction: float, message: str, eta: float | None) -> None:
        """Show how far the job is."""
        self.ui.progressBar.visible = self.ui.jobState.visible = True
        self.ui.progressBar.value = round(1000 * fraction)
        left = time_left(eta)
        self.ui.jobState.text = escape(f"{sentence(message)} – {left}" if left else sentence(message))

    def say(self, text: str) -> None:
        """Something that is neither good nor bad."""
        self._end(escape(text))

    def succeed(self, text: str) -> None:
        """A job has ended well."""
        self._end(f"{coloured(_('Done'), GOOD)}: {escape(text)}")

    def fail(self, text: str) -> None:
        """A job has ended without a result; `text` says why and what to do."""
        self._end(f"{coloured(self._bad, BAD)}: {escape(text)}")

    def _end(self, rich_text: str) -> None:
        self.ui.progressBar.visible = False
        self.ui.jobState.text = rich_text
        self.ui.jobState.visible = bool(rich_text)
