"""Importing again, from a workbook, and with the full texts: what then stands in the registry."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from server.portfolio import elements
from tests.portfolio.registry import Registry, loaded, registry_in
from tests.portfolio.sheets import NUMBER, PROJECT, REPORT, ROUND, C, delivery, dependency, identifier, rows

Resource = dict[str, Any]
SHARED = Path(os.environ.get("PORTFOLIO_SHARED") or PROJECT.parent / "shared")
FULL = SHARED / "data" / "portfolio-2021-11" / "full"


def kinds(registry: Registry) -> dict[str, int]:
    return {kind: registry.total(kind) for kind in ("Organization", "PlanDefinition", "Task")}


def test_importing_again_changes_nothing(store: Path, portfolio: Registry, tmp_path: Path) -> None:
    before = {kind: portfolio.get(f"{kind}/_history?_count=500") for kind in kinds(portfolio)}
    folder = Path(shutil.copytree(store, tmp_path / "copy"))
    (unit,) = loaded(folder, REPORT)
    assert not unit.refused
    assert set(unit.counts) == {f"{kind}: unchanged" for kind in ("Organization", "PlanDefinition", "Task")}
    assert sum(unit.counts.values()) == sum(story["total"] for story in before.values())
    with registry_in(folder) as again:
        after = {kind: again.get(f"{kind}/_history?_count=500") for kind in before}
    assert {kind: story["total"] for kind, story in after.items()} == kinds(portfolio)
    assert {kind: story["entry"] for kind, story in after.items()} == {
        kind: story["entry"] for kind, story in before.items()
    }
    entries = [entry for story in after.values() for entry in story["entry"]]
    assert {entry["resource"]["meta"]["versionId"] for entry in entries} == {"1"}


def test_the_report_of_2023_is_loaded_upon_what_stands(store: Path, portfolio: Registry, tmp_path: Path) -> None:
    """Its form leaves the phase out, which is carried on with a remark, and the strategy, which goes (decision 15)."""
    folder, data = Path(shutil.copytree(store, tmp_path / "copy")), REPORT.parent
    (before,) = portfolio.matches(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012")
    opened, unit = loaded(folder, data / "round-2023-09.json", data / "epj-loftet-2023-09")
    assert (opened.refused, unit.refused) == ([], [])
    assert [remark for remark in unit.remarks if "left-out-carried" in remark]
    (again,) = loaded(folder, data / "epj-loftet-2023-09")
    assert {what.rpartition(": ")[2] for what in again.counts} == {"unchanged"}
    with registry_in(folder) as registry:
        (after,) = registry.matches(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012")
        for kept in ("segment", "livslop", "fase"):
            assert elements.context(after, kept) == elements.context(before, kept) is not None
        assert elements.context(before, "innforingsstrategi") is not None
        assert elements.context(after, "innforingsstrategi") is None
        assert "end" in before["effectivePeriod"]
        assert "effectivePeriod" not in after
        asked = f"Task?code=leveranse&based-on=PlanDefinition/{after['id']}&status"
        assert (registry.total(f"{asked}=completed"), registry.total(f"{asked}:not=cancelled")) == (1, 15)
        (report,) = registry.matches(f"Task?code=statusrapport&group-identifier={C}/sid/runde|2023-09")
        assert (report["status"], elements.code(report["businessStatus"])) == ("completed", "innsendt")


def workbook(folder: Path, target: Path) -> Path:
    """Each CSV a sheet of its name."""
    book = Workbook()
    book.remove(book.active)
    for file in sorted(folder.glob("*.csv")):
        sheet = book.create_sheet(file.stem)
        with file.open(encoding="utf-8", newline="") as lines:
            for record in csv.reader(lines):
                sheet.append([text or None for text in record])
    book.save(target)
    return target


def bare(resource: Any, ids: dict[str, str]) -> Any:
    """Without what the server chooses: ids and instants. References by what they point to."""
    if isinstance(resource, list):
        return [bare(item, ids) for item in resource]
    if not isinstance(resource, dict):
        return ids.get(resource, resource) if isinstance(resource, str) else resource
    return {key: bare(value, ids) for key, value in resource.items() if key not in ("id", "lastUpdated", "versionId")}


def contents(registry: Registry) -> list[Resource]:
    """Everything, in the order of its identifiers."""
    found = [one for kind in ("Organization", "PlanDefinition", "Task") for one in registry.matches(kind, 500)]
    ids = {f"{one['resourceType']}/{one['id']}": str(one["identifier"][0]) for one in found}
    return sorted((bare(one, ids) for one in found), key=lambda one: (one["resourceType"], str(one["identifier"])))


def test_a_workbook_gives_the_same_resources(portfolio: Registry, tmp_path: Path) -> None:
    (unit,) = loaded(tmp_path, workbook(REPORT, tmp_path / "rapport.xlsx"), round=ROUND)
    assert not unit.refused
    with registry_in(tmp_path) as registry:
        assert contents(registry) == contents(portfolio)


# The full texts of the report are not shipped: they hold contact persons.


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if not FULL.is_dir():
        pytest.skip(f"{FULL} is not there; PORTFOLIO_SHARED names the folder that holds data/")
    folder = tmp_path_factory.mktemp("full")
    (unit,) = loaded(folder, FULL, round=ROUND)
    assert not unit.refused
    with registry_in(folder) as registry:
        yield registry


def outputs(task: Resource) -> dict[str, str]:
    return {
        slot["type"]["coding"][0]["code"]: slot["valueMarkdown"]
        for slot in task.get("output", [])
        if "valueMarkdown" in slot
    }


def test_full_texts_of_initiatives_come_back_to_the_character(full: Registry) -> None:
    plans = {identifier(one, "tiltaksnummer"): one for one in full.matches("PlanDefinition")}
    reports = {identifier(one, "statusrapport"): one for one in full.matches("Task?code=statusrapport")}
    for row in rows("initiatives", FULL):
        number = NUMBER[row["initiative_id"]]
        said = outputs(reports[f"{ROUND}:{number}"])
        assert (plans[number]["title"], plans[number].get("description", "")) == (row["name"], row["description"])
        assert said.get("kommentar", "") == row["status_comment"]
        assert said.get("risikobeskrivelse", "") == row["risk_description"]


def test_full_texts_of_rows_come_back_to_the_character(full: Registry) -> None:
    tasks = {identifier(one, "import"): one for one in full.matches("Task?code=leveranse,avhengighet&_sort=_id", 100)}
    for row in rows("deliveries", FULL):
        task = tasks[delivery(row)]
        assert (task["code"]["text"], task.get("description", "")) == (row["name"], row["description"])
    for row in rows("dependencies", FULL):
        task = tasks[dependency(row)]
        used_for = task.get("reasonCode", {}).get("text", "")
        assert (task["owner"]["display"], task.get("description", ""), used_for) == (
            row["actor"],
            row["need"],
            row["purpose"],
        )


def test_contact_persons_are_labelled_and_stand_nowhere_else(full: Registry) -> None:
    roles = full.matches("PractitionerRole")
    named = {row["contact"] for row in rows("initiatives", FULL)} - {""}
    assert {role["practitioner"]["display"] for role in roles} == named
    assert {role["meta"]["security"][0]["code"] for role in roles} == {"R"}
    system = f"{C}/sid/tiltaksnummer"
    texts = {row["initiative_id"]: str(row | {"contact": ""}) for row in rows("initiatives", FULL)}
    for plan in full.matches("PlanDefinition"):
        (number,) = (one["value"] for one in plan["identifier"] if one["system"] == system)
        printed = next(text for name, text in texts.items() if NUMBER[name] == number)
        assert not [name for name in named if name in str(plan) and name not in printed]
