"""What can go wrong between the scene and a result, in words for the reader of the panel."""

from __future__ import annotations


class SceneError(Exception):
    """Base: the message is one or two sentences that say what is wrong and what to do."""


class ExportError(SceneError):
    """A volume of the scene cannot be sent to the server."""


class LoadError(SceneError):
    """A result of the server cannot be put into the scene."""
