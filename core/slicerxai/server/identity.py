"""Who sent a request, as the login found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATE_KEY = "slicerxai.identity"


@dataclass(frozen=True)
class Identity:
    """A client.

    Attributes:
        name: the token's user name; without logins the peer's address.
        roles: of the token; empty without logins.
        authenticated: whether a valid token said so.
    """

    name: str
    roles: frozenset[str] = frozenset()
    authenticated: bool = False


def identity(scope: Mapping[str, Any]) -> Identity:
    """The client of an ASGI request: what the login stored, or its address."""
    found = scope.get("state", {}).get(STATE_KEY)
    if isinstance(found, Identity):
        return found
    return Identity((scope.get("client") or ("unknown", 0))[0])
