"""The form of a resource: R4 json.html, datatypes.html, references.html, narrative.html and the R4 definitions."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.definitions.registry import Schema
from server.definitions.validation import ENSURED, Validator
from server.outcome import STATUS, Issue

DATA = Path(__file__).parent / "data" / "validation"
Json = dict[str, Any]

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
A = {"reference": "#a"}
CODE = {"coding": [{"system": "http://example.org/codes", "code": "a"}]}


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator(Schema())


def task(**changes: Any) -> Json:
    """A valid Task with changes; None leaves an element out, NULL writes null."""
    return changed({"resourceType": "Task", "status": "requested", "intent": "order"}, changes)


def changed(resource: Json, changes: Json) -> Json:
    for key, value in changes.items():
        resource[key] = value
    return {key: None if value is NULL else value for key, value in resource.items() if value is not None}


def task_input(**value: Any) -> Json:
    return task(input=[{"type": CODE, **value}])


def extended(**extension: Any) -> Json:
    return task(extension=[{"url": "http://example.org/e", **extension}])


def narrated(div: str) -> Json:
    return task(text={"status": "generated", "div": div})


def plan(**changes: Any) -> Json:
    return changed({"resourceType": "PlanDefinition", "status": "draft"}, changes)


def nested(levels: int) -> Json:
    extension: Json = {"url": "http://example.org/e", "valueBoolean": True}
    for _ in range(levels):
        extension = {"url": "http://example.org/e", "extension": [extension]}
    return task(extension=[extension])


NULL = object()
DAY_AND_TIME = "2024-02-29T09:30:00"


def places(issues: list[Issue]) -> list[tuple[str, str]]:
    return [(issue.code, issue.expression) for issue in issues]


BAD = [
    # resourceType
    ("no resourceType", {"status": "draft"}, "structure", "Resource.resourceType"),
    ("an unknown type", {"resourceType": "Tsk"}, "structure", "Resource.resourceType"),
    ("an abstract type", {"resourceType": "DomainResource"}, "structure", "Resource.resourceType"),
    ("a resourceType that is a number", {"resourceType": 5}, "structure", "Resource.resourceType"),
    ("a datatype in place of a resource", {"resourceType": "Period"}, "structure", "Resource.resourceType"),
    ("an array in place of a resource", [], "structure", "Resource"),
    ("resourceType within a datatype", task(code={"text": "a", "resourceType": "Task"}), "structure",
     "Task.code.resourceType"),
    # elements and cardinality
    ("an unknown element", task(stauts="draft"), "structure", "Task.stauts"),
    ("an element of another version", task(requestedPerformer=[]), "structure", "Task.requestedPerformer"),
    ("an unknown element of a backbone", task(restriction={"max": 1}), "structure", "Task.restriction.max"),
    ("a key that is no name", task(**{"a b": 1}), "structure", "Task.`a b`"),
    ("XML's comments", task(fhir_comments=["a"]), "structure", "Task.fhir_comments"),
    ("a required element missing", task(intent=None), "required", "Task.intent"),
    ("a required choice missing", task(input=[{"type": CODE}]), "required", "Task.input[0].value"),
    ("a required element of a shared backbone missing", plan(action=[{"action": [{"relatedAction": [
        {"actionId": "a"}]}]}]), "required", "PlanDefinition.action[0].action[0].relatedAction[0].relationship"),
    ("one value where an array belongs", task(note={"text": "a"}), "structure", "Task.note"),
    ("an array where one value belongs", task(status=["requested"]), "structure", "Task.status"),
    ("an array where one object belongs", task(code=[CODE]), "structure", "Task.code"),
    ("one string where an array belongs", plan(library="http://example.org/l"), "structure", "PlanDefinition.library"),
    # nothing
    ("an empty array", task(note=[]), "structure", "Task.note"),
    ("an empty array of a primitive type", plan(library=[]), "structure", "PlanDefinition.library"),
    ("an empty object", task(code={}), "structure", "Task.code"),
    ("an empty object in an array", task(note=[{}]), "structure", "Task.note[0]"),
    ("an empty string", task(description=""), "value", "Task.description"),
    ("only white space", task(description=" \t\n"), "value", "Task.description"),
    ("null for a value", task(description=NULL), "structure", "Task.description"),
    ("null for an object", task(code=NULL), "structure", "Task.code"),
    ("null for an array", task(note=NULL), "structure", "Task.note"),
    ("null in an array of objects", task(note=[None]), "structure", "Task.note[0]"),
    ("null in an array without one beside it", plan(library=["http://example.org/l", None]), "structure",
     "PlanDefinition.library[1]"),
    # primitive types
    ("a boolean as a string", plan(experimental="true"), "structure", "PlanDefinition.experimental"),
    ("a boolean as a number", plan(experimental=1), "structure", "PlanDefinition.experimental"),
    ("a number as a string", task_input(valueInteger="5"), "structure", "Task.input[0].value"),
    ("a boolean as an integer", task_input(valueInteger=True), "structure", "Task.input[0].value"),
    ("an integer with decimals", task_input(valueInteger=Decimal("1.0")), "value", "Task.input[0].value"),
    ("an integer of 33 bits", task_input(valueInteger=2**31), "value", "Task.input[0].value"),
    ("positiveInt 0", task_input(valuePositiveInt=0), "value", "Task.input[0].value"),
    ("unsignedInt -1", task_input(valueUnsignedInt=-1), "value", "Task.input[0].value"),
    ("a decimal as a string", task_input(valueDecimal="1.0"), "structure", "Task.input[0].value"),
    ("a date that no calendar has", task_input(valueDate="2023-02-30"), "value", "Task.input[0].value"),
    ("the leap day of a year without one", task_input(valueDate="1900-02-29"), "value", "Task.input[0].value"),
    ("month 13", task_input(valueDate="2023-13"), "value", "Task.input[0].value"),
    ("the year 0", task_input(valueDate="0000"), "value", "Task.input[0].value"),
    ("a date with time", task_input(valueDate=f"{DAY_AND_TIME}Z"), "value", "Task.input[0].value"),
    ("a date as a number", task_input(valueDate=2023), "structure", "Task.input[0].value"),
    ("a time without zone", task(authoredOn=DAY_AND_TIME), "value", "Task.authoredOn"),
    ("a time without seconds", task(authoredOn="2024-02-29T09:30Z"), "value", "Task.authoredOn"),
    ("hour 24", task(authoredOn="2024-02-29T24:00:00Z"), "value", "Task.authoredOn"),
    ("a zone beyond 14:00", task(authoredOn=f"{DAY_AND_TIME}+14:30"), "value", "Task.authoredOn"),
    ("a time of a day that no calendar has", task(authoredOn="2023-02-29T09:30:00Z"), "value", "Task.authoredOn"),
    ("a blank between date and time", task(authoredOn="2024-02-29 09:30:00Z"), "value", "Task.authoredOn"),
    ("an instant of a day only", task(meta={"lastUpdated": "2024-02-29"}), "value", "Task.meta.lastUpdated"),
    ("a time with zone", task_input(valueTime="09:30:00Z"), "value", "Task.input[0].value"),
    ("digits of another script", task_input(valueDate="２０２３"), "value", "Task.input[0].value"),
    ("an id of 65 characters", task(id="a" * 65), "value", "Task.id"),
    ("an id with a slash", task(id="a/b"), "value", "Task.id"),
    ("a code with a leading blank", task(language=" nb"), "value", "Task.language"),
    ("a code with two blanks", task(language="n  b"), "value", "Task.language"),
    ("a URI with a blank", task(implicitRules="http://example.org/a b"), "value", "Task.implicitRules"),
    ("a canonical with a line break", task(instantiatesCanonical="http://example.org/a\n"), "value",
     "Task.instantiatesCanonical"),
    ("an OID without urn:oid:", task_input(valueOid="2.16.578.1"), "value", "Task.input[0].value"),
    ("a UUID in upper case", task_input(valueUuid="urn:uuid:C757873D-EC9A-4326-A141-556F43239520"), "value",
     "Task.input[0].value"),
    ("base64 without padding", task_input(valueBase64Binary="YWI"), "value", "Task.input[0].value"),
    ("base64 of other letters", task_input(valueBase64Binary="YW_i"), "value", "Task.input[0].value"),
    ("a control character", task(description="a\x07b"), "value", "Task.description"),
    ("half a surrogate pair", task(description="a\ud800"), "value", "Task.description"),
    ("a string beyond 1 MiB", task(description="å" * (512 * 1024 + 1)), "value", "Task.description"),
    # what stands beside a primitive value
    ("an empty object beside a value", task(_status={}), "structure", "Task.status"),
    ("a value beside a value", task(_status="requested"), "structure", "Task.status"),
    ("an unknown element beside a value", task(_status={"value": "a"}), "structure", "Task.status.value"),
    ("an object beside an object", task(_code={"id": "a"}), "structure", "Task._code"),
    ("an extension beside an id", task(_id={"extension": [{"url": "http://example.org/e", "valueString": "a"}]}),
     "structure", "Task._id"),
    ("an extension in place of an extension's url", task(extension=[{"_url": {"id": "a"}, "valueString": "a"}]),
     "structure", "Task.extension[0]._url"),
    ("arrays of unequal length", plan(library=["http://example.org/l"], _library=[None, {"id": "a"}]), "structure",
     "PlanDefinition.library"),
    # choices
    ("two values of a choice", task_input(valueString="a", valueBoolean=True), "structure", "Task.input[0].value"),
    ("a value and what stands beside another", task_input(valueString="a", _valueBoolean={"id": "a"}), "structure",
     "Task.input[0].value"),
    ("a choice without its type", task_input(valueString="a", value="b"), "structure", "Task.input[0].value"),
    ("a type that the choice does not have", {"resourceType": "Observation", "status": "final", "code": CODE,
                                              "valueMoney": {"value": 1}}, "structure", "Observation.valueMoney"),
    # required bindings
    ("a code that the value set does not have", task(status="done"), "code-invalid", "Task.status"),
    ("a code in another case", task(status="Requested"), "code-invalid", "Task.status"),
    ("a code of a datatype", task(identifier=[{"use": "main", "value": "a"}]), "code-invalid",
     "Task.identifier[0].use"),
    ("a bound concept with text only", {"resourceType": "AllergyIntolerance", "patient": {"display": "a"},
                                        "clinicalStatus": {"text": "active"}}, "code-invalid",
     "AllergyIntolerance.clinicalStatus"),
    ("a bound concept with a code of another system", {
        "resourceType": "AllergyIntolerance", "patient": {"display": "a"},
        "clinicalStatus": {"coding": [{"system": "http://example.org/codes", "code": "active"}]},
    }, "code-invalid", "AllergyIntolerance.clinicalStatus"),
    ("a currency that is no code of ISO 4217", task_input(valueMoney={"value": 1, "currency": "kr"}), "code-invalid",
     "Task.input[0].value.currency"),
    # references
    ("a reference to a type that may not be pointed to", task(partOf=[{"reference": "Patient/1"}]), "value",
     "Task.partOf[0].reference"),
    ("the same by an absolute URL", task(partOf=[{"reference": "https://example.org/fhir/Patient/1"}]), "value",
     "Task.partOf[0].reference"),
    ("the same by criteria", task(owner={"reference": "Task?identifier=a"}), "value", "Task.owner.reference"),
    ("the same by its version", task(partOf=[{"reference": "Patient/1/_history/2"}]), "value",
     "Task.partOf[0].reference"),
    ("the same by Reference.type", task(owner={"type": "Task", "display": "a"}), "value", "Task.owner.type"),
    ("a type that contradicts the reference", task(focus={"type": "Task", "reference": "Patient/1"}), "value",
     "Task.focus.type"),
    ("a reference to an unknown type", task(focus={"reference": "Tsk/1"}), "value", "Task.focus.reference"),
    ("a reference with an id that is none", task(focus={"reference": "Task/a_b"}), "value", "Task.focus.reference"),
    # extensions
    ("an extension without url", task(extension=[{"valueString": "a"}]), "required", "Task.extension[0].url"),
    ("an extension with nothing", extended(), "invariant", "Task.extension[0]"),
    ("an extension with value and extensions", extended(valueString="a", extension=[
        {"url": "http://example.org/f", "valueString": "a"}]), "invariant", "Task.extension[0]"),
    ("an extension of a datatype that R4 does not have", extended(valueInteger64="1"), "structure",
     "Task.extension[0].valueInteger64"),
    ("modifierExtension within a datatype", task(code={"text": "a", "modifierExtension": [
        {"url": "http://example.org/e", "valueString": "a"}]}), "structure", "Task.code.modifierExtension"),
    # contained resources, entries
    ("a contained resource without id", task(contained=[{"resourceType": "Organization", "name": "a"}]), "required",
     "Task.contained[0].id"),
    ("a contained resource in a contained one", task(focus=A, contained=[
        task(id="a", contained=[task(id="b", focus={"reference": "#"})])]), "invariant",
     "Task.contained[0].contained"),
    ("a contained resource with a version", task(focus=A, contained=[task(id="a", meta={"versionId": "1"})]),
     "invariant",
     "Task.contained[0].meta.versionId"),
    ("an unknown type in a Bundle", {"resourceType": "Bundle", "type": "collection",
                                     "entry": [{"resource": {"resourceType": "Tsk"}}]}, "structure",
     "Bundle.entry[0].resource.resourceType"),
    ("a fault within a Bundle", {"resourceType": "Bundle", "type": "collection",
                                 "entry": [{"resource": task(status=None)}]}, "required",
     "Bundle.entry[0].resource.status"),
    # narrative
    ("a div without namespace", narrated("<div>a</div>"), "value", "Task.text.div"),
    ("a div that does not end", narrated(f"<div {XHTML}><p>a</div>"), "value", "Task.text.div"),
    ("another root than div", narrated(f"<p {XHTML}>a</p>"), "value", "Task.text.div"),
    ("a script", narrated(f"<div {XHTML}><script>a</script></div>"), "value", "Task.text.div"),
    ("an event's attribute", narrated(f'<div {XHTML} onclick="a">a</div>'), "value", "Task.text.div"),
    ("a link to a script", narrated(f'<div {XHTML}><a href=" JavaScript:a">a</a></div>'), "value", "Task.text.div"),
    ("an entity of HTML", narrated(f"<div {XHTML}>a&nbsp;b</div>"), "value", "Task.text.div"),
    ("a document type", narrated(f'<!DOCTYPE div [<!ENTITY a "b">]><div {XHTML}>&a;</div>'), "value", "Task.text.div"),
    ("a div without content", narrated(f"<div {XHTML}> <p/> </div>"), "value", "Task.text.div"),
    ("another namespace within", narrated(f'<div {XHTML}><svg xmlns="http://www.w3.org/2000/svg"/>a</div>'), "value",
     "Task.text.div"),
    ("a status without div", task(text={"status": "generated"}), "required", "Task.text.div"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "code", "expression"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_fault_is_one_issue_with_its_code_and_place(
    validator: Validator, resource: Any, code: str, expression: str
) -> None:
    assert places(validator.validate(resource)) == [(code, expression)]


@pytest.mark.parametrize("resource", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_an_issue_can_be_sent(validator: Validator, resource: Any) -> None:
    for issue in validator.validate(resource):
        assert issue.code in STATUS
        assert issue.severity == "error"
        assert len(issue.text) < 400
        issue.text.encode("utf-8")


LEGAL = [
    ("the least Task", task()),
    ("an empty div of an image", narrated(f'<div {XHTML}><img src="#a" alt=""/></div>')),
    ("a narrative with a table, a link and a prefix", narrated(
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml" xml:lang="nb"><h:table><h:tr><h:td colspan="2">'
        '<h:a href="http://example.org/">a &amp; b &#160;</h:a></h:td></h:tr></h:table></h:div>')),
    ("a value that is only an extension", task(_authoredOn={"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]})),
    ("a required value that is only an extension", task(status=None, _status={"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]})),
    ("a required choice that is only an extension", task_input(_valueString={"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]})),
    ("a value with an id beside it", task(_status={"id": "a"})),
    ("aligned arrays with null", plan(library=["http://example.org/l", None], _library=[None, {"id": "a"}])),
    ("an array of which only extensions are known", plan(_library=[{"id": "a"}])),
    ("an element's id with characters that a logical id may not have", task(code={"id": "a_b c", "text": "a"})),
    ("a year", task(authoredOn="2024")),
    ("a month", task(authoredOn="2024-02")),
    ("a leap day", task(authoredOn="2024-02-29")),
    ("a leap day of a century", task(authoredOn="2000-02-29T00:00:00Z")),
    ("a leap second", task(authoredOn="2016-12-31T23:59:60Z")),
    ("a long fraction of a second", task(authoredOn="2016-12-31T23:59:59.123456789012Z")),
    ("the zone +14:00", task(authoredOn=f"{DAY_AND_TIME}+14:00")),
    ("the zone -00:00", task(authoredOn=f"{DAY_AND_TIME}-00:00")),
    ("the least integer", task_input(valueInteger=-(2**31))),
    ("a decimal that is whole", task_input(valueDecimal=5)),
    ("a decimal of many digits", task_input(valueDecimal=Decimal("1.2300000000000000000000000000001"))),
    ("a decimal with exponent", task_input(valueDecimal=Decimal("1E-24"))),
    ("base64 in lines", task_input(valueBase64Binary="YWJj\r\nYWI=")),
    ("text with tab and line breaks", task(description="\ta\r\nb ")),
    ("text outside the basic plane", task(description="𝒂 😀 \u200d")),
    ("1 MiB of text", task(description="å" * (512 * 1024))),
    ("a code with one blank within", task_input(valueCode="a b")),
    ("a URI that is a name", task(identifier=[{"system": "urn:oid:2.16.578.1", "value": "a"}])),
    ("a URI with letters beyond ASCII", task(instantiatesUri="http://example.org/æ")),
    ("an extension within an extension", extended(extension=[{"url": "a", "valueString": "b"}])),
    ("an extension with Meta as value", extended(valueMeta={"versionId": "1"})),
    ("99 levels", nested(97)),
    ("a reference to a contained resource", task(contained=[
        {"resourceType": "Organization", "id": "a", "name": "a"}], owner={"reference": "#a"})),
    ("a reference to what contains it", task(contained=[task(id="a", partOf=[{"reference": "#"}])])),
    ("a reference by UUID", task(owner={"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"})),
    ("a reference by criteria", task(owner={"reference": "Organization?identifier=a%7Cb"})),
    ("a reference by an absolute URL with version",
     task(owner={"reference": "https://example.org/fhir/Organization/1/_history/2"})),
    ("a reference to a URL that is no FHIR", task(focus={"reference": "https://example.org/report.pdf"})),
    ("a reference by identifier with its type", task(owner={
        "type": "Organization", "identifier": {"system": "urn:oid:2.16.578.1.12.4.1.4.101", "value": "983658725"}})),
    ("a reference with the full URL of its type", task(focus={
        "type": "http://hl7.org/fhir/StructureDefinition/Task", "reference": "Task/1"})),
    ("a logical reference of a type that is no resource", task(focus={
        "type": "http://example.org/StructureDefinition/model", "display": "a"})),
    ("a bound concept with a further coding", {
        "resourceType": "AllergyIntolerance", "patient": {"display": "a"},
        "clinicalStatus": {"coding": [CODE["coding"][0], {
            "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}}),
    ("the shared backbone within itself", plan(action=[{"action": [{"action": [{"title": "a"}]}]}])),
    ("a Parameters with a resource", {"resourceType": "Parameters", "parameter": [
        {"name": "a", "resource": task()}, {"name": "b", "part": [{"name": "c", "valueDate": "2024"}]}]}),
    ("a response's outcome of another type than OperationOutcome, as 4.0.1 has it", {
        "resourceType": "Bundle", "type": "batch-response",
        "entry": [{"response": {"status": "200", "outcome": task()}}]}),
]  # fmt: skip


@pytest.mark.parametrize("resource", [row[1] for row in LEGAL], ids=[row[0] for row in LEGAL])
def test_odd_but_legal(validator: Validator, resource: Json) -> None:
    assert validator.validate(resource) == []


@pytest.mark.parametrize("name", ["initiative", "delivery", "status-report", "transaction"])
def test_the_examples_of_the_domain_model_are_valid(validator: Validator, name: str) -> None:
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    assert validator.validate(decoder.decode((DATA / f"{name}.json").read_bytes())) == []


def test_every_fault_is_reported_in_the_order_of_the_elements(validator: Validator) -> None:
    broken = {
        "resourceType": "Task",
        "id": "a b",
        "identifier": [{"use": "main"}, {"system": "a b"}, {}],
        "stauts": "draft",
        "status": "done",
        "authoredOn": "2023-02-30",
        "partOf": [{"reference": "Patient/1"}],
        "note": {"text": "a"},
        "restriction": {"repetitions": 0, "period": {"start": "yesterday"}},
        "input": [{"valueString": "a", "valueBoolean": True}],
    }
    assert places(validator.validate(broken)) == [
        ("value", "Task.id"),
        ("code-invalid", "Task.identifier[0].use"),
        ("value", "Task.identifier[1].system"),
        ("structure", "Task.identifier[2]"),
        ("structure", "Task.stauts"),
        ("code-invalid", "Task.status"),
        ("value", "Task.authoredOn"),
        ("value", "Task.partOf[0].reference"),
        ("structure", "Task.note"),
        ("value", "Task.restriction.repetitions"),
        ("value", "Task.restriction.period.start"),
        ("structure", "Task.input[0].value"),
        ("required", "Task.input[0].type"),
        ("required", "Task.intent"),
    ]


def test_a_type_other_than_expected_is_refused(validator: Validator) -> None:
    assert validator.validate(task(), expected_type="Task") == []
    assert places(validator.validate(task(), expected_type="PlanDefinition")) == [
        ("structure", "PlanDefinition.resourceType")
    ]
    assert places(validator.validate({"status": "draft"}, expected_type="Task")) == [("structure", "Task.resourceType")]


@pytest.mark.parametrize("levels", [100, 101, 5000])
def test_depth_is_limited_without_an_exception(validator: Validator, levels: int) -> None:
    [issue] = validator.validate(nested(levels))
    assert issue.code == "structure"
    assert issue.expression == "Task" + ".extension[0]" * 101


@pytest.mark.parametrize(
    ("resource", "hint"),
    [
        (task(stauts="draft"), "did you mean status?"),
        ({"resourceType": "Tsk"}, "did you mean Task?"),
        (task(status="in-progres"), "did you mean in-progress?"),
        (task_input(valueCodableConcept=CODE, valueString="a"), "did you mean valueCodeableConcept?"),
        ({"resourceType": "Observation", "status": "final", "code": CODE, "value": 1}, "valueQuantity, "),
    ],
)
def test_a_near_miss_is_named(validator: Validator, resource: Json, hint: str) -> None:
    assert hint in validator.validate(resource)[0].text


def test_a_flood_of_faults_is_answered_whole(validator: Validator) -> None:
    flood = task(**{f"status{number}": "a" for number in range(5000)})
    assert len(validator.validate(flood)) == 5000


def test_rules_that_are_ensured_name_their_key(validator: Validator) -> None:
    assert [issue.rule for issue in validator.validate(extended())] == ["ext-1"]
    assert {"ele-1", "ext-1", "dom-2", "dom-4"} < ENSURED


JSON_VALUES: list[Any] = [None, True, 0, -1, 2**40, Decimal("0.5"), "", " ", "a", "\x00", [], {}, [[]], [{}], [None]]
JSON_VALUES += [
    {"": ""},
    {"reference": 5},
    {"reference": "\ud800", "type": "\ud800"},
    {"coding": 5},
    {"coding": [5]},
    {"url": None},
    ["a", 1],
    {"resourceType": []},
]


def test_whatever_json_is_given_there_are_issues_and_no_exception(validator: Validator) -> None:
    schema = Schema()
    for resource_type in ("Task", "PlanDefinition", "Bundle", "AllergyIntolerance", "Questionnaire"):
        definition = schema.type(resource_type)
        assert definition is not None
        for element in definition.elements.values():
            for variant in element.variants:
                for value in JSON_VALUES:
                    for key in (variant.key, f"_{variant.key}"):
                        resource = {"resourceType": resource_type, key: value}
                        sent = [issue.as_json() for issue in validator.validate(resource)]
                        json.dumps(sent, ensure_ascii=False).encode("utf-8")
    for value in JSON_VALUES:
        assert validator.validate(value)
