"""Errors that a user can cause, each with a message fit to be shown as it is.

The command line turns them into exit code 2, the server into the HTTP status of the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class UserError(ValueError):
    """Base of the errors that name what was wrong and what is accepted instead.

    Attributes:
        accepted: the accepted values, for programs; the message says the same in words.
    """

    http_status: ClassVar[int] = 400

    def __init__(self, message: str = "", accepted: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.accepted = tuple(accepted)


class InputError(UserError):
    """An image, mask, cohort or parameter is unusable."""

    http_status = 422


class NotFoundError(UserError):
    """A named thing (image, session, model, method, job) does not exist."""

    http_status = 404


class ConflictError(UserError):
    """The request does not fit the present state (result of an unfinished job, model already exists)."""

    http_status = 409


class UnavailableError(UserError):
    """A service that this one needs does not answer; the same request may work later.

    Attributes:
        retry_after: seconds after which trying again makes sense.
    """

    http_status = 503
    retry_after: ClassVar[int] = 5


class Cancelled(Exception):
    """The user cancelled; raised by a `Progress` callback inside the running work."""


def shortened(value: object, longest: int = 200) -> str:
    """A value that somebody sent, as it may stand in a message: text in quotes, printable, not endless."""
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def dotted(keys: Sequence[object]) -> str:
    """Where in a document something stands, "a.b.0": the keys may be somebody's own, and are shown as far as fits."""
    return shortened(".".join(map(str, keys)))[1:-1]
