"""The routes of `/auth`, as MONAI Label's clients ask them: whether there are logins, a token for a password."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import anyio
import anyio.to_thread
import requests
from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm
from monailabel.config import settings as monailabel_settings
from monailabel.endpoints.user.auth import User, get_current_user
from pydantic import BaseModel

from slicerxai.errors import ConflictError
from slicerxai.server.login import Logins
from slicerxai.server.problems import problem_response
from slicerxai.server.provider import PAUSE_SECONDS, ProviderError

ASKING, WAITING = 4, 16
"""Passwords that are asked about at one time, and that may wait for that."""
REFUSED = ("invalid_grant", "access_denied")
NOT_OFFERED = ("unauthorized_client", "unsupported_grant_type", "invalid_client", "invalid_request", "invalid_scope")
"""Errors of RFC 6749, section 5.2."""

router = APIRouter(prefix="/auth", tags=["Auth"])
_limiter = anyio.CapacityLimiter(ASKING)


class LoginsView(BaseModel):
    """Whether there are logins, and where: `realm` is the provider's address."""

    enabled: bool
    client_id: str
    realm: str


class Token(BaseModel):
    """An access token."""

    access_token: str
    token_type: str


class PasswordError(Exception):
    """The provider gives no token for a password: `status` is 401 for a wrong one, 403 where it gives none at all."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@router.get("/", summary="Whether there are logins, and at which provider")
def get_logins(request: Request) -> LoginsView:
    """Asked by clients before they ask a person for a password."""
    return LoginsView(
        enabled=_logins(request) is not None,
        client_id=monailabel_settings.MONAI_LABEL_AUTH_CLIENT_ID,
        realm=monailabel_settings.MONAI_LABEL_AUTH_REALM_URI,
    )


@router.post(
    "/token",
    summary="A token for a name and a password",
    response_model=Token,
    responses={"4XX": {"description": "A problem document (RFC 9457)", "content": {"application/problem+json": {}}}},
)
async def post_token(request: Request, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Any:
    """Handed to the provider, and kept nowhere. The provider counts wrong guesses."""
    logins = _logins(request)
    if logins is None:
        msg = "logins are off, so there are no tokens"
        raise ConflictError(msg)
    if _limiter.statistics().tasks_waiting >= WAITING:
        return problem_response(429, "too many people log in at this moment", {"Retry-After": "2"})
    try:
        return await anyio.to_thread.run_sync(password_token, logins, form.username, form.password, limiter=_limiter)
    except PasswordError as error:
        challenge = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
        return problem_response(error.status, str(error), challenge)
    except ProviderError as error:
        detail = f"nobody can log in, since the login provider cannot be used: {error}"
        return problem_response(503, detail, {"Retry-After": str(round(PAUSE_SECONDS))})


@router.get("/token/valid", summary="Whose token it is")
def get_valid(user: Annotated[User, Depends(get_current_user)]) -> User:
    """The user that a valid token names, with roles."""
    return user


def password_token(logins: Logins, username: str, password: str) -> Token:
    """The provider's token for a password (RFC 6749, section 4.3).

    Raises:
        PasswordError: it gives none.
        ProviderError: it cannot be asked.
    """
    address = logins.provider.token_endpoint()
    client = monailabel_settings.MONAI_LABEL_AUTH_CLIENT_ID
    form = {"grant_type": "password", "client_id": client, "username": username, "password": password}
    try:
        answer = requests.post(address, data=form, timeout=logins.provider.timeout, allow_redirects=False)
        document = answer.json()
    except (requests.RequestException, ValueError) as error:
        msg = f"{address} gives no usable answer ({type(error).__name__})"
        raise ProviderError(msg) from None
    said = document if isinstance(document, dict) else {}
    if answer.status_code == HTTPStatus.OK and isinstance(said.get("access_token"), str):
        return Token(access_token=said["access_token"], token_type="bearer")  # noqa: S106
    if said.get("error") in REFUSED:
        raise PasswordError(HTTPStatus.UNAUTHORIZED, "the provider does not accept this name and password")
    if said.get("error") in NOT_OFFERED:
        msg = (
            f"the provider gives client {client!r} no token for a password ({said['error']}); get a token from "
            f"{logins.provider.realm} and send it, or let it allow direct access grants to this client"
        )
        raise PasswordError(HTTPStatus.FORBIDDEN, msg)
    msg = f"{address} answers {answer.status_code}"
    raise ProviderError(msg)


def _logins(request: Request) -> Logins | None:
    found: Logins | None = request.app.state.logins
    return found
