"""Making the model decide from the lesion: a training on the server, and the same case under the new model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib import training
from XAILib.client import Client, OnProgress
from XAILib.errors import ServerError
from XAIPanels.choosing import enable
from XAIPanels.job_state import JobState
from XAIPanels.one_job import OneJob
from XAIPanels.tasks import Tasks

from .server import CounterfactualServer
from .words import TASK

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
BAD_NAME = _("A name has letters, digits, “-” and “_”, at most 64.")
TAKEN = _("The server has a model of this name already; choose another name.")
NOT_OFFERED = _(
    "This server cannot train a model so that it decides from the lesion; ask whoever runs it to update it."
)
SEGMENTS = _("“{}” finds lesions itself; only a model that decides on labels can be trained so.")
NO_MODEL = _("Choose a model above first.")
RUNS = _("A training is running on the server; cancel it or wait for it.")
CANCELLED = _("Cancelled. The server has stopped the training; no model was made.")
DONE = _("“{}” is ready and chosen above. Ask about the same case again to see where its change lies.")
SUFFIX = "aligned"


class _Widgets:
    """The widgets of the training under the names that `JobState` uses."""

    def __init__(self, ui: Any) -> None:
        self.progressBar = ui.trainProgressBar
        self.jobState = ui.trainState


class RetrainSection:
    """One training at a time; it goes on when the panel is closed, and is found again when it is connected.

    Args:
        lost: called with every error of the server.
        trained: called with the name of the new model.
        again: asked to ask about the shown case once more, with the chosen model.
        changed: called whenever a training begins or ends.
    """

    def __init__(
        self,
        ui: Any,
        tasks: Tasks,
        lost: Callable[[ServerError], None],
        trained: Callable[[str], None],
        again: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self._trained = trained
        self._server: CounterfactualServer | None = None
        self._proposed = ""
        self._cancelled = Event()
        self.state = JobState(_Widgets(ui), _("Not trained"))
        self.job = OneJob(tasks, self.state, lost, changed, CANCELLED)
        ui.trainButton.connect("clicked()", self.train)
        ui.trainCancelButton.connect("clicked()", self.cancel)
        ui.againButton.connect("clicked()", again)
        ui.nameEdit.connect("textChanged(QString)", lambda _text: changed())

    def fill(self, server: CounterfactualServer | None) -> None:
        """Offer the server's options; follow a training that is running there."""
        self._server = server
        if server is None or server.options is None:
            return
        epochs = server.options.get("epochs")
        if isinstance(epochs, int) and not self.job.running:
            self.ui.epochsSpin.value = epochs
        if server.running is not None and not self.job.running:
            self._follow(server.client, server.running)

    def propose(self, model: str | None) -> None:
        """A name for the model to be, unless the user has written one."""
        if self.ui.nameEdit.text in ("", self._proposed) and model:
            taken = {known.name for known in self._server.catalogue.models} if self._server is not None else set()
            stem = f"{model}-{SUFFIX}"
            names = [stem, *(f"{stem}-{count}" for count in range(2, 100))]
            self._proposed = next((name for name in names if name not in taken), stem)
            self.ui.nameEdit.text = self._proposed

    def refresh(self, model: str | None, classifies: bool, again_reason: str) -> None:
        """Enable what can be used.

        Args:
            model: the chosen one, from which the training goes on.
            classifies: whether it decides on labels.
            again_reason: why the shown case cannot be asked about; empty when it can.
        """
        running = self.job.running
        reason = RUNS if running else self._reason(model, classifies)
        enable(
            self.ui.trainButton,
            reason,
            _(
                "Go on training “{model}” with the images of the server that have a mask, so that what would turn its "
                "decision lies inside the mask. The model itself stays as it is; a new one is made."
            ).format(model=model),
        )
        for widget in (self.ui.nameEdit, self.ui.epochsSpin):
            widget.enabled = not running
        self.ui.trainHint.text = "" if running else reason
        self.ui.trainHint.visible = bool(reason) and not running
        stop = "" if running and not self.job.stopping else _("No training is running.")
        enable(self.ui.trainCancelButton, stop, _("Stop the training on the server."))
        enable(
            self.ui.againButton,
            again_reason,
            _("The shown case again, as “{model}” decides on it.").format(model=model),
        )
        self.ui.againButton.text = (
            _("&Ask “{model}” about the same case").format(model=model) if model else _("Ask about the same case")
        )

    def train(self) -> None:
        """Start the training."""
        server, model = self._server, self._base
        if server is None or self.job.running or not model:
            return
        name = str(self.ui.nameEdit.text).strip()
        options: Mapping[str, Any] = {"name": name, "base": model, "epochs": int(self.ui.epochsSpin.value)}
        client, cancelled = server.client, self._cancelled
        cancelled.clear()

        def work(stop: Event, progress: OnProgress) -> str:
            begun = training.start(client, TASK, options, stop)
            training.follow(client, begun.id, stop, cancelled, progress)
            return name

        self.job.start(work, self._done)

    def cancel(self) -> None:
        """Stop the training on the server."""
        self._cancelled.set()
        self.job.cancel()

    def close(self) -> None:
        """The panel goes; the training goes on."""
        self.job.close()

    def _follow(self, client: Client, running: training.Training) -> None:
        cancelled = self._cancelled
        cancelled.clear()

        def work(stop: Event, progress: OnProgress) -> str:
            training.follow(client, running.id, stop, cancelled, progress)
            return running.name

        self.job.start(work, self._done)

    def _done(self, name: str) -> None:
        self.state.succeed(DONE.format(name))
        self._trained(name)

    @property
    def _base(self) -> str:
        return str(self.ui.modelCombo.currentText)

    def _reason(self, model: str | None, classifies: bool) -> str:
        server = self._server
        if server is None:
            return _("Connect to the server first.")
        if server.options is None:
            return NOT_OFFERED
        if not model:
            return NO_MODEL
        if not classifies:
            return SEGMENTS.format(model)
        name = str(self.ui.nameEdit.text).strip()
        if not NAME.fullmatch(name):
            return BAD_NAME
        return TAKEN if name in {known.name for known in server.catalogue.models} else ""
