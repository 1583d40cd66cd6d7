"""One server: its address, the token, and a request to it. May be used from any thread."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any, Callable

import requests

from .answers import Answer, checked, of_exception
from .errors import ServerError
from .i18n import tr as _
from .wire import exchange

PIECE = 256 * 1024
ANSWER_LIMIT = 32 * 1024**2
"""Largest answer but for results and reports, bytes."""
TRANSFER_SECONDS = 120.0
"""How long the server may be silent during a transfer: it reads an uploaded image before it answers."""
CONNECT_SECONDS = 10.0


class Received:
    """Collects the body of a response and counts it."""

    def __init__(self) -> None:
        self.size = 0
        self.total = 0

    def read(self, response: requests.Response, limit: int | None) -> Answer:
        """The whole body, counted as it comes. Raises `ServerError` beyond the limit, in bytes."""
        length = response.headers.get("Content-Length", "")
        self.total = int(length) if length.isdigit() else 0
        pieces = []
        for piece in response.iter_content(PIECE):
            pieces.append(piece)
            self.size += len(piece)
            if limit is not None and self.size > limit:
                msg = _("The server sends more than {limit} where a short answer is expected.").format(
                    limit=megabytes(limit)
                )
                raise ServerError(msg, "not_explain_server", response.status_code)
        if self.size < self.total:
            msg = _("only {size} of {total} bytes came").format(size=self.size, total=self.total)
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


class Connection:
    """Sends requests to one server.

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

    def ask(
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
        received: Received | None = None,
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
        counter = received or Received()

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

    def not_understood(self) -> ServerError:
        """The error of an answer of another form."""
        return ServerError(
            _(
                "The server at {url} answers in a way that this panel does not understand; their versions may differ, "
                "or it is another server."
            ).format(url=self.url),
            "not_explain_server",
        )


def _checked_url(url: str) -> tuple[str, str]:
    """The address without a slash at its end, and its host when that is this machine (else an empty text)."""
    url = url.strip()
    example = _("such as http://127.0.0.1:8000")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _unused = parts.hostname, parts.port
    except ValueError:
        raise ServerError(
            _("“{url}” is not an address; enter one {example}.").format(url=url, example=example), "unreachable"
        ) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ServerError(
            _("The address “{url}” has to start with http:// or https://, {example}.").format(url=url, example=example),
            "unreachable"
        )  # fmt: skip
    if parts.username is not None or parts.query or parts.fragment or any(c.isspace() for c in url):
        raise ServerError(
            _("The address must hold no user name, blank, “?” or “#”; enter one {example}.").format(example=example),
            "unreachable"
        )  # fmt: skip
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return url.rstrip("/"), host if loopback else ""


def _checked_token(token: str) -> str:
    token = token.strip()
    if not all(33 <= ord(character) < 127 for character in token):
        msg = _("The token has characters that no token has (blanks or letters with accents); copy it again.")
        raise ServerError(msg, "unauthorised")
    return token


def quoted(text: str) -> str:
    """A text as one part of an address."""
    return urllib.parse.quote(text, safe="")


def megabytes(size: int) -> str:
    """A number of bytes, for people."""
    return f"{size / 1e6:.1f} MB"
