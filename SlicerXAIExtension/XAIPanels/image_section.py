"""The section of the image: a volume of the scene or a study of the server, and the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from slicer.i18n import tr as _

from .choosing import enable, offer
from .image_server import ImageServer
from .nodes import in_scene, nodes_of_class
from .parameters import ImageParameters

LIKELY = "flair"


class ImageLogic(Protocol):
    """What the section needs of a panel's logic."""

    scene: Any

    def parameters(self) -> ImageParameters: ...

    def is_map(self, volume: Any) -> bool:
        """Whether a volume belongs to a result."""
        ...


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
        own: what volumes of results are, for people, such as "a saliency map".
    """

    def __init__(self, ui: Any, logic: ImageLogic, changed: Callable[[], None], own: str) -> None:
        self.ui = ui
        self._logic = logic
        self._changed = changed
        self._own = own
        self._server: ImageServer | None = None
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
            return _("Connect to the server to see its studies.")
        if not self.source.study:
            return _("The server has no study; explain a loaded volume instead.")
        return self.reason_against(self.source)

    def reason_against(self, source: Source) -> str:
        """Why a source cannot be explained; empty when it can, or when only the server knows."""
        if self._server is not None and not self._server.catalogue.models:
            return _("The server has no model yet; whoever runs it can train one.")
        if source.study:
            return ""
        if source.volume is None:
            return _("Load a volume first, such as a FLAIR.")
        if self._logic.is_map(source.volume):
            return _("“{name}” is itself {own}; choose the image.").format(name=source.name, own=self._own)
        channels = self.channels(source.model)
        if len(channels) > 1:
            return _("The model “{model}” needs {channels}; choose a study of the server that has them.").format(
                model=source.model, channels=_and(channels)
            )
        return ""

    def choose_model(self, name: str) -> None:
        """Choose one of the server's models, as the user might."""
        self.ui.modelCombo.currentIndex = self.ui.modelCombo.findText(name)

    def with_model(self, source: Source) -> Source:
        """The source with its own model, or with the chosen one where the server does not have that."""
        names = [model.name for model in self._server.catalogue.models] if self._server else []
        return source if source.model in names else replace(source, model=self.source.model)

    def channels(self, model: str | None) -> tuple[str, ...]:
        """Modalities that a model needs; empty while unknown."""
        models = self._server.catalogue.models if self._server else ()
        return next((tuple(found.channels) for found in models if found.name == model), ())

    def fill(self, server: ImageServer | None) -> None:
        """Offer what the server has; an earlier choice stays where it is still offered."""
        self._server = server
        wanted = self._logic.parameters()
        models = [model.name for model in server.catalogue.models] if server else []
        offer(self.ui.modelCombo, models, self.ui.modelCombo.currentText or wanted.model)
        offer(self.ui.studyCombo, server.studies if server else (), self.ui.studyCombo.currentText or wanted.study)

    def restore(self) -> None:
        """Take the choices of the parameter node, as of a scene that was just loaded; propose a FLAIR without one."""
        saved = self._logic.parameters()
        volume, study = saved.volume, saved.study
        offer(self.ui.modelCombo, _texts(self.ui.modelCombo), saved.model)
        offer(self.ui.studyCombo, _texts(self.ui.studyCombo), study)
        (self.ui.studyButton if study and volume is None else self.ui.volumeButton).checked = True
        if volume is not None:
            self.ui.inputSelector.setCurrentNode(volume)
        self.follow_scene()

    def follow_scene(self) -> None:
        """Propose a FLAIR while the user has chosen nothing."""
        current = self.ui.inputSelector.currentNode()
        scene = self._logic.scene
        if not in_scene(scene, current) or not in_scene(scene, self._logic.parameters().volume):
            proposed = likely_input(self._logic)
            if proposed is not None:
                self.ui.inputSelector.setCurrentNode(proposed)

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        connected = self._server is not None
        by_volume = bool(self.ui.volumeButton.checked)
        self.ui.inputSelector.enabled = by_volume
        none = "" if connected else _("Connect to the server first.")
        enable(self.ui.studyButton, none, _("Explain an image that the server already has; nothing is sent."))
        enable(self.ui.studyCombo, none, _("The image of the server to explain."))
        enable(self.ui.modelCombo, none, _("The model whose decision is explained."))
        if connected and by_volume:
            enable(self.ui.studyCombo, _("Choose “Server study” first."), "")

    def _chosen(self, *_unused: Any) -> None:
        choices, source = self._logic.parameters(), self.source
        choices.volume, choices.study = source.volume, source.study
        if source.model:
            choices.model = source.model
        self._changed()


def likely_input(logic: ImageLogic) -> Any:
    """The first FLAIR by its name, else the first image of the scene that belongs to no result, else None."""
    volumes = [
        volume
        for volume in nodes_of_class(logic.scene, "vtkMRMLScalarVolumeNode")
        if not volume.IsA("vtkMRMLLabelMapVolumeNode") and not logic.is_map(volume)
    ]
    flairs = [volume for volume in volumes if LIKELY in (volume.GetName() or "").lower()]
    return next(iter(flairs + volumes), None)


def _texts(combo: Any) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count)]


def _and(names: Iterable[str]) -> str:
    *rest, last = names
    return _("{rest} and {last}").format(rest=", ".join(rest), last=last) if rest else last
