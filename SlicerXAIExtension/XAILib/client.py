"""The explain server's routes as functions. Every one may be called from any thread."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Callable, Optional

import requests

from .answers import NOT_OURS, Answer, checked, of_exception
from .catalogue import Catalogue, catalogue_of
from .cohorts import Cohort, Cohorts, cohort_of, cohorts_of
from .errors import ServerError, Stopped
from .job import Job, job_of
from .result import Result
from .upload import Upload
from .wire import exchange

__all__ = ["Client", "OnProgress", "ServerError", "Stopped"]

OnProgress = Callable[[float, str, Optional[float]], None]
"""Called with the share done in [0, 1], a message, and the seconds left (None while unknown)."""

PIECE = 256 * 1024
ANSWER_LIMIT = 32 * 1024**2
"""Largest answer but for results and reports, bytes."""
TRANSFER_SECONDS = 120.0
"""How long the server may be silent during a transfer: it reads an uploaded image before it answers."""
CONNECT_SECONDS = 10.0
CONFIRM_SECONDS = 5.0
"""How long stopping a job or removing an image may take: somebody waits for it who wants to be rid of it."""


class Client:
    """Speaks to one server.

    Every method raises `ServerError` in words, and `Stopped` where it is given a `stop` that is set.
    """

    def __init__(self, url: str, token: str = "", verify: bool | str | Path = True, timeout: float = 30.0) -> None:
        """Take the address; nothing is sent yet.

        Args:
            url: such as "https://server:8000", with a path where a gateway has one.
            token: sent as `Authorization: Bearer`.
            verify: True for the usual certificate authorities, or a file or folder of one's own.
            timeout: seconds that the server may take to answer.

        Raises:
            ServerError: an address that cannot be one, or a token that cannot be sent.
            ValueError: `verify` is False; certificates are always checked.
        """
        if verify is False:
            msg = "verify=False is not offered; give the file of the server's certificate authority instead"
            raise ValueError(msg)
        self.url, self._loopback = _checked_url(url)
        self.timeout = timeout
        self._verify = verify if verify is True else str(verify)
        self._auth = _Bearer(_checked_token(token))

    def catalogue(self, stop: Event | None = None) -> Catalogue:
        """What the server can explain; tells an explain server from any other."""
        try:
            return catalogue_of(self._ask("GET", "/explain/", stop=stop).json())
        except ValueError:
            raise ServerError(NOT_OURS.format(url=self.url), "not_explain_server") from None
        except ServerError as error:
            if error.status == 404:
                raise ServerError(NOT_OURS.format(url=self.url), "not_explain_server", 404) from None
            raise

    def studies(self, stop: Event | None = None) -> tuple[str, ...]:
        """Ids of the images in the server's datastore, sorted."""
        document = self._ask("GET", "/datastore/?output=all", stop=stop).json()
        objects = document.get("objects") if isinstance(document, dict) else None
        if not isinstance(objects, dict):
            raise self._not_understood()
        return tuple(sorted(str(name) for name in objects))

    def cohorts(self, stop: Event | None = None) -> Cohorts:
        """The cohorts of the server."""
        try:
            return cohorts_of(self._ask("GET", "/explain/cohorts", stop=stop, transfer=True).json())
        except ValueError:
            raise self._not_understood() from None

    def cohort(self, name: str, stop: Event | None = None) -> Cohort:
        """The cases of a cohort."""
        try:
            return cohort_of(self._ask("GET", f"/explain/cohorts/{_quoted(name)}", stop=stop, transfer=True).json())
        except ValueError:
            raise self._not_understood() from None

    def case(
        self,
        cohort: str,
        case: str,
        modality: str,
        raters: Sequence[str],
        stop: Event | None = None,
        progress: OnProgress | None = None,
    ) -> Result:
        """One image and some masks of a case of a cohort.

        `parameters["images"]` and `parameters["masks"]` of the result name the part of each modality and rater.
        """
        query = urllib.parse.urlencode([("modality", modality), *(("rater", rater) for rater in raters)])
        route = f"/explain/cohorts/{_quoted(cohort)}/cases/{_quoted(case)}?{query}"
        return self._parts(route, stop, progress, "case")

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
                message = "The server reads the image" if waiting else f"Sending the image ({_megabytes(body.total)})"
                progress(min(1.0, body.sent / body.total), message, None)

        answer = self._ask(
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
            self._ask("DELETE", f"/session/{_quoted(session)}", timeout=CONFIRM_SECONDS)
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

        answer = self._ask("POST", f"/explain/{_quoted(method)}", json=body, stop=stop, late=cancel)
        return job_of(answer.json())

    def jobs(self, stop: Event | None = None) -> tuple[Job, ...]:
        """The newest jobs of the server, newest first."""
        document = self._ask("GET", "/explain/jobs", stop=stop).json()
        if not isinstance(document, list):
            raise self._not_understood()
        return tuple(job_of(one) for one in document)

    def job(self, identifier: str, stop: Event | None = None) -> Job:
        """A job as it is now."""
        return job_of(self._ask("GET", f"/explain/jobs/{_quoted(identifier)}", stop=stop).json())

    def cancel(self, identifier: str) -> Job:
        """Stop a job: its process is gone when this returns. Of one that has ended, remove the result."""
        route = f"/explain/jobs/{_quoted(identifier)}"
        return job_of(self._ask("DELETE", route, timeout=CONFIRM_SECONDS).json())

    def result(self, identifier: str, stop: Event | None = None, progress: OnProgress | None = None) -> Result:
        """Fetch the result of a job that is done, every part of it verified."""
        route = f"/explain/jobs/{_quoted(identifier)}/result"
        return self._parts(route, stop, progress, "result", identifier)

    def report(self, identifier: str, stop: Event | None = None) -> str:
        """The result of a job as one HTML page."""
        answer = self._ask("GET", f"/explain/jobs/{_quoted(identifier)}/report", stop=stop, transfer=True)
        if "html" not in answer.headers.get("Content-Type", ""):
            raise self._not_understood()
        return answer.body.decode("utf-8", errors="replace")

    def _parts(self, route: str, stop: Event | None, progress: OnProgress | None, what: str, job: str = "") -> Result:
        """A multipart answer, every part of it verified."""
        received = _Received()

        def watch() -> None:
            if progress is not None and received.total:
                share = min(1.0, received.size / received.total)
                progress(share, f"Fetching the {what} ({_megabytes(received.total)})", None)

        answer = self._ask("GET", route, stop=stop, transfer=True, watch=watch, received=received)
        return Result.parse(answer.body, answer.headers.get("Content-Type", ""), job=job)

    def _ask(
        self,
        method: str,
        route: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        stop: Event | None = None,
        timeout: float | None = None,
        transfer: bool = False,
        watch: Callable[[], None] | None = None,
        late: Callable[[Answer], None] | None = None,
        received: _Received | None = None,
    ) -> Answer:
        """One request.

        Args:
            timeout: instead of the client's, when that is longer.
            transfer: much may be sent or come back: no limit of the whole time and size, only of silence.
            watch, late: see `exchange`.
            received: is told how much has arrived.
        """
        timeout = min(self.timeout, timeout or self.timeout)
        silence = max(timeout, TRANSFER_SECONDS) if transfer else timeout
        options: dict[str, Any] = {
            "json": json,
            "data": data,
            "headers": {"Accept-Encoding": "identity", **(headers or {})},
            "auth": self._auth,
            "verify": self._verify,
            "timeout": (min(timeout, CONNECT_SECONDS), silence),
            "allow_redirects": False,
            "stream": True,
            "proxies": {"no_proxy": self._loopback} if self._loopback else None,
        }
        counter = received or _Received()

        def work(session: requests.Session) -> Answer:
            with session.request(method, self.url + route, **options) as response:
                return counter.read(response, None if transfer else ANSWER_LIMIT)

        try:
            answer = exchange(work, stop, seconds=None if transfer else 2 * timeout, watch=watch, late=late)
        except Exception as error:
            found = of_exception(error, self.url, silence)
            if found is error:
                raise
            raise found from error
        return checked(answer, self.url, self._auth.has_token)

    def _session_id(self, answer: Answer) -> str:
        document = answer.json()
        identifier = document.get("session_id") if isinstance(document, dict) else None
        if not isinstance(identifier, str) or not identifier:
            raise self._not_understood()
        return identifier

    def _not_understood(self) -> ServerError:
        return ServerError(
            f"The server at {self.url} answers in a way that this panel does not understand; their versions may "
            "differ, or it is another server.",
            "not_explain_server",
        )


class _Received:
    """Collects the body of a response and counts it."""

    def __init__(self) -> None:
        self.size = 0
        self.total = 0

    def read(self, response: requests.Response, limit: int | None) -> Answer:
        length = response.headers.get("Content-Length", "")
        self.total = int(length) if length.isdigit() else 0
        pieces = []
        for piece in response.iter_content(PIECE):
            pieces.append(piece)
            self.size += len(piece)
            if limit is not None and self.size > limit:
                msg = f"The server sends more than {_megabytes(limit)} where a short answer is expected."
                raise ServerError(msg, "not_explain_server", response.status_code)
        if self.size < self.total:
            msg = f"only {self.size} of {self.total} bytes came"
            raise requests.exceptions.ChunkedEncodingError(msg)
        return Answer(response.status_code, response.headers, b"".join(pieces))


class _Bearer(requests.auth.AuthBase):
    """The token. Without one, this keeps `requests` from sending what a .netrc file has for the host."""

    def __init__(self, token: str) -> None:
        self._token = token

    @property
    def has_token(self) -> bool:
        return bool(self._token)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __repr__(self) -> str:
        return "_Bearer(…)"


def _checked_url(url: str) -> tuple[str, str]:
    """The address without a slash at its end, and its host when that is this machine (else an empty text)."""
    url = url.strip()
    example = "such as http://127.0.0.1:8000"
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ServerError(f"“{url}” is not an address; enter one {example}.", "unreachable") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ServerError(
            f"The address “{url}” has to start with http:// or https://, {example}.", "unreachable"
        )  # fmt: skip
    if parts.username is not None or parts.query or parts.fragment or any(c.isspace() for c in url):
        raise ServerError(
            f"The address must hold no user name, blank, “?” or “#”; enter one {example}.", "unreachable"
        )  # fmt: skip
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return url.rstrip("/"), host if loopback else ""


def _checked_token(token: str) -> str:
    token = token.strip()
    if not all(33 <= ord(character) < 127 for character in token):
        msg = "The token has characters that no token has (blanks or letters with accents); copy it again."
        raise ServerError(msg, "unauthorised")
    return token


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
