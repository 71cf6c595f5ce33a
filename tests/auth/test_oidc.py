"""PORTFOLIO_AUTH=oidc over real connections: a server process, an issuer, and tokens bound to a key or not.

RFC 9449 (DPoP), RFC 6750, domain model section 13.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from server.app import create_app, store_of
from server.auth import dpop, jose
from tests.auth.issuers import AUDIENCE, ISSUERS, PARENT, VEST, SmallIssuer, key, proof, signed, small_issuer
from tests.http.build import FHIR, plan
from tests.real.process import Installation

READ = f"{AUDIENCE}/les"


class Registry:
    """A server process that trusts this issuer, and a client of it that holds a key."""

    def __init__(self, installation: Installation, issuer: SmallIssuer) -> None:
        self.base, self.issuer = installation.base, issuer
        self.holder = key("holder")
        self.http = httpx.Client(timeout=30, headers=FHIR)

    @property
    def url(self) -> str:
        return f"{self.base}/Task"

    def get(self, authorization: str, *proofs: str, path: str = "/Task?_count=1") -> httpx.Response:
        headers = [("Authorization", authorization), *(("DPoP", one) for one in proofs)]
        return self.http.get(f"{self.base}{path}", headers=headers)

    def bound(self) -> str:
        return self.issuer.granted(READ, self.holder)


@pytest.fixture(scope="module", params=ISSUERS)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with ISSUERS[request.param]() as issuer:
        folder = tmp_path_factory.mktemp("oidc")
        installation = Installation(folder, AUTH="oidc", OIDC_ISSUER=issuer.url, OIDC_AUDIENCE=AUDIENCE)
        with installation.serving():
            yield Registry(installation, issuer)


def challenge(answer: httpx.Response) -> str:
    assert answer.status_code == 401, answer.text
    assert answer.json()["issue"][0]["code"] == "login"
    return answer.headers["WWW-Authenticate"]


def test_a_bearer_token_of_the_issuer_is_taken(registry):
    assert registry.get(f"Bearer {registry.issuer.granted(READ)}").status_code == 200


def test_a_bound_token_with_its_proof_is_taken(registry):
    token = registry.bound()
    assert registry.get(f"DPoP {token}", proof(registry.holder, "GET", registry.url, token)).status_code == 200


def test_the_right_to_write_is_told_by_the_scope(registry):
    body = json.dumps(plan(f"p-{time.time_ns()}"))
    for right, status in (("les", 403), ("sekretariat", 201)):
        token = registry.issuer.granted(f"{AUDIENCE}/{right}", registry.holder)
        url = f"{registry.base}/PlanDefinition"
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof(registry.holder, "POST", url, token)}
        assert registry.http.post(url, content=body, headers=headers).status_code == status


def hs256(issuer: SmallIssuer) -> str:
    """Signed with the issuer's public key as the secret."""
    parts = [{"alg": "HS256", "kid": issuer.key.kid}, issuer.claims()]
    body = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    made = hmac.digest(json.dumps(issuer.key.as_dict(private=False)).encode(), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


WRONG_TOKENS = {
    "wrong audience": lambda issuer: issuer.token(aud="another"),
    "wrong issuer": lambda issuer: issuer.token(iss="https://another.example"),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - jose.LEEWAY - 5),
    "unsigned": lambda issuer: f"{issuer.token().rpartition('.')[0]}.",
    "alg none": lambda issuer: signed(issuer.claims(), issuer.key, alg="none", kid=None),
    "HS256 with the public key": hs256,
    "wrong key": lambda issuer: issuer.token(signed_by=key(issuer.key.kid)),
    "huge": lambda issuer: issuer.token(more="x" * 20_000),
    "garbage": lambda issuer: "garbage",
}


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_a_token_that_does_not_hold_is_401_and_is_not_quoted(registry, wrong):
    token = WRONG_TOKENS[wrong](registry.issuer)
    answer = registry.get(f"Bearer {token}")
    assert 'error="invalid_token"' in challenge(answer)
    assert max(token.split("."), key=len) not in answer.text or wrong == "garbage"


def test_a_token_within_the_leeway_is_taken(registry):
    assert registry.get(f"Bearer {registry.issuer.token(exp=int(time.time()) - 5, scope=READ)}").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_stolen_token_without_its_proof_is_of_no_use(registry, scheme):
    token = registry.bound()
    assert 'DPoP realm="fhir", error="invalid_dpop_proof", algs="' in challenge(registry.get(f"{scheme} {token}"))


def test_a_stolen_token_as_a_bearer_token_is_of_no_use_with_its_proof_either(registry):
    token = registry.bound()
    assert challenge(registry.get(f"Bearer {token}", proof(registry.holder, "GET", registry.url, token)))


def test_a_token_that_is_not_bound_is_no_dpop_token(registry):
    token = registry.issuer.granted(READ)
    assert challenge(registry.get(f"DPoP {token}", proof(registry.holder, "GET", registry.url, token)))


