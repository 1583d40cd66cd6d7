"""The method of a server that this panel asks for."""

from __future__ import annotations

from XAILib.catalogue import Method
from XAIPanels.server_section import Server

from .words import METHOD


def saliency_of(server: Server | None) -> Method | None:
    """None where the server lacks it, or without one."""
    return server.method(METHOD) if server is not None else None
