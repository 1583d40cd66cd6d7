"""The OpenID provider: who it says it is (discovery) and with which keys it signs tokens (JSON Web Key Set).

Sources: OpenID Connect Discovery 1.0, sections 4 and 4.3; RFC 7517 (keys); RFC 7518, section 3 (algorithms).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from slicerxai.errors import InputError
from slicerxai.server.confinement import is_loopback

FRESH_SECONDS = 300.0
"""After which keys are asked for again, so that a withdrawn one is no longer accepted."""
KEPT_SECONDS = 3600.0
"""For which keys are used on while the provider cannot be asked."""
PAUSE_SECONDS = 10.0
"""Between two questions to the provider, whatever clients send."""
ANSWER_LIMIT = 1024**2
"""Largest answer of the provider, bytes."""
SMALLEST_RSA_KEY = 2048
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class ProviderError(Exception):
    """The provider cannot be asked, or answers what cannot be used."""


@dataclass(frozen=True)
class SigningKey:
    """A public key and the algorithms that it verifies."""

    key: RSAPublicKey | EllipticCurvePublicKey
    algorithms: frozenset[str]


@dataclass(frozen=True)
class Keys:
    """What a provider said.

    Attributes:
        issuer: its name, which tokens must give as `iss`.
        token_endpoint: where it answers passwords with tokens; None when it does not say.
        by_id: its keys by `kid`; a key without one is under None.
    """

    issuer: str
    token_endpoint: str | None
    by_id: Mapping[str | None, SigningKey]

    def find(self, kid: str | None) -> SigningKey | None:
        """The key of a token; one that names none means the only key there is."""
        if kid is None and len(self.by_id) == 1:
            return next(iter(self.by_id.values()))
        return self.by_id.get(kid)


class Provider:
    """The keys of one provider, asked for when they are needed and seldom enough. Safe with several threads."""

    def __init__(self, realm: str, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is asked yet.

        Args:
            realm: address of the provider; `/.well-known/openid-configuration` is below it.
            timeout: of one question, seconds.

        Raises:
            InputError: the address is neither https nor http of this machine: who can change the keys on their way can
                sign every token.
        """
        self.realm = realm.rstrip("/")
        check_address(self.realm, "MONAI_LABEL_AUTH_REALM_URI")
        self.timeout, self._clock = timeout, clock
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._fetched = self._asked = float("-inf")
        self._failure: str | None = None

    def must_ask(self, kid: str | None) -> bool:
        """Whether `keys(kid)` will ask the provider, and so takes time."""
        now = self._clock()
        lacking = self._keys is None or now - self._fetched >= FRESH_SECONDS or self._keys.find(kid) is None
        return lacking and now - self._asked >= PAUSE_SECONDS

    def keys(self, kid: str | None) -> Keys:
        """Its keys, asked for again when `kid` is not among them.

        Raises:
            ProviderError: no keys, or too old ones, or none of that id and the provider cannot be asked for newer ones.
        """
        # while someone else asks, keys that are known go on to be used
        if self.must_ask(kid) and self._lock.acquire(blocking=not self._usable(kid)):
            try:
                if self.must_ask(kid):
                    self._ask()
            finally:
                self._lock.release()
        if self._keys is not None and self._usable(kid):
            return self._keys
        if self._failure is not None or self._keys is None:
            raise ProviderError(self._failure or "it was not asked yet")
        return self._keys

    def token_endpoint(self) -> str:
        """Where it answers passwords with tokens. Raises `ProviderError`."""
        known = self._keys
        found = self.keys(next(iter(known.by_id)) if known is not None else None).token_endpoint
        if found is None:
            msg = f"{self.realm} names no token_endpoint"
            raise ProviderError(msg)
        return found

    def _usable(self, kid: str | None) -> bool:
        keys = self._keys
        return keys is not None and keys.find(kid) is not None and self._clock() - self._fetched < KEPT_SECONDS

    def _ask(self) -> None:
        try:
            self._keys = self._answered()
            self._fetched, self._failure = self._clock(), None
        except ProviderError as error:
            self._failure = str(error)
        finally:
            self._asked = self._clock()

    def _answered(self) -> Keys:
        document = self._json(f"{self.realm}/.well-known/openid-configuration")
        issuer, keys_uri, tokens_uri = (document.get(key) for key in ("issuer", "jwks_uri", "token_endpoint"))
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.realm:
            msg = f"{self.realm} calls itself {issuer!r}; MONAI_LABEL_AUTH_REALM_URI must be the issuer's own name"
            raise ProviderError(msg)
        if tokens_uri is not None:
            self._check(tokens_uri, "token_endpoint")
        found = self._json(self._check(keys_uri, "jwks_uri")).get("keys")
        keys = signing_keys(found if isinstance(found, list) else [])
        if not keys:
            msg = f"{keys_uri} has no key that signs with RSA of {SMALLEST_RSA_KEY} bits or more, or a NIST curve"
            raise ProviderError(msg)
        return Keys(issuer, tokens_uri, keys)

    def _check(self, address: object, what: str) -> str:
        try:
            return check_address(address, what)
        except InputError as error:
            raise ProviderError(str(error)) from None

    def _json(self, address: str) -> dict[str, Any]:
        """A JSON object of the provider; no redirect is followed."""
        try:
            with requests.get(address, timeout=self.timeout, allow_redirects=False, stream=True) as answer:
                if answer.status_code != requests.codes.ok:
                    msg = f"{address} answers {answer.status_code}"
                    raise ProviderError(msg)
                content = b""
                for chunk in answer.iter_content(ANSWER_LIMIT):
                    content += chunk
                    if len(content) > ANSWER_LIMIT:
                        msg = f"{address} answers more than {ANSWER_LIMIT} bytes"
                        raise ProviderError(msg)
        except requests.RequestException as error:
            msg = f"{address} does not answer ({type(error).__name__})"
            raise ProviderError(msg) from None
        return _object(address, content)


def check_address(address: object, what: str) -> str:
    """An https address, or http of this machine. Raises `InputError`."""
    try:
        parts = urlsplit(address) if isinstance(address, str) else None
        good = parts is not None and bool(parts.hostname)
        safe = good and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)))  # type: ignore[union-attr,arg-type]
    except ValueError:
        safe = False
    if not safe:
        msg = f"bad {what} {address!r}; an https address is accepted, or http of 127.0.0.1 or localhost"
        raise InputError(msg)
    return str(address)


def signing_keys(found: list[Any]) -> dict[str | None, SigningKey]:
    """The keys of a set that can verify tokens, by id; others (for encryption, symmetric, weak, unreadable) are not."""
    keys: dict[str | None, SigningKey] = {}
    for entry in found:
        key = _signing_key(entry) if isinstance(entry, dict) else None
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if key is not None and (kid is None or isinstance(kid, str)):
            keys[kid] = key
    return keys


def _signing_key(entry: dict[str, Any]) -> SigningKey | None:
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in {"RSA", "EC"}:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm="RS256" if entry["kty"] == "RSA" else None).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    algorithms = _algorithms(key)
    named = entry.get("alg")
    if named is not None:
        algorithms &= {named} if isinstance(named, str) else set()
    return SigningKey(key, algorithms) if algorithms else None


def _algorithms(key: object) -> frozenset[str]:
    if isinstance(key, RSAPublicKey):
        return _RSA if key.key_size >= SMALLEST_RSA_KEY else frozenset()
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return frozenset({_CURVES[key.curve.name]})
    return frozenset()


def _object(address: str, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        msg = f"{address} answers no JSON object"
        raise ProviderError(msg)
    return document
