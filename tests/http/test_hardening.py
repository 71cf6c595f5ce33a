"""What a client may send by mistake or in malice: never a 500, never a silent other meaning."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from server.access import CONFIDENTIALITY
from server.app import create_app, store_of
from server.store import sqlite_search
from tests.conftest import BASE
from tests.http.build import FHIR, SID, bundle, entry, names, organization, plan, task
from tests.portfolio.registry import settings_in

PATCH = {"Content-Type": "application/json-patch+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BEYOND = ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00")


def many(pattern: str, count: int) -> str:
    return ",".join(pattern.format(number) for number in range(count))


def refused(answer, status: int, code: str, place: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    issue = answer.json()["issue"][0]
    assert issue["code"] == code, answer.text
    assert place is None or issue["expression"] == [place]


async def made(client, resource) -> str:
    answer = await client.post(resource["resourceType"], json=resource, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """One empty registry for all that only asks: ask("GET", "Task?status=x")."""
    settings = settings_in(tmp_path_factory.mktemp("empty"))
    app = create_app(settings, store_of(settings))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=f"{BASE}/")
    with asyncio.Runner() as runner:
        life = app.router.lifespan_context(app)
        runner.run(life.__aenter__())
        yield lambda method, url, **more: runner.run(client.request(method, url, **more))
        runner.run(life.__aexit__(None, None, None))


def raw(**more: bytes) -> bytes:
    """A Task with these elements written as they stand."""
    extra = b"".join(b',"%b":%b' % (name.encode(), value) for name, value in more.items())
    return json.dumps(task("a")).encode()[:-1] + extra + b"}"


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"resourceType":"Task","description":"\xe5"}',
            raw(description=b'"\xe5"'),
            raw(input=b'[{"type":{"text":"x"},"valueDecimal":1e99999999999999999999}]'),
            raw(input=b'[{"type":{"text":"x"},"valueDecimal":1e-99999999999999999999}]'),
            raw(input=b'[{"type":{"text":"x"},"valueDecimal":1E+999999999}]'),
            raw(input=b'[{"type":{"text":"x"},"valueDecimal":0e999999999}]'),
            b'{"a":1,"a":' + b"9" * 4300 + b'0.5,"b":' + b"1" * 4000 + b"}",
        ],
    )
    async def test_that_are_no_json_or_no_number(self, client, body):
        refused(await client.post("Task", content=body, headers=FHIR), 400, "structure")

    @pytest.mark.parametrize("patch", [b'[{"op":"add","path":"/x","value":"\xe5"}]', b"[]\xe5"])
    async def test_a_patch_that_is_not_utf_8(self, client, patch):
        id = await made(client, task("a"))
        refused(await client.patch(f"Task/{id}", content=patch, headers=PATCH), 400, "structure")

    @pytest.mark.parametrize(("sign", "found"), [("", "gt1"), ("-", "lt1")])
    async def test_an_integer_beyond_all_floats_is_found_at_the_end_of_the_index(self, client, sign, found):
        context = b'[{"code":{"code":"x"},"valueQuantity":{"value":%b%b}}]' % (sign.encode(), b"9" * 400)
        body = json.dumps(plan("p")).encode()[:-1] + b',"useContext":' + context + b"}"
        answer = await client.post("PlanDefinition", content=body, headers=FHIR)
        assert answer.status_code == 201, answer.text
        assert b"9" * 400 in answer.content
        assert names((await client.get(f"PlanDefinition?context-quantity={found}")).json()) == ["p"]

    async def test_a_name_repeated_ten_thousand_times_is_refused_at_once(self, client):
        repeated = b",".join(b'"%d":1,"%d":1' % (number, number) for number in range(20_000))
        before = time.monotonic()
        refused(await client.post("Task", content=b"{%b}" % repeated, headers=FHIR), 400, "structure")
        assert time.monotonic() - before < 2

    async def test_minus_zero_stays_minus_zero(self, client):
        context = b'[{"code":{"code":"x"},"valueQuantity":{"value":-0,"unit":"-0 ,[-0]"}}]'
        body = json.dumps(plan("p")).encode()[:-1] + b',"useContext":' + context + b"}"
        answer = await client.post("PlanDefinition", content=body, headers=FHIR)
        assert b'{"value":-0,"unit":"-0 ,[-0]"}' in answer.content, answer.text

    async def test_a_resource_of_98_levels_can_be_shown_indented(self, client):
        extension = {"url": "http://x.example/e", "valueString": "x"}
        for _ in range(48):
            extension = {"url": "http://x.example/e", "extension": [extension]}
        id = await made(client, task("deep", extension=[extension]))
        for url in (f"Task/{id}?_pretty=true", f"Task?_id={id}&_pretty=true", f"Task/{id}/_history?_pretty=true"):
            answer = await client.get(url)
            assert answer.status_code == 200, answer.text
            assert b'\n  "resourceType": ' in answer.content
            assert answer.json() == (await client.get(url.replace("_pretty=true", "_pretty=false"))).json()


class TestConditions:
    async def test_if_none_exist_in_raw_utf_8_means_what_its_characters_say(self, client):
        headers = [(b"content-type", b"application/fhir+json"), (b"if-none-exist", "identifier=blåbær".encode())]
        berry = task("a") | {"identifier": [{"system": f"{SID}/task", "value": "blåbær"}]}
        found = [(await client.post("Task", json=berry, headers=headers)).status_code for _ in range(2)]
        assert found == [201, 200]

    async def test_if_none_exist_in_another_encoding_is_refused(self, client):
        headers = [
            (b"content-type", b"application/fhir+json"),
            (b"if-none-exist", "identifier=blåbær".encode("latin-1")),
        ]
        refused(await client.post("Task", json=task("a"), headers=headers), 400, "value", "If-None-Exist")

    async def test_if_none_exist_may_begin_with_its_question_mark_as_in_a_bundle(self, client):
        headers = {**FHIR, "If-None-Exist": "?code:text=none"}
        assert (await client.post("Task", json=task("a"), headers=headers)).status_code == 201

    @pytest.mark.parametrize("how", ["_format=json", "_pretty=true", "_format=json&_pretty=true"])
    async def test_how_to_answer_is_no_condition(self, client, how):
        await made(client, task("a"))
        where = f"Task?identifier={SID}/task%7Ca&{how}"
        put = await client.put(where, json=task("a", priority="urgent"), headers=FHIR)
        assert (put.status_code, put.json()["meta"]["versionId"]) == (200, "2"), put.text
        operations = [{"op": "replace", "path": "/priority", "value": "stat"}]
        patched = await client.patch(where, content=json.dumps(operations), headers=PATCH)
        assert patched.json()["priority"] == "stat", patched.text
        assert (await client.delete(where)).status_code == 204
        assert (await client.delete(f"Task?{how}")).status_code == 400

    async def test_a_reference_by_oid_is_kept(self, client):
        id = await made(client, task("a", owner={"reference": "urn:oid:1.2.3"}))
        assert (await client.get(f"Task/{id}")).json()["owner"] == {"reference": "urn:oid:1.2.3"}


class TestInstants:
    @pytest.mark.parametrize("text", BEYOND)
    @pytest.mark.parametrize("url", ["Task?_asOf=", "Task/a?_asOf=", "Task/_history?_asOf=", "Task/_history?_since="])
    def test_beyond_the_years_of_utc_are_refused(self, ask, url, text):
        refused(ask("GET", url + text), 400, "value")

    @pytest.mark.parametrize("text", BEYOND)
    def test_so_are_they_on_the_page(self, ask, text):
        assert ask("GET", f"{BASE.removesuffix('/fhir')}/?_asOf={text}").status_code == 400

    @pytest.mark.parametrize("text", ["0900-01-01", "0001-01-01T00:00:00Z", "0900"])
    async def test_of_long_ago_find_all(self, client, text):
        await made(client, task("a"))
        answer = await client.get(f"Task/_history?_since={text}")
        assert answer.status_code == (400 if text == "0900" else 200), answer.text

    async def test_before_everything_there_was_nothing(self, client):
        await made(client, task("a"))
        assert "entry" not in (await client.get("Task?_asOf=0900-01-01T00:00:00Z")).json()


class TestPages:
    @pytest.mark.parametrize(
        ("search", "page"),
        [
            ("", "[[1],5]"),
            ("_sort=status", "[[],5]"),
            ("_sort=status", '[["a","b"],5]'),
            ("", "[[],9223372036854775808]"),
            ("", "[[],-1]"),
            ("", "[[],-9223372036854775808]"),
            ("_sort=authored-on", "[[9223372036854775808],5]"),
            ("_sort=authored-on", "[[-9223372036854775808],5]"),
            ("", "[[],1e30]"),
            ("", '{"a":1,"b":2}'),
        ],
    )
    def test_that_are_not_of_this_search_are_refused(self, ask, search, page):
        text = base64.urlsafe_b64encode(page.encode()).decode().rstrip("=")
        refused(ask("GET", f"Task?{search}&_page={text}"), 400, "value", "_page")
        if not search:
            history = ask("GET", f"Task/_history?_page={text}")
            assert history.status_code == (200 if page == "[[1],5]" else 400), history.text


class TestSearches:
    @pytest.mark.parametrize(
        ("url", "query"),
        [
            ("Task", ".".join(["part-of"] * 900) + ".status=x"),
            ("Task", "part-of:Task." * 4 + "status=x"),
            ("Task", "_has:Task:part-of:" * 4 + "status=x"),
            ("Task", "_has:Task:part-of:" * 2 + "part-of:Task.part-of:Task.status=x"),
            ("QuestionnaireResponse", "subject." * 8 + "name=x"),
            ("QuestionnaireResponse", "&".join(["subject." * 3 + "name=x"] * 12)),
            ("PlanDefinition", f"title={many('a{}', 1200)}"),
            ("PlanDefinition", f"date={many('2024', 1200)}"),
            ("PlanDefinition", f"context-quantity={many('{}||a', 1200)}"),
            ("PlanDefinition", f"context-type-quantity={many('a${}||a', 1200)}"),
            ("PlanDefinition", f"url:below={many('http://a.example/{}', 900)}"),
            ("PlanDefinition", f"context={many('urn:s{}|a', 1200)}"),
            ("Provenance", f"target.url:below={many('http://a.example/{}', 200)}"),
            ("Task", f"_id={many('a{}', 2001)}"),
            ("Task", f"_sort={many('status', 40)}"),
        ],
    )
    def test_that_ask_too_much_are_too_costly(self, ask, url, query):
        before = time.monotonic()
        refused(ask("POST", f"{url}/_search", content=query, headers=FORM), 400, "too-costly")
        assert time.monotonic() - before < 2

    @pytest.mark.parametrize(
        ("url", "query"),
        [
            ("Task", "part-of:Task." * 3 + "status=x"),
            ("Task", "_has:Task:part-of:" * 3 + "status=x"),
            ("QuestionnaireResponse", "subject." * 3 + "name=x"),
            ("PlanDefinition", f"title={many('a{}', 200)}"),
            ("PlanDefinition", f"title:contains={many('a{}', 200)}"),
            ("PlanDefinition", f"date={many('2024', 200)}"),
            ("PlanDefinition", f"context-quantity={many('{}||a', 200)}"),
            ("PlanDefinition", f"context-type-quantity={many('a${}||a', 200)}"),
            ("PlanDefinition", f"url:below={many('http://a.example/{}', 200)}"),
            ("PlanDefinition", f"context={many('urn:s{}|a', 200)}"),
            ("Task", f"_id={many('a{}', 2000)}"),
            ("Task", f"_sort={many('status', 10)}"),
            ("Task", "&".join(f"identifier=a{number}" for number in range(200))),
        ],
    )
    def test_that_ask_all_that_is_taken_are_answered(self, ask, url, query):
        answer = ask("POST", f"{url}/_search", content=query, headers=FORM | {"Prefer": "handling=strict"})
        assert (answer.status_code, answer.json().get("total")) == (200, 0), answer.text

    async def test_a_composite_is_missing_where_no_element_has_it(self, client):
        context = {"code": {"system": "urn:k", "code": "x"}, "valueQuantity": {"value": 1}}
        await made(client, plan("with", useContext=[context]))
        await made(client, plan("without"))
        based = [{"reference": f"PlanDefinition/{await made(client, plan('third'))}"}]
        await made(client, task("t", basedOn=based))
        for missing, found in (("true", {"without", "third"}), ("false", {"with"})):
            answer = await client.get(f"PlanDefinition?context-type-quantity:missing={missing}")
            assert set(names(answer.json())) == found
        chained = await client.get("Task?based-on:PlanDefinition.context-type-quantity:missing=true")
        assert names(chained.json()) == ["t"]
        page = await client.get(f"{BASE.removesuffix('/fhir')}/?context-type-quantity:missing=true")
        assert page.status_code == 200

    @pytest.mark.parametrize(
        ("method", "url"), [("GET", "Task"), ("PUT", "Task"), ("POST", "Task"), ("GET", "Task/_history")]
    )
    async def test_a_query_in_another_encoding_is_refused(self, app, method, url):
        """Sent as bytes, which no client library does and a server takes all the same."""
        sent = []
        raw_headers = [(b"content-type", b"application/fhir+json")]
        scope = {"type": "http", "method": method, "path": f"/fhir/{url}", "query_string": "code=blå".encode("latin-1"),
                 "headers": raw_headers, "http_version": "1.1", "scheme": "http", "server": ("x", 80)}  # fmt: skip

        async def receive():
            return {"type": "http.request", "body": json.dumps(task("a")).encode(), "more_body": False}

        async def send(message):
            sent.append(message)

        await app(scope, receive, send)
        assert (sent[0]["status"], json.loads(sent[1]["body"])["issue"][0]["code"]) == (400, "value")


class TestWhatIsShown:
    async def test_a_read_in_a_bundle_has_its_resource_whatever_is_preferred(self, client):
        id = await made(client, task("a"))
        for kind in ("batch", "transaction"):
            reads = [entry("GET", f"Task/{id}"), entry("GET", f"Task/{id}/_history/1")]
            sent = bundle(*reads, entry("POST", "Task", task("b")), type=kind)
            answer = (await client.post("", json=sent, headers=FHIR)).json()["entry"]
            assert [one.get("resource", {}).get("id") for one in answer] == [id, id, None]

    async def test_a_summary_in_a_bundle_is_one(self, client):
        await made(client, task("a", note=[{"text": "x"}], description="y"))
        wanted = (await client.get("Task?_summary=true")).json()["entry"][0]["resource"]
        sent = bundle(entry("GET", "Task?_summary=true"), type="batch")
        found = (await client.post("", json=sent, headers=FHIR)).json()["entry"][0]["resource"]
        assert found["entry"][0]["resource"] == wanted
        assert "note" not in wanted

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ("_summary=text", {"text", "status", "intent"}),
            ("_elements=owner", {"owner", "status", "intent"}),
            ("_elements=description,identifier", {"description", "identifier", "status", "intent"}),
        ],
    )
    async def test_mandatory_elements_are_never_left_out(self, client, asked, shown):
        owner = {"reference": f"Organization/{await made(client, organization('o'))}"}
        text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
        await made(client, task("a", owner=owner, description="d", text=text))
        resource = (await client.get(f"Task?{asked}")).json()["entry"][0]["resource"]
        assert set(resource) == {"resourceType", "id", "meta", *shown}

    async def test_the_deletion_of_what_one_may_not_see_is_not_seen(self, client, client_of):
        label = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}
        hidden, open = await made(client, task("h", **label)), await made(client, task("o"))
        for id in (hidden, open):
            await client.delete(f"Task/{id}")
        async with client_of() as anonymous:
            for url, status in ((f"Task/{hidden}", 404), (f"Task/{hidden}/_history/2", 404), (f"Task/{open}", 410)):
                assert (await anonymous.get(url)).status_code == status
            assert hidden not in (await anonymous.get("Task/_history")).text
            assert len((await anonymous.get(f"Task/{open}/_history")).json()["entry"]) == 2
        assert (await client.get(f"Task/{hidden}")).status_code == 410
        assert len((await client.get(f"Task/{hidden}/_history")).json()["entry"]) == 2


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [("OPTIONS", "Task", 405), ("TRACE", "Task/a", 405), ("OPTIONS", "", 405), ("PROPFIND", "metadata", 405)],
)
def test_every_method_is_answered_in_fhirs_own_form(ask, method, url, status):
    answer = ask(method, url)
    refused(answer, status, "not-supported")
    assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]
    assert answer.headers["content-type"].startswith("application/fhir+json")


async def test_a_statement_that_sqlite_does_not_understand_is_our_own_fault(client, monkeypatch):
    monkeypatch.setattr(sqlite_search, "_all", lambda *_: sqlite_search.Sql("SELECT nothing FROM"))
    refused(await client.get("Task"), 500, "exception")
