"""What every answer carries, whoever asks and whatever happens, and what a page of another site may do."""

from __future__ import annotations

import re

import httpx
import pytest
from starlette.routing import Route

from server.app import create_app, store_of
from server.settings import read_settings
from tests.conftest import BASE
from tests.http.build import FHIR, task

HOME = BASE.removesuffix("/fhir")
ANSWERS = [
    ("GET", "/fhir/metadata", 200),
    ("GET", "/fhir/Task?status=ready", 200),
    ("GET", "/fhir/Task/none", 404),
    ("GET", "/fhir/nowhere/at/all/then", 404),
    ("POST", "/fhir/Task", 415),
    ("DELETE", "/fhir/Task/a", 401),
    ("GET", "/fhir/Task?_sort=none&__explain=true", 400),
    ("GET", "/health/ready", 200),
    ("GET", "/metrics", 200),
    ("GET", "/", 200),
    ("GET", "/?foo=bar", 400),
    ("GET", "/tiltak/NEP-9999", 404),
    ("GET", "/static/style.css", 200),
    ("GET", "/static/none.css", 404),
    ("GET", "/nowhere", 404),
    ("POST", "/", 405),
    ("GET", "/bug", 500),
    ("GET", "/fhir/bug", 500),
]


@pytest.fixture
async def anyone(app):
    """An anonymous client; /bug and /fhir/bug are faults of ours."""

    async def bug(request):
        raise RuntimeError("secret of the house")

    app.router.routes[:0] = [Route("/bug", bug), Route("/fhir/bug", bug)]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
        yield client


@pytest.mark.parametrize(("method", "url", "status"), ANSWERS)
async def test_every_answer_is_guarded(anyone, method, url, status):
    answer = await anyone.request(method, url, headers={"Accept": "text/html"} if "fhir" not in url else {})
    assert answer.status_code == status, answer.text
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy[0]
    assert "script" not in policy[0]
    assert "unsafe" not in policy[0]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert len(answer.headers.get_list("referrer-policy")) == 1
    assert "server" not in answer.headers
    assert not {name for name in answer.headers if name.startswith("x-powered")}
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("url", ["/bug", "/fhir/bug"])
async def test_a_fault_of_ours_tells_nothing_but_that_it_is_logged(anyone, url, caplog):
    answer = await anyone.get(url)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "secret of the house" in caplog.text


@pytest.mark.parametrize("role", [None, "reader", "secretariat"])
async def test_who_may_keep_an_answer(client_of, client, role):
    id = (await client.post("Task", json=task("a"), headers=FHIR)).json()["id"]
    async with client_of(role) as asking:
        for url in (f"Task/{id}", "Task", f"Task/{id}/_history", "Task/none"):
            answer = await asking.get(url)
            assert answer.headers["cache-control"] == ("private, no-store" if role else "no-cache")
            assert "Authorization" in answer.headers["vary"]


@pytest.mark.parametrize(("base", "said"), [("https://a.example/fhir", True), ("http://a.example/fhir", False)])
async def test_https_is_remembered_where_it_is_used(tmp_path, base, said):
    settings = read_settings(
        store=f"sqlite:///{tmp_path}/portfolio.db", keys=tmp_path / "keys", base_url=base, _env_file=None
    )
    app = create_app(settings, store_of(settings))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=base) as client:
        for url in ("/fhir/metadata", "/"):
            answer = await client.get(url)
            assert ("strict-transport-security" in answer.headers) is said


class TestUnknownPaths:
    @pytest.mark.parametrize(("lang", "heading"), [("nb", "Fant ikke siden"), ("en", "Page not found")])
    async def test_are_a_page_for_people(self, anyone, lang, heading):
        answer = await anyone.get(f"/nowhere?lang={lang}", headers={"Accept": "text/html,*/*"})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert f"<h1>{heading}</h1>" in answer.text
        assert f'<html lang="{lang}">' in answer.text

    @pytest.mark.parametrize("query", ["?lang=xx", "?%ff", "?a=%zz", "?lang=nb&lang=en"])
    async def test_whatever_the_query(self, anyone, query):
        assert (await anyone.get(f"/nowhere{query}")).status_code == 404

    async def test_are_json_for_programs(self, anyone):
        answer = await anyone.get("/nowhere", headers={"Accept": "application/json"})
        assert answer.status_code == 404
        assert answer.json()["issue"][0]["code"] == "not-found"

    async def test_show_what_was_asked_for_as_text_alone(self, anyone):
        answer = await anyone.get("/<script>alert(1)</script>")
        assert "<script>" not in answer.text


class TestOtherSites:
    """A browser sends a page's request of another site with Origin, and asks first where it is not a plain one."""

    ORIGIN = "https://elsewhere.example"

    async def test_may_read_the_api_without_cookies(self, anyone):
        answer = await anyone.get("/fhir/metadata", headers={"Origin": self.ORIGIN})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers

    @pytest.mark.parametrize(
        ("method", "allowed"),
        [("GET", True), ("HEAD", True), ("POST", False), ("PUT", False), ("PATCH", False), ("DELETE", False)],
    )
    async def test_may_only_read(self, anyone, method, allowed):
        asked = {
            "Origin": self.ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization",
        }
        answer = await anyone.options("/fhir/Task", headers=asked)
        assert (answer.status_code == 200) is allowed
        assert method in answer.headers["access-control-allow-methods"] or not allowed

    async def test_may_not_read_the_pages(self, anyone):
        answer = await anyone.get("/", headers={"Origin": self.ORIGIN})
        assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    async def test_cannot_write_by_what_a_form_can_send(self, client, media):
        """These need no asking first."""
        for url in ("Task", ""):
            answer = await client.post(url, content=b'{"resourceType":"Task"}', headers={"Content-Type": media})
            assert answer.status_code == 415


class TestOpenHouse:
    """Under PORTFOLIO_AUTH=off everyone is the secretariat, so only this machine's own user may be everyone."""

    @pytest.fixture
    async def house(self, tmp_path):
        settings = read_settings(auth="off", store=f"sqlite:///{tmp_path}/portfolio.db", _env_file=None)
        app = create_app(settings, store_of(settings))
        async with app.router.lifespan_context(app):
            yield httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000")

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("127.0.0.1:8000", 200),
            ("localhost:8000", 200),
            ("[::1]:8000", 200),
            ("LOCALHOST", 200),
            ("elsewhere.example", 421),
            ("elsewhere.example:8000", 421),
            ("127.0.0.1.elsewhere.example", 421),
            ("192.0.2.1", 421),
            ("[::1", 421),
            ("", 421),
        ],
    )
    async def test_another_name_for_this_machine_is_refused(self, house, host, status):
        for url in ("/fhir/metadata", "/"):
            assert (await house.get(url, headers={"Host": host})).status_code == status

    async def test_pages_of_other_sites_may_not_even_read(self, house):
        answer = await house.get("/fhir/metadata", headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in answer.headers
        asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        answer = await house.options("/fhir/Task", headers=asked)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"])
async def test_links_come_from_the_base_whatever_the_request_says(client, name):
    sent = {**FHIR, name: "evil.example"}
    made = await client.post("Task", json=task("a"), headers=sent)
    texts = [made.headers["location"]]
    for url in ("Task", f"Task/{made.json()['id']}/_history", "metadata", f"{HOME}/", f"{HOME}/nowhere"):
        texts.append((await client.get(url, headers={name: "evil.example"})).text)
    assert not re.search("evil", "".join(texts))
    assert texts[0].startswith(f"{BASE}/Task/")
