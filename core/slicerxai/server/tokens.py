"""Access tokens: which one a provider signed for this server, and who it says is asking.

Sources: RFC 7519 (claims), RFC 8725 (best current practices), RFC 9068 (access tokens).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from slicerxai.server.identity import Identity
from slicerxai.server.provider import Keys

LEEWAY_SECONDS = 30
"""By which the clocks of provider and server may differ."""
TOKEN_LIMIT = 16 * 1024
"""Longest token, characters."""
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
_REQUIRED = ("exp", "iss", "aud")
_REASONS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet; do the clocks agree?",
    jwt.InvalidAudienceError: "it was made for another audience",
    jwt.InvalidIssuerError: "another issuer made it",
    jwt.InvalidSignatureError: "its signature is wrong",
}


class TokenError(Exception):
    """A token that is not accepted; the message says why and holds nothing of it."""


@dataclass(frozen=True)
class Expectations:
    """What a token must say and where it says what.

    Attributes:
        audience: that must be among its `aud`.
        name_claim: of the user's name, such as "preferred_username".
        roles_claim: path of the list of roles, parts joined by "#", such as "realm_access#roles".
        roles: those that mean something here; others are dropped.
    """

    audience: str
    name_claim: str
    roles_claim: str
    roles: Collection[str]


def key_id(token: str) -> str | None:
    """The id of the key that a token says it was signed with; nothing is verified. Raises `TokenError`."""
    if len(token) > TOKEN_LIMIT:
        msg = f"it is longer than {TOKEN_LIMIT} characters"
        raise TokenError(msg)
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        kid = 0
    if kid is not None and not isinstance(kid, str):
        msg = "it is no signed JSON Web Token"
        raise TokenError(msg)
    return kid


def verified(token: str, keys: Keys, audience: str) -> dict[str, Any]:
    """The claims of a token that the provider signed, now valid, for this audience. Raises `TokenError`."""
    key = keys.find(key_id(token))
    if key is None:
        msg = "it is signed with a key that the provider does not have"
        raise TokenError(msg)
    try:
        whole = jwt.decode_complete(
            token,
            key.key,
            algorithms=sorted(key.algorithms),
            audience=audience,
            issuer=keys.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(_REQUIRED)},
        )
    except jwt.MissingRequiredClaimError as error:
        msg = f"it has no claim {error.claim!r}"
        raise TokenError(msg) from None
    except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
        raise TokenError(_REASONS.get(type(error), "it is not valid")) from None
    claims: dict[str, Any] = whole["payload"]
    _check_type(whole["header"], claims)
    return claims


def _check_type(header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    """Refuse what the provider signs for other purposes: an ID token is for the client and has its id as audience."""
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES or claims.get("typ", "Bearer") != "Bearer":
        msg = "it is no access token"
        raise TokenError(msg)


def who(claims: Mapping[str, Any], expected: Expectations) -> Identity:
    """The user of verified claims. Raises `TokenError` when they name none."""
    name = claims.get(expected.name_claim)
    if not isinstance(name, str) or not name:
        msg = f"it has no claim {expected.name_claim!r}"
        raise TokenError(msg)
    found: Any = claims
    for part in expected.roles_claim.split("#"):
        found = found.get(part) if isinstance(found, Mapping) else None
    listed = found if isinstance(found, list) else []
    roles = frozenset(role for role in listed if isinstance(role, str) and role in expected.roles)
    return Identity(name, roles, authenticated=True)
