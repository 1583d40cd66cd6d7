"""The job tray: all jobs of this viewer, whoever waits for them. Knows neither Qt nor MRML; any thread may use it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from .client import Client, OnProgress
from .errors import ServerError, Stopped
from .i18n import tr as _
from .job import Job
from .run import PASSING, check_end
from .stopping import Stop
from .tray_entry import CANCELLED, FAILED, FINISHED, RUNNING, STATES, WAITING, Entry, entry_of

T = TypeVar("T")

MOST = 100
"""Entries that are kept; the oldest that have ended go first."""
FORGOTTEN = _("The server does not know this job any more: somebody removed it. Ask again.")
SILENT = _("The server does not answer; trying again")
NOT_CONNECTED = _("Connect to {server} first: the job is there.")
NOT_AGAIN = _("The server has never had this job; ask again where it was asked.")


class Tray:
    """What is running, waiting, finished and failed, the newest first.

    Args:
        client_for: the client of a server by its address; None while nobody is connected to it. A token is never sent
            to an address that only a saved scene names.

    Attributes:
        version: another number whenever something has changed; whoever shows the tray looks at it from time to time.
    """

    def __init__(self, client_for: Callable[[str], Client | None]) -> None:
        self.version = 0
        self._client_for = client_for
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._stops: dict[str, Stop] = {}
        self._removed: tuple[Entry, ...] = ()

    # --- what there is -----------------------------------------------------------------------------------------------

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All, the newest first."""
        with self._lock:
            return tuple(sorted(self._entries.values(), key=lambda entry: -entry.created))

    def entry(self, identifier: str) -> Entry | None:
        """None when it was removed."""
        return self._entries.get(identifier)

    @property
    def can_undo(self) -> bool:
        """Whether something was removed that can come back."""
        return bool(self._removed)

    @property
    def unattended(self) -> tuple[Entry, ...]:
        """The jobs that only the server can tell of, and that can be asked for now."""
        return tuple(
            entry
            for entry in self.entries
            if entry.active and not entry.attended and entry.job and self._client_for(entry.server) is not None
        )

    # --- jobs come ---------------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> Entry:
        """Another job."""
        with self._lock:
            self._entries[entry.id] = entry
            ended = [one for one in self.entries if not one.active]
            for one in ended[max(0, MOST - (len(self._entries) - len(ended))) :]:
                del self._entries[one.id]
            self.version += 1
        return entry

    def run(self, entry: Entry, work: Callable[[Stop, OnProgress], T], stop: Stop, progress: OnProgress) -> T:
        """Do the work of a new job in this thread, and keep its entry up to date.

        Args:
            work: called as `work(stop, progress)`; it returns what came of the job.
            stop: `stop.set()` cancels the job; `stop.leave()` lets it go on at the server, which `poll` asks then.

        Raises: what `work` raises, after noting it.
        """
        self.add(replace(entry, attended=True, state=RUNNING))
        with self._lock:
            self._stops[entry.id] = stop

        def heard(fraction: float, message: str, eta: float | None) -> None:
            self.update(entry.id, fraction=fraction, message=message, eta=eta, **_job_of(stop))
            progress(fraction, message, eta)

        try:
            value = work(stop, heard)
        except Stopped:
            if stop.left and stop.job:
                self.update(entry.id, attended=False, **_job_of(stop))
            else:
                self._end(entry.id, CANCELLED, "", stop)
            raise
        except BaseException as error:
            if stop.job and isinstance(error, ServerError) and error.kind in PASSING:  # it may be going on there
                self.update(entry.id, attended=False, state=WAITING, message=SILENT, **_job_of(stop))
            else:
                self._end(entry.id, FAILED, str(error) or repr(error), stop)
            raise
        else:
            self._end(entry.id, FINISHED, "", stop)
            return value
        finally:
            with self._lock:
                self._stops.pop(entry.id, None)

    def update(self, identifier: str, **changes: Any) -> None:
        """Change an entry; of one that was removed nothing is kept."""
        with self._lock:
            entry = self._entries.get(identifier)
            if entry is not None and replace(entry, **changes) != entry:
                self._entries[identifier] = replace(entry, **changes)
                self.version += 1

    # --- jobs go on --------------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Ask the servers how the jobs are that nobody here waits for. Blocks: call it in a thread."""
        for entry in self.unattended:
            client = self._client_for(entry.server)
            if client is None:
                continue
            try:
                self._heard(entry, client.job(entry.job))
            except ServerError as error:
                self._not_heard(entry, error)

    def leave(self, identifier: str) -> None:
        """Nobody here waits for a job any more; it goes on at the server."""
        with self._lock:
            stop = self._stops.get(identifier)
        if stop is not None:
            stop.leave()

    def cancel(self, identifier: str) -> None:
        """Stop a job, here and on the server. Blocks: call it in a thread. Raises `ServerError`."""
        entry = self.entry(identifier)
        with self._lock:
            stop = self._stops.get(identifier)
        if stop is not None:  # whoever waits for it stops it
            stop.left = False
            stop.set()
            self.update(identifier, message=_("Cancelling"))
        elif entry is not None and entry.active:
            client = self._client(entry)
            with contextlib.suppress(_Unknown):
                self._forget_image(client, _known(lambda: client.cancel(entry.job)))
            self.update(identifier, state=CANCELLED, message="", eta=None, ended=time.time())

    def retry(self, identifier: str) -> None:
        """Ask a server again for what failed or was cancelled there. Blocks: call it in a thread.

        Raises:
            ServerError: why it cannot be, in words, such as that the image is not there any more.
        """
        entry = self.entry(identifier)
        if entry is None or entry.active:
            return
        if not entry.job:
            raise ServerError(NOT_AGAIN, "refused")
        client = self._client(entry)
        try:
            request = dict(_known(lambda: client.job(entry.job)).request)
        except _Unknown:
            raise ServerError(FORGOTTEN, "refused", 404) from None
        parameters, model = request.pop("parameters", {}), request.pop("model", None)
        source = {name: value for name, value in request.items() if value is not None}
        job = client.submit(entry.method, source, model, parameters)
        self.update(identifier, job=job.id, ended=None, created=time.time(), attended=False, restored=False)
        self._heard(entry, job)

    def close(self) -> None:
        """Nobody shows the tray any more: what a server has goes on there, the rest is stopped."""
        with self._lock:
            stops, self._stops = dict(self._stops), {}
        for stop in stops.values():
            if stop.job:
                stop.leave()
            else:
                stop.set()

    # --- tidying -----------------------------------------------------------------------------------------------------

    def remove(self, *identifiers: str) -> None:
        """Take entries that have ended off the tray; results on the server and in a scene stay."""
        with self._lock:
            gone = [one for one in map(self._entries.get, identifiers) if one is not None and self.removable(one)]
            if gone:
                self._removed = tuple(gone)
                for one in gone:
                    del self._entries[one.id]
                self.version += 1

    def removable(self, entry: Entry) -> bool:
        """Whether it has ended, as far as can be known: nobody is connected to the server of some that are saved."""
        return not entry.active or not (entry.attended or self._client_for(entry.server))

    def clear(self) -> None:
        """Take everything off the tray that has ended."""
        self.remove(*(entry.id for entry in self.entries if not entry.active))

    def undo(self) -> None:
        """Bring back what was removed last."""
        with self._lock:
            removed, self._removed = self._removed, ()
            self._entries.update({entry.id: entry for entry in removed})
            self.version += 1

    # --- saving ------------------------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """The jobs that a server has, as JSON for a scene, without anything that names a patient."""
        kept = [entry for entry in self.entries if entry.job and entry.state != CANCELLED]
        return json.dumps([entry.document for entry in kept])

    def from_text(self, text: str) -> None:
        """Add what a scene has saved; entries that are known already, and what cannot be read, are passed over."""
        with self._lock:
            known = {(entry.server, entry.job) for entry in self._entries.values()}
            for entry in _entries(text):
                if (entry.server, entry.job) not in known and entry.id not in self._entries:
                    self._entries[entry.id] = entry
            self.version += 1

    def reached(self, entry: Entry) -> Client | None:
        """The client of an entry's server; None while nobody is connected to it."""
        return self._client_for(entry.server)

    def _client(self, entry: Entry) -> Client:
        client = self.reached(entry)
        if client is None:
            raise ServerError(NOT_CONNECTED.format(server=entry.server), "unreachable")
        return client

    def _heard(self, entry: Entry, job: Job) -> None:
        """What the server says of a job."""
        now = self.entry(entry.id)
        if now is None or now.attended or now.job != job.id:
            return
        state = STATES.get(job.state, FAILED)
        message = job.message if job.active else ""
        if state == FAILED:
            message = _why(job)
        ended = None if job.active else (now.ended or time.time())
        self.update(entry.id, state=state, fraction=job.fraction, message=message, eta=job.eta, ended=ended)

    def _not_heard(self, entry: Entry, error: ServerError) -> None:
        if error.status == 404 and entry.restored:
            with self._lock:
                self._entries.pop(entry.id, None)
                self.version += 1
        elif error.status == 404:
            self.update(entry.id, state=FAILED, message=FORGOTTEN, ended=time.time())
        elif error.kind in PASSING:
            self.update(entry.id, state=WAITING, message=SILENT, eta=None)
        else:
            self.update(entry.id, state=FAILED, message=str(error), ended=time.time())

    def _end(self, identifier: str, state: str, message: str, stop: Stop) -> None:
        self.update(
            identifier,
            state=state,
            message=message,
            eta=None,
            ended=time.time(),
            attended=False,
            **_job_of(stop),
        )

    def _forget_image(self, client: Client, job: Job) -> None:
        """An image that was sent for a job is of no use without it."""
        session = job.request.get("session")
        if session:
            with contextlib.suppress(ServerError):  # the server removes it by itself
                client.remove_session(str(session))


class _Unknown(Exception):
    """The server does not know the job."""


def _job_of(stop: Stop) -> dict[str, Any]:
    """What is known of the server's job since it was taken."""
    return {"server": stop.server, "job": stop.job} if stop.job else {}


def _known(ask: Callable[[], Job]) -> Job:
    try:
        return ask()
    except ServerError as error:
        if error.status == 404:
            raise _Unknown from error
        raise


def _why(job: Job) -> str:
    try:
        check_end(job)
    except ServerError as error:
        return str(error)
    return job.message


def _entries(text: str) -> Iterable[Entry]:
    try:
        documents = json.loads(text or "[]")
    except ValueError:
        return
    for document in documents if isinstance(documents, list) else ():
        with contextlib.suppress(ValueError):
            yield entry_of(document)
