"""Several panels in one module, one at a time. A panel is made when its tab is first chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _


@dataclass(frozen=True)
class Tab:
    """A panel to be.

    Attributes:
        title, hint: for people.
        methods: of the server, whose results this panel shows.
        panel: imports the panel's class part by part, and yields it last; it is called once with `form`.
        form: file of the panel's form.
    """

    title: str
    hint: str
    methods: tuple[str, ...]
    panel: Callable[[], Iterator[Any]]
    form: str


class Tabs:
    """Looks like one panel.

    Attributes:
        root: the widget to put into the module's layout.
    """

    def __init__(self, tabs: Sequence[Tab]) -> None:
        self._tabs = tuple(tabs)
        self._panels: list[Any] = [None] * len(self._tabs)
        self.root = slicer.qMRMLWidget()
        layout = qt.QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        self.root.setLayout(layout)
        self.bar = qt.QTabBar()
        self.bar.drawBase = True
        self.bar.accessibleName = _("Parts of this module")
        self._shortcuts = []
        for index, tab in enumerate(self._tabs):
            keys = f"Alt+{index + 1}"
            self.bar.addTab(tab.title)
            self.bar.setTabToolTip(index, f"{tab.hint} ({keys})")
            shortcut = qt.QShortcut(qt.QKeySequence(keys), self.root)
            shortcut.connect("activated()", lambda index=index: self.choose(index))
            self._shortcuts.append(shortcut)
        layout.addWidget(self.bar)
        self.bar.connect("currentChanged(int)", self._chosen)
        self._chosen(0)
        self._unread = self._parts()
        self._ahead = qt.QTimer()
        self._ahead.interval = 0
        self._ahead.connect("timeout()", self._import_ahead)
        self._ahead.start()

    @property
    def current(self) -> Any:
        """The panel that is seen."""
        return self._panels[self.bar.currentIndex]

    @property
    def panels(self) -> list[Any]:
        """The panels that were seen so far."""
        return [panel for panel in self._panels if panel is not None]

    def choose(self, index: int) -> Any:
        """Show a tab, as the user might; returns its panel."""
        self.bar.currentIndex = index
        return self.current

    def panel_of(self, method: str) -> Any:
        """Show the tab for a method's results, and return its panel; None where there is none."""
        index = next((index for index, tab in enumerate(self._tabs) if method in tab.methods), None)
        return None if index is None else self.choose(index)

    def restore(self) -> None:
        """The scene was replaced."""
        for panel in self.panels:
            panel.restore()

    def scene_closing(self) -> None:
        """The scene is about to be closed."""
        for panel in self.panels:
            panel.scene_closing()

    def leave(self) -> None:
        """Another module is shown."""
        for panel in self.panels:
            leave(panel)

    def close(self) -> None:
        """The panels cannot be used afterwards."""
        self._ahead.stop()
        for panel in self.panels:
            panel.close()

    def _import_ahead(self) -> None:
        """As soon as the first tab is seen, so that the window does not wait for it when another one is chosen."""
        if next(self._unread, None) is None:
            self._ahead.stop()

    def _parts(self) -> Iterator[Any]:
        """What is imported for the tabs, part by part."""
        for tab in self._tabs:
            yield from tab.panel()

    def _chosen(self, index: int) -> None:
        if self._panels[index] is None:
            tab = self._tabs[index]
            *_parts, make = tab.panel()
            panel = self._panels[index] = make(tab.form)
            panel.root.layout().setContentsMargins(0, 0, 0, 0)
            self.root.layout().addWidget(panel.root)
        for number, panel in enumerate(self._panels):
            if panel is not None:
                panel.root.visible = number == index
                if number != index:
                    leave(panel)


def leave(panel: Any) -> None:
    """Something else is looked at: whatever of a panel listens to the views shall stop."""
    if hasattr(panel, "leave"):
        panel.leave()
