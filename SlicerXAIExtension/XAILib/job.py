"""A job of the server, as the server describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ServerError
from .i18n import tr as _

STATES = frozenset({"queued", "running", "done", "failed", "cancelled", "interrupted"})
ACTIVE = frozenset({"queued", "running"})
"""States of a job that has not ended; every other one is final."""


@dataclass(frozen=True)
class JobError:
    """Why a job failed; `status` is below 500 when the request was at fault."""

    status: int
    title: str
    detail: str


@dataclass(frozen=True)
class Job:
    """One request that the server works on.

    Attributes:
        state: one of `STATES`.
        fraction: share done, in [0, 1].
        eta: seconds left at the pace so far; None while unknown.
        request: what was asked, as it can be asked again.
        key: address of the result; jobs with the same key share it.
    """

    id: str
    state: str
    fraction: float
    message: str
    eta: float | None
    error: JobError | None
    request: Mapping[str, Any]
    key: str

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


def job_of(document: object) -> Job:
    """The job of a JSON answer. Raises `ServerError` for anything else."""
    try:
        if not isinstance(document, dict) or document["state"] not in STATES:
            raise TypeError
        error = document["error"]
        return Job(
            id=_text(document["id"]),
            state=document["state"],
            fraction=min(1.0, max(0.0, float(document["fraction"]))),
            message=_text(document["message"]),
            eta=None if document["eta"] is None else float(document["eta"]),
            error=None if error is None else JobError(int(error["status"]), str(error["title"]), str(error["detail"])),
            request=dict(document["request"]),
            key=_text(document["key"]),
        )
    except (KeyError, TypeError, ValueError):
        msg = _("The server describes its job in a way that this panel does not understand; their versions may differ.")
        raise ServerError(msg, "not_explain_server") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
