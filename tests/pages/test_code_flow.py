"""Sign-in at an OIDC issuer: the browser that began it, the issuer that was asked, the person whom it names."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt

from server.access import Caller
from server.auth.code_flow import person
from server.outcome import FhirError
from server.settings import WrongSetting, read_settings
from tests.auth.issuers import AUDIENCE, key
from tests.auth.people import CLIENT, PeoplesIssuer, certified, peoples_issuer, through
from tests.pages.html import parse
from tests.pages.test_signin import HOME, Browser, account

CALLBACK = f"{HOME}/logg-inn/svar"
SECRETARIAT = {"role": "secretariat", "name": "Kari Nordmann"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[PeoplesIssuer]:
    with peoples_issuer() as issuer:
        yield issuer


@pytest.fixture(autouse=True)
def _honest(issuer: PeoplesIssuer) -> None:
    issuer.said, issuer.metadata, issuer.header, issuer.taken = dict(SECRETARIAT), {}, {}, 200
    issuer.forms.clear()


@pytest.fixture
def browser_of(tmp_path: Path, issuer: PeoplesIssuer) -> Iterator[Callable[..., Browser]]:
    """Browsers of a registry that trusts the issuer."""
    with ExitStack() as open_ones:

        def made(**given: object) -> Browser:
            named = {"oidc_issuer": issuer.url, "oidc_client_id": CLIENT, "oidc_client_secret": "s:cr%t", **given}
            return open_ones.enter_context(Browser(tmp_path, auth="oidc", oidc_audience=AUDIENCE, **named))

        yield made


@pytest.fixture
def browser(browser_of) -> Browser:
    return browser_of()


def begun(browser: Browser, issuer: PeoplesIssuer, url: str = "/logg-inn", **more: str) -> str:
    """The address that the issuer sends the browser back to."""
    return issuer.authorized(browser.get(url).headers["location"], **more)


def refused(browser: Browser, url: str, status: int = 401) -> str:
    answer = browser.get(url)
    assert answer.status_code == status, answer.text
    assert "session" not in str(answer.headers.get_list("set-cookie"))
    assert "c0de" not in answer.text
    assert account(browser.page("/")) == "Logg inn"
    return str(parse(answer.text).one("main").text)


class TestWay:
    def test_leads_to_the_issuer_and_back_to_the_page(self, browser, issuer):
        answer = browser.get(begun(browser, issuer, "/logg-inn?next=/konto?lang=en"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/konto?lang=en")
        assert account(browser.page("/?lang=en")) == "Signed in: The secretariat Sign out"

    def test_asks_for_a_code_bound_to_this_browser(self, browser, issuer):
        url = browser.get("/logg-inn?lang=en").headers["location"]
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["redirect_uri"] == CALLBACK
        assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT, "openid profile")
        assert (asked["code_challenge_method"], asked["ui_locales"]) == ("S256", "en")
        issuer.authorized(url)
        browser.get(f"{CALLBACK}?code=c0de&state={asked['state']}")
        (form,) = issuer.forms
        made = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(made).decode().rstrip("=") == asked["code_challenge"]
        again = parse_qs(urlsplit(browser.get("/logg-inn").headers["location"]).query)
        assert all(again[name][0] != asked[name] for name in ("state", "nonce", "code_challenge"))

    def test_is_unknown_where_the_registry_is_no_client_of_the_issuer(self, browser_of):
        browser = browser_of(oidc_client_id="", oidc_client_secret="")
        assert browser.get("/logg-inn").status_code == 404
        assert not browser.page("/").every("nav", _class="account")

    def test_of_test_users_does_not_exist_here(self, browser):
        assert browser.post("/logg-inn", {"user": "secretariat"}).status_code == 403

    def test_out_offers_the_issuers_own_sign_out(self, browser, issuer):
        issuer.metadata = {"end_session_endpoint": f"{issuer.url}/end"}
        browser.get(begun(browser, issuer))
        out = browser.submit(browser.page("/konto").one("main").one("form"))
        links = [one["href"] for one in browser.page(out.headers["location"]).one("main").every("a")]
        assert f"{issuer.url}/end?client_id={CLIENT}" in links


class TestProof:
    """By which the issuer knows our client."""

    def test_is_the_secret(self, browser, issuer):
        browser.get(begun(browser, issuer))
        (form,) = issuer.forms
        assert base64.b64decode(form["Authorization"].removeprefix("Basic ")) == b"pages:s%3Acr%25t"
        assert "client_secret" not in form

    def test_is_a_secret_of_a_file(self, browser_of, issuer, tmp_path):
        (tmp_path / "secret").write_text("of the file\n")
        browser = browser_of(oidc_client_secret="", oidc_client_secret_file=tmp_path / "secret")
        browser.get(begun(browser, issuer))
        assert base64.b64decode(issuer.forms[0]["Authorization"][6:]) == b"pages:of%20the%20file"

    def test_is_a_key(self, browser_of, issuer, tmp_path):
        own = key("pages")
        (tmp_path / "key").write_text(json.dumps(own.as_dict(private=True)))
        browser = browser_of(oidc_client_secret="", oidc_client_key=tmp_path / "key")
        assert browser.get(begun(browser, issuer)).status_code == 303
        form = issuer.forms[0]
        claims = jwt.decode(form["client_assertion"], own, algorithms=["ES256"]).claims
        assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, issuer.url)
        assert not form["Authorization"]

    @pytest.mark.parametrize("content", ["x", "{}", '{"kty":"oct","k":"AAAA"}', "-----BEGIN PRIVATE KEY-----\n"])
    def test_that_is_no_key_stops_the_start(self, browser_of, tmp_path, content):
        (tmp_path / "key").write_text(content)
        with pytest.raises(WrongSetting, match="PORTFOLIO_OIDC_CLIENT_KEY="):
            browser_of(oidc_client_secret="", oidc_client_key=tmp_path / "key")

    def test_stands_in_one_place_only(self, tmp_path):
        with pytest.raises(WrongSetting, match="expected one of") as wrong:
            read_settings(oidc_client_secret="hidden", oidc_client_secret_file=tmp_path / "x", _env_file=None)
        assert "hidden" not in str(wrong.value)
        assert "hidden" not in repr(read_settings(oidc_client_secret="hidden", _env_file=None))


class TestAnswers:
    def test_with_another_state_are_refused(self, browser, issuer):
        begun(browser, issuer)
        for state in ("", "x", "%ff"):
            answer = browser.get(f"{CALLBACK}?code=c0de&state={state}")
            assert answer.status_code in (400, 401)
        assert not issuer.forms

    def test_to_a_sign_in_of_another_browser_are_refused(self, browser_of, issuer):
        url = begun(browser_of(), issuer)
        assert "ikke begynt i denne nettleseren" in refused(browser_of(), url)
        assert not issuer.forms

    def test_count_once(self, browser, issuer):
        url = begun(browser, issuer)
        assert browser.get(url).status_code == 303
        assert browser.get(url).status_code == 401
        assert len(issuer.forms) == 1

    @pytest.mark.parametrize(
        ("more", "metadata"),
        [
            ({"iss": "https://another.example"}, {}),
            ({}, {"authorization_response_iss_parameter_supported": True}),
            ({"error": "access_denied"}, {}),
            ({"code": ""}, {}),
        ],
    )
    def test_of_another_issuer_or_without_a_code_are_refused(self, browser_of, issuer, more, metadata):
        issuer.metadata = metadata
        browser = browser_of()
        refused(browser, begun(browser, issuer, **more))
        assert not issuer.forms

    def test_with_the_right_issuer_are_taken(self, browser_of, issuer):
        issuer.metadata = {"authorization_response_iss_parameter_supported": True}
        browser = browser_of()
        assert browser.get(begun(browser, issuer, iss=issuer.url)).status_code == 303

    @pytest.mark.parametrize(
        "said",
        [
            {"nonce": "another"},
            {"nonce": None},
            {"aud": "another"},
            {"aud": [CLIENT, "another"], "azp": "another"},
            {"iss": "https://another.example"},
            {"exp": 1},
            {"exp": None},
        ],
    )
    def test_with_an_id_token_that_does_not_hold_are_refused(self, browser, issuer, said):
        url = begun(browser, issuer)
        issuer.said = {**SECRETARIAT, **said}
        refused(browser, url)

    def test_with_an_access_token_in_its_place_are_refused(self, browser, issuer):
        url = begun(browser, issuer)
        issuer.header = {"typ": "at+jwt"}
        refused(browser, url)

    def test_whose_code_the_issuer_does_not_take_are_refused(self, browser, issuer):
        url = begun(browser, issuer)
        issuer.taken = 400
        refused(browser, url)

    def test_nothing_can_be_begun_while_the_issuer_is_away(self, browser_of):
        browser = browser_of(oidc_issuer="http://127.0.0.1:9")
        answer = browser.get("/logg-inn")
        assert answer.status_code == 503
        assert "<h1>" in answer.text


class TestPersons:
    @pytest.mark.parametrize(
        ("claims", "caller"),
        [
            ({"role": "secretariat", "name": "Kari"}, Caller("secretariat", "", "Kari")),
            ({"role": ["x", "secretariat"], "sub": "1"}, Caller("secretariat", "", "1", user="1")),
            ({"role": "reporter", "organization": "983658725"}, Caller("reporter", "983658725", "")),
            # Who is not said to be a reporter only reads, whatever organisation it is of.
            ({"organization": "983658725", "name": "Ola"}, Caller("reader", "983658725", "Ola")),
            ({"role": "reporter"}, Caller("reader", "", "")),
            ({"role": "reporter", "organization": ["1", "2"]}, Caller("reader", "", "")),
            ({"role": {"secretariat": True}}, Caller("reader", "", "")),
            ({}, Caller("reader", "", "")),
        ],
    )
    def test_have_the_role_that_the_settings_give_their_claims(self, claims, caller):
        assert person(claims, read_settings(_env_file=None)) == caller

    def test_may_be_known_by_other_claims(self):
        named = {
            "oidc_secretariat": "groups=Porteføljekontoret", "oidc_reporter": "groups=Rapportør",
            "oidc_organization": "orgnr",
        }  # fmt: skip
        settings = read_settings(**named, _env_file=None)
        assert person({"groups": ["Porteføljekontoret"]}, settings).role == "secretariat"
        assert person({"groups": ["Rapportør"], "orgnr": "983658725"}, settings).organization == "983658725"
        assert person({"role": "secretariat"}, settings).role == "reader"

    @pytest.mark.parametrize(("level", "enough"), [("4", True), (4, True), ("3", False), (None, False)])
    def test_may_have_to_be_signed_in_strongly(self, level, enough):
        settings = read_settings(oidc_requires="helseid://claims/identity/security_level=4", _env_file=None)
        claims = {**SECRETARIAT, "helseid://claims/identity/security_level": level}
        if enough:
            assert person(claims, settings).role == "secretariat"
        else:
            with pytest.raises(FhirError, match="security_level") as refusal:
                person(claims, settings)
            assert refusal.value.status == 403

    @pytest.mark.parametrize("name", ["oidc_secretariat", "oidc_reporter", "oidc_requires"])
    def test_are_told_by_a_claim_and_its_value(self, name):
        with pytest.raises(WrongSetting, match="expected CLAIM=VALUE"):
            read_settings(**{name: "secretariat"}, _env_file=None)


@pytest.mark.parametrize("way", ["client_secret_basic", "private_key_jwt", "none"])
def test_a_certified_provider_signs_a_person_in(tmp_path, way):
    own = key("pages")
    (tmp_path / "key").write_text(json.dumps(own.as_dict(private=True)))
    known = {
        "client_secret_basic": ({"client_secret": "s:cr%t and more"}, {"oidc_client_secret": "s:cr%t and more"}),
        "private_key_jwt": ({"jwks": {"keys": [own.as_dict(private=False)]}}, {"oidc_client_key": tmp_path / "key"}),
        "none": ({}, {}),
    }
    theirs, ours = known[way]
    client = {"token_endpoint_auth_method": way, "redirect_uris": [CALLBACK], **theirs}
    claims = {"role": "reporter", "organization": "983658725", "name": "Ola Nordmann"}
    with certified(client, claims) as url:
        named = {"oidc_issuer": url, "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT, **ours}
        with Browser(tmp_path, auth="oidc", **named) as browser:
            back = through(browser.get("/logg-inn?next=/konto").headers["location"], HOME)
            assert httpx.URL(back).params["iss"] == url
            answer = browser.get(back)
            assert (answer.status_code, answer.headers["location"]) == (303, "/konto"), answer.text
            assert account(browser.page("/konto")) == "Innlogget: Ola Nordmann, Rapportør Logg ut"
            assert browser.get(back).status_code == 401
            assert "/session/end" in browser.page("/logg-ut").one("main").every("a")[0]["href"]
