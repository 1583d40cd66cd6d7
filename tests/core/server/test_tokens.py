import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from slicerxai.errors import InputError
from slicerxai.server import provider as providers
from slicerxai.server.provider import Provider, ProviderError, check_address, signing_keys
from slicerxai.server.tokens import LEEWAY_SECONDS, Expectations, TokenError, key_id, verified, who
from tests.support.issuer import AUDIENCE, CONFIGURATION, KEYS, REALM, Issuer, jwk

EXPECTED = Expectations(AUDIENCE, "preferred_username", "realm_access#roles", {"monailabel-user", "monailabel-admin"})


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def running():
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(running):
    running.requests.clear()
    running.documents.clear()
    running.broken = None
    return running


def checked(issuer, token):
    return verified(token, Provider(issuer.url, 10).keys(key_id(token)), AUDIENCE)


def test_a_good_token_gives_name_and_known_roles(issuer):
    found = who(checked(issuer, issuer.token("user", "admin", "cleaner", name="grace")), EXPECTED)
    assert (found.name, found.roles, found.authenticated) == ("grace", {"monailabel-user", "monailabel-admin"}, True)


def test_clocks_may_differ_a_little(issuer):
    now = int(time.time())
    checked(issuer, issuer.token(exp=now - LEEWAY_SECONDS + 5))
    checked(issuer, issuer.token(nbf=now + LEEWAY_SECONDS - 5, iat=now + LEEWAY_SECONDS - 5))


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 3600}, "expired"),
        ({"exp": None}, "no claim 'exp'"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": float("inf")}, "not valid"),
        ({"nbf": NOW + 36000}, "not valid yet"),
        ({"iat": NOW + 36000}, "not valid yet"),
        ({"aud": "another-app"}, "another audience"),
        ({"aud": None}, "no claim 'aud'"),
        ({"aud": ["account"]}, "another audience"),
        ({"aud": []}, "no claim 'aud'"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"iss": None}, "no claim 'iss'"),
        ({"typ": "ID"}, "no access token"),
        ({"typ": "Refresh"}, "no access token"),
    ],
    ids=str,
)
def test_claims_that_are_not_accepted(issuer, claims, reason):
    with pytest.raises(TokenError, match=reason):
        checked(issuer, issuer.token("admin", **claims))


def forged(issuer):
    """Tokens that nobody with the provider's key signed, by what is wrong with them."""
    claims = issuer.claims("admin")
    header, payload, signature = issuer.token("admin").split(".")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.utils.base64url_encode(issuer.public_pem)
    secret = jwt.api_jwk.PyJWK({"kty": "oct", "k": public.decode()}, algorithm="HS256").key

    def hs256(key):
        # PyJWT itself refuses a public key as the secret, as attackers' tools do not
        head = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT","kid":"%s"}' % issuer.kid.encode())
        signed = head + b"." + payload.encode()
        mac = jwt.get_algorithm_by_name("HS256").sign(signed, key)
        return (signed + b"." + jwt.utils.base64url_encode(mac)).decode()

    none = jwt.utils.base64url_encode(b'{"alg":"none","kid":"%s"}' % issuer.kid.encode()).decode()
    return {
        "none": f"{none}.{payload}.",
        "None with signature": f"{none}.{payload}.{signature}",
        "HS256 with the public key": hs256(issuer.public_pem),
        "HS256 with a stripped public key": hs256(issuer.public_pem.strip()),
        "HS256 with a secret": hs256(secret),
        "another key": issuer.sign(claims, other),
        "another key that it brings along": issuer.sign(claims, other, jwk=jwk(other, issuer.kid)),
        "a key to fetch elsewhere": issuer.sign(claims, other, jku="http://127.0.0.1:1/keys"),
        "another algorithm of the same key": issuer.sign(claims, algorithm="PS256"),
        "unknown key": issuer.sign(claims, kid="../../dev/null"),
        "changed payload": f"{header}.{payload[:-3]}abc.{signature}",
        "no signature": f"{header}.{payload}.",
        "garbage": "no.token.at-all",
        "one part": "x",
        "nested": "eyJhbGciOi" * 1500,
        "huge": "a" * 100_000,
        "deep": jwt.utils.base64url_encode(b"[" * 9000).decode() + ".e30.e30",
        "kid of a wrong type": jwt.utils.base64url_encode(b'{"alg":"RS256","kid":7}').decode()
        + f".{payload}.{signature}",
    }


