"""Repair MONAI Label's logins: it decodes tokens without naming an algorithm, which PyJWT refuses for every token."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jwt
from monailabel.endpoints.user import auth

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""Signatures with an RSA key, as OpenID providers make them: neither "none" nor one with the public key as secret."""


def repair() -> None:
    """Let MONAI Label verify tokens; it decodes through the `jwt` of its own module."""
    auth.jwt = SimpleNamespace(decode=decode)


def decode(token: str, key: str, options: dict[str, Any]) -> dict[str, Any]:
    """Claims of a token with a valid signature and time. Raises `jwt.InvalidTokenError`."""
    return jwt.decode(token, key, algorithms=list(ALGORITHMS), options=options)  # type: ignore[arg-type]
