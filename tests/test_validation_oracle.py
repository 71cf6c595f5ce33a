"""Our validator beside fhir.resources (its R4B models, which equal R4 for Task and Organization).

Every mutant of two resources is judged by both. Where they disagree, the table says which rule of R4 decides;
a disagreement of another kind, or a kind that no longer occurs, fails.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.organization import Organization
from fhir.resources.R4B.task import Task
from pydantic import BaseModel, ValidationError

from server.definitions.registry import Schema
from server.definitions.validation import Validator
from server.outcome import Issue

Json = dict[str, Any]

TASK: Json = json.loads((Path(__file__).parent / "data" / "validation" / "status-report.json").read_bytes())
ORGANIZATION: Json = {
    "resourceType": "Organization",
    "id": "helse-vest",
    "meta": {"lastUpdated": "2021-11-12T09:30:00+01:00"},
    "extension": [{"url": "http://example.org/e", "valueDecimal": 1.5}],
    "identifier": [{"use": "official", "value": "983658725", "period": {"start": "2002-01-01"}}],
    "active": True,
    "type": [{"coding": [{"system": "http://example.org/codes", "code": "rhf", "userSelected": True}]}],
    "name": "Helse Vest RHF",
    "alias": ["HV", "Vest"],
    "_alias": [None, {"id": "a"}],
    "telecom": [{"system": "phone", "value": "51963800", "rank": 1}],
    "partOf": {"reference": "Organization/hod"},
    "contact": [{"name": {"family": "Nordmann", "given": ["Kari"]}}],
}

# What ours refuses and fhir.resources accepts: issue code, what it was about -> the rule that decides.
STRICTER = {
    ("structure", "null"): "json.html: null only in arrays of a primitive type, for alignment",
    ("structure", "object"): "json.html: objects are never empty, and never null",
    ("structure", "array"): "json.html: arrays are never empty, and never null",
    ("structure", "alignment"): "json.html: the arrays of values and of extensions have the same length",
    ("structure", "boolean"): "json.html: a boolean is the JSON boolean",
    ("structure", "dateTime"): "json.html: a dateTime is a JSON string",
    ("structure", "date"): "json.html: a date is a JSON string",
    ("structure", "instant"): "json.html: an instant is a JSON string",
    ("structure", "decimal"): "json.html: a decimal is a JSON number",
    ("structure", "positiveInt"): "json.html: a positiveInt is a JSON number",
    ("value", "id"): "datatypes.html: 1 to 64 of A-Z a-z 0-9 - .",
    ("value", "uri"): "datatypes.html: \\S*, and no string is empty",
    ("value", "canonical"): "datatypes.html: \\S*, and no string is empty",
    ("value", "string"): "datatypes.html: no string is empty; one of white space only says nothing",
    ("value", "markdown"): "datatypes.html: as string",
    ("value", "reference"): "references.html: Type/id, and the target types of the element",
    ("code-invalid", "code"): "terminologies.html: a required binding",
    ("value", "extension-url"): "extensibility.html: the url of an extension is absolute, but within an extension",
    ("invariant", "ext-1"): "extensibility.html: ext-1",
    ("invariant", "per-1"): "datatypes.html: a Period starts before it ends; what cannot be told fails",
    ("invariant", "inv-1"): "task.html: changed after it was authored",
    ("invariant", "cpt-2"): "datatypes.html: a ContactPoint with a value has a system",
}

REMOVED = object()
VALUES: list[Any] = [
    REMOVED, None, True, 1, 0, 2**31, 1.5, "", " ", " a", "a b", "true", "1", "a" * 65, "2024", "2023-02-30",
    "2024-02-29T09:30:00", "2024-02-29T09:30:00Z", "Patient/1", "Organization/1", [], {}, ["a"], [{}], {"id": "a"},
    {"text": "a"}, {"unknown": "a"},
]  # fmt: skip


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in items:
        if step != "resourceType":
            yield (*above, step)
            yield from paths(below, (*above, step))


def mutants(resource: Json) -> Iterator[Json]:
    """The resource with each of its elements removed, wrapped in an array, and replaced by each of VALUES."""
    for path in list(paths(resource)):
        for value in (*VALUES, "in an array"):
            mutant = copy.deepcopy(resource)
            parent: Any = mutant
            for step in path[:-1]:
                parent = parent[step]
            if value is REMOVED:
                del parent[path[-1]]
            else:
                parent[path[-1]] = [parent[path[-1]]] if value == "in an array" else value
            yield mutant


def accepted(model: type[BaseModel], resource: Json) -> bool:
    try:
        model.model_validate(resource)
    except (ValidationError, ValueError, TypeError, AttributeError):  # its own slips on odd shapes
        return False
    return True


def kind(issue: Issue) -> tuple[str, str]:
    """What the issue is about, from its text."""
    if issue.rule:
        return issue.code, issue.rule
    for part, about in (("null her", "null"), ("objekt", "object"), ("liste", "array"), ("aligned", "alignment"),
                        ("referanse", "reference"), ("Ukjent kode", "code")):  # fmt: skip
        if part in issue.text:
            return issue.code, about
    found = re.search(r"is no (\w+): ", issue.text)
    return issue.code, found[1] if found else issue.text


@pytest.fixture(scope="module")
def disagreements() -> tuple[set[tuple[str, str]], set[str]]:
    """The kinds that only ours refuses, and the mutants that only fhir.resources refuses."""
    validator = Validator(Schema())
    stricter: set[tuple[str, str]] = set()
    laxer: set[str] = set()
    for model, resource in ((Task, TASK), (Organization, ORGANIZATION)):
        for mutant in mutants(resource):
            issues, theirs = validator.validate(mutant), accepted(model, copy.deepcopy(mutant))
            if issues and theirs:
                stricter.add(kind(issues[0]))
            elif not issues and not theirs:
                laxer.add(json.dumps(mutant))
    return stricter, laxer


def test_both_accept_what_the_mutants_come_from() -> None:
    for model, resource in ((Task, TASK), (Organization, ORGANIZATION)):
        assert Validator(Schema()).validate(resource) == []
        assert accepted(model, copy.deepcopy(resource))


def test_where_ours_is_stricter_a_rule_of_r4_says_so(disagreements: tuple[set[tuple[str, str]], set[str]]) -> None:
    assert disagreements[0] == STRICTER.keys()


def test_ours_accepts_nothing_that_fhir_resources_refuses(disagreements: tuple[set[Any], set[str]]) -> None:
    assert disagreements[1] == set()
