"""$portfolio and $portfolio-diff: the portfolio as it stood, and what changed from November 2021 to autumn 2023."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from server.app import engine_of, store_of
from server.load import Loaded, load
from server.resource import encode
from tests.http.build import bundle, entry
from tests.portfolio.registry import Registry, settings_in
from tests.portfolio.sheets import REPORT, C, S, rows

Resource = dict[str, Any]
GOLDEN = Path(__file__).parent / "golden"
NEWER = rows("deliveries", REPORT.parent / "epj-loftet-2023-09")


def values(part: Resource, name: str) -> list[Any]:
    """The values, or the parts, of a Parameters' rows of that name."""
    found = [one for one in part.get("parameter", part.get("part", ())) if one["name"] == name]
    return [one.get("part") or next(value for key, value in one.items() if key.startswith("value")) for one in found]


def value(part: Resource, name: str) -> Any:
    return next(iter(values(part, name)), None)


def initiatives(answer: Resource) -> list[Resource]:
    return [one for one in answer["parameter"] if one["name"] == "initiative"]


def differences(initiative: Resource) -> list[Resource]:
    return [one for one in initiative["part"] if one["name"] == "difference"]


def kinds(answer: Resource) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for one in initiatives(answer):
        for change in differences(one):
            found.setdefault(value(change, "kind"), []).append(change)
    return found


