"""$evaluate-measure over November 2021: the counted figures, and behind every number the search that lists it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote

import httpx
import pytest

from server.definitions.conformance import Conformance
from tests.http.build import FHIR
from tests.portfolio.registry import Registry
from tests.portfolio.sheets import COSTS, DELIVERIES, DEPENDENCIES, INITIATIVES, OPERATIONS, OWNER, PROJECT, C, S

Resource = dict[str, Any]
NAMES = ("status", "reporting", "deliveries", "dependencies", "finance")
COUNTED_BY = f"{C}/StructureDefinition/nep-counted-by"
LINE = f"{C}/StructureDefinition/nep-finance-line"


def evaluated(portfolio: Registry, name: str, more: str = "") -> Resource:
    return portfolio.get(f"Measure/nep-m-{name}/$evaluate-measure?round=2021-11{more}")


def counts(group: Resource) -> dict[str, int]:
    return {one["code"]["coding"][0]["code"]: one["count"] for one in group["population"]}


def link(element: Resource) -> str:
    (url,) = (one["valueUrl"] for one in element["extension"] if one["url"] == COUNTED_BY)
    assert not url.startswith("http")
    return url


def parts(report: Resource) -> Iterator[tuple[Resource, Resource]]:
    """(group, group or stratum) of all that holds numbers."""
    for group in report["group"]:
        yield group, group
        for stratifier in group.get("stratifier", ()):
            for stratum in stratifier.get("stratum", ()):
                yield group, stratum


def strata(report: Resource, group: int, code: str) -> dict[str, Resource]:
    """The strata of a stratifier by the word of their value, those of two components ("År, Kilde") by both."""
    words = code.split(", ")
    (found,) = (
        one
        for one in report["group"][group]["stratifier"]
        if [said["text"].partition(" / ")[0] for said in _codes(one)] == words
    )
    return {
        " ".join(one["value"]["text"] for one in stratum.get("component", [stratum])): stratum
        for stratum in found.get("stratum", ())
    }


def _codes(stratifier: Resource) -> list[Resource]:
    return stratifier.get("code") or [one["code"] for one in stratifier["stratum"][0]["component"]]


def lines(portfolio: Registry, url: str) -> list[Decimal]:
    """The amounts of the finance lines that meet the composite of a search, in the initiatives that it finds."""
    (composite,) = (text for name, text in parse_qsl(url.partition("?")[2]) if name == "finance")
    found = []
    for plan in portfolio.matches(url, 500):
        for line in plan["extension"]:
            facts = {one["url"]: one for one in line.get("extension", ())}
            if line["url"] == LINE and all(map(_meets, composite.split("$"), _facts(facts))):
                found.append(Decimal(facts["amount"]["valueMoney"]["value"]) if "amount" in facts else Decimal("NaN"))
    return found


def _facts(facts: Resource) -> list[str]:
    def coded(name: str) -> str:
        (coding,) = facts.get(name, {"valueCodeableConcept": {"coding": [{}]}})["valueCodeableConcept"]["coding"]
        return f"{coding.get('system')}|{coding.get('code')}"

    funder = facts.get("funder", {"valueReference": {}})["valueReference"].get("reference", "")
    stated = "true" if "amount" in facts else "false"
    return [facts["type"]["valueCode"], facts["year"]["valueDate"], coded("source"), funder, coded("solution"), stated]


def _meets(asked: str, found: str) -> bool:
    return asked in ("", found)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_the_search_that_lists_exactly_what_it_counted(portfolio: Registry, name: str) -> None:
    followed: dict[str, int] = {}
    for _, part in parts(evaluated(portfolio, name)):
        for population in part["population"]:
            url = link(population)
            assert "_asOf=" in url
            if population["code"]["coding"][0]["code"] == "measure-observation":
                assert len(lines(portfolio, url)) == population["count"]
            else:
                followed.setdefault(url, portfolio.total(url))
                assert followed[url] == population["count"], url
        assert link(part) in followed
    assert len(followed) > 8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "search",
    [
        "status=active&context=samstyre",
        "owner.name=Helse Vest",
        "_has:Task:based-on:status-color=rod",
        "title=finnes ikke",
    ],
)
def test_the_links_hold_for_any_population(portfolio: Registry, name: str, search: str) -> None:
    report = evaluated(portfolio, name, f"&population={quote(search, safe='')}")
    for part in [*report["group"], *(stratum for _, stratum in list(parts(report))[1:2])]:
        for population in part["population"]:
            if population["code"]["coding"][0]["code"] != "measure-observation":
                assert portfolio.total(link(population)) == population["count"]


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_a_valid_one_of_its_measure(portfolio: Registry, guide: Conformance, name: str) -> None:
    report = evaluated(portfolio, name)
    assert guide.issues(report, "MeasureReport") == []
    assert report["measure"] == f"{C}/Measure/nep-m-{name}|1.0.0"
    assert report["period"] == {"start": "2021-11-01", "end": "2021-11-30"}


def test_status_is_that_of_the_printed_report(portfolio: Registry) -> None:
    report = evaluated(portfolio, "status")
    assert [counts(group)["initial-population"] for group in report["group"]] == [19, 20, 1, 0]
    for place, colour in enumerate(("Grønn", "Gul", "Rød")):
        for code, column in (("Segment", "segment"), ("Eier", "actor")):
            found = strata(report, place, code)
            expected = Counter(row[column].lower() for row in INITIATIVES if row["status"] == colour)
            assert sorted(one["population"][0]["count"] for one in found.values()) == sorted(expected.values())
    risk = {word: one["population"][0]["count"] for word, one in strata(report, 1, "Risiko").items()}
    yellow = Counter(row["risk"] or "Ikke oppgitt / Not stated" for row in INITIATIVES if row["status"] == "Gul")
    assert risk == yellow


def test_reporting_says_how_many_of_how_many(portfolio: Registry) -> None:
    report = evaluated(portfolio, "reporting")
    (group,) = report["group"]
    assert counts(group) == {"initial-population": 40, "denominator": 40, "numerator": 40}
    assert group["measureScore"]["value"] == 1
    assert "40 av / of 40" in report["text"]["div"]
    owners = {name: counts(one)["numerator"] for name, one in strata(report, 0, "Eier").items()}
    assert sorted(owners.values()) == sorted(Counter(OWNER.values()).values())


def test_deliveries_late_from_the_last_day_of_the_round(portfolio: Registry) -> None:
    report = evaluated(portfolio, "deliveries")
    delivered, late, redefined = report["group"]
    assert counts(delivered) == {"initial-population": 243, "denominator": 243 - 6, "numerator": 80}
    assert delivered["measureScore"]["value"] == pytest.approx(80 / 237, abs=1e-4)
    still = [row for row in DELIVERIES if row["delivered"] in ("Nei", "")]
    over = [row for row in still if row["due_date"] and date.fromisoformat(row["due_date"]) < date(2021, 11, 30)]
    assert counts(late) == {"initial-population": 243, "denominator": 157, "numerator": len(over)}
    assert counts(redefined)["numerator"] == 6
    assert "2021-11-30 (rundens siste dag / the last day of the round)" in report["text"]["div"]


def test_dependencies_by_status_criticality_and_answer(portfolio: Registry) -> None:
    report = evaluated(portfolio, "dependencies")
    found = [counts(group)["initial-population"] for group in report["group"]]
    assert found == [8, 34, 4, 3, 42]
    assert "49 av 91" in report["text"]["div"]
    critical: Counter[str] = Counter()
    for place in range(5):
        for word, one in strata(report, place, "Kritikalitet").items():
            critical[word] += one["population"][0]["count"]
    assert critical == {"Høy": 66, "Middels": 18, "Lav": 7}
    assert {word for place in range(5) for word in strata(report, place, "Svar")} == {"requested", "completed"}
    claimed = sum(one["population"][0]["count"] for place in range(5)
                  for word, one in strata(report, place, "Avklart plan").items() if word == "true")  # fmt: skip
    assert claimed == sum(row["mutual_plan"] == "Ja" for row in DEPENDENCIES) == 27


def million(text: str) -> Decimal:
    return Decimal(text) * 1_000_000


def test_money_per_year_and_source_is_the_sum_of_the_printed_rows(portfolio: Registry) -> None:
    report = evaluated(portfolio, "finance")
    costs, operations = report["group"]
    assert Decimal(str(costs["measureScore"]["value"])) == million("3298.9")
    assert Decimal(str(operations["measureScore"]["value"])) == million("213.6")
    assert list(counts(costs).values()) == [40, 10, 1, 85]
    years: dict[str, Decimal] = defaultdict(Decimal)
    cells: dict[str, Decimal] = defaultdict(Decimal)
    for row in COSTS:
        if row["amount_mnok"]:
            years[row["year"]] += million(row["amount_mnok"])
            if row["funder"].startswith("Øremerkede"):
                cells[f"{row['year']} {row['funder']}"] += million(row["amount_mnok"])
    found = {word: Decimal(str(one["measureScore"]["value"])) for word, one in strata(report, 0, "År").items()}
    assert found == years
    matrix = strata(report, 0, "År, Kilde")
    found = {word: Decimal(str(one["measureScore"]["value"])) for word, one in matrix.items() if "measureScore" in one}
    assert {word: amount for word, amount in found.items() if "Øremerk" in word} == cells
    driven = {row["year"] for row in OPERATIONS}
    assert set(strata(report, 1, "År")) == driven


def test_each_sum_is_that_of_the_lines_that_its_search_names_each_once(portfolio: Registry) -> None:
    for _, part in parts(evaluated(portfolio, "finance")):
        amounts = lines(portfolio, link(part))
        assert not any(amount.is_nan() for amount in amounts)
        assert sum(amounts) == Decimal(str(part["measureScore"]["value"])) if amounts else "measureScore" not in part


def test_a_blank_amount_is_no_zero(changed: Registry) -> None:
    """Digital samhandling states no amount for 2023 and 2024: where it stands alone there is no sum, not 0."""
    found = strata(evaluated(changed, "finance", "&population=title%3DProgram%20digital"), 0, "År")
    assert counts(found["2023"]) == {
        "measure-population": 0, "measure-population-exclusion": 1, "measure-observation": 0,
    }  # fmt: skip
    assert "measureScore" not in found["2023"]
    assert found["2025"]["measureScore"]["value"] == 0
    assert changed.total(link(found["2023"])) == 0


def test_as_of_an_instant_the_figures_are_those_of_then(changed: Registry) -> None:
    before = evaluated(changed, "deliveries")
    (task,) = changed.matches("Task?code=leveranse&business-status=ikke-levert&_count=1&_sort=due")[:1]
    done = {"coding": [{"system": f"{S}/nep-delivery-status", "code": "levert"}]}
    changed.send("PUT", f"Task/{task['id']}", {**task, "status": "completed", "businessStatus": done})
    now = changed.get("Measure/nep-m-deliveries/$evaluate-measure")
    assert counts(now["group"][0])["numerator"] == 81
    assert changed.total(link(now["group"][0])) == 81
    assert evaluated(changed, "deliveries")["group"] == before["group"]  # the round stands for its close
    instant = link(before["group"][0]).rpartition("_asOf=")[2]
    then = changed.get(f"Measure/$evaluate-measure?measure={C}/Measure/nep-m-deliveries&asOf={instant}")
    assert counts(then["group"][0])["numerator"] == 80
    assert "dagen det spørres om" in then["text"]["div"]


def test_the_round_of_the_period_is_taken_and_a_parameters_resource_too(portfolio: Registry) -> None:
    by_period = portfolio.get("Measure/nep-m-status/$evaluate-measure?periodStart=2021-10-01&periodEnd=2021-12-31")
    assert [counts(group)["initial-population"] for group in by_period["group"]] == [19, 20, 1, 0]
    assert by_period["period"] == {"start": "2021-10-01", "end": "2021-12-31"}
    asked = [{"name": "round", "valueIdentifier": {"system": f"{C}/sid/runde", "value": "2021-11"}}]
    posted = portfolio.send(
        "POST", "Measure/nep-m-status/$evaluate-measure", {"resourceType": "Parameters", "parameter": asked}
    )
    assert [counts(group)["initial-population"] for group in posted["group"]] == [19, 20, 1, 0]


@pytest.mark.parametrize(
    ("url", "status", "place"),
    [
        ("Measure/$evaluate-measure?round=2021-11", 422, "measure"),
        (f"Measure/$evaluate-measure?measure={C}/Measure/nothing", 422, "measure"),
        ("Measure/nep-m-nothing/$evaluate-measure", 404, None),
        ("Measure/nep-m-vkp-kommuner/$evaluate-measure", 422, "measure"),
        ("Measure/nep-m-status/$evaluate-measure?round=1999-01", 422, "round"),
        ("Measure/nep-m-status/$evaluate-measure?periodStart=2001-01-01&periodEnd=2001-12-31", 422, "round"),
        ("Measure/nep-m-status/$evaluate-measure?rund=2021-11", 400, "rund"),
        ("Measure/nep-m-status/$evaluate-measure?round=2021-11&population=Task%3Fcode=x", 400, "population"),
        ("Measure/nep-m-status/$evaluate-measure?round=2021-11&population=_count=5", 400, "population"),
        ("Measure/nep-m-status/$evaluate-measure?round=2021-11&population=titel=x", 400, None),
        ("Measure/nep-m-finance/$evaluate-measure?asOf=2099-01-01T00:00:00Z", 400, "_asOf"),
        ("Measure/nep-m-finance/$evaluate-measure?asOf=today", 400, "_asOf"),
        ("Measure/nep-m-finance/$evaluate-measure?periodStart=2022-01-01&periodEnd=2021-01-01", 400, "periodEnd"),
        ("Measure/nep-m-finance/$evaluate-measure?periodStart=2022", 400, "periodStart"),
        ("Measure/nep-m-finance/$evaluate-measure?reportType=subject", 400, "reportType"),
    ],
)
def test_what_is_not_understood_is_refused(portfolio: Registry, url: str, status: int, place: str | None) -> None:
    answer = portfolio.answer("GET", url)
    assert answer.status_code == status, answer.text
    (issue,) = answer.json()["issue"]
    assert place is None or issue["expression"] == [place]


def test_anonymous_figures_are_of_what_anyone_may_see(changed: Registry) -> None:
    """A report is for its parties until its round is closed."""
    (round,) = changed.matches(f"Task?identifier={C}/sid/runde|2021-11")
    (report,) = changed.matches(f"Task?code=statusrapport&group-identifier={C}/sid/runde|2021-11&status-color=rod")
    changed.send("POST", "Task", _anew(round, identifier="runde", value="2031-01", status="in-progress"))
    submitted = {"coding": [{"system": f"{C}/CodeSystem/nep-report-status", "code": "innsendt"}]}
    named = {"system": f"{C}/sid/runde", "value": "2031-01"}
    again = _anew(report, identifier="statusrapport", value="2031-01:NEP-9001", businessStatus=submitted)
    changed.send("POST", "Task", {**again, "groupIdentifier": named})
    url = "Measure/nep-m-status/$evaluate-measure?round=2031-01"
    answer: httpx.Response = changed.answer("GET", url, headers={**FHIR, "Authorization": ""})
    assert [counts(group)["initial-population"] for group in answer.json()["group"]] == [0, 0, 0, 0]
    assert "only what you may see" in answer.json()["text"]["div"]
    assert [counts(group)["initial-population"] for group in changed.get(url)["group"]] == [0, 0, 1, 0]


def _anew(task: Resource, *, identifier: str, value: str, **more: Any) -> Resource:
    """A new Task that says the same under another identifier."""
    kept = {
        name: item
        for name, item in task.items()
        if name not in ("id", "meta", "output" if identifier == "runde" else "")
    }
    return {**kept, "identifier": [{"system": f"{C}/sid/{identifier}", "value": value}], **more}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (("population", "language", "text/cql"), "x-fhir-query"),
        (("population", "expression", "Patient?active=true"), "Task?"),
        (("population", "expression", "Task?code={{%nothing}}"), "%nothing"),
        (("population", "expression", "Task?nothing=1"), "nothing"),
        (("stratifier", "language", "text/fhirpath"), "x-fhir-query"),
        (("stratifier", "expression", "Task?owner=all"), "FHIRPath"),
        (("stratifier", "expression", "Task?owner={{nothing.at.all}}"), "nothing"),
        (("stratifier", "expression", "Task?owner={{status.single() + 1}}"), "Measure"),
    ],
)
def test_a_stored_measure_that_cannot_be_computed_is_told_so(
    changed: Registry, spoil: tuple[str, str, str], said: str
) -> None:
    element, part, text = spoil
    measure = json.loads((PROJECT / "profiles" / "Measure-nep-m-deliveries.json").read_text("utf-8"))
    measure["group"][0][element][0]["criteria"][part] = text
    changed.send("PUT", "Measure/nep-m-deliveries", measure)
    answer = changed.answer("GET", "Measure/nep-m-deliveries/$evaluate-measure")
    assert answer.status_code in (400, 422), answer.text
    assert said in answer.json()["issue"][0]["diagnostics"]


def test_a_stored_measure_is_the_rule(changed: Registry) -> None:
    measure = json.loads((PROJECT / "profiles" / "Measure-nep-m-deliveries.json").read_text("utf-8"))
    measure["group"] = measure["group"][2:]
    changed.send("PUT", "Measure/nep-m-deliveries", measure)
    (redefined,) = changed.get("Measure/nep-m-deliveries/$evaluate-measure")["group"]
    assert counts(redefined)["numerator"] == 6