def test_forged_tokens_are_refused_and_not_repeated(issuer):
    for name, token in forged(issuer).items():
        with pytest.raises(TokenError) as refused:
            assert not checked(issuer, token), name
        assert token[:20] not in str(refused.value)


@pytest.mark.parametrize(
    ("curve", "algorithm"), [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")]
)
def test_elliptic_curves(issuer, curve, algorithm):
    key = ec.generate_private_key(curve)
    document = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    issuer.documents[KEYS] = {"keys": [document | {"kid": "curve"}]}
    good = issuer.sign(issuer.claims("user"), key, algorithm=algorithm, kid="curve")
    assert checked(issuer, good)["preferred_username"] == "ada"
    with pytest.raises(TokenError):
        checked(issuer, issuer.sign(issuer.claims("user"), kid="curve"))  # RS256


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_algorithms_of_an_rsa_key_that_names_none(issuer, algorithm):
    issuer.documents[KEYS] = {"keys": [{k: v for k, v in jwk(issuer.key, issuer.kid).items() if k != "alg"}]}
    assert checked(issuer, issuer.token(algorithm=algorithm))


def test_keys_that_cannot_sign_are_left_out(issuer):
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    found = [
        jwk(issuer.key, "good"),
        jwk(issuer.key, "encryption", use="enc"),
        jwk(issuer.key, "other algorithm", alg="RSA-OAEP"),
        jwk(issuer.key, "odd", alg=["RS256"]),
        jwk(small, "small"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric", "alg": "HS256"},
        {"kty": "RSA", "n": "x", "kid": "damaged"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "another curve"},
        jwk(issuer.key, 5),
        "nothing",
    ]
    assert set(signing_keys(found)) == {"good"}


def test_a_token_without_key_id_is_of_the_only_key(issuer):
    token = issuer.sign(issuer.claims("user"), kid=None)
    assert checked(issuer, token)
    issuer.documents[KEYS] = {"keys": [jwk(issuer.key, "one"), jwk(issuer.key, "two")]}
    with pytest.raises(TokenError, match="does not have"):
        checked(issuer, token)


def test_new_keys_are_asked_for_once_in_a_while(issuer):
    clock = Clock()
    provider = Provider(issuer.url, 10, clock)
    old = issuer.token("user")
    verified(old, provider.keys(key_id(old)), AUDIENCE)
    issuer.rotate()
    new = issuer.token("user")

    def accepted(token):
        try:
            return bool(verified(token, provider.keys(key_id(token)), AUDIENCE))
        except TokenError:
            return False

    assert not accepted(new)  # asked a moment ago
    clock.now += providers.PAUSE_SECONDS
    assert provider.must_ask(key_id(new))
    assert accepted(new)
    assert not accepted(old)
    for number in range(20):
        assert not accepted(issuer.sign(issuer.claims(), kid=f"guess-{number}"))
    assert issuer.requests[KEYS] == 2
    clock.now += providers.FRESH_SECONDS
    assert accepted(new)
    assert issuer.requests[KEYS] == 3


def test_while_the_provider_is_down_known_keys_are_used_for_an_hour(issuer):
    clock = Clock()
    provider = Provider(issuer.url, 10, clock)
    kid = issuer.kid
    provider.keys(kid)
    issuer.broken = 500
    clock.now += providers.KEPT_SECONDS - 1
    assert provider.keys(kid).find(kid)
    with pytest.raises(ProviderError, match="answers 500"):
        provider.keys("unknown")
    clock.now += 2
    with pytest.raises(ProviderError, match="answers 500"):
        provider.keys(kid)
    asked = issuer.requests[CONFIGURATION]
    with pytest.raises(ProviderError):
        provider.keys(kid)
    assert issuer.requests[CONFIGURATION] == asked
    issuer.broken = None
    clock.now += providers.PAUSE_SECONDS
    assert provider.keys(kid).find(kid)


def test_a_provider_that_does_not_answer():
    with Issuer() as gone:
        url = gone.url
    with pytest.raises(ProviderError, match="does not answer"):
        Provider(url, 1).keys("any")


def root(issuer):
    return issuer.url.removesuffix(REALM)


@pytest.mark.parametrize(
    ("path", "document", "reason"),
    [
        (CONFIGURATION, [1], "no JSON object"),
        (CONFIGURATION, {"issuer": "https://another.example"}, "calls itself 'https://another.example'"),
        (CONFIGURATION, {"jwks_uri": "http://keys.example/keys"}, "bad jwks_uri"),
        (CONFIGURATION, {"jwks_uri": 7}, "bad jwks_uri"),
        (CONFIGURATION, {"jwks_uri": "file:///etc/passwd"}, "bad jwks_uri"),
        (CONFIGURATION, {"token_endpoint": "http://[bad"}, "bad token_endpoint"),
        (KEYS, {}, "has no key"),
        (KEYS, {"keys": "none"}, "has no key"),
        (KEYS, {"keys": [], "padding": "x" * providers.ANSWER_LIMIT}, "more than"),
    ],
    ids=str,
)
def test_answers_of_the_provider_that_cannot_be_used(issuer, path, document, reason):
    usual = issuer.document(CONFIGURATION)
    issuer.documents[path] = usual | document if path == CONFIGURATION and isinstance(document, dict) else document
    with pytest.raises(ProviderError, match=reason):
        Provider(issuer.url, 10).keys(issuer.kid)


def test_redirections_of_the_provider_are_not_followed(issuer):
    issuer.broken = 302
    with pytest.raises(ProviderError, match="answers 302"):
        Provider(issuer.url, 10).keys(issuer.kid)
    assert set(issuer.requests) == {CONFIGURATION}


@pytest.mark.parametrize(
    "address", ["http://idp.example/realm", "ftp://localhost/x", "localhost", "", None, "https://"]
)
def test_an_address_whose_answers_others_could_change(address):
    with pytest.raises(InputError, match="https address"):
        check_address(address, "address")


@pytest.mark.parametrize("address", ["https://idp.example/realm", "http://localhost:8080/x", "http://[::1]:80/x"])
def test_a_safe_address(address):
    assert check_address(address, "address") == address


@pytest.mark.parametrize(
    ("claims", "path", "roles"),
    [
        ({"groups": ["monailabel-user", 7, None]}, "groups", {"monailabel-user"}),
        ({"a": {"b": {"c": ["monailabel-admin"]}}}, "a#b#c", {"monailabel-admin"}),
        ({"groups": "monailabel-user"}, "groups", set()),  # a text holds every part of itself
        ({"groups": {"monailabel-user": True}}, "groups", set()),
        ({"a": ["b"]}, "a#b", set()),
        ({}, "a#b", set()),
    ],
)
def test_where_roles_are(claims, path, roles):
    expected = Expectations(AUDIENCE, "sub", path, EXPECTED.roles)
    assert who(claims | {"sub": "ada"}, expected).roles == roles


@pytest.mark.parametrize("name", [None, "", 7, ["ada"]])
def test_a_token_that_names_nobody(name):
    with pytest.raises(TokenError, match="preferred_username"):
        who({"preferred_username": name}, EXPECTED)
