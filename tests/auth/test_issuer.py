"""Tokens of an external issuer: what holds, and what happens when the issuer is away. RFC 8725, RFC 9068."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from server.auth import fetching, jose
from server.auth.issuer import ID_TOKEN, Issuer
from server.auth.jose import NotAccepted
from server.outcome import FhirError
from tests.auth.issuers import AUDIENCE, ISSUERS, PARENT, VEST, SmallIssuer, key, small_issuer


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def small() -> Iterator[SmallIssuer]:
    with small_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module", params=ISSUERS)
def either(request: pytest.FixtureRequest) -> Iterator[SmallIssuer]:
    """The small issuer, and the certified provider."""
    with ISSUERS[request.param]() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(small: SmallIssuer, clock: Clock) -> Issuer:
    return Issuer(small.url, elapsed=clock)


def unsigned(token: str, **header: str) -> str:
    _, claims, _ = token.split(".")
    stated = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{stated}.{claims}."


async def test_a_good_token_says_its_claims(either):
    claims = await Issuer(either.url).claims(either.granted(f"{AUDIENCE}/les"), AUDIENCE)
    assert (claims["client_id"], claims[PARENT]) == ("client-1", VEST)
    assert claims["scope"] in (f"{AUDIENCE}/les", [f"{AUDIENCE}/les"])


@pytest.mark.parametrize(("kind", "size", "algorithm"), [
    ("RSA", 2048, "RS256"), ("RSA", 2048, "PS256"), ("RSA", 2048, "RS384"), ("EC", "P-256", "ES256"),
    ("EC", "P-384", "ES384"), ("OKP", "Ed25519", "EdDSA"), ("OKP", "Ed25519", "Ed25519"),
])  # fmt: skip
async def test_each_asymmetric_algorithm_is_taken(small, issuer, kind, size, algorithm):
    small.key = key("k", kind, size)
    small.published = [small.key]
    assert await issuer.claims(small.token(header={"alg": algorithm}), AUDIENCE)


FAULTS = {
    "wrong audience": (lambda s: s.token(aud="another"), "another audience"),
    "no audience": (lambda s: s.token(aud=None), "lacks aud"),
    "wrong issuer": (lambda s: s.token(iss="http://127.0.0.1:1"), "another issuer"),
    "no issuer": (lambda s: s.token(iss=None), "lacks iss"),
    "expired": (lambda s: s.token(exp=s.claims()["iat"] - jose.LEEWAY - 1), "expired"),
    "no expiry": (lambda s: s.token(exp=None), "lacks exp"),
    "expiry as text": (lambda s: s.token(exp="2099"), "out of form"),
    "not yet": (lambda s: s.token(nbf=s.claims()["iat"] + jose.LEEWAY + 5), "not hold yet"),
    "from the future": (lambda s: s.token(iat=s.claims()["iat"] + jose.LEEWAY + 5), "in the future"),
    "no instant": (lambda s: s.token(iat=None), "lacks iat"),
    "unsigned": (lambda s: unsigned(s.token(), alg="ES256", kid="first"), "signature"),
    "alg none": (lambda s: unsigned(s.token(), alg="none", kid="first"), "algorithm"),
    "alg NONE": (lambda s: unsigned(s.token(), alg="NonE", kid="first"), "algorithm"),
    "no alg": (lambda s: unsigned(s.token(), kid="first"), "no signed JWT"),
    "another's key under its name": (lambda s: s.token(signed_by=key()), "signature"),
    "a key that is not published": (lambda s: s.token(signed_by=key("unknown")), "key is not one"),
    "another kind of token": (lambda s: s.token(header={"typ": "dpop+jwt"}), "another kind"),
    "claims changed": (lambda s: spoilt(s.token()), "signature"),
    "two parts": (lambda s: s.token().rpartition(".")[0], "no signed JWT"),
    "encrypted form": (lambda s: f"{s.token()}.x.y", "no signed JWT"),
    "garbage": (lambda s: "garbage", "no signed JWT"),
    "huge": (lambda s: s.token(more="x" * jose.MAX_TOKEN), "longer than"),
}  # fmt: skip


def spoilt(token: str) -> str:
    header, _, signature = token.split(".")
    claims = base64.urlsafe_b64encode(b'{"sub":"root"}').decode().rstrip("=")
    return f"{header}.{claims}.{signature}"


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_token_that_does_not_hold_is_refused_with_its_reason(either, fault):
    make, reason = FAULTS[fault]
    token = make(either)
    with pytest.raises(NotAccepted) as caught:
        await Issuer(either.url).claims(token, AUDIENCE)
    assert reason in caught.value.reason
    assert not any(part and part in caught.value.reason for part in token.split(".")[1:])


@pytest.mark.parametrize("encoded", ["PEM", "JWK"])
async def test_a_public_key_is_no_secret(either, encoded):
    """HS256 with the published key as the secret: RFC 8725 section 2.1."""
    public = either.key.raw_value.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = public if encoded == "PEM" else json.dumps(either.key.as_dict(private=False)).encode()
    body = unsigned(either.token(), alg="HS256", kid="first").rstrip(".")
    made = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), "sha256")).decode().rstrip("=")
    with pytest.raises(NotAccepted, match="algorithm"):
        await Issuer(either.url).claims(f"{body}.{made}", AUDIENCE)


@pytest.mark.parametrize(("seconds", "holds"), [(-20, True), (-40, False)])
async def test_clocks_may_differ_by_the_leeway_alone(either, seconds, holds):
    token = either.token(exp=either.claims()["iat"] + seconds)
    if holds:
        assert await Issuer(either.url).claims(token, AUDIENCE)
    else:
        with pytest.raises(NotAccepted):
            await Issuer(either.url).claims(token, AUDIENCE)


async def test_a_token_of_sign_in_is_of_another_kind(small, issuer):
    assert await issuer.claims(small.token(aud="pages", header={"typ": "JWT"}), "pages", ID_TOKEN)
    with pytest.raises(NotAccepted, match="another kind"):
        await issuer.claims(small.token(aud="pages"), "pages", ID_TOKEN)


async def test_a_symmetric_or_encrypting_key_among_the_published_checks_nothing(small, issuer):
    secret = OctKey.import_key("0123456789abcdef0123456789abcdef", {"kid": "s"})
    encrypting = key("e")
    encrypting._dict_value = {**encrypting.dict_value, "use": "enc"}
    small.published = [small.key, encrypting]
    keys = jose.Keys.of({"keys": [*small.answer("/jwks")["keys"], secret.as_dict(), {"kty": "new"}, "x", None]})
    assert [one.kid for one in keys] == ["first"]


async def test_a_rotated_key_is_fetched_once_it_is_met(either, clock):
    issuer = Issuer(either.url, elapsed=clock)
    old = either.granted(f"{AUDIENCE}/les")
    await issuer.claims(either.token(), AUDIENCE)
    either.rotate(f"rotated-{time.time_ns()}")
    clock.seconds += fetching.RETRY
    assert await issuer.claims(either.granted(f"{AUDIENCE}/les"), AUDIENCE)
    assert await issuer.claims(old, AUDIENCE)


async def test_a_withdrawn_key_checks_nothing_once_the_keys_are_looked_at(small, issuer, clock):
    small.rotate("second")
    old = small.published[1]
    assert await issuer.claims(small.token(signed_by=old), AUDIENCE)
    small.published.remove(old)
    clock.seconds += fetching.FRESH
    with pytest.raises(NotAccepted, match="key is not one"):
        await issuer.claims(small.token(signed_by=old), AUDIENCE)


async def test_unknown_keys_are_not_asked_for_again_and_again(small, issuer, clock):
    await issuer.claims(small.token(), AUDIENCE)
    for count in range(20):
        with pytest.raises(NotAccepted):
            await issuer.claims(small.token(signed_by=key(f"unknown-{count}")), AUDIENCE)
    assert small.asked.count("/jwks") == 1


async def test_a_token_that_held_is_remembered_until_the_keys_are_to_be_looked_at(small, issuer, monkeypatch):
    token = small.token(exp=small.claims()["iat"] + 7200)
    await issuer.claims(token, AUDIENCE)
    checks = []
    checked = jose.verified
    monkeypatch.setattr(jose, "verified", lambda *given, **named: checks.append(1) or checked(*given, **named))
    await issuer.claims(token, AUDIENCE)
    assert not checks
    later = small.claims()["iat"] + fetching.FRESH + 1
    issuer._now = lambda: later
    await issuer.claims(token, AUDIENCE)
    assert checks


async def test_an_issuer_away_from_the_start_is_503(small, issuer):
    small.status = 500
    with pytest.raises(FhirError) as caught:
        await issuer.claims(small.token(), AUDIENCE)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "10"})


@pytest.mark.parametrize(("away_for", "holds"), [(fetching.FRESH + 1, True), (fetching.STALE + 1, False)])
async def test_keys_are_used_for_an_hour_while_the_issuer_is_away(small, issuer, clock, away_for, holds):
    await issuer.metadata()
    small.status = 503
    clock.seconds += away_for
    if holds:
        assert await issuer.claims(small.token(), AUDIENCE)
    else:
        with pytest.raises(FhirError) as caught:
            await issuer.claims(small.token(), AUDIENCE)
        assert caught.value.status == 503


async def test_an_issuer_that_is_back_is_used_again(small, issuer, clock):
    small.status = 503
    with pytest.raises(FhirError):
        await issuer.metadata()
    small.status = 200
    with pytest.raises(FhirError):
        await issuer.metadata()
    clock.seconds += fetching.RETRY
    assert (await issuer.metadata())["issuer"] == small.url


@pytest.mark.parametrize("said", [
    {"issuer": "http://another.example"},
    {"issuer": None},
    {"jwks_uri": None},
    {"jwks_uri": "file:///etc/passwd"},
    {"jwks_uri": "ftp://issuer.example/jwks"},
    {"id_token_signing_alg_values_supported": ["HS256", "none"]},
])  # fmt: skip
async def test_a_discovery_document_that_is_not_to_be_trusted_counts_as_away(small, issuer, said):
    small.metadata = said
    with pytest.raises(FhirError) as caught:
        await issuer.metadata()
    assert caught.value.status == 503


async def test_only_algorithms_that_the_issuer_names_are_taken(small, issuer):
    small.metadata = {"id_token_signing_alg_values_supported": ["PS256", "HS256"]}
    with pytest.raises(NotAccepted, match="algorithm"):
        await issuer.claims(small.token(), AUDIENCE)


async def test_no_algorithm_at_all_takes_none(small):
    """joserfc reads an empty list as its own default, which holds HS256."""
    with pytest.raises(NotAccepted, match="algorithm"):
        jose.verified(small.token(), [small.key], algorithms=[], types={"at+jwt"})


@given(token=st.one_of(st.text(), st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True),
                       st.dictionaries(st.sampled_from(["alg", "typ", "kid", "b64"]), st.one_of(
                           st.none(), st.integers(), st.lists(st.text()), st.text(), st.booleans())).map(
                           lambda header: unsigned("a.e30.c", **header))))  # fmt: skip
def test_garbage_is_never_more_than_not_accepted(token):
    signer = key()
    with pytest.raises(NotAccepted):
        jose.verified(token, [signer], algorithms=jose.ALGORITHMS, types={"", "jwt"})


def test_deep_nesting_is_garbage_too():
    deep = base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")
    with pytest.raises(NotAccepted):
        jose.header_of(f"{deep}.e30.x")
