"""An OpenID provider on a real port, as far as a server that checks tokens needs one: discovery, keys, passwords."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

REALM = "/realms/hospital"
AUDIENCE = "monailabel-app"
ROLES = ("admin", "reviewer", "annotator", "user")
CONFIGURATION, KEYS, TOKENS = f"{REALM}/.well-known/openid-configuration", f"{REALM}/keys", f"{REALM}/token"


class Issuer:
    """Runs from `with` on.

    ```python
    with Issuer() as issuer, Server(root, **issuer.environment) as server:
        server.request("GET", "/info/", headers=issuer.headers("annotator"))
    ```

    Attributes:
        url: its realm, which is also the issuer's name.
        key, kid: with which it signs; `rotate` takes others.
        users: passwords and roles by name, for the token endpoint.
        requests: how often each path was asked.
        broken: the status with which it answers everything, or None.
        documents: what it answers at a path in place of the right thing.
    """

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{REALM}"
        self.users: dict[str, tuple[str, Collection[str]]] = {}
        self.requests: Counter[str] = Counter()
        self.broken: int | None = None
        self.documents: dict[str, Any] = {}
        self._generation = 0
        self.rotate()

    def __enter__(self) -> Issuer:
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a server that trusts it."""
        return {"MONAI_LABEL_AUTH_ENABLE": "true", "MONAI_LABEL_AUTH_REALM_URI": self.url}

    @property
    def public_pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def rotate(self) -> None:
        """Sign with a new key from now on, and forget the old one."""
        self._generation += 1
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = f"key-{self._generation}"

    def token(self, *roles: str, name: str = "ada", algorithm: str = "RS256", **claims: Any) -> str:
        """A token that is good for ten minutes.

        Args:
            roles: such as "user"; the names that they have in MONAI Label are derived.
            claims: in place of or beside the usual ones; None leaves one out.
        """
        return self.sign(self.claims(*roles, name=name) | claims, algorithm=algorithm)

    def claims(self, *roles: str, name: str = "ada") -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": ["account", AUDIENCE],
            "exp": now + 600,
            "iat": now,
            "nbf": now,
            "typ": "Bearer",
            "preferred_username": name,
            "email": f"{name}@hospital.example",
            "realm_access": {"roles": ["offline_access", *(f"monailabel-{role}" for role in roles)]},
        }

    def sign(
        self, claims: Mapping[str, Any], key: Any = None, *, algorithm: str = "RS256", **header: str | None
    ) -> str:
        """Any claims, signed with the issuer's key or another."""
        kept = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": self.kid} | header
        return jwt.encode(kept, key or self.key, algorithm, {k: v for k, v in headers.items() if v is not None})

    def headers(self, *roles: str, **claims: Any) -> dict[str, str]:
        """The header of a request by a user with these roles."""
        return {"Authorization": f"Bearer {self.token(*roles, **claims)}"}

    def document(self, path: str) -> Any:
        """What a GET of a path answers, or None."""
        if path in self.documents:
            return self.documents[path]
        root = self.url.removesuffix(REALM)
        if path == CONFIGURATION:
            return {"issuer": self.url, "jwks_uri": root + KEYS, "token_endpoint": root + TOKENS}
        return {"keys": [jwk(self.key, self.kid)]} if path == KEYS else None

    def password(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and body for a password (RFC 6749, sections 4.3 and 5.2)."""
        if form.get("grant_type") != "password" or form.get("client_id") != AUDIENCE:
            return 400, {"error": "unauthorized_client", "error_description": "Client not allowed for this"}
        password, roles = self.users.get(form.get("username", ""), (None, ()))
        if password is None or form.get("password") != password:
            return 401, {"error": "invalid_grant", "error_description": "Invalid user credentials"}
        token = self.token(*roles, name=form["username"])
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 600, "refresh_token": "secret"}


def jwk(key: rsa.RSAPrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    """A key as the key set has it."""
    numbers = key.public_key().public_numbers()
    document = {"kty": "RSA", "use": "sig", "alg": "RS256", "n": _base64(numbers.n), "e": _base64(numbers.e)} | more
    return document if kid is None else document | {"kid": kid}


def _base64(number: int) -> str:
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = issuer.document(self.path)
            self._answer(404 if document is None else 200, document)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(*(issuer.password(form) if self.path == TOKENS else (404, None)))

        def _answer(self, status: int, document: Any) -> None:
            issuer.requests[self.path] += 1
            content = b"{}" if document is None else json.dumps(document).encode()
            self.send_response(issuer.broken or status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    return Handler
