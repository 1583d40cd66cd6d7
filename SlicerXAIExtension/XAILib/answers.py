"""From what comes back over the wire to an answer, or to an error in words."""

from __future__ import annotations

import datetime
import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from .errors import ServerError
from .i18n import tr as _
from .wire import DeadlineError

NOT_OURS = _("At {url} a web server answers, but not the explain server. Check the address.")


@dataclass(frozen=True)
class Answer:
    """Status, headers and whole body of an HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def of_exception(error: Exception, url: str, seconds: float) -> Exception:
    """The error to raise instead of one of `requests`; others come back as they are."""
    if isinstance(error, (requests.Timeout, DeadlineError)):
        return ServerError(
            _(
                "The server at {url} does not answer within {seconds:.0f} seconds. It may be overloaded, or a firewall "
                "is in the way; try again, or ask whoever runs it."
            ).format(url=url, seconds=seconds),
            "timeout",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return _of_tls(error, url)
    if isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
        return ServerError(
            _("The connection to {url} broke off during the transfer; try again.").format(url=url), "unreachable"
        )
    if isinstance(error, requests.RequestException):
        return _of_connection(error, url)
    return error


def _of_tls(error: Exception, url: str) -> ServerError:
    text = str(error).lower()
    if "certificate" in text or "hostname" in text:
        return ServerError(
            _(
                "The certificate of {url} is not trusted, so nothing was sent. Ask whoever runs the server for its "
                "certificate authority's file, or check the address."
            ).format(url=url),
            "tls",
        )
    return ServerError(
        _(
            "No encrypted connection to {url} could be made. If the server has no encryption, the address starts with "
            "http:// instead of https://."
        ).format(url=url),
        "tls",
    )


def _of_connection(error: Exception, url: str) -> ServerError:
    text = str(error)
    if any(sign in text for sign in ("NameResolutionError", "getaddrinfo", "Name or service", "nodename nor")):
        return ServerError(
            _("No computer of the name in {url} is known; check the address.").format(url=url), "unreachable"
        )
    if "BadStatusLine" in text or "UnknownProtocol" in text:
        return ServerError(
            _(
                "Something answers at {url}, but it is not a web server (or one that wants https://); check the "
                "address."
            ).format(url=url),
            "not_explain_server",
        )
    if "Connection aborted" in text or "RemoteDisconnected" in text or "reset" in text:
        return ServerError(
            _("The server at {url} closed the connection without an answer. It may be restarting; try again.").format(
                url=url
            ),
            "unreachable",
        )
    if "refused" in text or "10061" in text:  # 10061: the same on Windows
        return ServerError(
            _("Nothing listens at {url}. Check the address and port, and that the server was started.").format(url=url),
            "unreachable",
        )
    return ServerError(
        _("{url} cannot be reached from this computer; check the address and the network.").format(url=url),
        "unreachable",
    )


def checked(answer: Answer, url: str, has_token: bool) -> Answer:
    """The answer when it is a success. Raises `ServerError` in words otherwise."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    detail = detail_of(answer)
    if status == 401 and not has_token:
        raise ServerError(_("The server asks for a token; enter the one that its administrator gave you."),
                          "unauthorised", status)  # fmt: skip
    if status == 401:
        raise ServerError(
            _("The server does not accept the token: it is wrong or has expired. Enter a new one."),
            "unauthorised",
            status,
        )
    if status == 403:
        reason = f": {_sentence(detail)}" if detail else _("; ask its administrator for the right to use it.")
        raise ServerError(_("The server does not let you in{reason}").format(reason=reason), "unauthorised", status)
    if 300 <= status < 400:
        target = answer.headers.get("Location", _("another address"))
        raise ServerError(
            _("{url} sends on to {target}; if that is the server, enter its address.").format(
                url=url, target=target[:200]
            ),
            "not_explain_server",
            status,
        )
    if status == 429:
        seconds = retry_after(answer.headers.get("Retry-After"))
        when = _("later") if seconds is None else _("in {number} seconds").format(number=max(1, round(seconds)))
        reason = f" ({detail.rstrip('.')})" if detail else ""
        raise ServerError(
            _("The server is busy{reason}. Try again {when}.").format(reason=reason, when=when),
            "refused",
            status,
            seconds,
        )
    if status >= 500:
        reason = f": {_sentence(detail)}" if detail else _(" (HTTP {status}).").format(status=status)
        raise ServerError(
            _("The server has a fault{reason} Try again; if it stays, tell whoever runs the server.").format(
                reason=reason
            ),
            "server_fault",
            status,
        )
    if not detail:
        raise ServerError(NOT_OURS.format(url=url), "not_explain_server", status)
    raise ServerError(_("The server refuses: {detail}").format(detail=_sentence(detail)), "refused", status)


def detail_of(answer: Answer) -> str:
    """What the server says is wrong and what it accepts; empty when it says nothing in its own form."""
    document = answer.json()
    if not isinstance(document, dict):
        return ""
    detail = document.get("detail")
    if isinstance(detail, list):  # FastAPI's own form of validation errors
        detail = "; ".join(str(item.get("msg", item)) if isinstance(item, dict) else str(item) for item in detail)
    if not isinstance(detail, str):
        return ""
    accepted = document.get("accepted")
    if isinstance(accepted, list) and accepted and not all(str(item) in detail for item in accepted):
        detail += _(" (accepted: {text})").format(text=", ".join(map(str, accepted)))
    return detail[:2000].strip()


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(0.0, (when - datetime.datetime.now(when.tzinfo)).total_seconds())
    except (TypeError, ValueError):
        return None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."
