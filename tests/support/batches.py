"""Batches: a worker killed while it computes, and all that a result says but when and how long."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicerxai.explain.folder import read_document

if TYPE_CHECKING:
    from distributed import Client


class KillOneAtWork:
    """Progress of a batch that kills a worker process in the middle of a case, once."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.killed: str | None = None
        """Key of the task that died with it."""

    def __call__(self, fraction: float, message: str) -> None:
        if fraction == 0 or self.killed:
            return
        for address, process in self.client.run(os.getpid).items():
            os.kill(process, signal.SIGSTOP)
            time.sleep(0.3)  # what it said before has arrived
            if keys := self.client.processing()[address]:
                (self.killed,) = keys
                os.kill(process, signal.SIGKILL)
                return
            os.kill(process, signal.SIGCONT)


def content(folder: Path) -> tuple[dict[str, Any], bytes]:
    """A result but for its times: the SHA-256 of every overlay and figure is part of it."""
    document = read_document(folder).model_dump()
    for name in ("started", "seconds"):
        document["provenance"].pop(name)
    return document, (folder / "overview.png").read_bytes()
