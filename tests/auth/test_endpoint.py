"""SMART Backend Services against our own token endpoint. RFC 6749, RFC 7523, SMART App Launch 2.2.0."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from server.app import create_app, store_of
from server.auth import endpoint
from server.auth.clients import Clients
from server.auth.endpoint import token_url
from server.auth.issuer import Issuer
from server.settings import Settings, WrongSetting
from tests.auth.issuers import ASSERTION, asserted, key, small_issuer
from tests.http.build import FHIR, task
from tests.real.process import Installation

VEST = "983658725"
SIGNER = key("vest", "EC", "P-384", alg="ES384")
ES384 = {"alg": "ES384", "typ": "JWT"}


def entry(client_id: str = "vest", **more):
    jwks = {"keys": [SIGNER.as_dict(private=False)]}
    usual = {"client_id": client_id, "organization": VEST, "scopes": "system/Task.crus system/*.rs", "jwks": jwks}
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


def write(path: Path, *entries) -> None:
    path.write_text(json.dumps({"clients": entries}))


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    write(tmp_path / "clients.json", entry(), entry("office", role="secretariat", scopes="system/*.cruds"))
    return Settings(**{**settings.model_dump(), "clients": tmp_path / "clients.json"}, _env_file=None)


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of tokens alone."""
    app = Starlette(routes=endpoint.routes(settings, Issuer("")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=settings.base) as http:
        yield http


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The whole."""
    app = create_app(settings, store_of(settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=settings.base) as http:
        yield http


@pytest.fixture
def ask(http: httpx.AsyncClient, settings: Settings) -> Callable[..., object]:
    """ask(scope=…) with a good assertion of the client vest, but for what is given of the form."""

    async def asked(assertion: str | None = None, **form: str | None) -> httpx.Response:
        good = asserted("vest", token_url(settings), SIGNER, ES384)
        usual = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION,
                 "client_assertion": assertion if assertion is not None else good}  # fmt: skip
        sent = {name: value for name, value in {**usual, **form}.items() if value is not None}
        return await http.post(token_url(settings), data=sent)

    return asked


async def test_a_client_is_given_what_it_asks_for(ask):
    answer = await ask(scope="system/Task.cruds openid")
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    said = answer.json()
    assert said.pop("access_token")
    assert said == {"token_type": "bearer", "expires_in": 300, "scope": "system/Task.crus"}


async def test_without_scope_it_is_given_what_it_is_registered_for(ask):
    assert (await ask()).json()["scope"] == "system/Task.crus system/*.rs"


async def test_a_token_speaks_for_the_role_and_the_organisation_of_its_client(ask, registry, settings):
    office = asserted("office", token_url(settings), SIGNER, ES384)
    for assertion, status in ((None, 403), (office, 201)):
        token = (await ask(assertion)).json()["access_token"]
        headers = {**FHIR, "Authorization": f"Bearer {token}"}
        assert (await registry.post(f"{settings.base}/Task", headers=headers, json=task("t"))).status_code == status


def bad(**more):
    return lambda url: asserted("vest", url, SIGNER, ES384, **more)


NOW = int(time.time())
BAD_ASSERTIONS = {
    "another audience": lambda url: asserted("vest", "https://another.example/token", SIGNER, ES384),
    "the base as audience": lambda url: asserted("vest", url.removesuffix("/auth/token"), SIGNER, ES384),
    "unknown client": lambda url: asserted("nord", url, SIGNER, ES384),
    "another's subject": bad(sub="office"),
    "no subject": bad(sub=None),
    "no id": bad(jti=None),
    "no expiry": bad(exp=None),
    "expired": bad(exp=NOW - 600),
    "too long": bad(exp=NOW + 3600),
    "not yet": bad(nbf=NOW + 3600),
    "issuer as a number": bad(iss=7),
    "wrong key": lambda url: asserted("vest", url, key("vest", "EC", "P-384"), ES384),
    "a key that is not registered": lambda url: asserted("vest", url, key("new", "EC", "P-384"), ES384),
    "alg none": lambda url: asserted("vest", url, SIGNER, {"alg": "none"}),
    "an access token": lambda url: asserted("vest", url, SIGNER, {"alg": "ES384", "typ": "at+jwt"}),
    "unsigned": lambda url: f"{asserted('vest', url, SIGNER, ES384).rpartition('.')[0]}.",
    "garbage": lambda url: "garbage",
    "none": lambda url: "",
    "huge": lambda url: "x" * 30_000,
}


@pytest.mark.parametrize("wrong", BAD_ASSERTIONS)
async def test_an_assertion_that_does_not_hold_is_invalid_client(ask, settings, wrong):
    assertion = BAD_ASSERTIONS[wrong](token_url(settings))
    answer = await ask(assertion)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["cache-control"] == "no-store"
    assert not assertion or assertion == "garbage" or assertion not in answer.text


async def test_an_assertion_is_used_once(ask, settings):
    once = asserted("vest", token_url(settings), SIGNER, ES384)
    assert (await ask(once)).status_code == 200
    assert (await ask(once)).json() == {
        "error": "invalid_client", "error_description": "client_assertion: it was used before",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"client_assertion_type": "urn:x"}, "invalid_request"),
        ({"client_assertion_type": None}, "invalid_request"),
        ({"scope": "system/PlanDefinition.c"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
    ],
)
async def test_a_request_that_is_wrong_is_400_with_its_code(ask, form, error):
    answer = await ask(**form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_another_client_id_beside_the_assertion_is_refused(ask):
    assert (await ask(client_id="office")).json()["error"] == "invalid_client"
    assert (await ask(client_id="vest")).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=b" % count for count in range(30)), "application/x-www-form-urlencoded", 400),
        (b"scope=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"scope=\xff", "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_a_body_that_is_no_form_is_invalid_request(http, settings, content, kind, status):
    answer = await http.post(token_url(settings), content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


async def test_smart_configuration_has_every_required_field(registry, settings):
    answer = await registry.get(f"{settings.base}/.well-known/smart-configuration")
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["token_endpoint"] == token_url(settings) == f"{settings.base}/auth/token"
    assert "client_credentials" in said["grant_types_supported"]
    assert {"client-confidential-asymmetric", "permission-v2"} <= set(said["capabilities"])
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert "private_key_jwt" in said["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(said["token_endpoint_auth_signing_alg_values_supported"])


async def test_the_capability_statement_names_smart_and_the_endpoint(registry, settings):
    security = (await registry.get(f"{settings.base}/metadata")).json()["rest"][0]["security"]
    codes = [service["coding"][0]["code"] for service in security["service"]]
    assert codes == ["SMART-on-FHIR", "OAuth"]
    assert security["extension"][0]["extension"] == [{"url": "token", "valueUri": token_url(settings)}]


# Registered clients


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected {"),
        ("[]", "expected {"),
        ('{"clients": [{}]}', "$.clients[0]"),
        ('{"clients": [], "extra": 1}', "extra"),
        (json.dumps({"clients": [entry(), entry()]}), "clients[1].client_id: vest is there twice"),
        (json.dumps({"clients": [entry(client_id="")]}), "clients[0].client_id"),
        (json.dumps({"clients": [entry(role="king")]}), "$.clients[0].role"),
        (json.dumps({"clients": [entry(organization=None)]}), "clients[0].organization"),
        (json.dumps({"clients": [entry(scopes="")]}), "clients[0].scopes"),
        (json.dumps({"clients": [entry(scopes="system/Task.read")]}), "clients[0].scopes"),
        (json.dumps({"clients": [entry(scopes="system/Task.rs?based-on.title=x")]}), "clients[0].scopes"),
        (json.dumps({"clients": [entry(jwks=None)]}), "clients[0].jwks: expected"),
        (json.dumps({"clients": [entry(jwks_uri="https://x.example")]}), "clients[0].jwks: expected"),
        (json.dumps({"clients": [entry(jwks={"keys": []})]}), "clients[0].jwks: none of"),
        (json.dumps({"clients": [entry(jwks={"keys": [SIGNER.as_dict(private=True)]})]}), "is private"),
        (json.dumps({"clients": [entry(jwks=None, jwks_uri="http://x.example")]}), "clients[0].jwks_uri"),
        ('{"clients": ' + "[" * 5000, "expected {"),
    ],
)
def test_a_file_that_does_not_hold_stops_the_start_with_place_and_reason(settings, text, reason):
    settings.clients.write_text(text)
    with pytest.raises(WrongSetting) as caught:
        Clients.of(settings)
    assert str(caught.value).startswith(f"PORTFOLIO_CLIENTS={settings.clients}: ")
    assert reason in str(caught.value)


def test_a_file_that_is_named_must_be_there(settings):
    settings.clients.unlink()
    with pytest.raises(WrongSetting, match="expected a JSON file of clients"):
        Clients.of(settings)


def test_the_usual_file_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Clients.of(Settings(_env_file=None)).get("vest") is None


def test_the_file_is_read_anew_when_it_changes(settings, caplog):
    clients = Clients.of(settings)
    assert clients.get("vest")
    assert clients.get("nord") is None
    write(settings.clients, entry("nord"), entry("third", scopes="system/*.r"))
    assert clients.get("nord")
    assert clients.get("vest") is None
    settings.clients.write_text("{")
    assert clients.get("nord")
    assert "the clients stay as they were" in caplog.text
    settings.clients.unlink()
    assert clients.get("nord") is None


async def test_keys_may_be_at_an_address_of_the_clients_own(ask, settings):
    with small_issuer() as keeper:
        keeper.published = [SIGNER]
        write(settings.clients, entry(jwks=None, jwks_uri=f"{keeper.url}/jwks"))
        assert (await ask()).status_code == 200
        assert (await ask()).status_code == 200
        assert keeper.asked == ["/jwks"]
        keeper.status = 500
        write(settings.clients, entry(jwks=None, jwks_uri=f"{keeper.url}/jwks", name="changed"))
        away = await ask()
        assert (away.status_code, away.json()["error"]) == (503, "temporarily_unavailable")


def test_a_client_is_made_by_a_command(installation: Installation, settings):
    code, printed = installation.invoke("client", "nord", "--key", "nord.json", "--actor", "883658752")
    assert code == 0
    held = json.loads((installation.folder / "nord.json").read_text())
    assert os.stat(installation.folder / "nord.json").st_mode & 0o777 == 0o600
    assert held["d"]
    assert held["d"] not in printed
    write(settings.clients, json.loads(printed))
    assert Clients.of(settings).get("nord").organization == "883658752"
    code, said = installation.invoke("client", "nord", "--key", "nord.json", "--actor", "883658752")
    assert code == 2
    assert "nord.json" in said
    code, said = installation.invoke("client", "nord", "--key", "other.json", "--actor", "1", "--scopes", "all")
    assert (code, (installation.folder / "other.json").exists()) == (2, False)
    assert "scopes: expected" in said


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    folder = tmp_path / "installation"
    folder.mkdir()
    return Installation(folder)
