"""Signing in and out: who may, what the browser is given, and what another site can do with it."""

from __future__ import annotations

import asyncio
import http.cookies
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.responses import Response

from server.access import SECRETARIAT
from server.app import create_app, store_of
from server.auth.sessions import Sessions
from server.auth.tokens import Tokens
from server.pages.signin import local
from server.settings import read_settings
from tests.http.build import FHIR
from tests.pages.html import Node, parse

HOME = "http://127.0.0.1:8000"


class Browser:
    """Keeps cookies, follows nothing unasked, and sends a form as a browser does: with its Origin."""

    def __init__(self, folder: Path, *, at: str = "127.0.0.1", **given: object) -> None:
        named = {"store": f"sqlite:///{folder}/portfolio.db", "keys": folder / "keys", "auth": "dev", **given}
        self.settings = read_settings(**named, _env_file=None)
        self.app = create_app(self.settings, store_of(self.settings))
        self.home = self.settings.base.removesuffix("/fhir")
        self._runner = asyncio.Runner()
        self._life = self.app.router.lifespan_context(self.app)
        transport = httpx.ASGITransport(self.app, client=(at, 1), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=self.home, headers={"Accept-Language": "nb"})

    def __enter__(self) -> Browser:
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *what: object) -> None:
        self._runner.run(self.http.aclose())
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def get(self, url: str, **more) -> httpx.Response:
        return self._runner.run(self.http.get(url, **more))

    def page(self, url: str, status: int = 200) -> Node:
        answer = self.get(url)
        assert answer.status_code == status, answer.text
        return parse(answer.text)

    def post(self, url: str, fields: dict[str, str], **sent: str) -> httpx.Response:
        return self._runner.run(self.http.post(url, data=fields, headers={"Origin": self.home, **sent}))

    def submit(self, form: Node, **fields: str) -> httpx.Response:
        """A form of a page, filled in."""
        hidden = {one["name"]: one["value"] for one in form.every("input", type="hidden")}
        return self.post(form["action"], {**hidden, **fields})

    def sign_in(self, user: str, url: str = "/logg-inn") -> httpx.Response:
        return self.submit(self.page(url).one("main").one("form"), user=user)


@pytest.fixture(scope="module")
def folder(portfolio) -> Path:
    return portfolio


@pytest.fixture
def browser(folder) -> Iterator[Browser]:
    with Browser(folder) as browser:
        yield browser


def account(page: Node) -> str:
    return next(node for node in page.one("header").walk() if node.attributes.get("class") == "account").text


def cookies(answer: httpx.Response) -> dict[str, http.cookies.Morsel[str]]:
    found: dict[str, http.cookies.Morsel[str]] = {}
    for line in answer.headers.get_list("set-cookie"):
        found.update(http.cookies.SimpleCookie(line))
    return found


