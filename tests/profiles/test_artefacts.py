"""profiles/: the StructureDefinitions say what they should and nothing that is not there, and the guide lists all."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from server.definitions.fhirpath import compile
from tests.profiles.guide import CANONICAL, PROFILES, SCHEMA, chain, elements, of, read, registry

R4 = "http://hl7.org/fhir/StructureDefinition/"
# Of R4's own extensions and of THO's code systems, those that the guide uses; R4's tables here hold neither.
CORE = {
    f"{R4}organization-period", f"{R4}task-replaces", f"{R4}Extension",
    "http://terminology.hl7.org/CodeSystem/measure-scoring", "http://terminology.hl7.org/CodeSystem/usage-context-type",
}  # fmt: skip
PROFILED = [pytest.param(one, id=one["id"]) for one in of("StructureDefinition")]


def types(element: Any) -> list[str]:
    return [
        url for type in element.get("type", ()) for url in (*type.get("profile", ()), *type.get("targetProfile", ()))
    ]


def known(url: str) -> bool:
    return registry().get(url) is not None or url in CORE or SCHEMA.type(url.removeprefix(R4)) is not None


def test_the_profiles_are_those_of_the_model() -> None:
    assert {one["id"].removeprefix("nep-"): one["type"] for one in of("StructureDefinition")} == {
        "organization": "Organization", "initiative": "PlanDefinition", "task": "Task", "delivery": "Task",
        "dependency": "Task", "benefit-prerequisite": "Task", "status-report": "Task", "assessment": "Task",
        "reporting-round": "Task", "nomination": "Task", "roadmap-activity": "Task", "council-case": "Task",
        "indicator": "Measure", "uptake": "MeasureReport", "portfolio-report": "Composition",
        "report-bundle": "Bundle", "status-response": "QuestionnaireResponse",
        "finance-line": "Extension", "counted-by": "Extension", "planned-dates": "Extension",
    }  # fmt: skip


@pytest.mark.parametrize("profile", PROFILED)
def test_a_profile_is_a_differential_on_something_known(profile: Any) -> None:
    assert "snapshot" not in profile
    assert profile["derivation"] == "constraint"
    assert profile["fhirVersion"] == "4.0.1"
    assert profile["abstract"] == (profile["id"] == "nep-task")
    assert known(profile["baseDefinition"])
    assert chain(profile["url"])[-1]["baseDefinition"] == R4 + profile["type"]


@pytest.mark.parametrize("profile", PROFILED)
def test_every_element_has_the_path_and_slice_name_of_its_id(profile: Any) -> None:
    ids = [element["id"] for element in elements(profile)]
    assert len(ids) == len(set(ids))
    for element in elements(profile):
        parts = [part.partition(":") for part in element["id"].split(".")]
        assert element["path"] == ".".join(name for name, _, _ in parts)
        assert element.get("sliceName", "") == parts[-1][2]
        assert set(element) - {"id", "path"}, "an element that says nothing"


@pytest.mark.parametrize("profile", PROFILED)
def test_every_slice_is_of_a_sliced_element(profile: Any) -> None:
    sliced = {element["id"] for one in chain(profile["url"]) for element in elements(one) if "slicing" in element}
    for element in elements(profile):
        if "sliceName" in element:
            assert element["id"].rpartition(":")[0] in sliced


@pytest.mark.parametrize("profile", PROFILED)
def test_whatever_a_profile_names_is_there(profile: Any) -> None:
    for element in elements(profile):
        assert [url for url in types(element) if not known(url)] == []
        if "binding" in element:
            assert registry().get(element["binding"]["valueSet"]), element["binding"]


@pytest.mark.parametrize("set", of("ValueSet"), ids=lambda set: str(set["id"]))
def test_value_sets_include_code_systems_that_are_there(set: Any) -> None:
    assert [one["system"] for one in set["compose"]["include"] if not known(one["system"])] == []


@pytest.mark.parametrize("profile", PROFILED)
def test_fixed_codes_are_codes_of_their_system(profile: Any) -> None:
    for element in elements(profile):
        concept = element.get("patternCodeableConcept", {"coding": [element.get("patternCoding", {})]})
        for coding in concept["coding"]:
            if str(coding.get("system", "")).startswith((CANONICAL, "http://hl7.org/fhir/uv/sdc/")):
                assert coding["code"] in codes(registry().get(coding["system"]))


def codes(system: Any) -> set[str]:
    def below(listed: Any) -> Any:
        for concept in listed:
            yield concept["code"]
            yield from below(concept.get("concept", ()))

    return set(below(system["concept"]))


@pytest.mark.parametrize("profile", [one for one in PROFILED if one.values[0]["type"] == "Task"])
def test_inputs_and_outputs_of_a_concrete_task_are_closed(profile: Any) -> None:
    if profile["abstract"]:
        return
    for name in ("Task.input", "Task.output"):
        [element] = [one for one in elements(profile) if one["id"] == name]
        assert element.get("max") == "0" or element["slicing"]["rules"] == "closed"


def test_every_task_type_has_one_profile() -> None:
    fixed = [
        element["fixedCode"]
        for profile in of("StructureDefinition")
        for element in elements(profile)
        if element["id"] == "Task.code.coding:type.code" and "fixedCode" in element
    ]
    assert Counter(fixed) == dict.fromkeys(codes(registry().get(f"{CANONICAL}/CodeSystem/nep-task-type")), 1)


@pytest.mark.parametrize(
    ("profile", "keys"),
    [
        ("nep-organization", {"nep-o1": "error", "nep-o2": "error"}),
        ("nep-initiative", {f"nep-i{n}": "warning" if n > 6 else "error" for n in range(1, 9)}),
        ("nep-task", {"nep-t1": "error"}),
        ("nep-delivery", {"nep-d1": "error", "nep-d2": "error"}),
        ("nep-dependency", {"nep-a1": "error", "nep-a2": "error"}),
        ("nep-status-report", {"nep-s1": "error", "nep-s3": "warning", "nep-s4": "error", "nep-s5": "error"}),
        ("nep-assessment", {"nep-v1": "error"}),
        ("nep-portfolio-report", {"nep-c1": "error"}),
        ("nep-report-bundle", {"nep-b1": "error"}),
    ],
)
def test_invariants_and_their_severity(profile: str, keys: dict[str, str]) -> None:
    found = [rule for element in elements(by_id(profile)) for rule in element.get("constraint", ())]
    assert {rule["key"]: rule["severity"] for rule in found} == keys
    for rule in found:
        nb, _, en = rule["human"].partition(" / ")
        assert len(nb) > 20 < len(en), "Norwegian, and English beside it"


def by_id(id: str) -> Any:
    return registry().get(f"{CANONICAL}/StructureDefinition/{id}")


def test_the_guide_lists_every_artefact_and_every_valid_example() -> None:
    """Examples by their file: the registry publishes the guide, and they are no resources of its."""
    [guide] = of("ImplementationGuide")
    listed = [one["reference"] for one in guide["definition"]["resource"]]
    own = [read(path) for path in PROFILES.glob("*.json")]
    artefacts = Counter(one["reference"] for one in listed if "reference" in one)
    assert artefacts == Counter(f"{one['resourceType']}/{one['id']}" for one in own if one["id"] != guide["id"])
    examples = Counter(one["display"] for one in listed if "reference" not in one)
    assert examples == Counter(f"examples/{path.name}" for path in (PROFILES / "examples").glob("*.json"))


def test_every_page_of_the_guide_is_there() -> None:
    [guide] = of("ImplementationGuide")
    first = guide["definition"]["page"]
    named = {page["nameUrl"].removesuffix(".html") for page in (first, *first["page"])}
    assert named == {path.stem for path in (PROFILES / "pages").glob("*.md")}


def test_rules_that_need_the_registry_are_told_in_the_guide() -> None:
    [guide] = of("ImplementationGuide")
    page = (PROFILES / "pages" / "regler.md").read_text("utf-8")
    for key in ("nep-d3", "nep-a3", "nep-a4", "nep-s2"):
        assert key in guide["description"]
        assert key in page


@pytest.mark.parametrize("measure", of("Measure"), ids=lambda measure: str(measure["id"]))
def test_an_indicators_criteria_can_be_run(measure: Any) -> None:
    for group in measure.get("group", ()):
        for population in group["population"]:
            assert population["criteria"]["language"] == "application/x-fhir-query"
            assert population["criteria"]["expression"].partition("?")[0] in ("Task", "PlanDefinition")
        for stratifier in group.get("stratifier", ()):
            for part in stratifier.get("component", [stratifier]):
                assert part["criteria"]["language"] == "application/x-fhir-query"
                kind, _, condition = part["criteria"]["expression"].partition("?")
                [hole] = re.findall(r"\{\{(.*?)\}\}", condition)
                focus = "Extension" if condition.startswith("finance=") else kind
                of_initiative = hole.startswith("%initiative.")
                compile(hole.removeprefix("%initiative."), "PlanDefinition" if of_initiative else focus, SCHEMA)


@pytest.mark.parametrize("operation", of("OperationDefinition"), ids=lambda operation: str(operation["id"]))
def test_operations_are_named_after_their_code(operation: Any) -> None:
    assert operation["id"] == f"nep-{operation['code']}"
    out = [one for one in operation["parameter"] if one["use"] == "out"]
    # A Parameters is answered with its parts told one by one; any other resource is `return`.
    assert [one["name"] for one in out] == ["return"] or all(one["name"] != "return" for one in out)
    assert all(("type" in one) is ("part" not in one) for one in out)
    assert operation["system"] or operation["resource"]


def test_capability_statements_name_what_is_there() -> None:
    for statement in of("CapabilityStatement"):
        for resource in statement["rest"][0]["resource"]:
            own = [*resource.get("supportedProfile", ())]
            own += [one["definition"] for kind in ("searchParam", "operation") for one in resource.get(kind, ())]
            assert [url for url in own if url.startswith(CANONICAL) and registry().get(url) is None] == []


def test_the_server_statement_has_every_search_parameter_and_profile() -> None:
    [server] = [one for one in of("CapabilityStatement") if one["id"] == "nep-server"]
    rest = server["rest"][0]["resource"]
    assert {p["url"] for p in of("SearchParameter")} <= {p["definition"] for r in rest for p in r["searchParam"]}
    profiles = {p["url"] for p in of("StructureDefinition") if p["type"] != "Extension" and not p["abstract"]}
    assert profiles == {url for r in rest for url in r.get("supportedProfile", ())}


def test_the_form_asks_with_the_codes_of_the_report() -> None:
    """linkId is the output's code, and definition leads to its slice."""
    [form] = of("Questionnaire")
    slices = {element["id"] for element in elements(by_id("nep-status-report"))}
    for item in form["item"]:
        if "definition" in item:
            profile, _, element = item["definition"].partition("#")
            assert registry().get(profile) == by_id("nep-status-report")
            assert element == f"Task.output:{item['linkId']}.value[x]"
            assert element in slices
