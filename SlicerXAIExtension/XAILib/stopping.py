"""Asking work in another thread to end: with what it does on the server, or leaving that to the server."""

from __future__ import annotations

from threading import Event
from typing import Any


class Stop(Event):
    """Set when the work shall end.

    Attributes:
        left: the work shall end here, but go on on the server.
        server, job: address of the server and id of the job that the work waits for; empty before the server took it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left = False
        self.server = ""
        self.job = ""

    def leave(self) -> None:
        """Wait no longer than until the server has taken the job; the job goes on there."""
        self.left = True
        if self.job:
            self.set()

    def began(self, server: str, job: str) -> None:
        """The server has taken the job."""
        self.server, self.job = server, job
        if self.left:
            self.set()


def began(stop: Event, server: str, job: str) -> None:
    """Tell whoever asks for an end which job that would be."""
    if isinstance(stop, Stop):
        stop.began(server, job)


def is_left(stop: Event | Any) -> bool:
    """Whether the job shall go on although nobody waits for it here."""
    return isinstance(stop, Stop) and stop.left
