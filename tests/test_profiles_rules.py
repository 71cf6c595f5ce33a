"""What a profile asks beyond R4, kind of rule by kind of rule: the resource that meets it, and what is said of one
that does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.profile_definitions import (
    CODES,
    COLOURS,
    TERMS,
    Json,
    concept,
    element,
    extension,
    judge,
    places,
    profile,
    rule,
    schema,
    sliced,
    task,
    url,
)

A, B = {"type": concept("green"), "valueString": "a"}, {"type": concept("red"), "valueInteger": 1}
REQUIRED = {"strength": "required", "valueSet": COLOURS}
BY_TYPE = ("pattern", "type")


def inputs(*, green: Json | None = None, red: Json | None = None, **more: Any) -> list[Json]:
    """Task.input sliced by type into green (a string, once) and red."""
    return [
        sliced("Task.input", BY_TYPE, **more),
        element("Task.input:green", **{"min": 0, "max": "1", **(green or {})}),
        element("Task.input:green.type", patternCodeableConcept=concept("green")),
        element("Task.input:green.value[x]", type=[{"code": "string"}]),
        element("Task.input:red", **{"min": 0, "max": "*", **(red or {})}),
        element("Task.input:red.type", patternCodeableConcept=concept("red")),
    ]


# What the profile says; a Task that meets it; one that does not, and what is said of it.
RULES: dict[str, tuple[list[Json], Json, Json, list[tuple[str, str]]]] = {
    # cardinality
    "an element is required": (
        [element("Task.owner", min=1)], task(owner={"display": "a"}), task(), [("required", "Task.owner")],
    ),
    "an element within is required, where there is something for it to be in": (
        [element("Task.note.time", min=1)],
        task(note=[{"text": "a", "time": "2024"}]),
        task(note=[{"text": "a", "time": "2024"}, {"text": "b"}]),
        [("required", "Task.note[1].time")],
    ),
    "an element is not there": (
        [element("Task.priority", max="0")], task(), task(priority="urgent"), [("business-rule", "Task.priority")],
    ),
    "a choice is not there": (
        [element("Task.input.value[x]", type=[{"code": "string"}])],
        task(input=[A]), task(input=[A, B]), [("value", "Task.input[1].value")],
    ),
    "fewer than R4 allows": (
        [element("Task.basedOn", max="1")],
        task(basedOn=[{"display": "a"}]),
        task(basedOn=[{"display": "a"}, {"display": "b"}]),
        [("business-rule", "Task.basedOn")],
    ),
    "more than R4 asks for": (
        [element("Task.basedOn", min=2)],
        task(basedOn=[{"display": "a"}, {"display": "b"}]),
        task(basedOn=[{"display": "a"}]),
        [("required", "Task.basedOn")],
    ),
    # values
    "a fixed code": (
        [element("Task.intent", fixedCode="plan")], task(), task(intent="order"), [("value", "Task.intent")],
    ),
    "a fixed value is exactly this": (
        [element("Task.code", fixedCodeableConcept={"text": "a"})],
        task(code={"text": "a"}), task(code={"text": "a", "coding": [{"code": "b"}]}), [("value", "Task.code")],
    ),
    "a pattern may have more beside it": (
        [element("Task.code", patternCodeableConcept=concept("red"))],
        task(code={"coding": [{"code": "b"}, {"system": CODES, "code": "red", "display": "Rød"}], "text": "a"}),
        task(code={"coding": [{"system": CODES, "code": "green"}, {"code": "red"}]}),
        [("value", "Task.code")],
    ),
    "a pattern of numbers": (
        [element("Task.input.value[x]", type=[{"code": "Quantity"}], patternQuantity={"value": 2, "unit": "m"})],
        task(input=[{"type": {"text": "a"}, "valueQuantity": {"value": 2, "unit": "m", "code": "m", "system": "http://u"}}]),
        task(input=[{"type": {"text": "a"}, "valueQuantity": {"value": 3, "unit": "m"}}]),
        [("value", "Task.input[0].value")],
    ),
    "a length": (
        [element("Task.description", maxLength=3)],
        task(description="abc"), task(description="abcd"), [("business-rule", "Task.description")],
    ),
    # bindings
    "a required binding of a concept": (
        [element("Task.businessStatus", binding=REQUIRED)],
        task(businessStatus={"coding": [{"system": "http://other", "code": "x"}, concept("red")["coding"][0]]}),
        task(businessStatus=concept("rde")),
        [("code-invalid", "Task.businessStatus")],
    ),
    "a required binding is not met by text": (
        [element("Task.businessStatus", binding=REQUIRED)],
        task(), task(businessStatus={"text": "red"}), [("code-invalid", "Task.businessStatus")],
    ),
    "a required binding asks for the system": (
        [element("Task.businessStatus", binding=REQUIRED)],
        task(businessStatus=concept("amber")),
        task(businessStatus=concept("amber", "http://other")),
        [("code-invalid", "Task.businessStatus")],
    ),
    "a wrong display is no error": (
        [element("Task.businessStatus", binding=REQUIRED)],
        task(businessStatus={"coding": [{"system": CODES, "code": "red", "display": "Grønn"}]}),
        task(businessStatus=concept("blue")),
        [("code-invalid", "Task.businessStatus")],
    ),
    # references
    "a reference's target": (
        [element("Task.focus", type=[{"code": "Reference", "targetProfile": [url("self")]}])],
        task(focus={"reference": "Task/1"}),
        task(focus={"reference": "Organization/1"}),
        [("value", "Task.focus.reference")],
    ),
    "a reference of which only the type is told": (
        [element("Task.focus", type=[{"code": "Reference", "targetProfile": [url("self")]}])],
        task(focus={"type": "Task", "display": "a"}),
        task(focus={"type": "Organization", "display": "a"}),
        [("value", "Task.focus.type")],
    ),
    # slices
    "what a slice asks of its items": (
        inputs(), task(input=[A, B]), task(input=[B, {"type": concept("green"), "valueBoolean": True}]),
        [("value", "Task.input[1].value")],
    ),
    "a slice that must be there": (
        inputs(red={"min": 1}), task(input=[B]), task(input=[A]), [("required", "Task.input")],
    ),
    "a slice that must be there, where nothing is": (
        inputs(red={"min": 1}), task(input=[B]), task(), [("required", "Task.input")],
    ),
    "a slice comes once": (
        inputs(), task(input=[A, B, B]), task(input=[A, B, A]), [("business-rule", "Task.input")],
    ),
    "other items, where slices are open": (
        inputs(), task(input=[{"type": {"text": "x"}, "valueString": "a"}, A]), task(input=[A, A]),
        [("business-rule", "Task.input")],
    ),
    "no other items, where slices are closed": (
        inputs(rules="closed"),
        task(input=[A, B]),
        task(input=[A, {"type": concept("gren"), "valueString": "a"}]),
        [("code-invalid", "Task.input[1]")],
    ),
    "slices in their order": (
        inputs(ordered=True), task(input=[A, B]), task(input=[B, A]), [("business-rule", "Task.input[1]")],
    ),
    "other items at the end": (
        inputs(rules="openAtEnd"),
        task(input=[B, A, {"type": {"text": "x"}, "valueString": "a"}]),
        task(input=[{"type": {"text": "x"}, "valueString": "a"}, A]),
        [("business-rule", "Task.input[1]")],
    ),
    "slices by a value": (
        [
            sliced("Task.identifier", ("value", "system")),
            element("Task.identifier:own", min=1, max="1"),
            element("Task.identifier:own.system", min=1, fixedUri="http://own"),
            element("Task.identifier:own.value", min=1),
        ],
        task(identifier=[{"system": "http://b"}, {"system": "http://own", "value": "1"}]),
        task(identifier=[{"system": "http://b"}, {"system": "http://own"}]),
        [("required", "Task.identifier[1].value")],
    ),
    "slices by two values": (
        [
            sliced("Task.identifier", ("value", "system"), ("value", "use")),
            element("Task.identifier:own", min=0, max="1"),
            element("Task.identifier:own.system", min=1, fixedUri="http://own"),
            element("Task.identifier:own.use", min=1, fixedCode="official"),
            element("Task.identifier:own.value", min=1),
        ],
        task(identifier=[{"system": "http://own", "use": "old"}, {"system": "http://own"}]),
        task(identifier=[{"system": "http://own", "use": "old"}, {"system": "http://own", "use": "official"}]),
        [("required", "Task.identifier[1].value")],
    ),
    "slices by a value on a nested path": (
        [
            sliced("Task.input", ("value", "type.coding.system")),
            element("Task.input:ours", min=0, max="1"),
            sliced("Task.input:ours.type.coding", ("value", "system"), min=1),
            element("Task.input:ours.type.coding:c", min=1),
            element("Task.input:ours.type.coding:c.system", min=1, fixedUri=CODES),
            element("Task.input:ours.value[x]", type=[{"code": "string"}]),
        ],
        task(input=[A, {"type": concept("a", "http://other"), "valueInteger": 1}]),
        task(input=[{"type": concept("a", "http://other"), "valueInteger": 1}, B]),
        [("value", "Task.input[1].value")],
    ),
    "slices by a pattern on the item itself": (
        [
            sliced("Task.code.coding", ("pattern", "$this"), rules="closed"),
            element("Task.code.coding:red", min=1, patternCoding={"system": CODES, "code": "red"}),
        ],
        task(code=concept("red")),
        task(code={"coding": [concept("red")["coding"][0], {"system": CODES, "code": "green"}]}),
        [("code-invalid", "Task.code.coding[1]")],
    ),
    "slices by a required binding": (
        [
            sliced("Task.input", ("value", "type")),
            element("Task.input:colour", min=1, max="1"),
            element("Task.input:colour.type", binding=REQUIRED),
        ],
        task(input=[A, {"type": {"text": "x"}, "valueString": "a"}]), task(input=[A, B]),
        [("business-rule", "Task.input")],
    ),
    "slices by whether something is there": (
        [
            sliced("Task.note", ("exists", "time")),
            element("Task.note:dated", min=0, max="1"),
            element("Task.note:dated.time", min=1),
        ],
        task(note=[{"text": "a", "time": "2024"}, {"text": "b"}]),
        task(note=[{"text": "a", "time": "2024"}, {"text": "b", "time": "2024"}]),
        [("business-rule", "Task.note")],
    ),
    "slices by the type that is pointed to": (
        [
            sliced("Task.basedOn", ("type", "resolve()"), rules="closed"),
            element("Task.basedOn:plan", type=[
                {"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/PlanDefinition"]},
            ]),
        ],
        task(basedOn=[{"reference": "PlanDefinition/1"}]),
        task(basedOn=[{"reference": "PlanDefinition/1"}, {"reference": "Task/1"}]),
        [("code-invalid", "Task.basedOn[1]")],
    ),
    "slices of a choice by its type": (
        [
            sliced("Task.input.value[x]", ("type", "$this")),
            element("Task.input.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
            element("Task.input.value[x]:valueQuantity.unit", min=1),
        ],
        task(input=[B, {"type": concept("red"), "valueQuantity": {"value": 1, "unit": "m"}}]),
        task(input=[B, {"type": concept("red"), "valueQuantity": {"value": 1}}]),
        [("required", "Task.input[1].value.unit")],
    ),
    # invariants
    "an invariant": (
        [element("Task.restriction", constraint=[rule("x-1", "period.end.exists() or repetitions.exists()")])],
        task(restriction={"repetitions": 2}), task(restriction={"recipient": [{"display": "a"}]}),
        [("invariant", "Task.restriction")],
    ),
    "an invariant that gives nothing fails": (
        [element("Task", constraint=[rule("x-1", "owner.display = 'a'")])],
        task(owner={"display": "a"}), task(), [("invariant", "Task")],
    ),
    "an invariant of each item": (
        [element("Task.note", constraint=[rule("x-1", "text.length() > 1")])],
        task(note=[{"text": "ab"}]), task(note=[{"text": "ab"}, {"text": "a"}]), [("invariant", "Task.note[1]")],
    ),
    "an invariant of a slice": (
        inputs(green={"constraint": [rule("x-1", "value.length() > 1")]}),
        task(input=[{**A, "valueString": "ab"}, B]), task(input=[B, A]), [("invariant", "Task.input[1]")],
    ),
    "an invariant of a primitive": (
        [element("Task.description", constraint=[rule("x-1", "$this.length() > 1")])],
        task(description="ab"), task(description="a"), [("invariant", "Task.description")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str) -> None:
    elements, good, bad, said = RULES[name]
    conformance = judge(profile("self", *elements))
    assert conformance.issues(good, "Task") == []
    assert places(conformance.issues(bad, "Task")) == said


@pytest.mark.parametrize("name", RULES)
def test_an_issue_names_its_rule_and_speaks_both_languages(name: str) -> None:
    elements, _, bad, _ = RULES[name]
    for issue in judge(profile("self", *elements)).issues(bad, "Task"):
        assert issue.rule.startswith(("self#Task", "x-1"))
        assert " / " in issue.text
        assert issue.severity == "error"


@pytest.mark.parametrize(
    ("binding", "found", "severities"),
    [
        ("required", {"text": "a"}, ["error"]),
        ("required", concept("7", "https://actor.example/codes"), ["error"]),
        ("extensible", concept("7", "https://actor.example/codes"), ["warning"]),
        ("extensible", {"text": "a"}, []),  # the words of one who finds no code for it
        ("preferred", concept("7", "https://actor.example/codes"), []),
        ("example", concept("7", "https://actor.example/codes"), []),
        ("required", concept("blue"), ["error"]),  # a code that its own system does not have is right nowhere
        ("extensible", concept("blue"), ["warning", "error"]),
        ("example", concept("blue"), ["error"]),
    ],
)
def test_a_binding_is_as_strong_as_it_says(binding: str, found: Json, severities: list[str]) -> None:
    conformance = judge(
        profile("self", element("Task.businessStatus", binding={"strength": binding, "valueSet": COLOURS}))
    )
    issues = conformance.issues(task(businessStatus=found), "Task")
    assert [issue.severity for issue in issues] == severities


def test_a_code_that_its_system_does_not_have_is_named_with_what_comes_near() -> None:
    [issue] = judge(profile("self")).issues(task(reasonCode=concept("gren")), "Task")
    assert (issue.code, issue.expression, issue.rule) == (
        "code-invalid",
        "Task.reasonCode.coding[0].code",
        "code-unknown",
    )
    assert "green" in issue.text
    assert judge(profile("self")).issues(task(reasonCode=concept("amber")), "Task") == []


def test_a_copy_in_a_bundle_is_held_to_the_profile_it_declares() -> None:
    conformance = judge(profile("self", element("Task.owner", min=1)))
    copy = task(meta={"profile": [url("self")]})
    found = conformance.issues(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": copy}]}, "Bundle"
    )
    assert [(issue.code, issue.expression) for issue in found] == [("required", "Bundle.entry[0].resource.owner")]
    plain = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": task()}]}
    assert conformance.issues(plain, "Bundle") == []


def test_texts_say_what_would_be_right() -> None:
    conformance = judge(
        profile(
            "self",
            *inputs(rules="closed"),
            element("Task.intent", fixedCode="plan"),
            element("Task.businessStatus", binding=REQUIRED),
            element("Task", constraint=[rule("x-1", "owner.exists()", human="Eier mangler / The owner is missing.")]),
        )
    )
    bad = task(intent="order", businessStatus=concept("redd"), input=[{"type": concept("gren"), "valueString": "a"}])
    texts = {issue.expression: issue.text for issue in conformance.issues(bad, "Task")}
    assert "self expects plan" in texts["Task.intent"]
    assert "did you mean red?" in texts["Task.businessStatus"]
    assert "green, yellow, amber, red" in texts["Task.businessStatus"]
    assert "did you mean colours#green?" in texts["Task.input[0]"]
    assert "type colours#green, type colours#red" in texts["Task.input[0]"]
    assert texts["Task"] == "x-1: Eier mangler / The owner is missing."


def test_a_value_set_is_listed_up_to_ten_codes() -> None:
    many: Json = {
        "resourceType": "CodeSystem", "url": CODES, "status": "active", "content": "complete",
        "concept": [{"code": f"c{number:02}"} for number in range(30)],
    }  # fmt: skip
    conformance = judge(profile("self", element("Task.businessStatus", binding=REQUIRED)), terms=[many, TERMS[1]])
    [issue] = conformance.issues(task(businessStatus=concept("x")), "Task")
    assert "c09 …" in issue.text
    assert "c10" not in issue.text


def test_a_profile_adds_to_the_one_it_builds_on() -> None:
    parent = profile("parent", element("Task.owner", min=1), element("Task.intent", fixedCode="plan"), abstract=True)
    child = profile("child", element("Task.owner.display", min=1), element("Task.note", max="1"), base=url("parent"))
    conformance = judge(parent, child)
    bad = task(intent="order", note=[{"text": "a"}, {"text": "b"}], meta={"profile": [url("child")]})
    assert places(conformance.issues(bad, "Task")) == [
        ("required", "Task.owner"),
        ("value", "Task.intent"),
        ("business-rule", "Task.note"),
    ]
    assert {issue.rule for issue in conformance.issues(bad, "Task")} == {
        "child#Task.owner", "child#Task.intent", "child#Task.note",
    }  # fmt: skip


def test_a_resource_within_holds_against_the_profile_of_its_place() -> None:
    inner = profile("inner", element("Task.owner", min=1))
    outer = profile(
        "outer",
        sliced("Bundle.entry", ("type", "resource")),
        element("Bundle.entry:task", min=1, max="1"),
        element("Bundle.entry:task.resource", min=1, type=[{"code": "Task", "profile": [url("inner")]}]),
        type="Bundle",
    )
    conformance = judge(inner, outer)
    bundle = {"resourceType": "Bundle", "type": "collection", "meta": {"profile": [url("outer")]}}
    organization = {"resourceType": "Organization", "name": "a"}
    good = {**bundle, "entry": [{"resource": organization}, {"resource": task(owner={"display": "a"})}]}
    assert conformance.issues(good, "Bundle") == []
    bad = {**bundle, "entry": [{"resource": organization}, {"resource": task()}]}
    assert places(conformance.issues(bad, "Bundle")) == [("required", "Bundle.entry[1].resource.owner")]


# ---- extensions

MARK = extension("mark", element("Extension.value[x]", min=1, type=[{"code": "code"}], binding=REQUIRED))
COMPLEX = extension(
    "line",
    sliced("Extension.extension", ("value", "url"), rules="closed"),
    element("Extension.extension:year", min=1, max="1"),
    element("Extension.extension:year.url", fixedUri="year"),
    element("Extension.extension:year.value[x]", min=1, type=[{"code": "date"}]),
    element("Extension.value[x]", max="0"),
    at="Task.restriction",
)
GREEN = {"url": url("mark"), "valueCode": "green"}
YEAR = {"url": "year", "valueDate": "2024"}
FOREIGN = {"url": "http://elsewhere.example/e", "valueString": "a"}

EXTENSIONS: list[tuple[str, Json, list[tuple[str, str]]]] = [
    ("one that is defined", task(extension=[GREEN]), []),
    ("one of others", task(extension=[FOREIGN]), []),
    ("its value", task(extension=[{**GREEN, "valueCode": "blue"}]), [("code-invalid", "Task.extension[0].value")]),
    ("its type", task(extension=[{"url": url("mark"), "valueString": "green"}]),
     [("value", "Task.extension[0].value")]),
    ("its place", task(owner={"display": "a", "extension": [GREEN]}), [("extension", "Task.owner.extension[0]")]),
    ("one of ours that is not defined", task(extension=[FOREIGN, {"url": url("mrak"), "valueCode": "green"}]),
     [("extension", "Task.extension[1].url")]),
    ("one that may change the meaning", task(modifierExtension=[FOREIGN]),
     [("extension", "Task.modifierExtension[0].url")]),
    ("a complex one", task(restriction={"extension": [{"url": url("line"), "extension": [YEAR]}]}), []),
    ("a part that is missing", task(restriction={"extension": [{"url": url("line"), "extension": [FOREIGN]}]}),
     [("code-invalid", "Task.restriction.extension[0].extension[0]"),
      ("required", "Task.restriction.extension[0].extension")]),
    ("beside a primitive", task(_status={"extension": [GREEN]}), [("extension", "Task.status.extension[0]")]),
    ("in a contained resource", task(
        focus={"reference": "#a"}, contained=[task(id="a", restriction={"extension": [GREEN]})]),
     [("extension", "Task.contained[0].restriction.extension[0]")]),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "said"), [row[1:] for row in EXTENSIONS], ids=[row[0] for row in EXTENSIONS])
def test_extensions(resource: Json, said: list[tuple[str, str]]) -> None:
    assert places(judge(MARK, COMPLEX).issues(resource, "Task")) == said


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("Task", {"extension": [GREEN]}),
        ("Element", {"owner": {"display": "a", "extension": [GREEN]}}),
        ("DomainResource", {"extension": [GREEN]}),
        ("Reference", {"owner": {"display": "a", "extension": [GREEN]}}),
        ("Task.restriction", {"restriction": {"extension": [GREEN]}}),
        ("Period", {"restriction": {"period": {"extension": [GREEN]}}}),
        ("Period.start", {"restriction": {"period": {"_start": {"extension": [GREEN]}}}}),
        ("Task.input.value", {"input": [{"type": {"text": "a"}, "valueReference": {"extension": [GREEN]}}]}),
        ("Reference", {"input": [{"type": {"text": "a"}, "valueReference": {"extension": [GREEN]}}]}),
    ],
)
def test_a_context_is_a_path_or_a_type(at: str, found: Json) -> None:
    mark = extension("mark", element("Extension.value[x]", min=1, type=[{"code": "code"}]), at=at)
    assert judge(mark).issues(task(**found), "Task") == []
    elsewhere = extension("mark", element("Extension.value[x]", min=1, type=[{"code": "code"}]), at="Organization")
    [issue] = judge(elsewhere).issues(task(**found), "Task")
    assert issue.code == "extension"


def test_every_profile_of_the_tests_is_itself_valid() -> None:
    conformance = judge()
    definitions = [profile("self", *elements) for elements, *_ in RULES.values()]
    assert [conformance.issues(one, "StructureDefinition") for one in [*definitions, MARK, COMPLEX]] == [[]] * (
        len(definitions) + 2
    )
    assert schema().type("Task") is not None
