"""/fhir/metadata: it says what this server does, and how that differs from what the guide requires."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from joserfc.jwk import OKPKey

from server.app import OPERATIONS, figures
from server.definitions.validation import Validator
from server.interaction.operations.rounds import Rounds
from server.portfolio.seal import Seal
from tests.profiles.guide import CANONICAL, PROFILES, SCHEMA, of, read, registry

ALL = {**OPERATIONS, **Rounds(Seal(OKPKey.generate_key("Ed25519")), figures).operations()}
REQUIRED = read(PROFILES / "CapabilityStatement-nep-server.json")
R4 = "http://hl7.org/fhir/OperationDefinition"

# What the guide requires and this server has not; a row goes when the server has learnt it.
LACKING = {
    "patchFormat: application/fhir+json",
    "interaction: search-system",
}


@pytest.fixture
async def statement(client: httpx.AsyncClient) -> Any:
    return (await client.get("metadata")).json()


async def test_it_is_valid_r4(statement: Any) -> None:
    assert Validator(SCHEMA).validate(statement) == []


async def test_it_lacks_of_the_requirements_what_is_listed_and_nothing_else(statement: Any) -> None:
    assert statement["instantiates"] == [REQUIRED["url"]]
    assert statement["implementationGuide"] == REQUIRED["implementationGuide"]
    assert "url" not in statement, "the requirements have this URL; an instance is no second one of it"
    assert claims(REQUIRED) - claims(statement) == LACKING


def claims(statement: Any) -> set[str]:
    """Everything that a statement says can be done, a line each."""
    [rest] = statement["rest"]
    said = {f"{name}: {one}" for name in ("format", "patchFormat") for one in statement[name]}
    said |= {f"interaction: {one['code']}" for one in rest["interaction"]}
    said |= {f"operation: {one['name']}" for one in rest["operation"]}
    said |= {f"security: {one['coding'][0]['code']}" for one in rest["security"]["service"]}
    return said | {claim for resource in rest["resource"] for claim in of_type(resource)}


def of_type(resource: Any) -> set[str]:
    kind = resource["type"]
    said = {f"{kind} {name}: {resource[name]}" for name in ("versioning", "conditionalRead", "conditionalDelete")}
    said |= {
        f"{kind} {name}"
        for name in ("readHistory", "updateCreate", "conditionalCreate", "conditionalUpdate")
        if resource[name]
    }
    said |= {f"{kind} interaction: {one['code']}" for one in resource["interaction"]}
    said |= {f"{kind} operation: {one['name']}" for one in resource.get("operation", ())}
    said |= {f"{kind} searchParam: {one['name']} {one['type']} {one['definition']}" for one in resource["searchParam"]}
    for name in ("supportedProfile", "referencePolicy", "searchInclude", "searchRevInclude"):
        said |= {f"{kind} {name}: {one}" for one in resource.get(name, ())}
    return said


async def test_every_operation_of_the_table_is_told_with_its_definition(statement: Any) -> None:
    [rest] = statement["rest"]
    told = {("", one["name"], one["definition"]) for one in rest["operation"]}
    types = {one["type"] for one in rest["resource"]}
    for resource in rest["resource"]:
        told |= {(resource["type"], one["name"], one["definition"]) for one in resource["operation"]}
    assert told == {
        (kind, name.removeprefix("$"), operation.canonical(CANONICAL, kind))
        for (level, name), operation in ALL.items()
        for kind in ({""} if level == "system" else operation.types or types)
    }


@pytest.mark.parametrize(
    ("kind", "name", "definition"),
    [
        ("CodeSystem", "lookup", f"{R4}/CodeSystem-lookup"),
        ("CodeSystem", "validate-code", f"{R4}/CodeSystem-validate-code"),
        ("ValueSet", "validate-code", f"{R4}/ValueSet-validate-code"),
        ("ValueSet", "expand", f"{R4}/ValueSet-expand"),
        ("ConceptMap", "translate", f"{R4}/ConceptMap-translate"),
        ("Task", "validate", f"{R4}/Resource-validate"),
    ],
)
async def test_the_operations_of_r4_have_r4s_definitions(statement: Any, kind: str, name: str, definition: str) -> None:
    [resource] = [one for one in statement["rest"][0]["resource"] if one["type"] == kind]
    assert {"name": name, "definition": definition} in resource["operation"]


async def test_an_operation_that_is_told_is_answered(client: httpx.AsyncClient, statement: Any) -> None:
    """With what the parameters lack, perhaps, but never as unknown."""
    [rest] = statement["rest"]
    for kind, operations in [("", rest["operation"]), *((one["type"], one["operation"]) for one in rest["resource"])]:
        for operation in operations:
            on_instance = [level for level, name in ALL if name == f"${operation['name']}"] == ["instance"]
            instance = "/x" if on_instance else ""
            answer = await client.post(f"{kind}{instance}/${operation['name']}".lstrip("/"))
            assert "No operation" not in answer.text, (kind, operation)
            assert answer.status_code < 500, (kind, operation)


@pytest.mark.parametrize(("level", "name"), [key for key, one in ALL.items() if one.definition.startswith("{base}")])
def test_every_operation_of_ours_is_defined_as_it_is_called(level: str, name: str) -> None:
    operation = ALL[level, name]  # type: ignore[index]
    definition = registry().get(operation.canonical(CANONICAL))
    assert definition is not None, "profiles/ has no such OperationDefinition"
    assert definition["code"] == name.removeprefix("$")
    assert definition[level] is True
    assert set(definition.get("resource", ())) == set(operation.types)


async def test_profiles_and_what_they_are_held_to_are_told(statement: Any) -> None:
    resources = {one["type"]: one for one in statement["rest"][0]["resource"]}
    concrete = [one for one in of("StructureDefinition") if one["type"] != "Extension" and not one["abstract"]]
    for profile in concrete:
        assert profile["url"] in resources[profile["type"]]["supportedProfile"]
    for kind in ("PlanDefinition", "Task", "Organization"):
        assert "R4 alone is asked for" in resources[kind]["documentation"], "these tests run with profiles off"
