"""The section of the method: which one, what it does, and the form of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.catalogue import Method
from XAILib.schema import Field, fields_of
from XAILib.schema_values import accepted, started, told
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.form import Form
from XAIPanels.form_numbers import PointPicker
from XAIPanels.job_state import JobState

from .logic import MethodsLogic
from .server import MethodsServer
from .words import NO_METHODS, NO_PARAMETERS, NOT_RUN, about


class MethodSection(JobState):
    """Shows a job too; it does not know how jobs are made.

    Args:
        run, cancel: what the buttons do.
        changed: called whenever another method was chosen, or another value.
        picker: lets points be picked in the views.
    """

    def __init__(
        self,
        ui: Any,
        logic: MethodsLogic,
        run: Callable[[], None],
        cancel: Callable[[], None],
        changed: Callable[[], None],
        picker: PointPicker,
    ) -> None:
        super().__init__(ui, NOT_RUN)
        self._logic = logic
        self._changed = changed
        self._picker = picker
        self._methods: tuple[Method, ...] = ()
        self._form: Form | None = None
        self._shown: Method | None = None
        ui.methodCombo.connect("currentIndexChanged(int)", self._chosen)
        ui.runButton.connect("clicked()", run)
        ui.cancelButton.connect("clicked()", cancel)

    @property
    def method(self) -> Method | None:
        """The chosen one; None before a server has told its methods."""
        name = chosen(self.ui.methodCombo)
        return next((method for method in self._methods if method.name == name), None)

    @property
    def form(self) -> Form | None:
        """Of the chosen method."""
        return self._form

    @property
    def parameters(self) -> Any:
        """What is asked."""
        return {} if self._form is None else self._form.request

    @property
    def reason(self) -> str:
        """Why nothing can be asked now; empty when something can."""
        if self.method is None:
            return NO_METHODS
        return "" if self._form is None else self._form.reason

    def fill(self, server: MethodsServer | None) -> None:
        """Offer the methods of a server; the form stays while the server is away."""
        if server is None:
            return
        self._methods = server.catalogue.methods
        titles = [method.title for method in self._methods]
        wanted = chosen(self.ui.methodCombo) or self._logic.parameters().method
        offer(self.ui.methodCombo, titles, wanted, [method.name for method in self._methods])
        for place, method in enumerate(self._methods):
            self.ui.methodCombo.setItemData(place, method.summary, qt.Qt.ToolTipRole)
        self._make_form()

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        names = [method.name for method in self._methods]
        if names:
            offer(self.ui.methodCombo, [one.title for one in self._methods], self._logic.parameters().method, names)
        self._shown = None
        self._make_form()

    def ask_again(self, request: Any) -> None:
        """Fill in what was asked for a result."""
        if self._form is not None and self._shown is not None:
            self._form.show(accepted(fields_of(self._shown.parameters), request))
            self._edited()

    def fail(self, text: str) -> None:
        """Say why there is no result; what a server found wrong stands in the form too, at its field."""
        faults = {} if self._form is None else told(text, self._form.fields)
        if self._form is not None and faults:
            self._form.refuse(faults)
            text = "; ".join(self._form.words(path, said) for path, said in faults.items())
        super().fail(text)

    def refresh(self, running: bool, stopping: bool, connected: bool, reason: str) -> None:
        """Enable what can be used.

        Args:
            reason: why nothing can be asked now, or empty.
        """
        run, cancel = self.ui.runButton, self.ui.cancelButton
        run.text = _("&Run") if connected else _("Connect")
        busy = _("A computation is running; cancel it to start another one.") if running else ""
        usable = "" if not connected else reason
        enable(run, busy or usable, _("Ask the server by this method.") if connected else _("Ask for its methods."))
        cancel.enabled = running and not stopping
        cancel.toolTip = _("Stop the computation on the server too.")
        if not running:
            cancel.toolTip = _("Nothing is running.")
        elif stopping:
            cancel.toolTip = _("The server has been asked to stop.")
        enable(self.ui.methodCombo, "" if self._methods else NO_METHODS, _("What shall be asked."))
        self.ui.hintLabel.visible = bool(reason) and not running
        self.ui.hintLabel.text = escape(reason)

    def close(self) -> None:
        """Stop picking."""
        if self._form is not None:
            self._form.close()

    def _chosen(self, *_unused: Any) -> None:
        if self.method is not None:
            self._logic.parameters().method = self.method.name
        self._make_form()
        self._changed()

    def _make_form(self) -> None:
        method = self.method
        if method == self._shown:
            return
        self._shown = method
        layout = self.ui.formPlace.layout()
        if self._form is not None:
            self._form.close()
            layout.removeWidget(self._form.root)
            self._form.root.visible = False
            self._form.root.deleteLater()
            self._form = None
        self.ui.methodSummary.text = about(method) if method is not None else escape(NO_METHODS)
        self.ui.parametersSection.visible = method is not None
        if method is None:
            return
        fields = fields_of(method.parameters)
        self._form = Form(fields, self._edited, self._picker)
        self._form.show(self._values(method, fields))
        layout.addWidget(self._form.root)
        self._form.tab_between(self.ui.modelCombo, self.ui.runButton)
        self.ui.noParametersLabel.text = NO_PARAMETERS
        self.ui.noParametersLabel.visible = not fields

    def _values(self, method: Method, fields: tuple[Field, ...]) -> dict[str, Any]:
        return {**started(fields), **accepted(fields, self._logic.parameters().request(method.name))}

    def _edited(self) -> None:
        if self._form is not None and self._shown is not None and not self._form.reason:
            self._logic.parameters().keep_request(self._shown.name, self._form.request)
        self._changed()
