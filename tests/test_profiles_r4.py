"""R4's own invariants: what they refuse, where, by their key; in every mode, and without a profile."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from server.app import RESOURCE_TYPES
from server.definitions.registry import Schema
from server.definitions.validation import Validator
from tests.profile_definitions import Json, schema, task


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator(schema())


def resource(kind: str, /, **elements: Any) -> Json:
    return {"resourceType": kind, "status": "draft", **elements}


TYPE = {"text": "a"}
HOME = {"system": "phone", "value": "1", "use": "home"}
ENTRY = {"fullUrl": "http://a.example/Task/1/_history/2", "resource": task()}

BROKEN: list[tuple[str, str, Json]] = [
    ("per-1", "Task.executionPeriod", task(executionPeriod={"start": "2024", "end": "2023"})),
    # What cannot be told fails: 2024 may be before or after a day of 2024.
    ("per-1", "Task.executionPeriod", task(executionPeriod={"start": "2024-05-01", "end": "2024"})),
    ("inv-1", "Task", task(authoredOn="2024-01-02", lastModified="2024-01-01")),
    ("ref-1", "Task.owner", task(owner={"reference": "#a"})),
    ("qty-3", "Task.input[0].value", task(input=[{"type": TYPE, "valueQuantity": {"value": 1, "code": "m"}}])),
    ("rng-2", "Task.input[0].value",
     task(input=[{"type": TYPE, "valueRange": {"low": {"value": 2}, "high": {"value": 1}}}])),
    ("att-1", "Task.input[0].value", task(input=[{"type": TYPE, "valueAttachment": {"data": "YQ=="}}])),
    ("rat-1", "Task.input[0].value", task(input=[{"type": TYPE, "valueRatio": {"numerator": {"value": 1}}}])),
    ("dom-3", "Task", task(contained=[{"resourceType": "Organization", "id": "a", "name": "a"}])),
    ("dom-5", "Task", task(owner={"reference": "#a"}, contained=[
        {"resourceType": "Organization", "id": "a", "name": "a", "meta": {"security": [{"code": "R"}]}}])),
    ("org-1", "Organization", {"resourceType": "Organization", "active": True}),
    ("org-2", "Organization.address[0]", {"resourceType": "Organization", "name": "a", "address": [{"use": "home"}]}),
    ("org-3", "Organization.telecom[1]",
     {"resourceType": "Organization", "name": "a", "telecom": [{**HOME, "use": "work"}, HOME]}),
    ("cpt-2", "Organization.telecom[0]", {"resourceType": "Organization", "name": "a", "telecom": [{"value": "1"}]}),
    ("bdl-1", "Bundle", {"resourceType": "Bundle", "type": "collection", "total": 1}),
    ("bdl-3", "Bundle", {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": task()}]}),
    ("bdl-8", "Bundle.entry[0]", {"resourceType": "Bundle", "type": "collection", "entry": [ENTRY]}),
    ("vsd-1", "ValueSet.compose.include[0]",
     resource("ValueSet", compose={"include": [{"version": "1"}]})),
    ("que-3", "Questionnaire.item[0]",
     resource("Questionnaire", item=[{"linkId": "1", "type": "display", "code": [{"code": "a"}]}])),
    ("que-2", "Questionnaire",
     resource("Questionnaire", item=[{"linkId": "1", "type": "string"}, {"linkId": "1", "type": "string"}])),
    ("csd-1", "CodeSystem", resource("CodeSystem", content="complete", concept=[{"code": "a"}, {"code": "a"}])),
    ("sdf-8a", "StructureDefinition.differential", resource(
        "StructureDefinition", url="http://a.example/a", name="A", kind="resource", abstract=False, type="Task",
        baseDefinition="http://a.example/b", differential={"element": [{"id": "Task", "path": "Bundle"}]})),
    ("ig-1", "ImplementationGuide.definition", resource(
        "ImplementationGuide", url="http://a.example/a", name="A", packageId="a", fhirVersion=["4.0.1"],
        definition={"resource": [{"reference": {"reference": "Task/1"}, "groupingId": "a"}]})),
]  # fmt: skip


@pytest.mark.parametrize(("key", "where", "broken"), BROKEN, ids=[f"{row[0]} {row[1]}" for row in BROKEN])
def test_broken(validator: Validator, key: str, where: str, broken: Json) -> None:
    [issue] = validator.validate(broken)
    assert (issue.rule, issue.expression) == (key, where)
    assert (issue.code, issue.severity) == ("invariant", "error")
    assert issue.text.startswith(f"{key}: ")


@pytest.mark.parametrize(
    "legal",
    [
        task(owner={"display": "a"}),  # ref-1 says nothing where nothing is pointed to
        task(owner={"reference": "#a"}, contained=[{"resourceType": "Organization", "id": "a", "name": "a"}]),
        task(contained=[{**task(id="a"), "partOf": [{"reference": "#"}]}]),  # references.html: "#" is what is around
        task(executionPeriod={"start": "2024-05", "end": "2024-05"}),
        task(executionPeriod={"end": "2024"}),
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": task()}]},  # bdl-8 needs a fullUrl
        # A contained resource belongs to the Task around it, an entry of a Bundle stands for itself.
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": task(
            owner={"reference": "#a"}, contained=[{"resourceType": "Organization", "id": "a", "name": "a"}])}]},
        resource("ValueSet"),  # vsd-0 is about a name that is there
        task(text=None),  # dom-6 is advice, not a rule
    ],
)  # fmt: skip
def test_legal(validator: Validator, legal: Json) -> None:
    assert validator.validate(legal) == []


def test_a_name_that_no_program_can_use_is_a_warning(validator: Validator) -> None:
    [issue] = validator.validate(resource("ValueSet", name="a b"))
    assert (issue.rule, issue.severity) == ("vsd-0", "warning")


@pytest.mark.parametrize("type", sorted(RESOURCE_TYPES))
def test_the_invariants_of_every_served_type_can_be_evaluated(validator: Validator, type: str) -> None:
    issues = validator.validate({"resourceType": type, "id": "a"})
    assert all(issue.code != "structure" for issue in issues)


def test_the_form_alone_leaves_the_invariants_out() -> None:
    bad = task(executionPeriod={"start": "2024", "end": "2023"}, status="x")
    [issue] = Validator(Schema()).judged(bad, "Task", form_only=True)
    assert issue.expression == "Task.status"


LARGE: dict[str, Any] = {
    "contained resources": lambda n: task(
        basedOn=[{"reference": f"#a{i}"} for i in range(n)],
        contained=[{"resourceType": "Organization", "id": f"a{i}", "name": "a"} for i in range(n)],
    ),
    "concepts": lambda n: resource("CodeSystem", content="complete", concept=[{"code": f"c{i}"} for i in range(n)]),
    "items": lambda n: resource("Questionnaire", item=[{"linkId": f"{i}", "type": "string"} for i in range(n)]),
    "elements": lambda n: resource(
        "StructureDefinition", url="http://a.example/a", name="A", kind="resource", abstract=False, type="Task",
        baseDefinition="http://a.example/b",
        differential={"element": [{"id": f"Task.{i}", "path": f"Task.a{i}"} for i in range(n)]}),
    "groups": lambda n: resource(
        "ImplementationGuide", url="http://a.example/a", name="A", packageId="a", fhirVersion=["4.0.1"],
        definition={"grouping": [{"id": f"g{i}", "name": "a"} for i in range(n)],
                    "resource": [{"reference": {"reference": "Task/1"}, "groupingId": f"g{i}"} for i in range(n)]}),
}  # fmt: skip


@pytest.mark.parametrize("what", LARGE)
def test_time_grows_with_the_size_and_not_with_its_square(validator: Validator, what: str) -> None:
    def seconds(n: int) -> float:
        large = LARGE[what](n)
        # Of this process alone, and the least of several: a busy machine must not look like a square.
        start = process_time()
        assert validator.validate(large) == []
        return process_time() - start

    seconds(10)
    small, large = min(seconds(400) for _ in range(5)), min(seconds(3200) for _ in range(5))
    assert large < 8 * small * 4  # 64 times as long, were it the square
