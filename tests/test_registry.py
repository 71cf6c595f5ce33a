"""R4's tables as the registry reads them, and the definitions in profiles/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.definitions.registry import CANONICAL, R4, Child, Registry, Schema


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema()


@pytest.mark.parametrize(
    ("type", "name", "keys", "many"),
    [
        ("Task", "status", {"status": "code"}, False),
        ("Task", "id", {"id": "id"}, False),  # 4.0.1's definition says string, resource.html id
        ("Task", "meta", {"meta": "Meta"}, False),
        ("Task", "contained", {"contained": "Resource"}, True),
        ("Task", "restriction", {"restriction": "Task.restriction"}, False),
        ("Task.restriction", "period", {"period": "Period"}, False),
        ("Task.restriction", "modifierExtension", {"modifierExtension": "Extension"}, True),
        ("Timing", "repeat", {"repeat": "Timing.repeat"}, False),
        ("Timing.repeat", "bounds",
         {"boundsDuration": "Duration", "boundsRange": "Range", "boundsPeriod": "Period"}, False),
        ("PlanDefinition", "subject",
         {"subjectCodeableConcept": "CodeableConcept", "subjectReference": "Reference"}, False),
        ("PlanDefinition.action", "action", {"action": "PlanDefinition.action"}, True),
        ("Parameters.parameter", "part", {"part": "Parameters.parameter"}, True),
        ("Range", "low", {"low": "Quantity"}, False),  # of profile SimpleQuantity
        ("Dosage.doseAndRate", "dose", {"doseRange": "Range", "doseQuantity": "Quantity"}, False),
        ("Age", "value", {"value": "decimal"}, False),
        ("code", "extension", {"extension": "Extension"}, True),
        ("Extension", "url", {"url": "uri"}, False),
        ("Period", "id", {"id": "string"}, False),
    ],
)  # fmt: skip
def test_child(schema: Schema, type: str, name: str, keys: dict[str, str], many: bool) -> None:
    assert schema.child(type, name) == Child(tuple(keys.items()), many)


@pytest.mark.parametrize(
    ("type", "name"),
    [
        ("Task", "valueString"),
        ("Task.input", "valueString"),  # the element's name is value
        ("Task", "restriction.period"),
        ("Tsk", "status"),
        ("Task.nothing", "status"),
        ("Period", "modifierExtension"),
        ("Bundle", "text"),  # a Resource, no DomainResource
        # patches of the package that the definitions were taken from
        ("Meta", "project"),
        ("Binary", "url"),
        ("ResearchStudy", "studyDesign"),
        ("EvidenceVariable.characteristic", "linkId"),
    ],
)
def test_no_such_child(schema: Schema, type: str, name: str) -> None:
    assert schema.child(type, name) is None


def test_extension_takes_every_datatype_of_r4(schema: Schema) -> None:
    child = schema.child("Extension", "value")
    assert child is not None
    keys = dict(child.keys)
    assert len(keys) == 50
    assert keys["valueMeta"] == "Meta"
    assert "valueInteger64" not in keys
    assert "valueRatioRange" not in keys


@pytest.mark.parametrize(
    ("type", "ancestor", "is_one"),
    [
        ("Age", "Quantity", True),
        ("Quantity", "Age", False),
        ("Task", "DomainResource", True),
        ("Task", "Resource", True),
        ("Bundle", "DomainResource", False),
        ("id", "string", True),
        ("canonical", "uri", True),
        ("positiveInt", "integer", True),
        ("code", "uri", False),
        ("Task.restriction", "BackboneElement", True),
        ("Timing.repeat", "BackboneElement", False),
        ("Task", "Task", True),
        ("Tsk", "Resource", False),
    ],
)
def test_is_subtype(schema: Schema, type: str, ancestor: str, is_one: bool) -> None:
    assert schema.is_subtype(type, ancestor) is is_one


def targets(schema: Schema, type: str, name: str) -> set[str]:
    definition = schema.type(type)
    assert definition is not None
    return {target for variant in definition.elements[name].variants for target in variant.targets}


def test_the_tables_are_those_of_4_0_1(schema: Schema) -> None:
    assert len(schema.resource_types) == 146
    assert targets(schema, "MeasureReport", "subject") == {
        "Patient", "Practitioner", "PractitionerRole", "Location", "Device", "RelatedPerson", "Group",
    }  # fmt: skip
    assert "Subscription" not in targets(schema, "AuditEvent.source", "observer")
    assert schema.child("Bundle.entry.response", "outcome") == Child((("outcome", "Resource"),), False)
    study = schema.type("ResearchStudy")
    assert study is not None
    assert study.elements["status"].required == "http://hl7.org/fhir/ValueSet/research-study-status"


@pytest.mark.parametrize(
    ("type", "key", "severity", "expression"),
    [
        ("Task", "inv-1", "error",
         "lastModified.exists().not() or authoredOn.exists().not() or lastModified >= authoredOn"),
        ("Task", "dom-6", "warning", "text.`div`.exists()"),
        ("Period", "per-1", "error", "start.hasValue().not() or end.hasValue().not() or (start <= end)"),
        ("Range", "ele-1", "error", "hasValue() or (children().count() > id.count())"),
        ("Bundle.entry", "bdl-8", "error", "fullUrl.contains('/_history/').not()"),
        ("Timing.repeat", "tim-9", "error",
         "offset.empty() or (when.exists() and ((when in ('C' | 'CM' | 'CD' | 'CV')).not()))"),
        ("SimpleQuantity", "sqty-1", "error", "comparator.empty()"),
        ("Age", "qty-3", "error", "code.empty() or system.exists()"),
    ],
)  # fmt: skip
def test_constraints_stand_at_their_type(schema: Schema, type: str, key: str, severity: str, expression: str) -> None:
    definition = schema.type(type)
    assert definition is not None
    found = {rule.key: (rule.severity, rule.expression) for rule in definition.constraints}
    assert found[key] == (severity, expression)


def test_every_type_can_be_built_and_points_to_types_that_exist(schema: Schema) -> None:
    todo, seen = list(json.loads((R4 / "types.json").read_bytes())), set()
    while todo:
        name = todo.pop()
        definition = schema.type(name)
        assert definition is not None, name
        seen.add(name)
        for element in definition.elements.values():
            assert element.variants, (name, element.name)
            for variant in element.variants:
                assert schema.resource_types.issuperset(variant.targets)
                todo += {variant.type} - seen
    assert len(seen) > 600


def test_codes_of_required_value_sets(schema: Schema) -> None:
    status = schema.codes("http://hl7.org/fhir/ValueSet/task-status")
    assert status is not None
    assert {len(codes) for codes in status.values()} == {12}
    assert schema.codes("http://hl7.org/fhir/ValueSet/mimetypes") is None


def test_search_parameters_are_those_of_4_0_1(tmp_path: Path) -> None:
    parameters = {one["url"]: one for one in Registry.load(tmp_path).search_parameters_r4}
    base = "http://hl7.org/fhir/SearchParameter/"
    assert len(parameters) == 1375
    assert parameters[base + "Task-based-on"]["expression"] == "Task.basedOn"
    assert parameters[base + "Resource-lastUpdated"]["base"] == ["Resource"]
    assert len(parameters[base + "PlanDefinition-context-type-value"]["component"]) == 2
    assert "Organization" not in parameters[base + "MeasureReport-subject"]["target"]
    assert base + "ServiceRequest-order-detail" not in parameters


# ---- profiles/


def write(folder: Path, name: str, resource: dict[str, Any] | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(resource if isinstance(resource, str) else json.dumps(resource), "utf-8")
    return file


def code_system(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "CodeSystem", "url": f"{CANONICAL}/CodeSystem/a", "version": "1.0.0"} | changes


def test_definitions_are_found_by_url_version_and_type(tmp_path: Path) -> None:
    write(tmp_path, "a.json", code_system())
    write(tmp_path, "below/a-2.json", code_system(version="2.0.0"))
    write(tmp_path, "below/n.json", {"resourceType": "NamingSystem", "name": "no url in R4"})
    registry = Registry.load(tmp_path)
    url = f"{CANONICAL}/CodeSystem/a"
    assert registry.get(url, "1.0.0") == code_system()
    assert registry.get(url) == code_system(version="2.0.0")
    assert registry.get(url, "3.0.0") is None
    assert registry.get(f"{CANONICAL}/CodeSystem/b") is None
    assert len(registry.of_type("CodeSystem")) == 2
    assert len(registry.of_type("NamingSystem")) == 1
    assert registry.of_type("SearchParameter") == ()


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        write(tmp_path, f"{version}.json", code_system(version=version))
    assert Registry.load(tmp_path).get(f"{CANONICAL}/CodeSystem/a") == code_system(version="1.10.0")


def test_another_canonical_base_replaces_the_one_in_the_files(tmp_path: Path) -> None:
    write(tmp_path, "a.json", code_system(valueSet=f"{CANONICAL}/ValueSet/a", publisher=f"{CANONICAL}-like"))
    registry = Registry.load(tmp_path, "https://portfolio.example/r4")
    found = registry.get("https://portfolio.example/r4/CodeSystem/a")
    assert found is not None
    assert found["valueSet"] == "https://portfolio.example/r4/ValueSet/a"
    assert found["publisher"] == f"{CANONICAL}-like"
    assert registry.get(f"{CANONICAL}/CodeSystem/a") is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object with a resourceType was expected"),
        ({"resourceType": "CodeSytem"}, "'CodeSytem' is no resource type of R4"),
        ({"url": "http://example.org/a"}, "None is no resource type of R4"),
        (code_system(url=5), "url is no string"),
        (code_system(version=[1]), "version is no string"),
        (code_system(), "is defined in"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, content: Any, what: str) -> None:
    write(tmp_path, "a.json", code_system())
    file = write(tmp_path, "b.json", content)
    with pytest.raises(ValueError, match=what) as error:
        Registry.load(tmp_path)
    assert str(file) in str(error.value)


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        Registry.load(tmp_path / "nothing")
