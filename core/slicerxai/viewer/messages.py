"""What the page says of one piece of work: how far it is, and what came of it, in words."""

from __future__ import annotations

from typing import Any

from XAIPanels.words import sentence, time_left

INFO, GOOD, BAD = "info", "success", "error"
"""Kinds of a message, as vuetify calls them."""


class Messages:
    """Writes into the page's state: NAME_text, NAME_kind and NAME_percent (None while nothing is measured)."""

    def __init__(self, state: Any, name: str) -> None:
        self._state = state
        self.text, self.kind, self.percent = f"{name}_text", f"{name}_kind", f"{name}_percent"
        self.say("")

    def say(self, text: str) -> None:
        """Something that is neither good nor bad; nothing when it is empty."""
        self._show(text, INFO, None)

    def succeed(self, text: str) -> None:
        """It has ended well."""
        self._show(text, GOOD, None)

    def fail(self, text: str) -> None:
        """It came to nothing; `text` says why and what to do."""
        self._show(text, BAD, None)

    def progress(self, fraction: float, message: str, eta: float | None) -> None:
        """How far it is."""
        left = time_left(eta)
        self._show(f"{sentence(message)} – {left}" if left else sentence(message), INFO, round(100 * fraction))

    def _show(self, text: str, kind: str, percent: int | None) -> None:
        self._state.update({self.text: text, self.kind: kind, self.percent: percent})
