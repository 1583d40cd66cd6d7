"""The frame of a section of results: which one is shown, opening its report, removing, and undoing that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from slicer.i18n import tr as _

from .choosing import enable, offer_nodes
from .parameters import PanelParameters
from .task_list import TaskList
from .turns import Steps, Turns, taken_at_once


class FrameLogic(Protocol):
    """What the frame needs of a panel's logic."""

    removed: tuple[Any, ...]

    def parameters(self) -> PanelParameters: ...

    def results(self) -> list[Any]: ...

    def show(self, node: Any) -> None: ...

    def remove(self, nodes: list[Any]) -> None: ...

    def undo(self) -> list[Any]: ...

    def undoing(self) -> Iterator[Any]: ...


class ResultFrame:
    """Shows what the logic holds.

    Args:
        empty: what to say while there is no result.
        fill: called with the result node whose words are to be shown.
        open_report: asked to open the report of a result node.
        changed: called whenever another result was chosen.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: FrameLogic,
        empty: str,
        fill: Callable[[Any], None],
        open_report: Callable[[Any], None],
        changed: Callable[[], None],
        tasks: TaskList,
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._fill = fill
        self._changed = changed
        self._turns = Turns(tasks)
        self._nodes: list[Any] = []
        ui.emptyLabel.text = empty
        ui.resultCombo.connect("currentIndexChanged(int)", self._show_chosen)
        ui.reportButton.connect("clicked()", lambda: open_report(self.shown))
        ui.removeButton.connect("clicked()", self._remove)
        ui.clearButton.connect("clicked()", self._clear)
        ui.undoButton.connect("clicked()", self._undo)
        self.say("")

    @property
    def shown(self) -> Any:
        """The result node that is chosen, or None."""
        index = self.ui.resultCombo.currentIndex
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def show(self, node: Any) -> None:
        """Show a result in the views and in the panel."""
        taken_at_once(self.showing(node))

    def showing(self, node: Any) -> Steps:
        """The same step by step; one that is removed meanwhile is not shown."""
        if node in self._logic.results():
            self._logic.show(node)
            yield
        self.update()

    def update(self) -> None:
        """Follow the scene: results may have come, gone or been renamed."""
        self._nodes = self._logic.results()
        offer_nodes(self.ui.resultCombo, self._nodes, self._logic.parameters().shown)
        node = self.shown
        self.ui.emptyLabel.visible = node is None
        self.ui.resultPanel.visible = node is not None
        self.ui.undoButton.visible = bool(self._logic.removed)
        self.say("")
        if node is not None:
            self._fill(node)

    def refresh(self, report_reason: str) -> None:
        """Enable what can be used.

        Args:
            report_reason: why no report can be opened; empty when it can.
        """
        enable(self.ui.reportButton, report_reason, _("Open the full report in the web browser."))
        enable(self.ui.removeButton, "", _("Remove this result from the scene; the image stays."))
        enable(self.ui.clearButton, "", _("Remove all results of this panel from the scene; the images stay."))
        enable(self.ui.undoButton, "", _("Bring back what was removed last."))

    def say(self, text: str) -> None:
        """A sentence below the tables."""
        self.ui.resultState.text = text
        self.ui.resultState.visible = bool(text)

    def _show_chosen(self, _index: int) -> None:
        if self.shown is not None:
            self.show(self.shown)
            self._changed()

    def _remove(self) -> None:
        self._finish_undo()
        if self.shown is not None:
            self._logic.remove([self.shown])
            taken_at_once(self._showing_last())
            self._changed()

    def _clear(self) -> None:
        self._finish_undo()
        self._logic.remove(self._logic.results())
        taken_at_once(self._showing_last())
        self._changed()

    def _undo(self) -> None:
        self._turns.take(self._undoing(), lambda _ended: self._changed())

    def _undoing(self) -> Steps:
        yield from self._logic.undoing()
        yield from self._showing_last()

    def _finish_undo(self) -> None:
        """What is removed next must not take the place of what has not come back yet."""
        if self._turns.active:
            self._turns.drop()
            self._logic.undo()

    def _showing_last(self) -> Steps:
        remaining = self._logic.results()
        if remaining:
            yield from self.showing(remaining[-1])
        else:
            self.update()
