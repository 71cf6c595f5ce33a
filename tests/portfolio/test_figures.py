"""The counted figures of November 2021, from what FHIR search returns. They were counted in the printed report."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import pytest

from tests.portfolio.registry import Registry
from tests.portfolio.sheets import COSTS, NUMBER, C, S, identifier

Resource = dict[str, Any]
LINE = f"{C}/StructureDefinition/nep-finance-line"
REPORTS = f"Task?code=statusrapport&group-identifier={C}/sid/runde|2021-11"


@pytest.mark.parametrize(
    ("search", "total"),
    [
        ("PlanDefinition", 40),
        (f"PlanDefinition?context={S}/nep-segment|samstyre", 11),
        (f"PlanDefinition?context={S}/nep-segment|koordinere", 15),
        (f"PlanDefinition?context={S}/nep-segment|observere", 14),
        (f"PlanDefinition?context-type-value=segment${S}/nep-segment|samstyre", 11),
        ("Task?code=leveranse", 243),
        ("Task?code=leveranse&business-status=levert", 80),
        ("Task?code=leveranse&business-status=ikke-levert", 91),
        ("Task?code=leveranse&business-status=omdefinert", 6),
        ("Task?code=leveranse&business-status=ikke-oppgitt", 66),
        ("Task?code=leveranse&business-status:not=levert,ikke-levert,omdefinert", 66),
        ("Task?code=leveranse&due:missing=true", 19),
        ("Task?code=avhengighet", 91),
        ("Task?code=avhengighet&business-status:missing=true", 42),
        ("Task?code=avhengighet&business-status=gul", 34),
        ("Task?code=avhengighet&business-status=gronn", 8),
        ("Task?code=avhengighet&business-status=rod", 4),
        ("Task?code=avhengighet&business-status=oppfylt", 3),
        ("Task?code=avhengighet&criticality=hoy", 66),
        ("Task?code=avhengighet&criticality=middels", 18),
        ("Task?code=avhengighet&criticality=lav", 7),
        ("Task?code=avhengighet&plan-agreed=true", 27),
        ("Task?code=avhengighet&plan-agreed=false", 9),
        ("Task?code=avhengighet&plan-agreed:missing=true", 55),
        (f"Task?code={S}/nep-dependency-category|nasjonale-losninger", 40),
        (f"Task?code={S}/nep-dependency-category|grunnmur", 19),
        (f"Task?code={S}/nep-dependency-category|standarder", 14),
        (f"Task?code={S}/nep-dependency-category|annet", 14),
        (f"Task?code={S}/nep-dependency-category|regelverk", 4),
        ("Task?code=nytteforutsetning", 55),
        ("Task?code=nytteforutsetning&criticality=hoy", 18),
        ("Task?code=nytteforutsetning&criticality=middels", 9),
        ("Task?code=nytteforutsetning&criticality=lav", 24),
        ("Task?code=nytteforutsetning&criticality:missing=true", 4),
        ("PlanDefinition?end:missing=true", 4),
        (f"PlanDefinition?topic={S}/nep-national-solution|helsenorge", 21),
        (f"PlanDefinition?topic={S}/nep-national-solution|kjernejournal", 12),
        (f"PlanDefinition?topic={S}/nep-national-solution|helseid", 12),
        (f"PlanDefinition?topic={S}/nep-national-solution|grunndata", 11),
        (f"PlanDefinition?topic={S}/nep-national-solution|e-resept", 6),
        (f"PlanDefinition?topic={S}/nep-focus-area-2017|1.1", 12),
        (f"PlanDefinition?context={S}/nep-phase|gjennomfore", 30),
        (f"PlanDefinition?context={S}/nep-phase|realisere", 1),
        ("PlanDefinition?owner:Organization.name=Helse Sør-Øst", 8),
        ("PlanDefinition?publisher=Helse Vest", 3),
        (REPORTS, 40),
        (f"{REPORTS}&status=completed", 40),
        (f"{REPORTS}&status-color=gul", 20),
        (f"{REPORTS}&status-color=gronn", 19),
        (f"{REPORTS}&status-color={S}/nep-traffic-light|rod", 1),
        (f"{REPORTS}&risk-color=gul", 18),
        (f"{REPORTS}&risk-color=gronn", 6),
        (f"{REPORTS}&risk-color=rod", 2),
        (f"{REPORTS}&risk-color:missing=true", 14),
        (f"{REPORTS}&risk-color:missing=true&based-on:PlanDefinition.context=observere", 14),
        (f"Task?code=rapporteringsrunde&identifier={C}/sid/runde|2021-11&status=completed", 1),
    ],
)
def test_counts(portfolio: Registry, search: str, total: int) -> None:
    assert portfolio.total(search) == total


@pytest.mark.parametrize("count", [7, 500])
@pytest.mark.parametrize(("search", "total"), [("Task?code=leveranse&_sort=due", 243), ("PlanDefinition", 40)])
def test_pages_hold_each_match_once_and_the_total(portfolio: Registry, search: str, total: int, count: int) -> None:
    pages = portfolio.pages(f"{search}{'&' if '?' in search else '?'}_total=accurate", count)
    ids = [entry["resource"]["id"] for page in pages for entry in page["entry"]]
    assert len(ids) == len(set(ids)) == total
    assert {page["total"] for page in pages} == {total}
    assert len(pages) == -(-total // count)


def part(line: Resource, url: str) -> Any:
    """A part of a finance line, None when it is not there."""
    found = [value for one in line["extension"] if one["url"] == url for key, value in one.items() if key != "url"]
    return found[0] if found else None


def lines(portfolio: Registry, type: str) -> list[tuple[str, str, Decimal | None]]:
    """(tiltaksnummer, year, MNOK) of every line of that type, None for an amount that is not stated."""
    plans = portfolio.matches(f"PlanDefinition?finance-type={type}")
    return [
        (identifier(plan, "tiltaksnummer"), part(line, "year"), amount and Decimal(amount["value"]) / 1_000_000)
        for plan in plans
        for line in plan["extension"]
        if line["url"] == LINE and part(line, "type") == type
        for amount in [part(line, "amount")]
    ]


def test_costs_per_year(portfolio: Registry) -> None:
    costs = lines(portfolio, "investering")
    assert len(costs) == 87
    years: dict[str, Decimal] = defaultdict(Decimal)
    for _, year, amount in costs:
        years[year] += amount or 0
    wanted = ["33", "106", "463.8", "655.3", "931.9", "550.9", "248", "90", "80", "70", "70"]
    assert dict(years) == {str(2017 + n): Decimal(amount) for n, amount in enumerate(wanted)}
    assert sum(years.values()) == Decimal("3298.9")


def test_blank_is_not_zero(portfolio: Registry) -> None:
    costs = lines(portfolio, "investering")
    assert {(plan, year) for plan, year, amount in costs if amount is None} == {
        ("NEP-0005", "2023"),
        ("NEP-0005", "2024"),
    }
    assert {(plan, year) for plan, year, amount in costs if amount == 0} == {
        ("NEP-0005", "2025"),
        ("NEP-0005", "2026"),
        ("NEP-0009", "2024"),
    }
    changes = lines(portfolio, "drift")
    assert {(plan, year) for plan, year, amount in changes if amount == 0} == {
        ("NEP-0008", "2019"),
        ("NEP-0008", "2020"),
        ("NEP-0008", "2022"),
    }


def test_blank_is_not_no(portfolio: Registry) -> None:
    """An unanswered delivery is ready and unanswered; «Nei» is in progress and not delivered."""
    for status, words in (("ready", {"ikke-oppgitt": 66}), ("in-progress", {"ikke-levert": 91})):
        found = portfolio.matches(f"Task?code=leveranse&status={status}")
        assert Counter(task["businessStatus"]["coding"][0]["code"] for task in found) == words
    assert not any("text" in task["businessStatus"] for task in portfolio.matches("Task?business-status=ikke-oppgitt"))
    unclaimed = portfolio.matches("Task?code=avhengighet&plan-agreed:missing=true")
    assert not any("valueBoolean" in slot for task in unclaimed for slot in task.get("input", []))


def test_operating_costs(portfolio: Registry) -> None:
    changes = lines(portfolio, "drift")
    assert len(changes) == 21
    assert sum(amount or 0 for _, _, amount in changes) == Decimal("213.6")


@pytest.mark.parametrize(
    ("source", "funder"),
    [
        ("oremerket", "Øremerkede midler Statsbudsjettet"),
        ("forskningsradet", "Forskningsrådet"),
        ("samfinansiering-rhf", "Samfinansiering fra Regionale Helseforetak"),
        ("ukjent", "Ukjent finansieringskilde"),
    ],
)
@pytest.mark.parametrize("year", ["2019", "2021", "2023"])
def test_type_year_and_source_are_those_of_one_line(portfolio: Registry, source: str, funder: str, year: str) -> None:
    found = portfolio.matches(f"PlanDefinition?finance=investering${year}${S}/nep-funding-source|{source}")
    plain = {NUMBER[row["initiative_id"]] for row in COSTS if (row["funder"], row["year"]) == (funder, year)}
    assert {identifier(plan, "tiltaksnummer") for plan in found} == plain


def test_benefits(portfolio: Registry) -> None:
    goals = [goal for plan in portfolio.matches("PlanDefinition") for goal in plan.get("goal", [])]
    assert len(goals) == 10
    targets = [target for goal in goals for target in goal.get("target", [])]
    worth = [target["detailQuantity"]["value"] for target in targets if "detailQuantity" in target]
    assert len(worth) == 5
    assert 6_800_000_000 in worth


def test_every_task_stands_on_an_initiative_of_the_portfolio(portfolio: Registry) -> None:
    plans = {f"PlanDefinition/{plan['id']}" for plan in portfolio.matches("PlanDefinition")}
    tasks = portfolio.matches("Task?code:not=rapporteringsrunde", 500)
    assert len(tasks) == 243 + 91 + 55 + 40
    assert {task["basedOn"][0]["reference"] for task in tasks} == plans
