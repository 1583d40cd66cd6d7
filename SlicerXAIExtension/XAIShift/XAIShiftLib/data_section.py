"""The section of the data: model and cohort. The cases of the cohort are read when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.cohorts import Cohort
from XAILib.errors import ServerError
from XAIPanels.choosing import enable, offer
from XAIPanels.tasks import Task, Tasks
from XAIPanels.words import shortened

from .logic import ShiftLogic
from .server import ShiftServer
from .words import cases

NO_METHOD = _(
    "This server does not offer shift attribution; connect to another one, or ask whoever runs it to update it."
)
NO_MODEL = _("The server has no model yet; whoever runs it can train one.")
NO_COHORT = _(
    "The server has no cohort yet. Whoever runs it can put one into its folder of cohorts: a folder of scans with the "
    "masks of one or more raters."
)
NOT_CONNECTED = _("Connect to the server first.")


class DataSection:
    """Keeps the choices on the parameter node.

    Args:
        changed: called whenever a choice changed, or the cases of the chosen cohort came.
        lost: called with the error when the server does not give them.

    Attributes:
        cohort: the chosen one with its cases; None while they are not known.
    """

    def __init__(
        self,
        ui: Any,
        logic: ShiftLogic,
        tasks: Tasks,
        changed: Callable[[], None],
        lost: Callable[[ServerError], None],
    ) -> None:
        self.ui = ui
        self.cohort: Cohort | None = None
        self._logic = logic
        self._tasks = tasks
        self._changed = changed
        self._lost = lost
        self._server: ShiftServer | None = None
        self._task: Task | None = None
        self._failure = ""
        ui.modelCombo.connect("currentIndexChanged(int)", self._model_chosen)
        ui.cohortCombo.connect("currentIndexChanged(int)", self._cohort_chosen)

    @property
    def model(self) -> str | None:
        return str(self.ui.modelCombo.currentText) or None

    @property
    def reason(self) -> str:
        """Why nothing can be attributed; empty when it can."""
        server = self._server
        if server is None:
            return NOT_CONNECTED
        if server.shift is None:
            return NO_METHOD
        if not server.catalogue.models:
            return NO_MODEL
        if not server.cohorts.sizes:
            return NO_COHORT
        if self._task is not None:
            return _("Reading the cohort …")
        return self._failure

    def fill(self, server: ShiftServer | None) -> None:
        """Offer what the server has; an earlier choice stays where it is still offered."""
        self._server = server
        wanted = self._logic.parameters()
        models = [model.name for model in server.catalogue.models] if server else []
        sizes = server.cohorts.sizes if server else {}
        offer(self.ui.modelCombo, models, wanted.model)
        offer(self.ui.cohortCombo, [f"{name}  ({cases(size)})" for name, size in sizes.items()], wanted.cohort, sizes)
        self._read()

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        self.fill(self._server)

    def refresh(self, running: bool) -> None:
        """Enable what can be used and say what there is."""
        busy = _("An attribution is running; cancel it or wait for it.") if running else ""
        missing = "" if self._server is not None else NOT_CONNECTED
        enable(self.ui.modelCombo, missing or busy, _("The model whose performance is compared."))
        enable(self.ui.cohortCombo, missing or busy, _("Cases of the server that the model is compared on."))
        self.ui.cohortState.text = self._words()
        cohort = self.cohort
        chosen = "" if self.model is None or cohort is None else f" – {self.model}, {cohort.name}"
        self.ui.dataSection.text = shortened(_("Model and cohort{chosen}").format(chosen=chosen))

    def collapse(self) -> None:
        """Fold the section."""
        self.ui.dataSection.collapsed = True

    def _words(self) -> str:
        if self.reason or self.cohort is None:
            lines = [escape(self.reason)]
        else:
            raters, keys = (", ".join(names) or "none" for names in (self.cohort.raters, self.cohort.keys))
            lines = [
                escape(
                    _("{count}. Raters: {raters}. They can be selected by: {keys}.").format(
                        count=cases(len(self.cohort.cases)), raters=raters, keys=keys
                    )
                )
            ]
        unusable = self._server.cohorts.unusable if self._server is not None else {}
        lines += [
            _("<i>{name}</i> cannot be used: {why}").format(name=escape(name), why=escape(why))
            for name, why in unusable.items()
        ]
        return "<br>".join(line for line in lines if line)

    def _model_chosen(self, _index: int) -> None:
        if self.model is not None:
            self._logic.parameters().model = self.model
        self._changed()

    def _cohort_chosen(self, _index: int) -> None:
        self._logic.parameters().cohort = self._name
        self._read()
        self._changed()

    @property
    def _name(self) -> str:
        combo = self.ui.cohortCombo
        return str(combo.itemData(combo.currentIndex)) if combo.currentIndex >= 0 else ""

    def _read(self) -> None:
        """Ask for the cases of the chosen cohort."""
        if self._task is not None:
            self._tasks.drop(self._task)
            self._task = None
        server, name = self._server, self._name
        self._failure = ""
        if server is None:
            return  # what was read stays, so that the choices stay
        self.cohort = None
        if not name:
            return

        def read(stop: Event, _progress: Any) -> Cohort:
            return server.client.cohort(name, stop)

        self._task = self._tasks.start(read, self._arrived, self._failed)

    def _arrived(self, cohort: Cohort) -> None:
        self._task = None
        self.cohort = cohort
        self._changed()

    def _failed(self, error: BaseException) -> None:
        self._task = None
        self._failure = _("The cohort cannot be read. {error}").format(error=error)
        self._changed()
        if not isinstance(error, ServerError):
            raise error
        self._lost(error)
