"""The colour that the facts give: each signal and threshold of the rule, and the disagreements of November 2021."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from server.portfolio.difference import Standing
from server.portfolio.evidence import LEVELS, evidence, rule
from tests.portfolio.registry import Registry
from tests.portfolio.sheets import INITIATIVES, NUMBER, C
from tests.portfolio.test_difference import initiatives, plan, value, values

Resource = dict[str, Any]
DAY = date(2021, 11, 30)


def coded(code: str) -> Resource:
    return {"coding": [{"code": code}]}


def ago(days: int) -> str:
    return (DAY - timedelta(days=days)).isoformat()


def task(kind: str, id: str, *, status: str, due: str | None = None, **more: Any) -> Resource:
    period = {"restriction": {"period": {"end": due}}} if due else {}
    return {"resourceType": "Task", "id": id, "status": status, "code": coded(kind), **period, **more}


def delivery(id: str, days: int, status: str = "in-progress") -> Resource:
    """One that is so many days past its deadline."""
    return task("leveranse", id, status=status, due=ago(days))


def dependency(id: str, days: int, criticality: str = "hoy", status: str = "requested") -> Resource:
    needed = [{"type": coded("kritikalitet"), "valueCodeableConcept": coded(criticality)}]
    return task("avhengighet", id, status=status, due=ago(days), input=needed)


def report(days: int, colour: str = "gronn") -> Resource:
    """One of a round that closed so many days ago."""
    out = [{"type": coded("status"), "valueCodeableConcept": coded(colour)}]
    return task("statusrapport", f"r{days}", status="completed", due=ago(days), output=out)


def initiative(end: int | None = None, phase: str = "gjennomfore") -> Resource:
    uses = [{"code": {"code": "fase"}, "valueCodeableConcept": coded(phase)}]
    period = {"effectivePeriod": {"end": ago(end)}} if end is not None else {}
    return {"resourceType": "PlanDefinition", "id": "1", "title": "Tiltak", "useContext": uses, **period}


def seen(plan: Resource, *tasks: Resource, versions: dict[str, list[Resource]] | None = None) -> tuple[str, list[str]]:
    """The colour, and which signals speak."""
    found = evidence(Standing(plan, tasks), versions or {}, DAY)
    return found.computed, [reason.signal for reason in found.reasons]


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([delivery("1", 0)], ("gronn", [])),  # due that very day
        ([delivery("1", 1)], ("gul", ["overdue"])),
        ([delivery("1", 179)], ("gul", ["overdue"])),
        ([delivery("1", 180)], ("rod", ["overdue"])),
        ([delivery("1", 1), delivery("2", 1)], ("gul", ["overdue"])),
        ([delivery(id, 1) for id in "123"], ("rod", ["overdue"])),
        ([delivery("1", 200, "completed")], ("gronn", [])),
        ([delivery("1", 200, "cancelled")], ("gronn", [])),
        ([dependency("1", 1)], ("gul", ["critical"])),
        ([dependency("1", 180)], ("rod", ["critical"])),
        ([dependency("1", 1), dependency("2", 1)], ("rod", ["critical"])),
        ([dependency("1", 400, "middels")], ("gronn", [])),
        ([dependency("1", 400, status="completed")], ("gronn", [])),
        ([report(239), delivery("1", 0)], ("gronn", [])),
        ([report(240), delivery("1", 0)], ("gul", ["silence"])),
        ([report(420), delivery("1", 0)], ("rod", ["silence"])),
        ([report(420), report(10), delivery("1", 0)], ("gronn", [])),
        ([task("statusrapport", "asked", status="requested", due=ago(240))], ("gul", ["silence"])),
        ([], ("", [])),  # nothing to look at gives no colour
    ],
)
def test_each_threshold(tasks: list[Resource], expected: tuple[str, list[str]]) -> None:
    assert seen(initiative(), *tasks) == expected


@pytest.mark.parametrize(
    ("dues", "expected"),
    [
        ([-400], ("gronn", [])),
        ([-311, -400], ("gronn", [])),  # 89 days once
        ([-310, -400], ("gul", ["moved"])),
        ([-399, -398, -400], ("gul", ["moved"])),  # twice, by little
        ([-399, None, -400], ("gronn", [])),  # a date that was left out for a while is no move of its own
        ([-35, -400], ("rod", ["moved"])),
        ([-399, -398, -397, -398, -400], ("rod", ["moved"])),
    ],
)
def test_moved_deadlines(dues: list[int | None], expected: tuple[str, list[str]]) -> None:
    versions = [task("leveranse", "1", status="ready", due=None if days is None else ago(days)) for days in dues]
    assert seen(initiative(), versions[-1], versions={"Task/1": versions}) == expected


@pytest.mark.parametrize(
    ("end", "phase", "expected"),
    [(0, "gjennomfore", "gronn"), (1, "gjennomfore", "gul"), (180, "planlegge", "rod"), (400, "avslutte", "gronn"),
     (400, "realisere", "gronn"), (None, "gjennomfore", "gronn")],
)  # fmt: skip
def test_an_end_date_that_has_passed(end: int | None, phase: str, expected: str) -> None:
    assert seen(initiative(end, phase), delivery("1", 0))[0] == expected


def test_the_strictest_signal_gives_the_colour_and_all_give_their_reason() -> None:
    found = evidence(Standing(initiative(3), (delivery("1", 5), dependency("2", 200), report(0))), {}, DAY)
    assert [(one.signal, one.level) for one in found.reasons] == [
        ("overdue", "gul"),
        ("critical", "rod"),
        ("end", "gul"),
    ]
    assert (found.stated, found.computed, found.gap) == ("gronn", "rod", 2)
    assert all("{" not in text for one in found.reasons for text in one.said.values())


def test_the_rule_has_a_version_and_says_every_signal_in_both_languages() -> None:
    assert rule()["version"].count(".") == 2
    for signal in rule()["signals"]:
        assert set(signal["levels"]) <= set(LEVELS)
        assert set(signal["explanation"]) == set(signal["reason"]) == {"nb", "en"}


# November 2021


def test_the_disagreements_of_november_2021(portfolio: Registry) -> None:
    answer = portfolio.get("PlanDefinition/$evidence?round=2021-11&disagreements=true")
    assert value(answer, "day") == "2021-11-30"
    found = {value(one, "resource")["display"]: one for one in initiatives(answer)}
    gaps = {name: value(one, "gap") for name, one in found.items()}
    assert next(iter(gaps.items())) == ("Enklere digitale tjenester", 2)  # stated green, the facts are red
    assert list(gaps.values()) == sorted(gaps.values(), reverse=True)
    assert min(gaps.values()) == 1
    worst = found["Enklere digitale tjenester"]
    assert (value(worst, "stated"), value(worst, "evidence")) == ("gronn", "rod")
    reasons = {one[0]["valueCode"]: next(part["valueString"] for part in one if part["name"] == "nb")
               for one in values(worst, "reason")}  # fmt: skip
    assert reasons == {
        "critical": "Kritiske avhengigheter over fristen: 1, lengst 364 dager",
        "end": "Dager siden sluttdatoen: 153",
    }


def test_every_initiative_has_its_stated_colour_beside_the_evidence(portfolio: Registry) -> None:
    answer = portfolio.get("PlanDefinition/$evidence?round=2021-11")
    found = {value(one, "resource")["display"]: value(one, "stated") for one in initiatives(answer)}
    words = {"Grønn": "gronn", "Gul": "gul", "Rød": "rod"}
    titles = {one["title"]: one for one in portfolio.matches("PlanDefinition", 50)}
    number = {title: one["identifier"][0]["value"] for title, one in titles.items()}
    expected = {NUMBER[row["initiative_id"]]: words[row["status"]] for row in INITIATIVES}
    assert {number[title]: colour for title, colour in found.items()} == expected


def test_what_a_reason_points_to_is_what_its_search_finds(portfolio: Registry) -> None:
    one = plan(portfolio, NUMBER["api-management"])
    (alone,) = initiatives(portfolio.get(f"PlanDefinition/{one['id']}/$evidence?round=2021-11"))
    (reason,) = [parts for parts in values(alone, "reason") if parts[0]["valueCode"] == "overdue"]
    pointed = {part["valueReference"]["reference"] for part in reason if part["name"] == "resource"}
    late = f"Task?code=leveranse&based-on=PlanDefinition/{one['id']}&status=ready,in-progress,on-hold&due=eb2021-11-30"
    assert pointed == {f"Task/{task['id']}" for task in portfolio.matches(late)}
    assert len(pointed) == 4


def test_moves_of_two_rounds_speak_in_2023(autumn: Registry) -> None:
    one = plan(autumn, "NEP-0012")
    (alone,) = initiatives(autumn.get(f"PlanDefinition/{one['id']}/$evidence?round=2023-09"))
    signals = {parts[0]["valueCode"]: parts for parts in values(alone, "reason")}
    assert value({"part": signals["moved"]}, "nb") == (
        "Leveranser med flyttet frist: 1, lengst 640 dager, oftest 1 ganger"
    )
    assert value(alone, "evidence") == "rod"


@pytest.mark.parametrize(
    ("url", "status", "place"),
    [
        ("PlanDefinition/nothing/$evidence", 404, None),
        ("PlanDefinition/$evidence?disagreements=perhaps", 400, "disagreements"),
        (f"PlanDefinition/$evidence?round={C}/sid/runde|1999-01", 422, "round"),
        ("Task/$evidence", 404, None),
    ],
)
def test_what_is_not_understood_is_refused(portfolio: Registry, url: str, status: int, place: str | None) -> None:
    answer = portfolio.answer("GET", url)
    assert answer.status_code == status, answer.text
    (issue,) = answer.json()["issue"]
    assert place is None or issue["expression"] == [place]
