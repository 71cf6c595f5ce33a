"""The server numbers new initiatives: nobody chooses a number, none is given twice, and none comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from server.definitions.registry import CANONICAL
from server.settings import Settings
from tests.http.build import FHIR, bundle, entry
from tests.profile_definitions import Json
from tests.test_profiles_guide import EXAMPLES, read

SID = f"{CANONICAL}/sid/tiltaksnummer"
NOMINATED, NOMINATION = (read(EXAMPLES / f"{name}.json") for name in ("nep-initiative.nominated", "nep-nomination"))
OWNER = read(EXAMPLES / "nep-organization.json")
OFFICE = {
    **read(EXAMPLES / "nep-organization.council.json"),
    "id": "portefoljekontoret",
    "identifier": [{"system": f"{CANONICAL}/sid/aktor", "value": "portefoljekontoret"}],
}
OWNERS_NUMBER = OWNER["identifier"][0]["value"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"profiles": "enforce"})


@pytest.fixture
async def office(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The secretariat, in a registry that has the owner and the office and no initiative."""
    entries = [entry("PUT", f"Organization/{one['id']}", one) for one in (OWNER, OFFICE)]
    assert (await client.post("", json=bundle(*entries), headers=FHIR)).status_code == 200
    return client


@pytest.fixture
def owner(client_of: Callable[..., httpx.AsyncClient], office: httpx.AsyncClient) -> httpx.AsyncClient:
    return client_of("reporter", OWNERS_NUMBER)


def initiative(**more: Any) -> Json:
    """As an owner sends it: without what the server gives it."""
    given = ("id", "url", "identifier", "name", "publisher", "date")
    return {**{key: value for key, value in NOMINATED.items() if key not in given}, **more}


def numbered(number: str, **more: Any) -> Json:
    return initiative(identifier=[{"use": "official", "system": SID, "value": number}], **more)


def nominated(name: str, **more: Any) -> list[Json]:
    """A new initiative and its nomination, by the initiative's fullUrl."""
    full_url = f"urn:uuid:00000000-0000-4000-8000-{name:0>12}"
    task = {key: value for key, value in NOMINATION.items() if key not in ("id", "output")}
    task |= {"basedOn": [{"reference": full_url}], "status": "requested"}
    task["identifier"] = [{"system": "https://helse-fjord.example/sid/innmelding", "value": name}]
    task.pop("statusReason", None)
    return [
        entry("POST", "PlanDefinition", initiative(**more), fullUrl=full_url),
        entry("POST", "Task", task),
    ]


async def send(client: httpx.AsyncClient, *entries: Json) -> list[str]:
    """The numbers of the initiatives that a transaction made."""
    headers = {**FHIR, "Prefer": "return=representation"}
    answer = await client.post("", json=bundle(*entries), headers=headers)
    assert answer.status_code == 200, answer.text
    made = [one["resource"] for one in answer.json()["entry"]]
    return [number_of(one) for one in made if one["resourceType"] == "PlanDefinition"]


def number_of(plan: Json) -> str:
    [number] = [one["value"] for one in plan["identifier"] if one["system"] == SID]
    return str(number)


async def test_an_owners_new_initiative_is_numbered_and_its_nomination_finds_it(
    owner: httpx.AsyncClient, office: httpx.AsyncClient
) -> None:
    assert await send(owner, *nominated("1")) == ["NEP-0001"]
    answer = (await office.get(f"PlanDefinition?identifier={SID}|NEP-0001&_revinclude=Task:based-on")).json()
    plan, task = (one["resource"] for one in answer["entry"])
    assert plan["url"] == f"{CANONICAL}/PlanDefinition/NEP-0001"
    assert (plan["name"], plan["publisher"]) == ("Breprover", "Helse Fjord RHF")
    assert task["basedOn"][0]["reference"] == f"PlanDefinition/{plan['id']}"


async def test_every_new_initiative_of_a_transaction_has_its_own(owner: httpx.AsyncClient) -> None:
    entries = [one for name in "123" for one in nominated(name)]
    assert sorted(await send(owner, *entries)) == ["NEP-0001", "NEP-0002", "NEP-0003"]
    assert await send(owner, *nominated("4")) == ["NEP-0004"]


async def test_an_owner_does_not_choose_the_number(owner: httpx.AsyncClient) -> None:
    for method, url, more in (("POST", "PlanDefinition", {}), ("PUT", "PlanDefinition/a", {"id": "a"})):
        answer = await owner.request(method, url, json=numbered("NEP-0007", **more), headers=FHIR)
        [issue] = answer.json()["issue"]
        assert (answer.status_code, issue["code"]) == (403, "forbidden")
        assert issue["expression"] == ["PlanDefinition.identifier[0]"]