def test_a_proof_is_used_once(registry):
    token = registry.bound()
    once = proof(registry.holder, "GET", registry.url, token)
    assert registry.get(f"DPoP {token}", once).status_code == 200
    assert "invalid_dpop_proof" in challenge(registry.get(f"DPoP {token}", once))
    assert registry.get(f"DPoP {token}", proof(registry.holder, "GET", registry.url, token)).status_code == 200


def test_two_proofs_are_none(registry):
    token = registry.bound()
    two = [proof(registry.holder, "GET", registry.url, token) for _ in range(2)]
    assert "invalid_dpop_proof" in challenge(registry.get(f"DPoP {token}", *two))


def private(holder: Any) -> dict[str, Any]:
    return {"jwk": holder.as_dict(private=True)}


WRONG_PROOFS = {
    "another method": lambda holder, url, token: proof(holder, "POST", url, token),
    "another URL": lambda holder, url, token: proof(holder, "GET", url.replace("Task", "Organization"), token),
    "another host": lambda holder, url, token: proof(holder, "GET", url.replace("127.0.0.1", "127.0.0.2"), token),
    "another token": lambda holder, url, token: proof(holder, "GET", url, f"{token}x"),
    "no token": lambda holder, url, token: proof(holder, "GET", url),
    "another key": lambda holder, url, token: proof(key(), "GET", url, token),
    "too old": lambda holder, url, token: proof(holder, "GET", url, token, iat=int(time.time()) - dpop.WINDOW - 5),
    "from the future": lambda holder, url, token: proof(holder, "GET", url, token, iat=int(time.time()) + 60),
    "no iat": lambda holder, url, token: proof(holder, "GET", url, token, iat=None),
    "no jti": lambda holder, url, token: proof(holder, "GET", url, token, jti=None),
    "no htm": lambda holder, url, token: proof(holder, "GET", url, token, htm=None),
    "no htu": lambda holder, url, token: proof(holder, "GET", url, token, htu=None),
    "another typ": lambda holder, url, token: proof(holder, "GET", url, token, header={"typ": "JWT"}),
    "no typ": lambda holder, url, token: proof(holder, "GET", url, token, header={"typ": None}),
    "no jwk": lambda holder, url, token: proof(holder, "GET", url, token, header={"jwk": None}),
    "a private jwk": lambda holder, url, token: proof(holder, "GET", url, token, header=private(holder)),
    "another's jwk": lambda holder, url, token: proof(
        key(), "GET", url, token, header={"jwk": holder.as_dict(private=False)}
    ),
    "alg none": lambda holder, url, token: proof(holder, "GET", url, token, header={"alg": "none"}),
    "garbage": lambda holder, url, token: "garbage",
}


@pytest.mark.parametrize("wrong", WRONG_PROOFS)
def test_a_proof_that_does_not_hold_is_401(registry, wrong):
    token = registry.bound()
    answer = registry.get(f"DPoP {token}", WRONG_PROOFS[wrong](registry.holder, registry.url, token))
    assert "invalid_dpop_proof" in challenge(answer)
    assert token not in answer.text


@pytest.mark.parametrize("seconds", [-5, 5])
def test_clocks_may_differ_a_little(registry, seconds):
    token = registry.bound()
    skewed = proof(registry.holder, "GET", registry.url, token, iat=int(time.time()) + seconds)
    assert registry.get(f"DPoP {token}", skewed).status_code == 200


def test_the_query_is_no_part_of_what_is_proven(registry):
    token = registry.bound()
    made = proof(registry.holder, "GET", f"{registry.url}?_count=1#x", token)
    assert registry.get(f"DPoP {token}", made).status_code == 200


def test_smart_configuration_says_where_tokens_are_to_be_had(registry):
    said = registry.http.get(f"{registry.base}/.well-known/smart-configuration").json()
    assert said["token_endpoint"] == f"{registry.issuer.url}/token"
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert {"client-confidential-asymmetric", "permission-v2"} <= set(said["capabilities"])


def test_without_a_token_what_is_public_is_read(registry):
    assert registry.http.get(registry.url).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_scheme_is_refused(registry, method):
    assert challenge(registry.http.request(method, registry.url, headers={"Authorization": "Basic dXNlcjp4"}))


async def test_an_issuer_that_is_away_is_503_and_the_public_still_read(settings):
    with small_issuer() as issuer:
        token = issuer.granted(READ)
    app = create_app(
        settings.model_copy(update={"auth": "oidc", "oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}),
        store_of(settings),
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=settings.base) as http:
        away = await http.get(f"{settings.base}/Task", headers={"Authorization": f"Bearer {token}"})
        assert (away.status_code, away.headers["Retry-After"]) == (503, "10")
        assert away.json()["issue"][0]["code"] == "transient"
        assert (await http.get(f"{settings.base}/.well-known/smart-configuration")).status_code == 503
        assert (await http.get(f"{settings.base}/Task")).status_code == 200


def test_the_claims_that_are_sent_are_those_of_helseid(registry):
    claims = jose.unverified_claims(registry.bound())
    assert (claims[PARENT], claims["cnf"]) == (VEST, {"jkt": registry.holder.thumbprint()})
