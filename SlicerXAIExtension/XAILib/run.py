"""One explanation from beginning to end: send, submit, wait, fetch; and really stop it when the user says so."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

from .client import Client, OnProgress
from .errors import ServerError, Stopped
from .i18n import tr as _
from .job import Job
from .result import Result
from .stopping import began, is_left

POLL_SECONDS = 0.3
LOST_SECONDS = 10.0
"""How long a server may be away before the job is given up: a network may fail for a moment, a server may restart."""
PASSING = frozenset({"unreachable", "timeout", "server_fault"})
"""Kinds of errors that may pass by themselves."""
SENT, COMPUTED = 0.15, 0.9
"""Shares of the progress after which an image is sent and a result computed."""


def run_explanation(
    client: Client,
    method: str,
    source: Mapping[str, Any],
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Result:
    """Explain an image. Blocks, so call it in a thread (see `background`).

    Args:
        source: {"image": id} of the datastore, {"session": id} of an uploaded image, or {"files": [path, …]}. With both
            a session and files, the files are sent when the server has forgotten the session. The session of sent
            files is the result's `image_id`.
        stop: when it is set, the job is stopped on the server and `Stopped` raised, within about two seconds; of a
            `Stop` that is left, the job goes on.
        progress: called in this thread.

    Raises:
        Stopped: the job has been stopped on the server, and an image that was sent for it removed.
        ServerError: in words.
    """
    files = [Path(path) for path in source.get("files", ())]
    if not files or "session" in source:
        named = {key: value for key, value in source.items() if key != "files"}
        try:
            return _explained(client, method, named, model, parameters, stop, progress, 0.0)
        except ServerError as error:
            if not (files and error.status == 404 and error.kind == "refused"):
                raise
    session = client.upload(files, stop, part(progress, 0.0, SENT))
    try:
        return _explained(client, method, {"session": session}, model, parameters, stop, progress, SENT)
    except BaseException:
        if is_left(stop) and stop.is_set():  # the job that goes on reads it
            raise
        with contextlib.suppress(ServerError):  # what went wrong before matters more; the server removes it by itself
            client.remove_session(session)
        raise


def _explained(
    client: Client,
    method: str,
    source: Mapping[str, Any],
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
    start: float,
) -> Result:
    progress(start, _("Asking the server"), None)
    job = client.submit(method, source, model, parameters, stop)
    began(stop, client.url, job.id)
    try:
        _wait(client, job, stop, part(progress, start, COMPUTED))
    except Stopped:
        if not is_left(stop):
            _stop_job(client, job.id)
        raise
    return client.result(job.id, stop, part(progress, COMPUTED, 1.0))


def _wait(client: Client, job: Job, stop: Event, progress: OnProgress) -> None:
    """Until the job is done. Raises `ServerError` when it ends otherwise."""
    answered = time.monotonic()
    progress(job.fraction, _message(job), job.eta)
    while job.active:
        if stop.wait(POLL_SECONDS):
            raise Stopped
        try:
            job = client.job(job.id, stop)
        except ServerError as error:
            if error.status == 404 or error.kind not in PASSING:
                raise _gone(error, job.id) from error
            if time.monotonic() - answered > LOST_SECONDS:
                raise _lost(error, job.id) from error
            progress(job.fraction, _("The server does not answer; trying again"), None)
        else:
            answered = time.monotonic()
            progress(job.fraction, _message(job), job.eta)
    check_end(job)


def _message(job: Job) -> str:
    words = {"queued": _("Waiting for other jobs of the server"), "done": _("Fetching the result")}
    return words.get(job.state, job.message)


def check_end(job: Job) -> None:
    """Nothing for a job that is done. Raises `ServerError` in words for one that ended otherwise."""
    if job.state == "done":
        return
    if job.state == "cancelled":
        msg = _("Somebody else cancelled this explanation on the server; run it again if you still need it.")
        raise ServerError(msg, "refused")
    if job.state == "interrupted":
        raise ServerError(_("The server was stopped while it worked on this; run it again."), "server_fault")
    detail = (job.error.detail if job.error else job.message).rstrip(".")
    if job.error is not None and job.error.status < 500:
        raise ServerError(
            _("The server cannot explain this: {detail}.").format(detail=detail), "refused", job.error.status
        )
    msg = _("The server failed: {detail}. Run it again; if it stays, tell whoever runs the server.").format(
        detail=detail
    )
    raise ServerError(msg, "server_fault", job.error.status if job.error else None)


def _gone(error: ServerError, identifier: str) -> ServerError:
    if error.status == 404:
        msg = _(
            "The server does not know this explanation any more (job {identifier}): somebody removed it. Run it again."
        ).format(identifier=identifier)
        return ServerError(msg, "refused", 404)
    return error


def _lost(error: ServerError, identifier: str) -> ServerError:
    msg = _(
        "The connection to the server was lost while it worked, and it may still be working (job {identifier}). "
        "Connect again when it is back; its list of jobs, at /explain/jobs, shows what became of it. ({message})"
    ).format(identifier=identifier, message=error.message)
    return ServerError(msg, error.kind, error.status)


def _stop_job(client: Client, identifier: str) -> None:
    try:
        client.cancel(identifier)
    except ServerError as error:
        if error.status == 404:  # somebody else was quicker
            return
        msg = _(
            "Stopped here, but the server did not confirm it and may still be working (job {identifier}; its list is "
            "at /explain/jobs). {message}"
        ).format(identifier=identifier, message=error.message)
        raise ServerError(msg, error.kind, error.status) from error


def part(progress: OnProgress, start: float, end: float) -> OnProgress:
    """Progress of a step as progress of the whole, of which it is the share from `start` to `end`."""

    def within(fraction: float, message: str, eta: float | None) -> None:
        progress(start + (end - start) * fraction, message, eta)

    return within
