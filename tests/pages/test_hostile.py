"""Careless and hostile requests to every page and form: a refusal that says what and where, and never a failure."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import limits
from server.access import SECRETARIAT
from server.asking import Asking
from server.auth.tokens import Tokens
from server.interaction.operations import evidence
from server.portfolio.gather import view
from tests.pages.html import parse
from tests.pages.rounds import HELSE_VEST, People, autumn
from tests.pages.test_signin import Browser
from tests.portfolio.office import C

OPEN = "2023-09"
ROUND = f"/runder/{OPEN}"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def folder(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The round of autumn 2023 is open: its reports are for the secretariat and their owners."""
    return autumn(portfolio, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def people(folder: Path) -> Iterator[People]:
    """Only what goes on record is written through these."""
    with People(folder) as people:
        yield people


def read_on_record(people: People) -> int:
    """AuditEvents of what was read."""
    return int(people.fhir("GET", "AuditEvent?action=R,E&outcome=0&_summary=count")["total"])


# What stands in a URL

LONG = "x" * 10_000
PLACES = (
    "/runder/{}", "/runder/{}/lukk", "/runder/{}/gjennomgang", f"{ROUND}/gjennomgang/{{}}", "/runder/{}/arbeidsbok",
    f"{ROUND}/arbeidsbok/{{}}.xlsx", "/utgaver/{}", "/nokkeltall/{}", "/nokkeltall/bilde/{}.svg", "/aktorer/{}",
    "/aktorer/{}/kalender.ics", "/innsyn/{}", "/innsyn/Task/{}", "/fhir/{}",
)  # fmt: skip
NAMES = ("NEP-9999", "%00", "%FF", "..%2F..%2Fmetadata", "%0D%0ASet-Cookie:%20a=b", "%2F%2Fevil.example", LONG)


@pytest.mark.parametrize("place", PLACES)
def test_what_there_is_not_is_not_found_and_leads_nowhere_else(people: People, place: str) -> None:
    person = people.of("secretariat")
    for name in NAMES:
        answer = person.get(place.format(name), headers=HTML)
        assert answer.status_code in (303, 307, 404), (name[:40], answer.text)
        assert re.match(r"(http://127\.0\.0\.1:8000)?/[a-z]", answer.headers.get("location", "/a"))
        assert "set-cookie" not in answer.headers
        if answer.status_code == 404:
            assert parse(answer.text).one("h1")


PAGES = (
    "/runder", ROUND, f"{ROUND}/gjennomgang", f"{ROUND}/gjennomgang/NEP-0012", f"{ROUND}/arbeidsbok", "/utgaver",
    "/avvik", "/nokkeltall/deliveries", "/avhengigheter", "/avhengigheter/konsekvens", "/aktorer",
    "/aktorer/norsk-helsenett", "/aktorer/norsk-helsenett/kalender.ics", "/innsyn/Organization",
)  # fmt: skip
WRONG = (
    "lang=sv", "lang=en&lang=sv", "_asOf=9999-12-31T23:59:59Z", "_asOf=NaN", "_asOf=2021-11-30T12:00",
    "_asOf=rapport%7Cingen", "_asOf=%0D%0A", "lang=%FF", "&".join(f"a{n}=1" for n in range(201)),
)  # fmt: skip
OF_THEIR_OWN = {
    ROUND: ("page=0", "page=-1", f"page={'9' * 5000}", "state=tull", "sort=x", "remarks=ja", f"x={LONG}"),
    f"{ROUND}/gjennomgang": ("page=0", "page=NaN", f"page=000000001{'9' * 5000}", f"state={LONG}"),
    "/avvik": ("all=ja", "page=0", f"page=000000001{'9' * 5000}", "round=2021-11&round=1999-01"),
    "/nokkeltall/deliveries": ("fra=1999-01", "_count=5", "owner=%7C%7C", "date=NaN", "_include=*", "ukjent=1"),
    "/avhengigheter": ("page=00000000019999999", f"page=000000001{'9' * 5000}", "waits=ingen", "conflict=x"),
    "/avhengigheter/konsekvens": ("task=%20", "task=x&days=-1", "task=x&days=1e400", f"task=x&days=1{'0' * 5000}"),
    "/aktorer": ("page=1",),
    "/aktorer/norsk-helsenett/kalender.ics": ("_asOf=2021-11-30T12:00:00Z", "round=2021-11"),
    "/innsyn/Organization": ("_count=-1", "_sort=tull", "_page=tull", f"_id:above={LONG}", "_format=xml"),
}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_asked_wrongly_is_refused_on_a_page_that_says_where(people: People, page: str) -> None:
    person = people.of("secretariat")
    for query in (*WRONG, *OF_THEIR_OWN.get(page, ())):
        answer = person.get(f"{page}?{query}", headers=HTML)
        if page.endswith(("arbeidsbok", "Organization")) and answer.status_code == 200:
            # The one is of the present and drops what it does not know, the other is lenient as the API is.
            assert query.startswith(("_asOf", "a0", "_sort")), query[:80]
            continue
        assert answer.status_code in (400, 404, 406), (query[:80], answer.status_code)
        assert parse(answer.text).one("main").text


@pytest.mark.parametrize("page", PAGES)
def test_every_past_moment_has_its_page(people: People, page: str) -> None:
    person = people.of("secretariat")
    for moment in ("0001-01-01T00:00:00Z", "2021-11-30T12:00:00+14:00"):
        answer = person.get(f"{page}?_asOf={moment.replace('+', '%2B')}", headers=HTML)
        assert answer.status_code in (200, 400, 404), moment


def test_an_answer_of_every_type_is_shown(people: People) -> None:
    """A role's `code` is a list of concepts, a SearchParameter's a code."""
    organization = people.found("Organization?_count=1")[0]["id"]
    role = {"coding": [{"system": f"{C}/CodeSystem/nep-party-role", "code": "kontaktperson"}]}
    contact = {"resourceType": "PractitionerRole", "code": [role, {"text": "Leder"}],
               "organization": {"reference": f"Organization/{organization}"}}  # fmt: skip
    parameter = {
        "resourceType": "SearchParameter", "url": "http://a.example/p", "name": "p", "status": "draft", "code": "p",
        "description": "d", "base": ["Task"], "type": "token", "expression": "Task.intent",
    }  # fmt: skip
    for resource in (contact, parameter):
        kind = resource["resourceType"]
        people.fhir("POST", str(kind), resource)
        assert people.of("secretariat").page(f"/innsyn/{kind}").one("tbody").every("tr")
        assert people.of("secretariat").page(f"/innsyn/{kind}/_history").one("tbody").every("tr")


def test_what_looks_like_a_path_upwards_is_no_link(people: People) -> None:
    plan = people.found("PlanDefinition?_count=1")[0]
    sent = {**plan, "purpose": "Task/../../logg-ut", "copyright": "//evil.example/x"}
    people.fhir("PUT", f"PlanDefinition/{plan['id']}", sent)
    shown = people.of("secretariat").page(f"/innsyn/PlanDefinition/{plan['id']}").one("pre")
    assert "Task/../../logg-ut" in shown.text
    assert [a["href"] for a in shown.every("a") if "logg-ut" in a["href"] or "evil" in a["href"]] == []


@pytest.mark.parametrize(
    ("method", "url", "sent", "status"),
    [
        ("POST", "/innsyn/Task", {"X-HTTP-Method-Override": "GET"}, 405),
        ("DELETE", "/innsyn/Task/1", {}, 405),
        ("GET", "/innsyn/Task/$open-round", {"X-HTTP-Method-Override": "POST"}, 405),
        ("GET", "/innsyn/auth/token", {}, 404),
        ("GET", "/innsyn/.well-known/smart-configuration", {}, 404),
        ("HEAD", "/innsyn/Organization?_count=1", {}, 200),
        ("HEAD", "/fhir/Organization?_count=1", HTML, 303),
    ],
)
def test_the_lookup_only_looks(people: People, method: str, url: str, sent: dict[str, str], status: int) -> None:
    client = people.of("secretariat").http
    answer = people._runner.run(client.request(method, url, headers=sent))
    assert answer.status_code == status


def test_no_other_site_is_led_and_no_ended_session(people: People) -> None:
    person = people.of("secretariat")
    led = person.get("/fhir/Task?_count=1", headers={**HTML, "Origin": "http://evil.example"})
    assert "access-control-allow-credentials" not in led.headers
    assert led.headers["cache-control"] == "no-store"
    shown = person.get("/innsyn/Task?_count=1", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in shown.headers
    assert shown.headers["cross-origin-resource-policy"] == "same-origin"
    cookie = "; ".join(f"{name}={text}x" for name, text in person.http.cookies.items())
    plain = people.of("").get("/fhir/Task?_count=1", headers={**HTML, "Cookie": cookie})
    assert plain.headers["content-type"].startswith("application/fhir+json")


# Forms


FORMS = {
    "/runder": {"step": "open", "number": "2031-01", "title": "T", "start": "2031-01-01", "end": "2031-01-31"},
    f"{ROUND}/lukk": {"force": "true", "confirm": "true"},
    "/runder/2021-11/rett": {"reason": "x", "amends": "2021-11", "report-NEP-0012": "Task/x"},
    f"{ROUND}/gjennomgang/NEP-0025": {"decision": "approve", "version": "2"},
}


FIELDS = (
    "number", "title", "start", "end", "initiatives", "step", "decision", "version", "reason", "amends", "seen",
    "report-x",
)  # fmt: skip


@pytest.mark.parametrize("url", FORMS)
def test_a_form_is_taken_from_its_own_session_and_site_alone(people: People, url: str) -> None:
    def token() -> str:
        return str(people.page("/konto").every("input", name="csrf")[0]["value"])

    theirs = people.of(f"reporter:{HELSE_VEST}") and token()
    person = people.of("secretariat")
    own, fields = token(), FORMS[url]
    for sent, origin, status in (
        ({**fields, "csrf": theirs}, person.home, 403),
        (fields, person.home, 403),
        ({**fields, "csrf": own}, "http://evil.example", 403),
        ({**fields, "csrf": own}, "null", 403),
        ({**fields, "csrf": own, "title": "x" * 70_000}, person.home, 413),
    ):
        answer = person.post(url, sent, Origin=origin)
        assert answer.status_code == status, (sent.keys(), origin)
        assert parse(answer.text).one("h1")
    assert people.of("").post(url, fields).status_code == 401
    assert people.of(f"reporter:{HELSE_VEST}").post(url, {**fields, "csrf": theirs}).status_code == 403


@pytest.mark.parametrize("url", [*FORMS, "/runder/1999-01/lukk", "/runder/%00/rett", f"{ROUND}/gjennomgang/NEP-9999"])
def test_a_form_that_is_empty_or_full_of_nonsense_is_refused(people: People, url: str) -> None:
    person = people.of("secretariat")
    csrf = str(person.page("/konto").every("input", name="csrf")[0]["value"])
    for nonsense in (None, "\x00", "9" * 5000, "\ud7ff\U0010ffff", "PlanDefinition?_sort=x", "2031-13-45", "-1"):
        fields = {name: nonsense for name in FIELDS} if nonsense is not None else {}
        answer = person.post(url, {**fields, "csrf": csrf})
        assert 400 <= answer.status_code < 500, (nonsense, answer.status_code)
        assert parse(answer.text).one("h1")
    double = f"csrf=x&csrf={csrf}&number=a&number=&step=preview&step=preview"
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": person.home}
    answer = person._runner.run(person.http.post(url, content=double, headers=sent))
    assert 400 <= answer.status_code < 500


def test_a_past_page_is_asked_for_anew_when_anything_was_written(people: People) -> None:
    """Who may see it is decided by the rights of now."""
    person = people.of("reader")
    url = "/aktorer?_asOf=2026-01-01T00:00:00Z"
    tag = {"If-None-Match": person.get(url).headers["etag"]}
    assert person.get(url, headers=tag).status_code == 304
    known = people.found("Organization?_count=1")[0]
    people.fhir("PUT", f"Organization/{known['id']}", {**known, "alias": ["Et annet navn"]})
    assert people.of("reader").get(url, headers=tag).status_code == 200
    assert people.of("").get(url, headers=tag).status_code == 200


# What is on record


def test_a_form_that_comes_back_with_restricted_data_is_on_record(people: People) -> None:
    form = people.of("secretariat").page(ROUND).one("section", id="closing").one("form")
    before = read_on_record(people)
    answer = people.of("secretariat").submit(form)
    assert answer.status_code == 422
    assert "NEP-0025" in answer.text
    assert read_on_record(people) == before + 1


def test_a_picture_of_restricted_things_is_one_persons_for_a_short_time(people: People) -> None:
    page = people.of("secretariat").page(f"/nokkeltall/status?round={OPEN}")
    url = next(picture["src"] for picture in page.one("main").every("img"))
    assert "status-segment" in url
    before = read_on_record(people)
    own = people.of("secretariat").get(url)
    assert (own.status_code, own.headers["cache-control"]) == (200, "private, no-cache")
    assert read_on_record(people) == before
    token = Tokens.of(people.settings.keys, people.settings.base).issue(
        "secretariat", "", timedelta(minutes=5), client_id="x"
    )
    another = people.of("").get(url, headers={"Authorization": f"Bearer {token}"})
    assert another.content == own.content
    assert read_on_record(people) == before + 1
    for user in ("", "reader", f"reporter:{HELSE_VEST}"):
        assert people.of(user).get(url).content != own.content


def test_what_is_read_once_is_noted_for_each_that_asks(people: People) -> None:

    async def noted() -> list[int]:
        asking = Asking("1")
        seen = await view(people.app.state.engine, replace(SECRETARIAT, request=asking))
        found = []
        for _ in range(2):
            await seen.all("Task", [("group-identifier", f"{C}/sid/runde|{OPEN}")])
            found.append(len(asking.given))
        return found

    once, twice = people._runner.run(noted())
    assert once == 40
    assert twice == 80


# Limits


class Slow:
    """An evidence that ends when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.end, real = asyncio.Event(), asyncio.Event(), evidence.evidences

        async def evidences(*given: Any) -> Any:
            self.begun.set()
            await self.end.wait()
            return await real(*given)

        monkeypatch.setattr(evidence, "evidences", evidences)


@pytest.mark.parametrize(("patience", "status"), [(0.1, 429), (30.0, 200)])
def test_a_page_waits_a_while_for_the_expensive_ones_of_its_client(
    folder: Path, monkeypatch: pytest.MonkeyPatch, patience: float, status: int
) -> None:
    monkeypatch.setattr(limits, "PATIENCE", patience)

    async def both() -> tuple[httpx.Response, httpx.Response]:
        slow = Slow(monkeypatch)
        first = asyncio.create_task(browser.http.get("/avvik"))
        await slow.begun.wait()
        second = asyncio.create_task(browser.http.get("/avvik"))
        await asyncio.wait([second], timeout=0.5)
        assert (await browser.http.get("/runder")).status_code == 200
        annex = asyncio.create_task(browser.http.get("/utgaver/ingen/vedlegg.html"))
        await asyncio.wait([annex], timeout=0.5)
        slow.end.set()
        assert (await annex).status_code == (429 if status == 429 else 404)
        return await first, await second

    with Browser(folder, at="192.0.2.7", max_expensive=1) as browser:
        first, second = browser._runner.run(both())
        assert (first.status_code, second.status_code) == (200, status)
        if status == 429:
            assert int(second.headers["retry-after"]) >= 1
            assert "For mange forespørsler" in parse(second.text).one("main").text
        # Several operations of one page are one of its client's.
        assert browser.get("/runder/2021-11/gjennomgang").status_code == 200
        assert browser.get("/nokkeltall").status_code == 200