async def test_the_secretariat_may_give_one_that_is_free(office: httpx.AsyncClient) -> None:
    answer = await office.post("PlanDefinition", json=numbered("NEP-0040"), headers=FHIR)
    assert (answer.status_code, number_of(answer.json())) == (201, "NEP-0040")
    again = await office.post("PlanDefinition", json=numbered("NEP-0040"), headers=FHIR)
    assert (again.status_code, again.json()["issue"][0]["code"]) == (409, "duplicate")
    twice = bundle(*(entry("POST", "PlanDefinition", numbered("NEP-0050")) for _ in "ab"))
    assert (await office.post("", json=twice, headers=FHIR)).status_code == 409
    given = await office.post("PlanDefinition", json=initiative(), headers=FHIR)
    assert number_of(given.json()) == "NEP-0041"


async def test_one_given_in_the_same_transaction_is_stepped_over(office: httpx.AsyncClient) -> None:
    entries = [entry("POST", "PlanDefinition", one) for one in (initiative(), numbered("NEP-0009"), initiative())]
    assert sorted(await send(office, *entries)) == ["NEP-0009", "NEP-0010", "NEP-0011"]


async def test_a_number_never_comes_back(office: httpx.AsyncClient, app: Any) -> None:
    """Neither that of a deleted initiative nor one that an initiative had before: also for a server that has just
    started, and so has yet to read what was."""
    made = (await office.post("PlanDefinition", json=numbered("NEP-0012"), headers=FHIR)).json()
    other = (await office.post("PlanDefinition", json=numbered("NEP-0011"), headers=FHIR)).json()
    renamed = {**other, "identifier": [{"use": "official", "system": SID, "value": "NEP-0020"}]}
    assert (await office.put(f"PlanDefinition/{other['id']}", json=renamed, headers=FHIR)).status_code == 200
    assert (await office.put(f"PlanDefinition/{other['id']}", json=other, headers=FHIR)).status_code == 200
    assert (await office.delete(f"PlanDefinition/{made['id']}")).status_code == 204
    numbers = app.state.engine.complete.numbers
    numbers._read_to = numbers._highest = 0
    new = (await office.post("PlanDefinition", json=initiative(), headers=FHIR)).json()
    assert number_of(new) == "NEP-0021"


async def test_an_initiative_keeps_its_number(office: httpx.AsyncClient) -> None:
    made = (await office.post("PlanDefinition", json=initiative(), headers=FHIR)).json()
    for version in (2, 3):
        sent = {**initiative(title=f"Breprøver {version}"), "id": made["id"]}
        answer = await office.put(f"PlanDefinition/{made['id']}", json=sent, headers=FHIR)
        assert (answer.status_code, number_of(answer.json())) == (200, "NEP-0001")
    assert (await office.get("PlanDefinition?_summary=count")).json()["total"] == 1


async def test_what_is_no_initiative_of_the_portfolio_is_not_numbered(office: httpx.AsyncClient) -> None:
    plan = {"resourceType": "PlanDefinition", "status": "draft"}
    answer = await office.post("PlanDefinition", json=plan, headers=FHIR)
    assert answer.status_code == 422
    assert "NEP-" not in answer.text


async def test_a_try_says_which_number_and_takes_none(office: httpx.AsyncClient) -> None:
    sent = bundle(entry("POST", "PlanDefinition", initiative()))
    headers = {**FHIR, "X-Dry-Run": "true", "Prefer": "return=representation"}
    for _ in range(2):
        tried = (await office.post("", json=sent, headers=headers)).json()
        assert number_of(tried["entry"][0]["resource"]) == "NEP-0001"
    asked = await office.post("PlanDefinition/$validate?mode=create", json=initiative(), headers=FHIR)
    assert [issue["severity"] for issue in asked.json()["issue"]] == ["information"]


async def test_many_at_once_have_a_number_each_and_none_is_lost(
    owner: httpx.AsyncClient, office: httpx.AsyncClient
) -> None:
    sent = [send(owner, *nominated(str(n))) for n in range(12)]
    sent += [send(office, entry("POST", "PlanDefinition", initiative())) for _ in range(4)]
    numbers = [number for found in await asyncio.gather(*sent) for number in found]
    assert sorted(numbers) == [f"NEP-{n:04}" for n in range(1, 17)]
    assert (await office.get("PlanDefinition?_summary=count")).json()["total"] == 16


async def test_the_secretariats_choice_and_the_next_number_never_meet(office: httpx.AsyncClient) -> None:
    """Each round one chooses the very number that is next, and others are issued theirs at the same time."""
    for start in (1, 5, 9):
        posts = [numbered(f"NEP-{start:04}"), *(initiative() for _ in range(3))]
        answers = await asyncio.gather(*(office.post("PlanDefinition", json=one, headers=FHIR) for one in posts))
        assert {answer.status_code for answer in answers[1:]} == {201}
        assert answers[0].status_code in (201, 409)
        filled = numbered(f"NEP-{start + 3:04}")
        await office.post("PlanDefinition", json=filled, headers=FHIR)
    found = (await office.get("PlanDefinition?_count=100")).json()["entry"]
    numbers = [number_of(one["resource"]) for one in found]
    assert len(numbers) == len(set(numbers))
