"""The job tray at the bottom of every panel: what is running, waiting, finished and failed in this Slicer."""

from __future__ import annotations

from html import escape
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _
from XAILib import tray_words
from XAILib.tray_entry import FAILED, FINISHED, Entry

from .choosing import enable
from .columns import set_columns
from .job_tray_home import Home
from .words import time_left

ROW_HEIGHT, MOST_ROWS, LEAST_ROWS = 22, 6, 2
FRAME = 6
KEYS = "Alt+0"
CHOOSE = _("Choose a job in the table first.")
NOTHING = _("Jobs that are asked in any module are listed here. They go on when the module or the scene is closed.")
HINTS = {
    "open": _("Go to the module of this job and show its result."),
    "background": _("Let this job go on in the background, so that its module can be asked something else meanwhile."),
    "cancel": _("Stop this job, on the server too."),
    "retry": _("Ask the same once more."),
    "remove": _("Take this job off the list; its result stays."),
    "clear": _("Take all jobs off the list that have ended; their results stay."),
    "undo": _("Bring back what was taken off the list last."),
}


class JobTray:
    """Shows the tray, and does with the chosen job what its buttons say.

    Attributes:
        root: the widget for the bottom of a panel.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._rows: list[tuple[tuple[str, str, str, str], str]] = []
        self._shown: tuple[Entry, ...] = ()
        self.root = ctk.ctkCollapsibleButton()
        self.root.text = _("Jobs")
        self.root.objectName = "jobsSection"
        self.root.toolTip = _("What was asked in any of the modules ({keys}).").format(keys=KEYS)
        around, layout = qt.QVBoxLayout(), qt.QVBoxLayout()
        content = qt.QWidget()  # folding shows and hides its own children, whatever they were meant to be meanwhile
        for owner, one in ((self.root, around), (content, layout)):
            one.setContentsMargins(0, 0, 0, 0)
            owner.setLayout(one)
        around.addWidget(content)
        self.empty = _label("jobsEmptyLabel", NOTHING)
        self.table = self._make_table()
        self.state = _label("jobsState", "")
        for widget in (self.empty, self.table):
            layout.addWidget(widget)
        self.buttons: dict[str, Any] = {}
        first = {"open": _("Open"), "background": _("In background"), "cancel": _("Cancel"), "retry": _("Try again")}
        second = {"remove": _("Remove"), "clear": _("Clear finished"), "undo": _("Undo")}
        for names in (first, second):
            layout.addLayout(self._make_buttons(names))
        layout.addWidget(self.state)
        self.root.collapsed = True
        self._shortcut = qt.QShortcut(qt.QKeySequence(KEYS), self.root)
        self._shortcut.connect("activated()", self._unfold)
        self._opened = ""

    @property
    def chosen(self) -> Entry | None:
        """The job of the current row."""
        row = int(self.table.currentRow())
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def choose(self, identifier: str) -> None:
        """Make a job's row the current one."""
        for row, entry in enumerate(self._shown):
            if entry.id == identifier:
                self.table.setCurrentCell(row, 0)

    def follow_jobs(self) -> None:
        """Show the tray as it is now; the chosen job stays chosen."""
        tray = self._home.tray
        chosen = self.chosen
        self._shown = tray.entries
        self.root.text = tray_words.title(self._shown)
        self.empty.visible = not self._shown
        self.table.visible = bool(self._shown)
        self._fill()
        if self._shown:
            self.choose(chosen.id if chosen is not None and tray.entry(chosen.id) else self._shown[0].id)
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be done with the chosen job."""
        entry = self.chosen
        none = "" if entry is not None else CHOOSE
        self._enable("open", none or _reason(entry, entry is not None and entry.state == FINISHED, _("finished")))
        attended = entry is not None and self._home.attended(entry)
        self._enable("background", none or ("" if attended else _("No module waits for this job.")))
        self._enable("cancel", none or _reason(entry, entry is not None and entry.active, _("running")))
        again = entry is not None and entry.state not in (FINISHED,) and not entry.active
        self._enable("retry", none or _reason(entry, again, _("failed or cancelled")))
        removable = entry is not None and self._home.tray.removable(entry)
        self._enable("remove", none or ("" if removable else _("This job is running; cancel it first.")))
        ended = any(not one.active for one in self._shown)
        self._enable("clear", "" if ended else _("No job has ended."))
        self._enable("undo", "" if self._home.tray.can_undo else _("Nothing was taken off the list."))
        why = entry.message if entry is not None and entry.state == FAILED else ""
        text = self._home.said or why
        self.state.text = escape(text)
        self.state.visible = bool(text)

    def _enable(self, name: str, reason: str) -> None:
        enable(self.buttons[name], reason, HINTS[name])

    def _make_table(self) -> Any:
        table = qt.QTableWidget()
        table.objectName = "jobsTable"
        table.accessibleName = _("Jobs")
        set_columns(table, tray_words.COLUMNS, tray_words.HINTS)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(2, qt.QHeaderView.Stretch)
        table.verticalHeader().visible = False
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setWordWrap(False)
        table.tabKeyNavigation = False
        table.connect("currentCellChanged(int,int,int,int)", lambda *_unused: self.refresh())
        table.connect("cellActivated(int,int)", lambda *_unused: self._open())
        return table

    def _make_buttons(self, names: dict[str, str]) -> Any:
        does = {
            "open": self._open,
            "background": lambda: self._with_chosen(self._home.leave),
            "cancel": lambda: self._with_chosen(self._home.cancel),
            "retry": lambda: self._with_chosen(self._home.retry),
            "remove": lambda: self._with_chosen(lambda entry: self._home.tray.remove(entry.id)),
            "clear": self._home.tray.clear,
            "undo": self._home.tray.undo,
        }
        layout = qt.QHBoxLayout()
        for name, text in names.items():
            button = self.buttons[name] = qt.QPushButton(text)
            button.objectName = f"jobs{name.capitalize()}Button"
            button.connect("clicked()", lambda name=name: self._does(does[name]))
            layout.addWidget(button)
        return layout

    def _does(self, action: Any) -> None:
        action()
        self._home.look()

    def _with_chosen(self, action: Any) -> None:
        entry = self.chosen
        if entry is not None:
            action(entry)

    def _open(self) -> None:
        entry = self.chosen
        if entry is not None and entry.state == FINISHED:
            self._home.open(entry)

    def _unfold(self) -> None:
        self.root.collapsed = not self.root.collapsed
        if not self.root.collapsed:
            self.table.setFocus()

    def _fill(self) -> None:
        """Only cells that changed, so that a row can be clicked while others make progress."""
        rows = [(tray_words.row(entry), tray_words.hint(entry, time_left(entry.eta))) for entry in self._shown]
        if rows == self._rows:
            return
        self.table.blockSignals(True)
        self.table.rowCount = len(rows)
        for number, (texts, hint) in enumerate(rows):
            if number < len(self._rows) and self._rows[number] == (texts, hint):
                continue
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(hint)
                self.table.setItem(number, column, item)
        self.table.blockSignals(False)
        self._rows = rows
        seen = min(max(len(rows), LEAST_ROWS), MOST_ROWS)
        self.table.setFixedHeight(self.table.horizontalHeader().height + ROW_HEIGHT * seen + FRAME)


def _label(name: str, text: str) -> Any:
    label = qt.QLabel(text)
    label.objectName = name
    label.wordWrap = True
    return label


def _reason(entry: Entry | None, possible: bool, wanted: str) -> str:
    """Why an action cannot be done with a job; empty when it can."""
    if entry is None or possible:
        return ""
    state = tray_words.STATES[entry.state].lower()
    return _("This job is {state}, not {wanted}.").format(state=state, wanted=wanted)