def plan(registry: Registry, number: str) -> Resource:
    (found,) = registry.matches(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|{number}")
    return found


# The portfolio as it stood


def test_the_portfolio_is_one_bundle_in_which_every_reference_leads_somewhere(portfolio: Registry) -> None:
    found = portfolio.get("PlanDefinition/$portfolio?round=2021-11")
    assert (found["type"], found["timestamp"][-1]) == ("collection", "Z")
    resources = [one["resource"] for one in found["entry"]]
    by_type: dict[str, set[str]] = {}
    for one in resources:
        by_type.setdefault(one["resourceType"], set()).add(f"{one['resourceType']}/{one['id']}")
    assert {kind: len(ids) for kind, ids in by_type.items() if kind != "Organization"} == {
        "PlanDefinition": 40, "Task": 243 + 91 + 55 + 40,
    }  # fmt: skip
    assert len({one["fullUrl"] for one in found["entry"]}) == len(resources)
    known = set().union(*by_type.values())
    for task in resources:
        if task["resourceType"] == "Task":
            assert {task["basedOn"][0]["reference"], task["requester"]["reference"]} <= known
            assert task.get("owner", {}).get("reference", "") in {"", *known}
            assert {
                one["valueReference"].get("reference", "") for one in task.get("input", ()) if "valueReference" in one
            } <= {"", *known}


def test_an_empty_registry_takes_the_whole_portfolio_in(portfolio: Registry, tmp_path: Path) -> None:
    found = portfolio.get("PlanDefinition/$portfolio")
    (tmp_path / "portfolio.json").write_bytes(encode(found))

    async def loaded() -> Loaded:
        settings = settings_in(tmp_path)
        store = store_of(settings)
        await store.open()
        try:
            return await load(engine_of(settings, store), tmp_path / "portfolio.json")
        finally:
            await store.close()

    done = asyncio.run(loaded())
    assert done.refused == []
    assert done.counts.total() == len(found["entry"])


def test_the_portfolio_of_then_is_the_same_for_ever(autumn: Registry, portfolio: Registry) -> None:
    then = portfolio.get("PlanDefinition/$portfolio")
    again = autumn.get("PlanDefinition/$portfolio?round=2021-11")
    assert then["entry"] == again["entry"]
    assert autumn.get(f"PlanDefinition/$portfolio?_asOf={again['timestamp']}") == again
    assert len(autumn.get("PlanDefinition/$portfolio")["entry"]) > len(again["entry"])


def test_a_population_narrows_it_and_nothing_is_an_empty_bundle(portfolio: Registry) -> None:
    found = portfolio.get("PlanDefinition/$portfolio?population=title%3DHELIKS")
    assert sum(one["resource"]["resourceType"] == "PlanDefinition" for one in found["entry"]) == 1
    assert "entry" not in portfolio.get("PlanDefinition/$portfolio?_asOf=1999-01-01T00:00:00Z")


# EPJ-løftet between the two rounds


@pytest.fixture(scope="session")
def between(autumn: Registry) -> Resource:
    return autumn.get("PlanDefinition/$portfolio-diff?from=2021-11&to=2023-09")


def test_between_the_rounds_the_golden_file_holds_what_changed(between: Resource) -> None:
    told = f"{value(between, 'nb')}\n\n---\n\n{value(between, 'en')}\n"
    golden = GOLDEN / "difference-2021-11-2023-09.md"
    if os.environ.get("GOLDEN") == "update":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


def test_one_initiative_changed_and_by_what(between: Resource) -> None:
    (changed,) = initiatives(between)
    assert (value(changed, "resource")["display"], value(changed, "change")) == ("EPJ-løftet", "changed")
    found = kinds(between)
    assert len(found["delivery-new"]) == len(NEWER) - 2
    assert "delivery-dropped" not in found
    moved = [value(one, "days") for one in found["date-moved"] if "restriction" in value(one, "element")]
    assert moved == [425, 640]
    (gone,) = found["date-vanished"]
    assert (value(gone, "element"), value(gone, "before")) == ("effectivePeriod.end", "2022-12-31")
    (scale,) = [one for one in found["scale"] if value(one, "element") == "output.risiko"]
    assert (value(scale, "before"), value(scale, "after")) == ("Gul", "Middels")
    (done,) = found["delivery-status"]
    assert (value(done, "before"), value(done, "after")) == ("ikke-levert", "levert")


def test_every_delivery_of_one_initiative_has_its_first_date_and_its_moves(autumn: Registry) -> None:
    one = plan(autumn, "NEP-0012")
    answer = autumn.get(f"PlanDefinition/{one['id']}/$portfolio-diff?from=2021-11&to=2023-09")
    (changed,) = initiatives(answer)
    deliveries = [{"part": parts} for parts in values(changed, "delivery")]
    assert len(deliveries) == 15
    assert {value(one, "name"): (value(one, "first"), value(one, "present"), value(one, "days"))
            for one in deliveries if value(one, "moves")} == {
        NEWER[0]["name"]: ("2021-12-31", "2023-03-01", 425), NEWER[5]["name"]: ("2022-06-30", "2024-03-31", 640),
    }  # fmt: skip


def test_an_initiative_without_a_change_says_so(autumn: Registry) -> None:
    one = plan(autumn, "NEP-0025")
    answer = autumn.get(f"PlanDefinition/{one['id']}/$portfolio-diff?from=2021-11")
    assert value(answer, "nb") == "Ingen endringer."
    (alone,) = initiatives(answer)
    assert differences(alone) == []
    assert len(values(alone, "delivery")) == 7


# Each kind of change


def test_what_comes_leaves_moves_and_changes(changed: Registry) -> None:
    start = changed.get("PlanDefinition/$portfolio?population=title%3DHELIKS")["timestamp"]
    one, gone = plan(changed, "NEP-0005"), plan(changed, "NEP-0025")
    lines = one["extension"]
    year = next(i for i, line in enumerate(lines) if {"url": "year", "valueDate": "2023"} in line["extension"])
    stated = {"url": "amount", "valueMoney": {"value": 0, "currency": "NOK"}}
    lines[year]["extension"].append(stated)
    first = next(line for line in lines if any(part["url"] == "amount" for part in line["extension"]))
    (amount,) = (part for part in first["extension"] if part["url"] == "amount")
    amount["valueMoney"]["value"] += 1_000_000
    one = {**one, "title": "Digital samhandling", "description": "Kort.", "effectivePeriod": {"end": "2030-12-31"}}
    stopped = [use for use in gone["useContext"] if use["code"]["code"] != "livslop"]
    life = {"coding": [{"system": f"{S}/nep-lifecycle", "code": "stanset", "display": "Stanset"}]}
    code = {"system": f"{S}/nep-context-type", "code": "livslop"}
    gone = {**gone, "status": "retired", "useContext": [*stopped, {"code": code, "valueCodeableConcept": life}]}
    new = {key: one[key] for key in ("resourceType", "subjectCodeableConcept", "useContext", "author")}
    new |= {"title": "Et nytt tiltak", "status": "active"}
    deliveries = changed.matches(f"Task?code=leveranse&based-on=PlanDefinition/{one['id']}&_sort=due")
    out = {"coding": [{"system": f"{S}/nep-delivery-status", "code": "omdefinert", "display": "Omdefinert"}]}
    deliveries[0] |= {"status": "cancelled", "businessStatus": out}
    deliveries[1]["code"]["text"] = "Et nytt navn"
    deliveries[2] = {key: item for key, item in deliveries[2].items() if key != "restriction"}
    changed.send("POST", "", bundle(
        *(entry("PUT", f"{each['resourceType']}/{each['id']}", each) for each in (one, gone, *deliveries[:3])),
        entry("POST", "PlanDefinition", new),
    ))  # fmt: skip

    answer = changed.get(f"PlanDefinition/$portfolio-diff?from={start}")
    how = {value(each, "resource")["display"]: value(each, "change") for each in initiatives(answer)}
    assert how == {"Digital samhandling": "changed", "HELIKS": "left", "Et nytt tiltak": "added"}
    found = kinds(answer)
    assert sorted(found) == [
        "added", "date-moved", "date-vanished", "delivery-dropped", "delivery-renamed", "left", "money", "text",
        "title",
    ]  # fmt: skip
    money = {(value(each, "before"), value(each, "after")) for each in found["money"]}
    assert (None, "0") in money  # blank is not 0, so stating 0 is a change
    assert len(money) == 2
    assert "stanset" in value(found["left"][0], "nb").lower()
    assert value(found["delivery-renamed"][0], "after") == "Et nytt navn"
    for each in [one for several in found.values() for one in several]:
        assert value(each, "nb")
        assert value(each, "en")
        assert "{" not in value(each, "nb") + value(each, "en")


@pytest.mark.parametrize(
    ("url", "status", "place"),
    [
        ("PlanDefinition/$portfolio-diff", 422, "from"),
        ("PlanDefinition/$portfolio-diff?from=1999-01", 422, "from"),
        ("PlanDefinition/$portfolio-diff?from=2021-11&to=1999-01", 422, "to"),
        ("PlanDefinition/$portfolio-diff?from=2021-11-30T12:00", 400, "from"),
        ("PlanDefinition/$portfolio-diff?from=2099-01-01T00:00:00Z", 400, "from"),
        ("PlanDefinition/$portfolio-diff?from=2021-11&to=1999-01-01T00:00:00Z", 400, "from"),
        ("PlanDefinition/nothing/$portfolio-diff?from=2021-11", 404, None),
        ("PlanDefinition/$portfolio?asOf=2021", 400, "_asOf"),
        ("PlanDefinition/$portfolio?asOf=2021-01-01T00:00:00Z&_asOf=2022-01-01T00:00:00Z", 400, "asOf"),
        ("PlanDefinition/$portfolio?populasjon=x", 400, "populasjon"),
        ("PlanDefinition/$portfolio-diff?from=2021-11&_asOf=2021-01-01T00:00:00Z", 400, "_asOf"),
    ],
)
def test_what_is_not_understood_is_refused(portfolio: Registry, url: str, status: int, place: str | None) -> None:
    answer = portfolio.answer("GET", url)
    assert answer.status_code == status, answer.text
    (issue,) = answer.json()["issue"]
    assert place is None or issue["expression"] == [place]


def test_the_number_of_an_initiative_is_said(between: Resource) -> None:
    assert value(between, "nb").startswith("**NEP-0012 EPJ-løftet**")
