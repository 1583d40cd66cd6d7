"""Hearing of nodes that come or go by another hand: deleted, scene closed, scene loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from .belonging import unwatch, watch


class SceneWatch:
    """Observes a scene until it is closed; meanwhile nothing is drawn over another patient's image.

    Args:
        closing: called before the scene is closed.
        changed: called when nodes came or went; not while the scene is being closed, but after it.
    """

    def __init__(self, scene: Any, closing: Callable[[], None], changed: Callable[[], None]) -> None:
        self._scene = scene
        self._on_closing = closing
        self._on_changed = changed
        events = {
            slicer.vtkMRMLScene.StartCloseEvent: self._closing,
            slicer.vtkMRMLScene.EndCloseEvent: self._changed,
            slicer.vtkMRMLScene.EndImportEvent: self._changed,
            slicer.vtkMRMLScene.NodeRemovedEvent: self._changed,
        }
        watch(scene)
        self._tags = [scene.AddObserver(event, callback) for event, callback in events.items()]

    def close(self) -> None:
        """Remove every observer."""
        if self._tags:
            unwatch(self._scene)
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _closing(self, *_: Any) -> None:
        self._on_closing()

    def _changed(self, *_: Any) -> None:
        if not self._scene.IsClosing():
            self._on_changed()
