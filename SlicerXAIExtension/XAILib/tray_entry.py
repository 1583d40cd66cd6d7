"""One line of the job tray: what was asked, of which image, where, and what has become of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

RUNNING, WAITING, FINISHED, FAILED, CANCELLED = "running", "waiting", "finished", "failed", "cancelled"
ACTIVE = frozenset({RUNNING, WAITING})
"""States of an entry that has not ended."""
STATES = {"queued": WAITING, "running": RUNNING, "done": FINISHED, "cancelled": CANCELLED}
"""Of an entry, by the state of the server's job; any other one is a failure."""


@dataclass(frozen=True)
class Entry:
    """A job of this viewer.

    Attributes:
        method: name of the server's method; what opens the result is found by it.
        title: of the method, for people.
        image: name of the image or cohort, for people; it may name the patient and is never saved or sent.
        server, job: address and the server's id; empty while the server has not taken the job.
        state: one of `RUNNING`, `WAITING`, `FINISHED`, `FAILED`, `CANCELLED`.
        fraction: share done, in [0, 1].
        message: what is done now; of a failed one, why and what to do.
        eta: seconds left; None while unknown.
        created: seconds since the epoch.
        ended: seconds since the epoch; None while it has not.
        attended: somebody here waits for the job and tells how far it is; the others are asked of the server.
        restored: it came with a saved scene; without its job on the server it is nothing.
    """

    method: str
    title: str
    image: str = ""
    server: str = ""
    job: str = ""
    state: str = RUNNING
    fraction: float = 0.0
    message: str = ""
    eta: float | None = None
    created: float = field(default_factory=time.time)
    ended: float | None = None
    attended: bool = False
    restored: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def document(self) -> dict[str, Any]:
        """What is saved of it: nothing that names a patient."""
        names = ("id", "method", "title", "server", "job", "created")
        return {name: getattr(self, name) for name in names}


def entry_of(document: Any) -> Entry:
    """An entry that was saved; how it is now, only the server knows. Raises `ValueError` when it is none."""
    try:
        texts: dict[str, Any] = {name: _text(document[name]) for name in ("id", "method", "title", "server", "job")}
        return Entry(**texts, created=float(document["created"]), state=WAITING, restored=True)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"not an entry of a job tray: {error!r}"
        raise ValueError(msg) from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(value)
    return value
