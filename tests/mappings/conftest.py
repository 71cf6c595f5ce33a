"""The reports that are shipped, imported once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mappings

PROJECT = Path(__file__).parents[2]
DATA = PROJECT / "mappings" / "data"
CANONICAL = "http://eportefolje.example/fhir"

Resource = dict[str, Any]


@pytest.fixture(scope="session")
def portfolio() -> mappings.ImportResult:
    """November 2021: 40 initiatives."""
    return mappings.bundle(mappings.read_report(DATA / "portfolio-2021-11"), canonical=CANONICAL)


@pytest.fixture(scope="session")
def resources(portfolio: mappings.ImportResult) -> list[Resource]:
    return [entry["resource"] for entry in portfolio.bundle["entry"]]


@pytest.fixture(scope="session")
def initiatives(resources: list[Resource]) -> list[Resource]:
    return [resource for resource in resources if resource["resourceType"] == "PlanDefinition"]


@pytest.fixture(scope="session")
def tasks(resources: list[Resource]) -> Callable[[str], list[Resource]]:
    """tasks("leveranse"): the Tasks of that type, in the order of the Bundle."""

    def of(type: str) -> list[Resource]:
        return [one for one in resources if one["resourceType"] == "Task" and one["code"]["coding"][0]["code"] == type]

    return of


@pytest.fixture(scope="session")
def epj_loftet(initiatives: list[Resource]) -> Resource:
    """EPJ-løftet as it stands after November 2021."""
    return next(one for one in initiatives if one["title"] == "EPJ-løftet")


@pytest.fixture(scope="session")
def autumn(epj_loftet: Resource) -> mappings.ImportResult:
    """EPJ-løftet's own report of autumn 2023, as its owner sends it."""
    report = mappings.read_report(DATA / "epj-loftet-2023-09")
    return mappings.push(report, epj_loftet, canonical=CANONICAL, own="https://ehelse.example/sid")


def identifier(resource: Resource, sid: str) -> str:
    """The value of the identifier whose system ends so, "" without one."""
    found = (i["value"] for i in resource.get("identifier", ()) if i["system"].endswith(f"/{sid}"))
    return next(found, "")


def context(initiative: Resource, code: str) -> list[Resource]:
    """The values of PlanDefinition.useContext of that code."""
    uses = initiative.get("useContext", ())
    return [use["valueCodeableConcept"] for use in uses if use["code"]["code"] == code]


def values(task: Resource, where: str, code: str) -> list[Any]:
    """The values of Task.input or Task.output of that type."""
    slots = [slot for slot in task.get(where, ()) if slot["type"]["coding"][0]["code"] == code]
    return [value for slot in slots for name, value in slot.items() if name.startswith("value")]


def value(task: Resource, where: str, code: str) -> Any:
    """The one value of that type, None without one."""
    found = values(task, where, code)
    assert len(found) <= 1
    return found[0] if found else None


def code(concept: Resource) -> str:
    return str(concept["coding"][0]["code"])


@pytest.fixture(scope="session")
def full() -> mappings.Report:
    """November 2021 with its full texts and contact persons, which are not shipped."""
    folder = PROJECT.parent / "shared" / "data" / "portfolio-2021-11" / "full"
    if not folder.is_dir():
        pytest.skip("the full texts of the 2021 report are not shipped and not beside this project")
    return mappings.read_report(folder)
