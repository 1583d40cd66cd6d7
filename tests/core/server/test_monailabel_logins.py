import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from slicerxai.server.monailabel import logins


@pytest.fixture
def auth(monkeypatch):
    from monailabel.config import settings
    from monailabel.endpoints.user import auth

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setattr(auth, "jwt", auth.jwt)
    monkeypatch.setattr(auth, "get_public_key", lambda uri: public.decode())
    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    logins.repair()
    return auth, key


def claims(**more):
    roles = {"realm_access": {"roles": ["monailabel-user"]}}
    return {"preferred_username": "ada", "exp": int(time.time()) + 60} | roles | more


def test_a_signed_token_gives_the_user_with_roles(auth):
    module, key = auth
    user = module.from_token(jwt.encode(claims(), key, algorithm="RS256"))
    assert (user.username, user.roles) == ("ada", ["monailabel-user"])


def test_expired_unsigned_and_foreign_tokens_are_refused(auth):
    module, key = auth
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    tokens = [
        jwt.encode(claims(exp=1), key, algorithm="RS256"),
        jwt.encode(claims(), None, algorithm="none"),
        jwt.encode(claims(), other, algorithm="RS256"),
        "no.token.at-all",
    ]
    for token in tokens:
        with pytest.raises(jwt.InvalidTokenError):
            module.from_token(token)
