"""One Slicer with several modules open, as a walk-through needs it, and the steps that a guide shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from panel_user import User
from slicer_double.scripted import load_module

EXTENSION = Path(__file__).parents[3] / "SlicerXAIExtension"

U = TypeVar("U", bound=User)


@dataclass(frozen=True)
class Step:
    """What can be seen after a step of a walk-through.

    Attributes:
        name: of the picture's file, in one word.
        caption: one sentence for the guide, in the present tense.
        user: in front of the panel that is seen.
        page: the HTML page in front of it, if there is one.
    """

    name: str
    caption: str
    user: User
    page: Path | None = None


Walk = Iterator[Step]


@dataclass(frozen=True)
class Site:
    """What the server of a walk-through has.

    Attributes:
        url: of the server.
        segmenter, classifier: models; the classifier has an alarm.
        cohort: a cohort of two centres, drawn by several raters.
        case: of it.
        centres: the values of the key "centre": source, target.
        raters: the masks that count in the source and in the target.
    """

    url: str
    segmenter: str
    classifier: str
    cohort: str
    case: str
    centres: tuple[str, str]
    raters: tuple[str, str]


class Desk:
    """Opens modules one after another, as the module selector does.

    Args:
        app: the application of the test double.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self._modules: dict[str, Any] = {}
        self._front: Any = None

    def open(self, name: str, kind: type[U], tab: int | None = None) -> U:
        """Go to a module and one of its tabs; returns a person of this kind in front of it."""
        module = self._modules.get(name)
        if module is None:
            module = self._modules[name] = load_module(EXTENSION / name / f"{name}.py")
        if self._front not in (None, module):
            self._front.exit()
        self._front = module
        module.enter()
        user = kind(self.app, module)
        if tab is not None:
            user.tab(tab)
        self.app.processEvents()
        return user
