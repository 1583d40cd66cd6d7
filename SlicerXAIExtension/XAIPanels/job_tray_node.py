"""The jobs in a MRML scene: which a server has, and which image and result each one belongs to. No Qt."""

from __future__ import annotations

from typing import Any

from .nodes import in_scene, singleton

MODULE = "XAIJobs"
_JOBS = "jobs"


class JobTrayNode:
    """Typed access to the one node that keeps the tray in the scene."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.node = singleton(scene, MODULE)

    @property
    def text(self) -> str:
        """The saved jobs, see `Tray.to_text`."""
        return str(self.node.GetParameter(_JOBS))

    @text.setter
    def text(self, text: str) -> None:
        if text != self.text:
            self.node.SetParameter(_JOBS, text)

    def image(self, entry: str) -> Any:
        """The volume that a job was asked of, while it is in the scene; else None."""
        return self._node("image", entry)

    def result(self, entry: str) -> Any:
        """The result node that a job was opened as, while it is in the scene; else None."""
        return self._node("result", entry)

    def refer_image(self, entry: str, volume: Any) -> None:
        """Keep which volume a job was asked of."""
        self.node.SetNodeReferenceID(f"image-{entry}", volume.GetID())

    def refer_result(self, entry: str, node: Any) -> None:
        """Keep which node a job was opened as."""
        self.node.SetNodeReferenceID(f"result-{entry}", node.GetID())

    def _node(self, role: str, entry: str) -> Any:
        node = self.node.GetNodeReference(f"{role}-{entry}")
        return node if in_scene(self.scene, node) else None