class TestTestUsers:
    def test_are_the_secretariat_a_reader_and_a_reporter_of_each_organisation(self, browser):
        options = [option.text for option in browser.page("/logg-inn").one("select").every("option")]
        assert options[:2] == ["Sekretariatet", "Leser"]
        assert "Rapportør for Helse Vest RHF" in options
        registered = browser.get("/fhir/Organization?_summary=count").json()["total"]
        assert len(options) == registered + 2

    @pytest.mark.parametrize(
        ("user", "head", "role"),
        [
            ("secretariat", "Innlogget: Sekretariatet Logg ut", "Sekretariatet"),
            ("reader", "Innlogget: Test, Leser Logg ut", "Leser"),
            ("reporter:983658725", "Innlogget: Test: Helse Vest RHF, Rapportør Logg ut", "Rapportør"),
        ],
    )
    def test_each_is_signed_in_and_told_so(self, browser, user, head, role):
        assert browser.sign_in(user).status_code == 303
        assert account(browser.page("/")) == head
        assert role in [dd.text for dd in browser.page("/konto").one("main").every("dd")]

    @pytest.mark.parametrize(
        ("given", "at", "sent"),
        [
            ({}, "192.0.2.7", {}),
            ({}, "127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}),
            ({}, "127.0.0.1", {"Host": "elsewhere.example"}),
            ({"base_url": "http://registry.example/fhir"}, "127.0.0.1", {}),
            ({"base_url": "https://127.0.0.1/fhir"}, "127.0.0.1", {}),
            ({"host": "0.0.0.0", "base_url": "http://127.0.0.1:8000/fhir"}, "127.0.0.1", {}),
            ({"trusted_proxies": "127.0.0.1"}, "127.0.0.1", {}),
        ],
    )
    def test_are_offered_to_nobody_but_this_machines_own_browser(self, folder, given, at, sent):
        with Browser(folder, at=at, **given) as browser:
            assert browser.get("/logg-inn", headers=sent).status_code == 403
            answer = browser.post("/logg-inn", {"user": "secretariat", "state": "x"}, **sent)
            assert answer.status_code in (401, 403)
            assert "session" not in str(answer.headers.get_list("set-cookie"))

    def test_there_are_none_where_everyone_is_the_secretariat(self, folder):
        with Browser(folder, auth="off") as browser:
            assert browser.page("/").one("p", _class="account").text == "Åpent for alle på denne maskinen"
            assert browser.get("/logg-inn").status_code == 404

    @pytest.mark.parametrize("user", ["", "somebody", "reporter:", "reporter:000000000"])
    def test_nobody_else_can_be_chosen(self, browser, user):
        assert browser.sign_in(user).status_code == 400
        assert account(browser.page("/")) == "Logg inn"


class TestCookies:
    @pytest.mark.parametrize(
        ("base", "secure"), [("http://127.0.0.1:8000/fhir", False), ("https://a.example/fhir", True)]
    )
    def test_are_kept_from_scripts_other_sites_and_open_lines(self, folder, base, secure):
        with Browser(folder, base_url=base) as browser:
            sessions = Sessions.of(browser.settings)
            response = httpx_response(sessions)
            for name, cookie in cookies(response).items():
                assert name.startswith("__Host-") is secure
                assert bool(cookie["secure"]) is secure
                assert cookie["httponly"]
                assert cookie["samesite"] == "lax"
                assert cookie["path"] == "/"
                assert not cookie["domain"]
                assert int(cookie["max-age"]) in (0, browser.settings.session_seconds)

    def test_are_known_to_every_process_of_the_installation(self, browser, folder):
        browser.sign_in("secretariat")
        with Browser(folder) as other:
            other.http.cookies = browser.http.cookies
            assert account(other.page("/")).startswith("Innlogget:")

    def test_of_another_installation_mean_nothing(self, browser, tmp_path):
        browser.sign_in("secretariat")
        with Browser(tmp_path) as other:
            other.http.cookies = browser.http.cookies
            assert account(other.page("/")) == "Logg inn"

    def test_hold_as_long_as_the_setting_says(self, folder):
        with Browser(folder, session="30m") as browser:
            answer = browser.sign_in("reader")
            assert cookies(answer)["portfolio-session"]["max-age"] == "1800"
            name, text = "portfolio-session", browser.http.cookies["portfolio-session"]
            key = OctKey.import_key((browser.settings.keys / "session.key").read_bytes())
            claims = jwt.decode(text, key, algorithms=["HS256"]).claims
            browser.http.cookies.clear()
            for end, inside in ((0, False), (-1, False), (60, True)):
                late = {**claims, "exp": claims["exp"] - 1800 + end}
                sent = jwt.encode({"alg": "HS256", "typ": "session"}, late, key, algorithms=["HS256"])
                answer = browser.get("/konto", headers={"Cookie": f"{name}={sent}"})
                assert ("Leser" in answer.text) is inside

    @pytest.mark.parametrize(
        "spoil", ["none", "cut", "other key", "kind", "unsigned", "bearer", "junk", "empty", "role"]
    )
    def test_that_we_did_not_sign_so_are_none(self, browser, spoil):
        key = OctKey.import_key((browser.settings.keys / "session.key").read_bytes())
        claims = {"sid": "x", "role": "secretariat", "organization": "", "name": "", "exp": 9_999_999_999}
        kind, header = "session", {"alg": "HS256", "typ": "session"}
        good = jwt.encode(header, claims, key, algorithms=["HS256"])
        match spoil:
            case "":
                text = good
            case "cut":
                text = good[:-2]
            case "other key":
                text = jwt.encode(header, claims, OctKey.import_key(b"k" * 32), algorithms=["HS256"])
            case "kind":
                text = jwt.encode({"alg": "HS256", "typ": "signin"}, claims, key, algorithms=["HS256"])
            case "unsigned":
                text = ".".join(["eyJhbGciOiJub25lIiwidHlwIjoic2Vzc2lvbiJ9", good.split(".")[1], ""])
            case "bearer":
                tokens = Tokens.of(browser.settings.keys, browser.settings.base)
                text = tokens.issue("secretariat", "", timedelta(hours=1))
            case "role":
                text = jwt.encode(header, {**claims, "role": "god"}, key, algorithms=["HS256"])
            case "empty":
                text = jwt.encode(header, {}, key, algorithms=["HS256"])
            case _:
                text = "%00.;.=" + "a" * 5000
        answer = browser.get("/", headers={"Cookie": f"portfolio-{kind}={text}"})
        assert answer.status_code == 200
        assert ("Sekretariatet" in account(parse(answer.text))) is (spoil == "")

    def test_mean_nothing_to_the_api(self, browser):
        """Bearer tokens alone: a browser sends cookies by itself, whoever has made it ask."""
        browser.sign_in("secretariat")
        organization = {"resourceType": "Organization", "name": "x"}
        answer = browser._runner.run(browser.http.post("/fhir/Organization", json=organization, headers=FHIR))
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (401, "login")

    def test_a_bearer_token_stands_above_them(self, browser):
        browser.sign_in("secretariat")
        reader = Tokens.of(browser.settings.keys, browser.settings.base).issue("reader", "", timedelta(hours=1))
        said = browser.get("/konto", headers={"Authorization": f"Bearer {reader}"}).text
        assert "Leser" in said
        assert "Åpne og lukke" not in said
        assert browser.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 401


def httpx_response(sessions: Sessions) -> httpx.Response:
    """The cookies of a new session."""
    response = Response()
    sessions.begin(response, SECRETARIAT)
    return httpx.Response(200, headers=response.raw_headers)


class TestPages:
    def test_of_a_session_are_no_others(self, browser):
        """A browser that keeps a page shows it to nobody else, and not after the sign-out."""
        before = browser.get("/")
        assert {"Cookie", "Authorization"} <= {name.strip() for name in before.headers["vary"].split(",")}
        assert before.headers["cache-control"] == "private, no-cache"
        browser.sign_in("secretariat")
        after = browser.get("/", headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        again = browser.get("/", headers={"If-None-Match": after.headers["etag"]})
        assert again.status_code == 304

    @pytest.mark.parametrize("url", ["/logg-inn", "/konto", "/logg-ut"])
    def test_of_the_sign_in_are_kept_by_nobody(self, browser, url):
        assert browser.get(url).headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("lang", ["nb", "en"])
    def test_keep_their_language_through_it_all(self, browser, lang):
        first = browser.page(f"/tiltak/NEP-0001?lang={lang}")
        url = first.one("nav", _class="account").one("a")["href"]
        answer = browser.sign_in("reader", url)
        assert answer.headers["location"] == f"/tiltak/NEP-0001?lang={lang}"
        page = browser.page(answer.headers["location"])
        out = browser.submit(page.one("section", _class="account").one("form"))
        assert out.headers["location"] == f"/logg-ut?lang={lang}"
        assert (
            browser.page(out.headers["location"]).one("h1").text
            == {"nb": "Du er logget ut", "en": "You are signed out"}[lang]
        )

    def test_say_what_each_role_may_do(self, browser):
        def may() -> str:
            return browser.page("/konto").one("section", aria_labelledby="may").text

        assert may() == "Dette kan du Lese alt som er offentlig"
        browser.sign_in("reporter:983658725")
        assert "Helse Vest RHF (983658725)" in browser.page("/konto").text
        assert "Svare på avhengigheter" in may()
        browser.sign_in("secretariat")
        assert "Avgjøre nominasjoner" in may()


class TestForms:
    """A form counts only when it was sent from our own page, by the session that was shown it."""

    def test_sign_out_ends_the_session(self, browser):
        browser.sign_in("reader")
        held = browser.http.cookies["portfolio-session"]
        answer = browser.submit(browser.page("/konto").one("main").one("form"))
        assert answer.headers["location"] == "/logg-ut"
        assert account(browser.page("/")) == "Logg inn"
        # Whoever has copied the cookie has nothing any more.
        kept = browser.get("/", headers={"Cookie": f"portfolio-session={held}"})
        assert account(parse(kept.text)) == "Logg inn"

    @pytest.mark.parametrize("csrf", [None, "", "0" * 64, "æ", "another"])
    def test_without_the_sessions_token_is_refused(self, browser, folder, csrf):
        browser.sign_in("reader")
        if csrf == "another":
            with Browser(folder) as other:
                other.sign_in("secretariat")
                csrf = other.page("/konto").one("main").one("input")["value"]
        answer = browser.post("/logg-ut", {"other": "x"} if csrf is None else {"csrf": csrf})
        assert answer.status_code == 403
        assert account(browser.page("/")).startswith("Innlogget")

    @pytest.mark.parametrize(
        "origin",
        [
            "https://elsewhere.example",
            "null",
            "",
            "http://127.0.0.1:8001",
            "http://127.0.0.1",
            "https://127.0.0.1:8000",
        ],
    )
    def test_from_another_site_is_refused(self, browser, origin):
        browser.sign_in("reader")
        token = browser.page("/konto").one("main").one("input")["value"]
        answer = browser.post("/logg-ut", {"csrf": token}, Origin=origin)
        assert answer.status_code == 403
        assert account(browser.page("/")).startswith("Innlogget")

    def test_of_another_name_of_this_machine_is_ours(self, browser):
        page = parse(browser.get("/logg-inn", headers={"Host": "localhost:8000"}).text)
        state = page.one("input", name="state")["value"]
        fields = {"state": state, "user": "reader"}
        answer = browser.post("/logg-inn", fields, Host="localhost:8000", Origin="http://localhost:8000")
        assert answer.status_code == 303

    def test_of_a_sign_in_that_another_browser_began_is_refused(self, browser, folder):
        """Else a stranger could sign a person in as someone else."""
        with Browser(folder) as other:
            state = other.page("/logg-inn").one("input", name="state")["value"]
        browser.page("/logg-inn")
        assert browser.post("/logg-inn", {"state": state, "user": "secretariat"}).status_code == 401

    def test_of_a_sign_in_counts_once(self, browser):
        form = browser.page("/logg-inn").one("form", method="post")
        assert browser.submit(form, user="reader").status_code == 303
        assert browser.submit(form, user="secretariat").status_code == 401

    @pytest.mark.parametrize(
        ("content", "media", "status"),
        [
            (b"{}", "application/json", 415),
            (b"x", "text/plain", 415),
            (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
            (b"\xff=%ff&&&===", "application/x-www-form-urlencoded", 400),
        ],
    )
    def test_that_are_none_of_ours_are_refused(self, browser, content, media, status):
        sent = {"Origin": browser.home, "Content-Type": media}
        answer = browser._runner.run(browser.http.post("/logg-inn", content=content, headers=sent))
        assert answer.status_code == status
        assert "<h1>" in answer.text

    def test_nothing_is_done_by_a_link(self, browser):
        browser.sign_in("reader")
        browser.get("/logg-ut")
        assert account(browser.page("/")).startswith("Innlogget")


@pytest.mark.parametrize(
    ("next", "local_one"),
    [
        ("/", True),
        ("/tiltak/NEP-0001?lang=en&_asOf=2021-11-30T00:00:00Z", True),
        ("/konto", True),
        ("//elsewhere.example/", False),
        ("///elsewhere.example/", False),
        ("https://elsewhere.example/", False),
        ("/\\elsewhere.example", False),
        ("\\/elsewhere.example", False),
        ("/\t/elsewhere.example", False),
        ("/\n//elsewhere.example", False),
        (" /", False),
        ("javascript:alert(1)", False),
        ("elsewhere.example", False),
        ("/å", False),
        ("", False),
        # Not in a circle.
        ("/logg-inn?next=/", False),
        ("/logg-ut", False),
    ],
)
def test_a_sign_in_leads_back_to_our_own_pages_alone(browser, next, local_one):
    assert local("", next) == (next if local_one else "")
    page = browser.get("/logg-inn", params={"next": next})
    form = parse(page.text).one("form", method="post")
    answer = browser.submit(form, user="reader")
    assert answer.headers["location"] == (next if local_one else "/")


@pytest.mark.parametrize(
    ("next", "local_one"),
    [
        ("/portfolio/", True),
        ("/portfolio/tiltak/NEP-0001", True),
        ("/", False),
        ("/portfolio//x", False),
        ("/portfoliox", False),
    ],
)
def test_below_a_path_of_the_host_only_pages_below_it_are_ours(next, local_one):
    assert bool(local("/portfolio", next)) is local_one
