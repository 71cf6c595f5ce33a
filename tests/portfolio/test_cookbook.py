"""The searches that the secretariat and the actors need, each against a plain loop over the report's rows.

Domain model section 7, searches 1 to 15. Where the report gives a search nothing to find, the test adds it.
"""

from __future__ import annotations

from typing import Any

import pytest

import mappings
from tests.http.build import bundle, entry
from tests.portfolio.registry import Registry
from tests.portfolio.sheets import (
    DELIVERIES,
    DEPENDENCIES,
    ENH,
    INITIATIVES,
    NUMBER,
    OWNER,
    PREREQUISITES,
    ROUND,
    C,
    S,
    delivery,
    dependency,
    identifier,
    names,
    spellings,
)

Resource = dict[str, Any]
NHN, VEST = "994598759", "983658725"


def found(resources: list[Resource], sid: str) -> set[str]:
    values = [identifier(resource, sid) for resource in resources]
    assert len(values) == len(set(values))
    return set(values)


def numbers(resources: list[Resource]) -> set[str]:
    return found([one for one in resources if one["resourceType"] == "PlanDefinition"], "tiltaksnummer")


def plan_id(portfolio: Registry, number: str) -> str:
    (plan,) = portfolio.matches(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|{number}")
    return plan["id"]


def organization(slug: str) -> dict[str, str]:
    return {"reference": f"Organization?identifier={C}/sid/aktor|{slug}"}


def initiative(number: str) -> dict[str, str]:
    return {"reference": f"PlanDefinition?identifier={C}/sid/tiltaksnummer|{number}"}


def task(kind: str, number: str | None, intent: str = "plan", **more: Any) -> Resource:
    """A Task of the portfolio, on the initiative with that number."""
    based = {"basedOn": [initiative(number)]} if number else {}
    dated = {"authoredOn": "2024-02-01T09:00:00+01:00", "lastModified": "2024-02-01T09:00:00+01:00"}
    code = {"coding": [{"system": f"{S}/nep-task-type", "code": kind}], "text": f"{kind} {number}"}
    return {"resourceType": "Task", "status": "ready", "intent": intent, "code": code, **based, **dated, **more}


def add(registry: Registry, *tasks: Resource) -> None:
    registry.send("POST", "", bundle(*(entry("POST", "Task", one) for one in tasks)))


# 1


def test_who_has_not_reported(changed: Registry) -> None:
    search = f"Task?code={S}/nep-task-type|statusrapport&group-identifier={C}/sid/runde|%s&status=requested,in-progress"
    assert changed.matches(search % ROUND) == []
    asked = [NUMBER[name] for name in ("epj-loftet", "heliks", "digi-ung")]
    changed.send("POST", "", mappings.round_bundle("2023-09", asked, canonical=C))
    (sent,) = changed.matches(f"Task?identifier={C}/sid/statusrapport|2023-09:{asked[1]}")
    out = [{"type": {"coding": [{"system": f"{S}/nep-task-io", "code": code}]},
            "valueCodeableConcept": {"coding": [{"system": f"{S}/nep-traffic-light", "code": "gul"}]}}
           for code in ("status", "risiko")]  # fmt: skip
    done = {**sent, "status": "completed", "output": out}
    del done["businessStatus"]
    changed.send("PUT", f"Task/{sent['id']}", done)

    silent = search % "2023-09"
    assert found(changed.matches(silent), "statusrapport") == {f"2023-09:{asked[0]}", f"2023-09:{asked[2]}"}
    included = changed.included(f"{silent}&_include=Task:owner&_include=Task:based-on")
    assert numbers(included) == {asked[0], asked[2]}
    owners = {one["name"] for one in included if one["resourceType"] == "Organization"}
    assert owners == {OWNER["epj-loftet"], OWNER["digi-ung"]}


# 2


@pytest.mark.parametrize(("codes", "words"), [("rod,gul", {"Rød", "Gul"}), ("rod", {"Rød"}), ("gronn", {"Grønn"})])
def test_red_or_yellow_with_their_initiatives(portfolio: Registry, codes: str, words: set[str]) -> None:
    colours = ",".join(f"{S}/nep-traffic-light|{code}" for code in codes.split(","))
    search = f"Task?code=statusrapport&group-identifier={C}/sid/runde|{ROUND}&status-color={colours}"
    expected = {NUMBER[row["initiative_id"]] for row in INITIATIVES if row["status"] in words}
    assert found(portfolio.matches(search), "statusrapport") == {f"{ROUND}:{number}" for number in expected}
    assert numbers(portfolio.included(f"{search}&_include=Task:based-on")) == expected != set()


# 3


@pytest.mark.parametrize("name", ["heliks", "mf-helse", "api-management"])
def test_one_initiative_with_everything(portfolio: Registry, name: str) -> None:
    number = NUMBER[name]
    search = f"PlanDefinition?identifier={C}/sid/tiltaksnummer|{number}"
    search += "&_revinclude=Task:based-on&_include=PlanDefinition:owner"
    assert numbers(portfolio.matches(search)) == {number}
    included = portfolio.included(search)
    tasks = [one for one in included if one["resourceType"] == "Task"]
    by_code = {
        kind: [one for one in tasks if one["code"]["coding"][0]["code"] == kind]
        for kind in ("leveranse", "avhengighet", "nytteforutsetning", "statusrapport")
    }
    assert found(by_code["leveranse"], "import") == {
        delivery(row) for row in DELIVERIES if row["initiative_id"] == name
    }
    assert found(by_code["avhengighet"], "import") == {
        dependency(row) for row in DEPENDENCIES if row["initiative_id"] == name
    }
    assert len(by_code["nytteforutsetning"]) == sum(row["initiative_id"] == name for row in PREREQUISITES)
    assert found(by_code["statusrapport"], "statusrapport") == {f"{ROUND}:{number}"}
    assert sum(map(len, by_code.values())) == len(tasks)
    (owner,) = (one for one in included if one["resourceType"] == "Organization")
    assert OWNER[name] in {owner["name"], *owner.get("alias", [])}


# 4


def test_active_initiatives_of_a_segment_in_a_phase(portfolio: Registry) -> None:
    search = f"PlanDefinition?status=active&context={S}/nep-segment|samstyre&context={S}/nep-phase|gjennomfore"
    wanted = ("Samstyre", "Gjennomføre")
    expected = {NUMBER[row["initiative_id"]] for row in INITIATIVES if (row["segment"], row["phase"]) == wanted}
    assert numbers(portfolio.matches(search)) == expected != set()


# 5


@pytest.mark.parametrize(
    ("solution", "printed"), [("helseid", "HelseID"), ("kjernejournal", "Kjernejournal"), ("e-resept", "E-resept")]
)
def test_by_national_solution(portfolio: Registry, solution: str, printed: str) -> None:
    expected = {
        NUMBER[row["initiative_id"]]
        for row in INITIATIVES
        if printed in [part.strip() for part in row["national_solutions"].split(";")]
    }
    search = f"PlanDefinition?topic={S}/nep-national-solution|{solution}"
    assert numbers(portfolio.matches(search)) == expected != set()


def test_by_focus_area(portfolio: Registry) -> None:
    for area in {row["focus_area_code"] for row in INITIATIVES} - {""}:
        expected = {NUMBER[row["initiative_id"]] for row in INITIATIVES if row["focus_area_code"] == area}
        assert numbers(portfolio.matches(f"PlanDefinition?topic={S}/nep-focus-area-2017|{area}")) == expected


# 6


def test_a_regions_initiatives(portfolio: Registry) -> None:
    expected = {NUMBER[row["initiative_id"]] for row in INITIATIVES if row["actor"] == "Helse Vest"}
    assert len(expected) == 3
    for search in (f"owner:Organization.identifier={ENH}|{VEST}", "publisher=Helse Vest", "owner.name=Helse Vest"):
        assert numbers(portfolio.matches(f"PlanDefinition?{search}")) == expected


# 7


@pytest.mark.parametrize("day", ["2021-11-15", "2021-11-30", "2021-12-31", "2022-12-31"])
def test_late_deliveries(portfolio: Registry, day: str) -> None:
    late = [row for row in DELIVERIES if row["delivered"] in ("", "Nei") and "" < row["due_date"] < day]
    answer = portfolio.matches(f"Task?code=leveranse&status=ready,in-progress,on-hold&due=lt{day}&_sort=due")
    assert found(answer, "import") == {delivery(row) for row in late} != set()
    dates = [one["restriction"]["period"]["end"] for one in answer]
    assert dates == sorted(row["due_date"] for row in late)


# 8


def test_what_others_expect_of_us(portfolio: Registry) -> None:
    cells = spellings("sid/aktor", "norsk-helsenett") | names("norsk-helsenett")
    waiting = [row for row in DEPENDENCIES if row["status"] != "Oppfylt"]
    expected = {dependency(row) for row in waiting if " ".join(row["actor"].split()) in cells}
    search = f"Task?code=avhengighet&counterpart:Organization.identifier={ENH}|{NHN}&status=requested,received"
    assert found(portfolio.matches(search), "import") == expected
    assert len(expected) > 5


# 9


def test_a_plan_is_claimed_but_not_accepted(portfolio: Registry) -> None:
    expected = {dependency(row) for row in DEPENDENCIES if row["mutual_plan"] == "Ja" and row["status"] != "Oppfylt"}
    search = "Task?code=avhengighet&plan-agreed=true&status=requested"
    assert found(portfolio.matches(search), "import") == expected != set()


# 10


def test_critical_dependencies_of_a_category(changed: Registry) -> None:
    def search(category: str, status: str) -> str:
        return (
            f"Task?code={S}/nep-dependency-category|{category}&criticality={S}/nep-criticality|hoy"
            f"&business-status={S}/nep-dependency-status|{status}"
        )

    def expected(category: str, status: str) -> set[str]:
        wanted = (category, "Høy", status)
        return {
            dependency(row) for row in DEPENDENCIES if (row["category"], row["criticality"], row["status"]) == wanted
        }

    assert found(changed.matches(search("nasjonale-losninger", "gul")), "import") == expected(
        "Nasjonale løsninger", "Gul"
    )
    yellow = expected("Grunnmurskomponenter", "Gul")
    assert found(changed.matches(search("grunnmur", "gul")), "import") == yellow != set()
    red = expected("Grunnmurskomponenter", "Rød")
    assert found(changed.matches(search("grunnmur", "rod")), "import") == red
    turned = changed.matches(search("grunnmur", "gul"))[0]
    coding = {"system": f"{S}/nep-dependency-status", "code": "rod", "display": "Rød"}
    changed.send("PUT", f"Task/{turned['id']}", {**turned, "businessStatus": {"coding": [coding]}})
    assert found(changed.matches(search("grunnmur", "rod")), "import") == red | {identifier(turned, "import")}


# 11


@pytest.mark.parametrize("name", ["helseplattformen", "safest", "digital-samhandling", "heliks"])
def test_initiatives_that_depend_on_mine(portfolio: Registry, name: str) -> None:
    cells = spellings("sid/tiltaksnummer", NUMBER[name])
    rows = [row for row in DEPENDENCIES if " ".join(row["actor"].split()) in cells]
    search = f"Task?code=avhengighet&focus=PlanDefinition/{plan_id(portfolio, NUMBER[name])}"
    assert found(portfolio.matches(search), "import") == {dependency(row) for row in rows}
    depending = numbers(portfolio.included(f"{search}&_include=Task:based-on"))
    assert depending == {NUMBER[row["initiative_id"]] for row in rows}
    assert bool(rows) == (name != "heliks")


# 12


def test_ranking(changed: Registry) -> None:
    scores = {"heliks": 9.75, "safest": 16.08, "mf-helse": 12.25, "fresk": None}
    score = {"coding": [{"system": f"{S}/nep-assessment-criterion", "code": "score"}]}
    for name, value in scores.items():
        add(
            changed,
            task(
                "vurdering",
                NUMBER[name],
                "order",
                identifier=[{"system": f"{C}/sid/vurdering", "value": f"2024:{NUMBER[name]}"}],
                groupIdentifier={"system": f"{C}/sid/prioritering", "value": "2024"},
                requester=organization("portefoljekontoret"),
                owner=organization("helsedirektoratet"),
                **({"output": [{"type": score, "valueDecimal": value}]} if value else {}),
            ),
        )
    ranked = changed.matches(f"Task?code=vurdering&group-identifier={C}/sid/prioritering|2024&_sort=-score", 2)
    order = [identifier(one, "vurdering").rpartition(":")[2] for one in ranked]
    assert order == [NUMBER[name] for name in ("safest", "mf-helse", "heliks", "fresk")]


# 13


def test_an_actors_roadmap_that_touches_a_year(changed: Registry) -> None:
    periods = {
        "within": {"start": "2024-02", "end": "2024-05"},
        "over": {"start": "2023", "end": "2025"},
        "from before": {"start": "2022", "end": "2024-01-01"},
        "open": {"start": "2023-06"},
        "past": {"start": "2022", "end": "2023"},
        "to come": {"start": "2025-01-01", "end": "2026"},
    }
    add(
        changed,
        *(
            task(
                "veikartaktivitet",
                None,
                identifier=[{"system": f"{C}/sid/import", "value": f"veikart:{name}"}],
                groupIdentifier={"system": f"{C}/sid/veikart", "value": "2024"},
                description=name,
                owner=organization("helse-nord"),
                restriction={"period": period},
            )
            for name, period in periods.items()
        ),
    )
    search = "Task?code=veikartaktivitet&owner:Organization.name=Helse Nord&"
    touching = changed.matches(f"{search}planned=gt2023&planned=lt2025")
    assert {one["description"] for one in touching} == {"within", "over", "from before", "open"}
    assert {one["description"] for one in changed.matches(f"{search}planned=2024")} == {"within"}
    assert changed.matches(search.replace("Nord", "Vest") + "planned=gt2023") == []


# 14


def test_changes_since_my_last_poll(changed: Registry) -> None:
    search = "Task?code=leveranse,avhengighet&_lastUpdated=gt"
    everything = {delivery(row) for row in DELIVERIES} | {dependency(row) for row in DEPENDENCIES}
    assert found(changed.matches(f"{search}2021-11-12T00:00:00Z"), "import") == everything
    polled = changed.get("Task?_summary=count")["meta"]["lastUpdated"]
    assert changed.matches(f"{search}{polled}") == []
    (one,) = changed.matches(f"Task?identifier={C}/sid/import|{delivery(DELIVERIES[7])}")
    changed.send("PUT", f"Task/{one['id']}", {**one, "description": "Oppdatert."})
    (report,) = changed.matches(f"Task?identifier={C}/sid/statusrapport|{ROUND}:NEP-0001")
    changed.send("PUT", f"Task/{report['id']}", {**report, "note": [{"text": "Sett."}]})
    assert found(changed.matches(f"{search}{polled}"), "import") == {delivery(DELIVERIES[7])}


# 15


def test_what_the_council_decided_on_an_initiative(changed: Registry) -> None:
    def of(type: str, **value: Any) -> Resource:
        return {"type": {"coding": [{"system": f"{S}/nep-task-io", "code": type}]}, **value}

    support = {"coding": [{"system": f"{S}/nep-decision", "code": "stotte"}]}
    debate = {"coding": [{"system": f"{S}/nep-case-type", "code": "drofting"}]}
    for number, (name, status) in enumerate([("fresk", "completed"), ("fresk", "ready"), ("heliks", "completed")]):
        decided = [
            of("vedtakstype", valueCodeableConcept=support),
            of("vedtak", valueMarkdown="Rådet støtter planen."),
        ]
        add(
            changed,
            task(
                "radssak",
                NUMBER[name],
                "order",
                status=status,
                identifier=[{"system": f"{C}/sid/radssak", "value": f"e-helserad:{number}/23"}],
                groupIdentifier={"system": f"{C}/sid/radsmote", "value": "e-helserad:3/23"},
                owner=organization("nasjonalt-e-helserad"),
                input=[of("innretning", valueCodeableConcept=debate)],
                **({"output": decided} if status == "completed" else {}),
            ),
        )
    search = f"Task?code=radssak&based-on=PlanDefinition/{plan_id(changed, NUMBER['fresk'])}&status=completed"
    assert found(changed.matches(search), "radssak") == {"e-helserad:0/23"}
