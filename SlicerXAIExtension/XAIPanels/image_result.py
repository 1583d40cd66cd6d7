"""Result nodes of the panels that explain one image at a time: the document, the image, the outlines, the choices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from .documents import document_of

_SOURCE, _OWN_SOURCE = "Source", "ownSource"


class ImageResult:
    """Typed access to one result node; every part may have been deleted by hand, and is None then.

    Attributes:
        CHOICES: names of the parameters that keep what the user has chosen of this result.
        OUTLINES: role by which the node refers to its outlines, in saved scenes too.
    """

    CHOICES: ClassVar[tuple[str, ...]] = ()
    OUTLINES: ClassVar[str] = "Outlines"

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def document(self) -> dict[str, Any]:
        """The parsed JSON of the result, without what identifies the patient."""
        return document_of(self.node)

    @property
    def source(self) -> Any:
        """The explained volume."""
        return self.node.GetNodeReference(_SOURCE)

    @property
    def own_source(self) -> bool:
        """Whether the explained volume came with the result, and goes with it."""
        return bool(self.node.GetParameter(_OWN_SOURCE))

    @property
    def outlines(self) -> Any:
        """The segmentation that came with the result."""
        return self.node.GetNodeReference(self.OUTLINES)

    @property
    def volumes(self) -> list[Any]:
        """The volumes that came with the result and are still there, but for the explained one."""
        return []

    @property
    def parts(self) -> list[Any]:
        """All that goes with the result, but for the explained volume."""
        return [*self.volumes, self.outlines]

    @property
    def choices(self) -> dict[str, str]:
        """What the user has chosen of this result."""
        return {name: str(self.node.GetParameter(name)) for name in self.CHOICES}

    @choices.setter
    def choices(self, kept: Mapping[str, str]) -> None:
        for name, value in kept.items():
            self.node.SetParameter(name, value)

    def refer_image(self, source: Any, outlines: Any, own_source: bool) -> None:
        """Connect the explained volume and the outlines; both are in the scene."""
        self._refer(_SOURCE, source)
        self._refer(self.OUTLINES, outlines)
        if own_source:
            self.node.SetParameter(_OWN_SOURCE, "true")

    def _refer(self, role: str, part: Any) -> None:
        self.node.SetNodeReferenceID(role, part.GetID() if part is not None else None)

    def _read(self, name: str, fallback: Any) -> Any:
        """A parameter that is kept as JSON; the fallback where it is missing or cannot be read."""
        try:
            found = json.loads(self.node.GetParameter(name) or "null")
        except ValueError:
            return fallback
        return fallback if found is None else found
