"""MONAI Label's settings of logins, in place of its own check of tokens, which PyJWT refuses for every token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from monailabel.config import settings as monailabel_settings
from monailabel.endpoints.user.auth import DEFAULT_USER, User, get_current_user

from slicerxai.server.access import ROLES, Role, allowed
from slicerxai.server.identity import identity
from slicerxai.server.login import CLAIMS_KEY, Logins
from slicerxai.server.provider import Provider
from slicerxai.server.tokens import Expectations
from slicerxai.settings import settings


def role_names() -> Mapping[Role, str]:
    """What the roles are called in tokens."""
    return {role: str(getattr(monailabel_settings, f"MONAI_LABEL_AUTH_ROLE_{role.upper()}")) for role in ROLES}


def configured_logins() -> Logins | None:
    """Logins as the settings have them; None when they are off. Raises `InputError` for an unsafe provider address."""
    if not monailabel_settings.MONAI_LABEL_AUTH_ENABLE:
        return None
    expected = Expectations(
        audience=settings().token_audience or monailabel_settings.MONAI_LABEL_AUTH_CLIENT_ID,
        name_claim=monailabel_settings.MONAI_LABEL_AUTH_TOKEN_USERNAME,
        roles_claim=monailabel_settings.MONAI_LABEL_AUTH_TOKEN_ROLES,
        roles=frozenset(role_names().values()),
    )
    realm, timeout = monailabel_settings.MONAI_LABEL_AUTH_REALM_URI, monailabel_settings.MONAI_LABEL_AUTH_TIMEOUT
    return Logins(Provider(realm, timeout), expected)


def install(app: FastAPI) -> None:
    """Tell MONAI Label's endpoints who was let in, in place of letting them decode the token again."""
    app.dependency_overrides[get_current_user] = current_user


def current_user(request: Request) -> User:
    """The client as MONAI Label sees it: with each role that a higher one of the token includes."""
    known = identity(request.scope)
    if not known.authenticated:
        return DEFAULT_USER
    names = role_names()
    claims: Mapping[str, Any] = request.scope["state"][CLAIMS_KEY]
    return User(
        username=known.name,
        email=_text(claims.get(monailabel_settings.MONAI_LABEL_AUTH_TOKEN_EMAIL)),
        name=_text(claims.get(monailabel_settings.MONAI_LABEL_AUTH_TOKEN_NAME)),
        roles=[names[role] for role in ROLES if allowed(known.roles, role, names)],
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
