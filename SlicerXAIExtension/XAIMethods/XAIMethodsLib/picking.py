"""Points of a form that are picked in the views."""

from __future__ import annotations

from collections.abc import Callable

from XAIPanels.picking import Point

from .logic import MethodsLogic


class ViewPicker:
    """Waits for a click in a view, of which only one is waited for at a time."""

    def __init__(self, logic: MethodsLogic) -> None:
        self._logic = logic
        self._ended: Callable[[], None] | None = None

    def start(self, picked: Callable[[Point], None], ended: Callable[[], None]) -> None:
        """Wait for a click."""
        self.stop()
        self._ended = ended

        def placed(point: Point) -> None:
            self._ended = None
            picked(point)

        self._logic.start_pick(placed)

    def stop(self) -> None:
        """Wait no longer, and say so to whoever waited."""
        ended, self._ended = self._ended, None
        self._logic.stop_pick()
        if ended is not None:
            ended()
