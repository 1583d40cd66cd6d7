"""A training on the server from beginning to end. Blocks, so call it in a thread (see `background`)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from .client import Client, OnProgress
from .connection import quoted
from .errors import ServerError, Stopped
from .i18n import tr as _
from .run import LOST_SECONDS, PASSING, POLL_SECONDS

PERCENT = re.compile(r"(\d+) % (.*)")
"""Progress among the lines of the server's log."""
BEFORE_LINE = re.compile(r"^[A-Za-z_.]*(Error|Exception)\b:?\s*")


@dataclass(frozen=True)
class Training:
    """A training as the server tells it.

    Attributes:
        id: of the server's task.
        task: what kind of training it is.
        name: of the model to be; empty when the server chooses it.
        status: SUBMITTED, RUNNING, DONE, ERROR or STOPPED.
        lines: the newest of the log.
    """

    id: str
    task: str
    name: str
    status: str
    lines: tuple[str, ...]

    @property
    def active(self) -> bool:
        return self.status in ("SUBMITTED", "RUNNING")

    @property
    def progress(self) -> tuple[float, str]:
        """Share done in [0, 1], and what is done now."""
        for line in reversed(self.lines):
            found = PERCENT.search(line)
            if found:
                return min(1.0, int(found.group(1)) / 100), found.group(2)
        return 0.0, _("waiting for another training") if self.status == "SUBMITTED" else _("preparing the training")

    @property
    def failure(self) -> str:
        """The last line of the log without the name of the fault."""
        last = self.lines[-1] if self.lines else _("its log is empty")
        return BEFORE_LINE.sub("", last).rstrip(".")


def tasks(client: Client, stop: Event | None = None) -> Mapping[str, Mapping[str, Any]]:
    """The kinds of training that the server offers, each with the defaults of its options. Raises `ServerError`."""
    document = client.ask("GET", "/info/", stop=stop).json()
    trainers = document.get("trainers") if isinstance(document, dict) else None
    if not isinstance(trainers, dict):
        raise client.not_understood()
    return {str(name): dict(about.get("config") or {}) for name, about in trainers.items()}


def newest(client: Client, stop: Event | None = None) -> Training | None:
    """The newest training since the server was started; None without one. Raises `ServerError`."""
    found = _all(client, stop)
    return found[-1] if found else None


def start(client: Client, task: str, options: Mapping[str, Any], stop: Event) -> Training:
    """Begin a training. Raises `ServerError` in words, such as that another one is running."""
    try:
        return _training(client.ask("POST", f"/train/{quoted(task)}", json=dict(options), stop=stop).json())
    except ServerError as error:
        if error.status == 429:
            msg = _("Another training is running on the server; wait for its end or stop it.")
            raise ServerError(msg, "refused", 429) from error
        raise
    except (AttributeError, KeyError, TypeError):
        raise client.not_understood() from None


def follow(client: Client, identifier: str, stop: Event, cancelled: Event, progress: OnProgress) -> Training:
    """Wait for the end of a training and return it.

    Args:
        stop: when it is set, `Stopped` is raised and the training goes on, unless
        cancelled: is set too: then it is stopped on the server first.

    Raises:
        Stopped: see above. ServerError: it failed, or the server is away or was restarted.
    """
    answered = time.monotonic()
    while True:
        try:
            training = next((one for one in _all(client, None) if one.id == identifier), None)
        except ServerError as error:
            if error.kind not in PASSING or time.monotonic() - answered > LOST_SECONDS:
                raise _lost(error) from error
            progress(0.0, _("The server does not answer; trying again"), None)
        else:
            answered = time.monotonic()
            _check(training)
            assert training is not None  # noqa: S101 - checked
            if not training.active:
                return training
            progress(*training.progress, None)
            if stop.is_set() and not cancelled.is_set():
                raise Stopped
            if cancelled.is_set() and training.status == "RUNNING":
                # one that waits cannot be told from the one that runs: wait until it is its turn
                client.ask("DELETE", "/train/")
                raise Stopped
        if stop.wait(POLL_SECONDS):
            if not cancelled.is_set():
                raise Stopped
            time.sleep(POLL_SECONDS)


def _check(training: Training | None) -> None:
    if training is None:
        msg = _("The server does not know this training any more: it was restarted. Start the training again.")
        raise ServerError(msg, "server_fault")
    if training.status == "STOPPED":
        raise ServerError(_("Somebody stopped this training on the server."), "refused")
    if training.status == "ERROR":
        raise ServerError(_("The training failed: {failure}.").format(failure=training.failure), "server_fault")


def _lost(error: ServerError) -> ServerError:
    msg = _("The connection to the server was lost; its training may still be running. ({message})").format(
        message=error.message
    )
    return ServerError(msg, error.kind, error.status)


def _all(client: Client, stop: Event | None) -> list[Training]:
    try:
        document = client.ask("GET", "/train/?all=true", stop=stop).json()
        return [_training(one) for one in document]
    except ServerError as error:
        if error.status == 404:
            return []
        raise
    except (AttributeError, KeyError, TypeError):
        raise client.not_understood() from None


def _training(document: Any) -> Training:
    request = document.get("request") or {}
    return Training(
        id=str(document["id"]),
        task=str(request.get("model", "")),
        name=str(request.get("name", "")),
        status=str(document["status"]),
        lines=tuple(str(line) for line in document.get("details", ()) if str(line).strip()),
    )
