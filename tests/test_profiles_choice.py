"""Which profiles a resource must hold against: those it declares, the one that its code chooses, by mode."""

from __future__ import annotations

import pytest

from server.definitions.conformance import Conformance, Mode
from tests.profile_definitions import CODES, Json, concept, element, judge, places, profile, task, url

PARENT = profile("parent", element("Task.note", min=1), abstract=True)


def kind(code: str, *elements: Json) -> Json:
    return profile(
        code, element("Task.code", min=1, patternCodeableConcept=concept(code)), *elements, base=url("parent")
    )


RED, GREEN = kind("red", element("Task.owner", min=1)), kind("green", element("Task.description", min=1))
NOTE = [{"text": "a"}]


def chosen(mode: Mode = "enforce") -> Conformance:
    return judge(PARENT, RED, GREEN, mode=mode)


def declaring(*ids: str, **more: object) -> Json:
    return task(meta={"profile": [url(id) for id in ids]}, note=NOTE, **more)


CASES: list[tuple[str, Json, list[tuple[str, str]]]] = [
    ("the code chooses", task(code=concept("red"), note=NOTE), [("required", "Task.owner")]),
    ("another code, another profile", task(code=concept("green"), note=NOTE), [("required", "Task.description")]),
    ("what all share", task(code=concept("red"), owner={"display": "a"}), [("required", "Task.note")]),
    ("one declared and chosen is checked once", declaring("red", code=concept("red")), [("required", "Task.owner")]),
    ("an ancestor declared beside is part of it", declaring("parent", code=concept("red")),
     [("required", "Task.owner")]),
    ("one declared and another chosen", declaring("red", code=concept("green")),
     [("required", "Task.owner"), ("value", "Task.code"), ("required", "Task.description")]),
    ("no code", task(note=NOTE), [("required", "Task.code")]),
    ("a code of others alone", task(code=concept("red", "http://other"), note=NOTE), [("required", "Task.code")]),
    ("a code that is unknown", task(code={"coding": [{"code": "x"}, {"system": CODES, "code": "gren"}]}),
     [("code-invalid", "Task.code.coding[1].code")]),
    ("a profile of another type", task(meta={"profile": [url("for-bundles")]}, code=concept("red"), note=NOTE,
                                       owner={"display": "a"}), [("value", "Task.meta.profile[0]")]),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "said"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_choice(resource: Json, said: list[tuple[str, str]]) -> None:
    conformance = judge(PARENT, RED, GREEN, profile("for-bundles", type="Bundle"))
    assert places(conformance.issues(resource, "Task")) == said


@pytest.mark.parametrize(("resource", "said"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_under_warn_the_same_are_warnings(resource: Json, said: list[tuple[str, str]]) -> None:
    issues = judge(PARENT, RED, GREEN, profile("for-bundles", type="Bundle"), mode="warn").issues(resource, "Task")
    assert places(issues) == said
    assert {issue.severity for issue in issues} == {"warning"}


@pytest.mark.parametrize("resource", [row[1] for row in CASES], ids=[row[0] for row in CASES])
def test_under_off_nothing_is_said(resource: Json) -> None:
    assert chosen("off").issues(resource, "Task") == []


@pytest.mark.parametrize("mode", ["enforce", "warn", "off"])
def test_what_r4_forbids_is_an_error_in_every_mode(mode: Mode) -> None:
    bad = task(code=concept("red"), note=NOTE, owner={"display": "a"}, status="x")
    inverted = {**bad, "status": "ready", "executionPeriod": {"start": "2024", "end": "2023"}}
    for resource, code in ((bad, "code-invalid"), (inverted, "invariant")):
        [issue] = chosen(mode).issues(resource, "Task")
        assert (issue.code, issue.severity) == (code, "error")


def test_the_codes_that_are_known_are_named() -> None:
    [issue] = chosen().issues(task(code=concept("gren"), note=NOTE), "Task")
    assert "did you mean green?" in issue.text
    assert issue.text.endswith("red, green.")


def test_a_declared_profile_that_is_unknown_is_a_warning() -> None:
    resource = task(code=concept("red"), owner={"display": "a"}, note=NOTE, meta={"profile": [url("rde")]})
    [issue] = chosen().issues(resource, "Task")
    assert (issue.severity, issue.expression) == ("warning", "Task.meta.profile[0]")


def test_a_profile_asked_for_is_checked_whatever_the_mode() -> None:
    resource = task(code=concept("red"), owner={"display": "a"}, note=NOTE)
    for mode in ("enforce", "off"):
        said = places(chosen(mode).issues(resource, "Task", [url("green")]))
        assert said == [("required", "Task.description"), ("value", "Task.code")]
    assert places(chosen().issues(resource, "Task", [url("rde")])) == [("not-found", "Task")]


def test_one_fault_is_one_issue_though_r4_and_the_profile_speak_of_the_same() -> None:
    conformance = judge(profile("self", element("Task.intent", fixedCode="plan"), element("Task.status", min=1)))
    assert places(conformance.issues({"resourceType": "Task", "intent": "x"}, "Task")) == [
        ("code-invalid", "Task.intent"),
        ("required", "Task.status"),
    ]


@pytest.mark.parametrize("bad", [None, 1, "a", [], {}, [[]], [None], [1], {"coding": 1}, {"coding": [1]}])
def test_values_out_of_form_are_r4s_to_refuse(bad: object, guide: Conformance) -> None:
    delivery = task(code=concept("leveranse", "http://eportefolje.example/fhir/CodeSystem/nep-task-type"))
    for name in ("code", "identifier", "input", "basedOn", "owner", "meta", "extension", "statusReason", "restriction"):
        issues = guide.issues({**delivery, name: bad}, "Task")
        assert any(not issue.rule for issue in issues)
