"""Which search parameters are in force, and what stops a start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.definitions.registry import Registry, Schema
from server.search.parameters import Parameters

SCHEMA = Schema()
BASE = "http://example.org/SearchParameter"


def own(code: str, type: str, expression: str, base: str = "Task", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "url": f"{BASE}/nep-{code}",
        "code": code,
        "base": [base],
        "type": type,
        "expression": expression,
        **more,
    }


def component(code: str, expression: str) -> dict[str, str]:
    return {"definition": f"{BASE}/nep-{code}", "expression": expression}


def parameters(*resources: dict[str, Any]) -> Parameters:
    return Parameters(Registry(SCHEMA, resources))


R4 = parameters()


@pytest.mark.parametrize(
    ("resource_type", "code", "type"),
    [
        ("Task", "status", "token"),
        ("Task", "authored-on", "date"),
        ("Task", "_profile", "uri"),
        ("Task", "_security", "token"),
        ("Task", "_tag", "token"),
        ("Task", "_source", "uri"),
        ("Task", "_id", "token"),
        ("Task", "_lastUpdated", "date"),
        ("Bundle", "_profile", "uri"),
        ("Organization", "phonetic", "string"),
        ("PlanDefinition", "context-quantity", "quantity"),
        ("PlanDefinition", "context-type-value", "composite"),
    ],
)
def test_r4s_own_are_in_force(resource_type: str, code: str, type: str) -> None:
    found = R4.find(resource_type, code)
    assert found is not None
    assert (found.type, found.key) == (type, f"{resource_type}.{code}")


@pytest.mark.parametrize("code", ["nonsense", "title", "_text", "_content", "_query"])
def test_what_is_not_in_force_is_not_found(code: str) -> None:
    assert R4.find("Task", code) is None


def test_a_type_has_its_own_and_the_shared_ones() -> None:
    codes = [one.code for one in R4.of("Task")]
    assert codes == sorted(codes)
    assert len([code for code in codes if not code.startswith("_")]) == 19
    assert [code for code in codes if code.startswith("_")] == [
        "_id", "_lastUpdated", "_profile", "_security", "_source", "_tag",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "code", "canonical"),
    [
        ("PlanDefinition", "composed-of", True),
        ("PlanDefinition", "depends-on", True),
        ("PlanDefinition", "definition", True),
        ("MeasureReport", "measure", True),
        ("QuestionnaireResponse", "questionnaire", True),
        ("StructureDefinition", "base", True),
        ("Task", "based-on", False),
        ("Bundle", "composition", False),
    ],
)
def test_canonical_references_are_known_as_such(resource_type: str, code: str, canonical: bool) -> None:
    found = R4.find(resource_type, code)
    assert found is not None
    assert found.canonical is canonical


@pytest.mark.parametrize(
    ("resource_type", "code", "targets"),
    [
        ("Task", "part-of", {"Task"}),
        ("Task", "based-on", set()),  # any
        ("Organization", "partof", {"Organization"}),
        ("Task", "patient", {"Patient"}),
        ("Task", "status", set()),
    ],
)
def test_targets(resource_type: str, code: str, targets: set[str]) -> None:
    found = R4.find(resource_type, code)
    assert found is not None
    assert found.targets == targets


def test_components_take_their_types_from_their_definitions() -> None:
    found = R4.find("PlanDefinition", "context-type-quantity")
    assert found is not None
    assert [(one.type, one.expression) for one in found.components] == [
        ("token", "code"),
        ("quantity", "value.as(Quantity) | value.as(Range)"),
    ]


LINE = "PlanDefinition.extension('urn:line')"
YEAR = own("year", "date", f"{LINE}.extension('year').value.ofType(date)", "PlanDefinition")
SOURCE = own("source", "token", f"{LINE}.extension('source').value.ofType(CodeableConcept)", "PlanDefinition")
FINANCE = own(
    "finance",
    "composite",
    LINE,
    "PlanDefinition",
    component=[
        component("year", "extension('year').value.ofType(date)"),
        component("source", "extension('source').value.ofType(CodeableConcept)"),
    ],
)


def test_ours_stand_beside_r4s_whatever_the_order_of_their_files() -> None:
    found = parameters(FINANCE, own("due", "date", "Task.restriction.period.end"), SOURCE, YEAR)
    finance, due = found.find("PlanDefinition", "finance"), found.find("Task", "due")
    assert finance is not None
    assert due is not None
    assert [one.type for one in finance.components] == ["date", "token"]
    assert (due.type, due.url) == ("date", f"{BASE}/nep-due")
    assert found.find("Task", "status") is not None


def test_a_retired_one_is_not_in_force() -> None:
    retired = own("due", "date", "Task.nonsense", status="retired")
    assert parameters(retired).find("Task", "due") is None


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (own("due", "date", "Task.restriction.until"), "has no element 'until'"),
        (own("due", "date", "Task.restriction.period.end("), "column"),
        (own("due", "date", "Observation.value.ofType(dateTime)"), "leads to nothing in Task"),
        (own("due", "date", "Task.owner"), "gives Reference, which date cannot search"),
        (own("due", "when", "Task.restriction.period"), "'when' is no type"),
        (own("due", "date", ""), "expression is missing"),
        (own("status", "token", "Task.status"), "Task has a search parameter 'status' already"),
        (own("both", "composite", "Task.input", component=[component("x", "type")]), "nep-x is not defined"),
        (own("both", "composite", "Task.input"), "a composite has components"),
    ],
)
def test_one_that_cannot_be_used_stops_the_start(resource: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match="SearchParameter") as fault:
        parameters(resource)
    assert reason in str(fault.value)
    assert resource["url"] in str(fault.value)


def test_a_component_is_checked_within_its_element() -> None:
    wrong = {**FINANCE, "component": [component("year", "year")]}
    with pytest.raises(ValueError, match="Extension has no element 'year'"):
        parameters(YEAR, wrong)


def test_all_of_profiles_are_in_force() -> None:
    registry = Registry.load(Path(__file__).parent.parent / "profiles")
    found = Parameters(registry)
    resources = registry.of_type("SearchParameter")
    assert len(resources) > 15
    for resource in resources:
        parameter = found.find(resource["base"][0], resource["code"])
        assert parameter is not None
        assert parameter.url == resource["url"]
