"""Whose work this is, for all that is done on behalf of a request."""

from __future__ import annotations

from contextvars import ContextVar, Token

_client: ContextVar[str] = ContextVar("client", default="")


def current_client() -> str:
    """Name of the client whose request is served; empty outside of requests."""
    return _client.get()


def work_for(client: str) -> Token[str]:
    """From here on, in this context and in what it starts, the work is that client's."""
    return _client.set(client)
