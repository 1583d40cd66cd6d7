"""What can go wrong between a panel and the server, in words for the person in front of it."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "unreachable", "timeout", "tls", "unauthorised", "refused", "not_explain_server", "server_fault"
]  # fmt: skip


class ServerError(Exception):
    """A request that did not succeed.

    Attributes:
        message: what happened and what to do, for a radiologist.
        kind: unreachable (no such address, nothing listening, connection lost), timeout, tls (certificate not
            trusted), unauthorised (token missing, wrong or without the right), refused (the server says what is wrong
            with the request), not_explain_server (somebody else answers, or in another language), server_fault.
        status: of the HTTP answer; None without one.
        retry_after: seconds after which the server wants to be asked again; None when it does not say.
    """

    def __init__(self, message: str, kind: Kind, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.status = status
        self.retry_after = retry_after


class Stopped(Exception):
    """The user stopped the work."""
