"""Who waits for whom, which plans contradict each other, and what a slip breaks: small webs, and November 2021."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from server.portfolio.codes import Codes
from server.portfolio.dependencies import Web
from server.portfolio.difference import Words
from tests.portfolio.registry import Registry
from tests.portfolio.sheets import DEPENDENCIES, S
from tests.portfolio.test_difference import plan, value, values

Resource = dict[str, Any]
WORDS = Words(Codes("http://registry.example/fhir", {}))


def coded(code: str) -> Resource:
    return {"coding": [{"code": code}], "text": ""}


def initiative(id: str, lifecycle: str = "aktiv") -> Resource:
    life = {"code": {"code": "livslop"}, "valueCodeableConcept": coded(lifecycle)}
    return {"resourceType": "PlanDefinition", "id": id, "title": f"Tiltak {id}", "useContext": [life]}


def task(kind: str, id: str, on: str, due: str | None, status: str, **more: Any) -> Resource:
    period = {"restriction": {"period": {"end": due}}} if due else {}
    based = [{"reference": f"PlanDefinition/{on}"}]
    return {"resourceType": "Task", "id": id, "status": status, "code": {**coded(kind), "text": id},
            "basedOn": based, **period, **more}  # fmt: skip


def delivery(id: str, on: str, due: str | None, status: str = "in-progress") -> Resource:
    return task("leveranse", id, on, due, status)


def need(id: str, on: str, due: str | None, focus: str = "", status: str = "requested", **more: Any) -> Resource:
    pointed = {"focus": {"reference": focus}} if focus else {}
    return task("avhengighet", id, on, due, status, requester={"reference": f"Organization/{on}"},
                owner={"reference": "Organization/other", "display": "Den andre"}, **pointed, **more)  # fmt: skip


def web(*resources: Resource) -> Web:
    by_type: dict[str, dict[str, Resource]] = {"PlanDefinition": {}, "Task": {}}
    for one in resources:
        by_type[one["resourceType"]][f"{one['resourceType']}/{one['id']}"] = one
    return Web(by_type["PlanDefinition"], by_type["Task"], WORDS)


A, B = initiative("A"), initiative("B")


def kinds(*resources: Resource) -> list[tuple[str, int | None, bool]]:
    """The conflicts of A but that nobody answered, which is there all along."""
    found = web(A, *resources).conflicts(["PlanDefinition/A"])
    return [(one.kind, one.days, one.certain) for one in found if one.kind != "unaccepted"]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([B, need("n", "A", "2022-03-01", "Task/d"), delivery("d", "B", "2022-03-01")], []),
        ([B, need("n", "A", "2022-03-01", "Task/d"), delivery("d", "B", "2022-03-31")], [("early", 30, True)]),
        ([B, need("n", "A", "2022-03-01", "Task/d"), delivery("d", "B", "2022-03-31", "completed")], []),
        ([B, need("n", "A", "2022-03-01", "Task/d"), delivery("d", "B", None)], []),
        ([B, need("n", "A", "2022-03-01", "Task/d"), delivery("d", "B", None, "cancelled")],
         [("cancelled", None, True)]),
        ([B, need("n", "A", "2022-03-01", "Task/d", "completed"), delivery("d", "B", "2022-03-31")], []),
        # On an initiative as a whole it is only possible, and only when nothing of it comes in time.
        ([B, need("n", "A", "2022-03-01", "PlanDefinition/B"), delivery("d", "B", "2022-03-31")],
         [("early", 30, False)]),
        ([B, need("n", "A", "2022-03-01", "PlanDefinition/B"), delivery("d", "B", "2022-03-31"),
          delivery("e", "B", "2022-02-01")], []),
        ([initiative("B", "stanset"), need("n", "A", None, "PlanDefinition/B")], [("cancelled", None, True)]),
        ([initiative("B", "avsluttet"), need("n", "A", None, "PlanDefinition/B")], []),
        ([need("n", "A", None, status="rejected")], [("rejected", None, True)]),
        ([need("n", "A", None, status="cancelled")], []),
        ([B, need("n", "A", None, "PlanDefinition/B"), need("m", "B", None, "PlanDefinition/A")],
         [("cycle", None, True)]),
        ([B, need("n", "A", None, "PlanDefinition/B"), need("m", "B", None, "PlanDefinition/A", "completed")], []),
        ([need("n", "A", None, "PlanDefinition/A")], [("cycle", None, True)]),
        ([B, need("n", "A", None, "Task/d"), delivery("d", "B", None), need("m", "B", None, "Task/e"),
          delivery("e", "A", None)], [("cycle", None, True)]),
    ],
)  # fmt: skip
def test_each_kind_of_conflict(resources: list[Resource], expected: list[tuple[str, int | None, bool]]) -> None:
    assert kinds(*resources) == expected


def test_a_circle_names_its_initiatives_in_order_once() -> None:
    ring = [initiative(name) for name in "ABC"]
    needs = [need(f"{one}{other}", one, None, f"PlanDefinition/{other}") for one, other in ("AB", "BC", "CA")]
    for start in "ABC":
        found = [one for one in web(*ring, *needs).conflicts([f"PlanDefinition/{start}"]) if one.kind == "cycle"]
        assert [one.said["nb"] for one in found] == [
            "Tiltakene venter på hverandre i ring: Tiltak A → Tiltak B → Tiltak C → Tiltak A"
        ]
        assert len(found[0].tasks) == 3


@pytest.mark.parametrize(
    ("status", "found"),
    [("requested", True), ("received", True), ("accepted", False), ("in-progress", False), ("completed", False)],
)
def test_nobody_accepted(status: str, found: bool) -> None:
    conflicts = web(A, need("n", "A", None, status=status)).conflicts(["PlanDefinition/A"])
    assert [one.kind for one in conflicts] == (["unaccepted"] if found else [])


def test_what_the_other_said_that_it_delivers_by_counts_as_named() -> None:
    output = [{"type": coded("levert-av"), "valueReference": {"reference": "Task/d"}}]
    named = need("n", "A", "2022-03-01", status="accepted", output=output)
    found = web(A, B, named, delivery("d", "B", "2022-03-02")).conflicts(["PlanDefinition/A"])
    assert [(one.kind, one.days) for one in found] == [("early", 1)]


# What breaks


def broken(web: Web, reference: str, days: int) -> dict[str, tuple[int, bool]]:
    return {one.task["id"]: ((one.comes - one.was).days, one.certain) for one in web.impact(reference, days)}


CHAIN = web(
    A, B, initiative("C"),
    delivery("d", "A", "2022-01-01"),
    need("b-needs-d", "B", "2022-01-11", "Task/d"),
    delivery("b-soon", "B", "2022-01-20"),
    delivery("b-late", "B", "2022-06-01"),
    delivery("b-before", "B", "2022-01-05"),
    need("c-needs-b-soon", "C", "2022-01-25", "Task/b-soon"),
    need("c-needs-a", "C", "2022-01-15", "PlanDefinition/A"),
    need("done", "C", "2022-01-02", "Task/d", "completed"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (10, {}),
        (11, {"b-needs-d": (1, True)}),
        (19, {"b-needs-d": (9, True), "c-needs-a": (5, False)}),
        (30, {"b-needs-d": (20, True), "c-needs-a": (16, False), "b-soon": (11, False), "c-needs-b-soon": (6, False)}),
    ],
)
def test_a_slip_runs_on_as_far_as_there_is_no_room(days: int, expected: dict[str, tuple[int, bool]]) -> None:
    assert broken(CHAIN, "Task/d", days) == expected


def test_a_dependency_that_slips_hits_the_deliveries_that_were_due_meanwhile() -> None:
    assert broken(CHAIN, "Task/b-needs-d", 20) == {"b-soon": (11, False), "c-needs-b-soon": (6, False)}


def test_a_circle_of_slips_comes_to_an_end() -> None:
    round = web(A, B, delivery("a", "A", "2022-01-01"), need("b-a", "B", "2022-01-01", "Task/a"),
                delivery("b", "B", "2022-01-01"), need("a-b", "A", "2022-01-01", "Task/b"))  # fmt: skip
    assert broken(round, "Task/a", 5) == {"b-a": (5, True), "b": (5, False), "a-b": (5, False)}


def test_each_effect_says_for_whom_and_since_when() -> None:
    (first, *_) = CHAIN.impact("Task/d", 30)
    assert (first.initiative, first.was, first.comes) == ("PlanDefinition/B", date(2022, 1, 11), date(2022, 1, 31))
    assert first.said["nb"] == (
        "Tiltak B trenger «b-needs-d» innen 11. januar 2022 og får det tidligst 31. januar 2022, 20 dager for sent"
    )


# November 2021


@pytest.fixture(scope="module")
def answer(portfolio: Registry) -> Resource:
    return portfolio.get("PlanDefinition/$dependencies?round=2021-11")


def test_every_cell_has_the_searches_that_list_its_dependencies(portfolio: Registry, answer: Resource) -> None:
    cells = [{"part": parts} for parts in values(answer, "cell")]
    followed = 0
    for cell in cells:
        for name in ("all", "unmet", "critical"):
            number = {"part": value(cell, name)}
            assert portfolio.total(value(number, "url")) == value(number, "count")
            followed += 1
    assert followed > 100
    unnamed = sum(value({"part": value(cell, "all")}, "count") for cell in cells if value(cell, "counterpart") is None)
    assert unnamed == portfolio.total("Task?code=avhengighet&counterpart:missing=true")


def test_safest_and_helseplattformen_wait_for_each_other(answer: Resource) -> None:
    rings = [one for one in values(answer, "conflict") if one[0]["valueCode"] == "cycle"]
    titles = [[part["valueReference"]["display"] for part in one if part["name"] == "initiative"] for one in rings]
    assert sorted(titles, key=len) == [
        ["Helseplattformen", "SAFEST"], ["Helseplattformen", "SAFEST", "Program for kodeverk og terminologi"],
    ]  # fmt: skip
    assert [len([part for part in one if part["name"] == "resource"]) for one in rings] == [len(one) for one in titles]


def test_nobody_had_accepted_any_dependency_in_2021(portfolio: Registry, answer: Resource) -> None:
    alone = portfolio.get("PlanDefinition/$dependencies?round=2021-11&kind=unaccepted")
    met = sum(row["status"] == "Oppfylt" for row in DEPENDENCIES)
    assert len(values(alone, "conflict")) == len(DEPENDENCIES) - met == 88
    assert {parts[0]["valueCode"] for parts in values(alone, "conflict")} == {"unaccepted"}
    assert len(values(answer, "conflict")) > 88


def test_a_population_keeps_the_conflicts_that_it_is_in(portfolio: Registry) -> None:
    found = portfolio.get("PlanDefinition/$dependencies?round=2021-11&population=title%3DSAFEST&kind=cycle")
    assert len(values(found, "conflict")) == 2
    none = portfolio.get("PlanDefinition/$dependencies?round=2021-11&population=title%3DHELIKS&kind=cycle")
    assert values(none, "conflict") == []


def test_what_breaks_when_a_delivery_of_helseplattformen_slips(changed: Registry) -> None:
    other, mine = plan(changed, "NEP-0015"), plan(changed, "NEP-0006")
    (slips,) = changed.matches(f"Task?code=leveranse&based-on=PlanDefinition/{other['id']}&due=ge2022&_sort=due")[:1]
    due = slips["restriction"]["period"]["end"]
    (waits,) = changed.matches(
        f"Task?code=avhengighet&based-on=PlanDefinition/{mine['id']}&focus=PlanDefinition/{other['id']}"
    )
    pointed = {**waits, "focus": {"reference": f"Task/{slips['id']}"}, "restriction": {"period": {"end": due}}}
    changed.send("PUT", f"Task/{waits['id']}", pointed)
    found = changed.get(f"Task/{slips['id']}/$impact?days=90")
    slip = {"part": value(found, "slip")}
    assert value(slip, "from") == due
    first = {"part": values(found, "effect")[0]}
    assert value(first, "kind") == "broken"
    assert value(first, "certain") is True
    assert value(first, "days") == 90
    assert value(first, "initiative")["display"] == "SAFEST"
    assert value(first, "for")["display"]
    assert "SAFEST" in value(found, "nb")
    assert "{" not in value(found, "nb") + value(found, "en")


@pytest.mark.parametrize(
    ("url", "status", "place"),
    [
        ("PlanDefinition/$dependencies?kind=quarrel", 400, "kind"),
        ("Task/nothing/$impact?days=5", 404, None),
        ("Task/{open}/$impact", 422, "days"),
        ("Task/{open}/$impact?days=0", 400, "days"),
        ("Task/{open}/$impact?days=-5", 400, "days"),
        ("Task/{open}/$impact?days=4000", 400, "days"),
        ("Task/{done}/$impact?days=5", 422, "Task.restriction.period.end"),
        ("Task/{report}/$impact?days=5", 422, None),
    ],
)
def test_what_is_not_understood_is_refused(portfolio: Registry, url: str, status: int, place: str | None) -> None:
    ids = {
        name: portfolio.matches(f"Task?{search}&_count=1")[0]["id"]
        for name, search in (
            ("open", f"code={S}/nep-task-type|leveranse&status=in-progress&due=gt2022"),
            ("done", "code=leveranse&status=completed"),
            ("report", "code=statusrapport"),
        )
        if f"{{{name}}}" in url
    }
    answer = portfolio.answer("GET", url.format(**ids))
    assert answer.status_code == status, answer.text
    (issue,) = answer.json()["issue"]
    assert place is None or issue["expression"] == [place]
