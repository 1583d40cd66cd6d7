"""The explain server's routes as functions. Every one may be called from any thread."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Callable, Optional

from .answers import NOT_OURS, Answer
from .catalogue import Catalogue, catalogue_of
from .cohorts import Cohort, Cohorts, cohort_of, cohorts_of
from .connection import Connection, Received, megabytes, quoted
from .errors import ServerError, Stopped
from .i18n import tr as _
from .job import Job, job_of
from .result import Result
from .upload import Upload

__all__ = ["Client", "OnProgress", "ServerError", "Stopped"]

OnProgress = Callable[[float, str, Optional[float]], None]
"""Called with the share done in [0, 1], a message, and the seconds left (None while unknown)."""

CONFIRM_SECONDS = 5.0
"""How long stopping a job or removing an image may take: somebody waits for it who wants to be rid of it."""


class Client(Connection):
    """Speaks to one explain server.

    Every method raises `ServerError` in words, and `Stopped` where it is given a `stop` that is set.
    """

    def catalogue(self, stop: Event | None = None) -> Catalogue:
        """What the server can explain; tells an explain server from any other."""
        try:
            return catalogue_of(self.ask("GET", "/explain/", stop=stop).json())
        except ValueError:
            raise ServerError(NOT_OURS.format(url=self.url), "not_explain_server") from None
        except ServerError as error:
            if error.status == 404:
                raise ServerError(NOT_OURS.format(url=self.url), "not_explain_server", 404) from None
            raise

    def studies(self, stop: Event | None = None) -> tuple[str, ...]:
        """Ids of the images in the server's datastore, sorted."""
        document = self.ask("GET", "/datastore/?output=all", stop=stop).json()
        objects = document.get("objects") if isinstance(document, dict) else None
        if not isinstance(objects, dict):
            raise self.not_understood()
        return tuple(sorted(str(name) for name in objects))

    def cohorts(self, stop: Event | None = None) -> Cohorts:
        """The cohorts of the server."""
        try:
            return cohorts_of(self.ask("GET", "/explain/cohorts", stop=stop, transfer=True).json())
        except ValueError:
            raise self.not_understood() from None

    def cohort(self, name: str, stop: Event | None = None) -> Cohort:
        """The cases of a cohort."""
        try:
            return cohort_of(self.ask("GET", f"/explain/cohorts/{quoted(name)}", stop=stop, transfer=True).json())
        except ValueError:
            raise self.not_understood() from None

    def case(
        self,
        cohort: str,
        case: str,
        modality: str | Sequence[str],
        raters: Sequence[str],
        stop: Event | None = None,
        progress: OnProgress | None = None,
    ) -> Result:
        """One or more images and some masks of a case of a cohort; all of a kind of which none is named.

        `parameters["images"]` and `parameters["masks"]` of the result name the part of each modality and rater.
        """
        modalities = (modality,) if isinstance(modality, str) else modality
        named = [("modality", name) for name in modalities] + [("rater", name) for name in raters]
        query = urllib.parse.urlencode(named)
        route = f"/explain/cohorts/{quoted(cohort)}/cases/{quoted(case)}?{query}"
        return self._parts(route, stop, progress, _("case"))

    def sample(self, stop: Event | None = None, progress: OnProgress | None = None) -> Result:
        """A synthetic case, in the form of `case`."""
        return self._parts("/explain/sample", stop, progress, _("sample case"))

    def upload(self, paths: Sequence[Path], stop: Event | None = None, progress: OnProgress | None = None) -> str:
        """Send images as a session and return its id.

        The server forgets a session when nobody has used it for an hour (its own setting may differ).

        Args:
            paths: one 3D image (.nii, .nii.gz, .nrrd), or one for each modality and named after it.

        Raises:
            OSError: a file cannot be read. ValueError: a file name that cannot be sent.
        """
        body = Upload(list(paths))

        def watch() -> None:
            if progress is not None:
                waiting = body.sent >= body.total
                message = (
                    _("The server reads the image")
                    if waiting
                    else _("Sending the image ({total})").format(total=megabytes(body.total))
                )
                progress(min(1.0, body.sent / body.total), message, None)

        answer = self.ask(
            "PUT",
            "/session/",
            data=body,
            headers={"Content-Type": body.content_type},
            stop=stop,
            transfer=True,
            watch=watch,
        )
        return self._session_id(answer)

    def remove_session(self, session: str) -> None:
        """Remove an uploaded image from the server; one that is gone already is fine."""
        try:
            self.ask("DELETE", f"/session/{quoted(session)}", timeout=CONFIRM_SECONDS)
        except ServerError as error:
            if error.status != 404:
                raise

    def submit(
        self,
        method: str,
        source: Mapping[str, Any],
        model: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        stop: Event | None = None,
    ) -> Job:
        """Ask for an explanation.

        Args:
            source: {"image": id}, {"images": {modality: id}} or {"session": id}.
            model: may be None where the server has just one.
            stop: the job is cancelled when the server had taken it before this was set.
        """
        body: dict[str, Any] = {**source, "parameters": dict(parameters or {})}
        if model:
            body["model"] = model

        def cancel(answer: Answer) -> None:
            if 200 <= answer.status < 300:
                self.cancel(job_of(answer.json()).id)

        answer = self.ask("POST", f"/explain/{quoted(method)}", json=body, stop=stop, late=cancel)
        return job_of(answer.json())

    def jobs(self, stop: Event | None = None) -> tuple[Job, ...]:
        """The newest jobs of the server, newest first."""
        document = self.ask("GET", "/explain/jobs", stop=stop).json()
        if not isinstance(document, list):
            raise self.not_understood()
        return tuple(job_of(one) for one in document)

    def job(self, identifier: str, stop: Event | None = None) -> Job:
        """A job as it is now."""
        return job_of(self.ask("GET", f"/explain/jobs/{quoted(identifier)}", stop=stop).json())

    def cancel(self, identifier: str) -> Job:
        """Stop a job: its process is gone when this returns. Of one that has ended, remove the result."""
        route = f"/explain/jobs/{quoted(identifier)}"
        return job_of(self.ask("DELETE", route, timeout=CONFIRM_SECONDS).json())

    def result(self, identifier: str, stop: Event | None = None, progress: OnProgress | None = None) -> Result:
        """Fetch the result of a job that is done, every part of it verified."""
        route = f"/explain/jobs/{quoted(identifier)}/result"
        return self._parts(route, stop, progress, _("result"), identifier)

    def report(self, identifier: str, stop: Event | None = None) -> str:
        """The result of a job as one HTML page."""
        answer = self.ask("GET", f"/explain/jobs/{quoted(identifier)}/report", stop=stop, transfer=True)
        if "html" not in answer.headers.get("Content-Type", ""):
            raise self.not_understood()
        return answer.body.decode("utf-8", errors="replace")

    def _parts(self, route: str, stop: Event | None, progress: OnProgress | None, what: str, job: str = "") -> Result:
        """A multipart answer, every part of it verified."""
        received = Received()

        def watch() -> None:
            if progress is not None and received.total:
                share = min(1.0, received.size / received.total)
                progress(
                    share, _("Fetching the {what} ({total})").format(what=what, total=megabytes(received.total)), None
                )

        answer = self.ask("GET", route, stop=stop, transfer=True, watch=watch, received=received)
        return Result.parse(answer.body, answer.headers.get("Content-Type", ""), job=job)

    def _session_id(self, answer: Answer) -> str:
        document = answer.json()
        identifier = document.get("session_id") if isinstance(document, dict) else None
        if not isinstance(identifier, str) or not identifier:
            raise self.not_understood()
        return identifier
