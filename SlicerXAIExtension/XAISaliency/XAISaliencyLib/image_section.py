"""The section of the image: a volume of the scene or a study of the server, and the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from .inputs import contains, is_map, likely_input
from .logic import SaliencyLogic
from .server import SaliencyServer


@dataclass(frozen=True)
class Source:
    """What to explain: a volume node, or a study's id when there is none."""

    volume: Any
    study: str
    model: str | None

    @property
    def name(self) -> str:
        return str(self.volume.GetName()) if self.volume is not None else self.study


class ImageSection:
    """Keeps the choices on the parameter node.

    Args:
        changed: called whenever a choice changed.
    """

    def __init__(self, ui: Any, logic: SaliencyLogic, changed: Callable[[], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._changed = changed
        self._server: SaliencyServer | None = None
        ui.volumeButton.connect("toggled(bool)", self._chosen)
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._chosen)
        ui.studyCombo.connect("currentIndexChanged(int)", self._chosen)
        ui.modelCombo.connect("currentIndexChanged(int)", self._chosen)

    @property
    def source(self) -> Source:
        """What is chosen now."""
        volume = self.ui.inputSelector.currentNode() if self.ui.volumeButton.checked else None
        study = "" if self.ui.volumeButton.checked else str(self.ui.studyCombo.currentText)
        return Source(volume, study, str(self.ui.modelCombo.currentText) or None)

    @property
    def reason(self) -> str:
        """Why the chosen image cannot be explained; empty when it can."""
        if self.ui.volumeButton.checked:
            return self.reason_against(self.source)
        if self._server is None:
            return "Connect to the server to see its studies."
        if not self.source.study:
            return "The server has no study; explain a loaded volume instead."
        return self.reason_against(self.source)

    def reason_against(self, source: Source) -> str:
        """Why a source cannot be explained; empty when it can, or when only the server knows."""
        if self._server is not None and not self._server.catalogue.models:
            return "The server has no model yet; whoever runs it can train one."
        if source.study:
            return ""
        if source.volume is None:
            return "Load a volume first, such as a FLAIR."
        if is_map(self._logic, source.volume):
            return f"“{source.name}” is itself a saliency map; choose the image."
        channels = self.channels(source.model)
        if len(channels) > 1:
            return f"The model “{source.model}” needs {_and(channels)}; choose a study of the server that has them."
        return ""

    def with_model(self, source: Source) -> Source:
        """The source with its own model, or with the chosen one where the server does not have that."""
        names = [model.name for model in self._server.catalogue.models] if self._server else []
        return source if source.model in names else replace(source, model=self.source.model)

    def channels(self, model: str | None) -> tuple[str, ...]:
        """Modalities that a model needs; empty while unknown."""
        models = self._server.catalogue.models if self._server else ()
        return next((tuple(found.channels) for found in models if found.name == model), ())

    def fill(self, server: SaliencyServer | None) -> None:
        """Offer what the server has; an earlier choice stays where it is still offered."""
        self._server = server
        wanted = self._logic.parameters()
        models = [model.name for model in server.catalogue.models] if server else []
        _offer(self.ui.modelCombo, models, self.ui.modelCombo.currentText or wanted.model)
        _offer(self.ui.studyCombo, server.studies if server else (), self.ui.studyCombo.currentText or wanted.study)

    def restore(self) -> None:
        """Take the choices of the parameter node, as of a scene that was just loaded; propose a FLAIR without one."""
        saved = self._logic.parameters()
        volume, study = saved.volume, saved.study
        _offer(self.ui.modelCombo, _texts(self.ui.modelCombo), saved.model)
        _offer(self.ui.studyCombo, _texts(self.ui.studyCombo), study)
        (self.ui.studyButton if study and volume is None else self.ui.volumeButton).checked = True
        if volume is not None:
            self.ui.inputSelector.setCurrentNode(volume)
        self.follow_scene()

    def follow_scene(self) -> None:
        """Propose a FLAIR while the user has chosen nothing."""
        current = self.ui.inputSelector.currentNode()
        if not contains(self._logic, current) or not contains(self._logic, self._logic.parameters().volume):
            proposed = likely_input(self._logic)
            if proposed is not None:
                self.ui.inputSelector.setCurrentNode(proposed)

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        connected = self._server is not None
        by_volume = bool(self.ui.volumeButton.checked)
        self.ui.inputSelector.enabled = by_volume
        _enable(self.ui.studyButton, connected, "Explain an image that the server already has; nothing is sent.")
        _enable(self.ui.studyCombo, connected and not by_volume, "The image of the server to explain.")
        _enable(self.ui.modelCombo, connected, "The model whose decision is explained.")
        if connected and by_volume:
            self.ui.studyCombo.toolTip = "Choose “Server study” first."

    def _chosen(self, *_: Any) -> None:
        choices, source = self._logic.parameters(), self.source
        choices.volume, choices.study = source.volume, source.study
        if source.model:
            choices.model = source.model
        self._changed()


def _enable(widget: Any, enabled: bool, hint: str) -> None:
    widget.enabled = enabled
    widget.toolTip = hint if enabled else "Connect to the server first."


def _texts(combo: Any) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count)]


def _offer(combo: Any, names: Iterable[str], wanted: str) -> None:
    names = list(names)
    combo.blockSignals(True)
    combo.clear()
    combo.addItems(names)
    combo.currentIndex = names.index(wanted) if wanted in names else (0 if names else -1)
    combo.blockSignals(False)


def _and(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
