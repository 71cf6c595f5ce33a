"""A definition that cannot be understood stops the start, naming its file, its URL, the element and the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import _stopping
from server.definitions.conformance import Conformance
from server.definitions.registry import Registry
from server.definitions.snapshots import DefinitionError
from tests.profile_definitions import (
    BASE,
    COLOURS,
    STRUCTURE,
    Json,
    concept,
    element,
    extension,
    judge,
    profile,
    rule,
    sliced,
    url,
)

BY_TYPE = sliced("Task.input", ("pattern", "type"))
SELF = profile("self")


def slices(*rules: Json, by: Json = BY_TYPE) -> Json:
    return profile("self", by, element("Task.input:a", min=0, max="1"), *rules)


def binding(strength: str) -> Json:
    return {"strength": strength, "valueSet": COLOURS}


BROKEN: list[tuple[str, list[Json], str]] = [
    ("an element that R4 does not have", [profile("self", element("Task.onwer", min=1))], "Task.onwer: Task has no"),
    ("an element of a choice by its key", [profile("self", element("Task.input.valueString", min=1))], "has no value"),
    ("a choice without [x]", [profile("self", element("Task.input.value", min=1))], "has no value"),
    ("an element within one of several types", [profile("self", element("Task.input.value[x].coding", min=1))],
     "has several types"),
    ("less than R4 asks for", [profile("self", element("Task.status", min=0))], "min 0 is below the 1"),
    ("more than R4 allows", [profile("self", element("Task.status", max="2"))], "max 2 is above the 1"),
    ("a type that R4 does not give it", [profile("self", element("Task.status", type=[{"code": "string"}]))],
     "type string is none of"),
    ("a target that R4 does not give it",
     [profile("self", element("Task.owner", type=[
         {"code": "Reference", "targetProfile": [f"{STRUCTURE}Bundle"]}]))], "Bundle is no target"),
    ("a target profile that is unknown",
     [profile("self", element("Task.focus", type=[{"code": "Reference", "targetProfile": [url("other")]}]))],
     "the target profile"),
    ("a fixed value of another type", [profile("self", element("Task.status", fixedBoolean=True))],
     "fixedBoolean does not fit code"),
    ("a word that is not understood", [profile("self", element("Task.status", minValueInteger=1))],
     "minValueInteger is not understood"),
    ("a slice without slicing", [profile("self", element("Task.input:a", min=1))], "has no slicing"),
    ("a slicing without discriminator", [profile("self", element("Task.input", slicing={"rules": "open"}))],
     "without a discriminator"),
    ("a slice that nothing tells apart", [slices()], "Task.input:a does not say which type"),
    ("a discriminator that leads nowhere", [slices(by=sliced("Task.input", ("value", "kind")))],
     "kind is not understood"),
    ("a discriminator by profile", [slices(by=sliced("Task.input", ("profile", "type")))], "of type profile"),
    ("a slice of a slice", [profile("self", BY_TYPE, element("Task.input:a/b", min=0))], "slices of slices"),
    ("an element of a slice that is not there", [profile("self", BY_TYPE, element("Task.input:a.type", min=1))],
     "slice a is not defined"),
    ("another name than its id", [profile("self", BY_TYPE, {**element("Task.input:a", min=0), "sliceName": "b"})],
     "its sliceName is 'b'"),
    ("a path of another type", [profile("self", element("PlanDefinition.status", min=1))], "is not of Task"),
    ("an expression out of grammar", [profile("self", element("Task", constraint=[rule("x", "status =")]))],
     "Task: 'status ="),
    ("an expression of what is not there",
     [profile("self", element("Task.note", constraint=[rule("x", "txt.exists()")]))], "Task.note: 'txt.exists()'"),
    ("an unknown function", [profile("self", element("Task", constraint=[rule("x", "status.upperCase()")]))],
     "upperCase"),
    ("an invariant without expression", [profile("self", element("Task", constraint=[
        {"key": "x", "severity": "error", "human": "a"}]))], "x has no expression"),
    ("a value set that is unknown", [profile("self", element("Task.businessStatus", binding={
        "strength": "required", "valueSet": f"{COLOURS}-2"}))], "colours-2 is not known"),
    ("a weaker binding", [
        profile("parent", element("Task.code", binding=binding("required")), abstract=True),
        profile("self", element("Task.code", binding=binding("preferred")), base=url("parent")),
    ], "cannot be preferred"),
    ("a base that is unknown", [profile("self", base=url("other"))], "is not known"),
    ("a base of another type", [profile("parent"), profile("self", type="Bundle", base=url("parent"))], "is of Bundle"),
    ("a circle of bases", [profile("self", base=url("other")), profile("other", base=url("self"))], "builds on itself"),
    ("a profile that a type names and nobody knows", [profile("self", element("Task.extension:a", type=[
        {"code": "Extension", "profile": [url("other")]}]))], "the profile"),
    ("a new type", [profile("self", derivation="specialization")], "only constraints"),
    ("a context that is not understood", [extension("self", at="Nowhere")], "Nowhere is not understood"),
    ("JSON that is no StructureDefinition", [{**SELF, "abstract": "no"}], "StructureDefinition.abstract"),
]  # fmt: skip


@pytest.mark.parametrize(("definitions", "reason"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_profile_stops_the_start(definitions: list[Json], reason: str) -> None:
    with pytest.raises(DefinitionError) as error:
        judge(*definitions)
    assert reason in str(error.value)
    assert any(str(error.value).startswith(str(one["url"])) for one in definitions)


def value_set(**compose: Any) -> Json:
    return {"resourceType": "ValueSet", "url": COLOURS, "status": "active", "compose": compose}


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ([value_set(include=[{"valueSet": [COLOURS]}])], "includes itself"),
        ([value_set(include=[{"valueSet": [f"{COLOURS}-2"]}])], "colours-2 is not known"),
        ([value_set(include="all")], "ValueSet.compose.include"),
    ],
)
def test_a_broken_value_set_stops_the_start(terms: list[Json], reason: str) -> None:
    bound = profile("self", element("Task.code", binding={"strength": "required", "valueSet": COLOURS}))
    with pytest.raises(DefinitionError, match=reason):
        judge(bound, terms=terms)


def test_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "StructureDefinition-self.json"
    file.write_text(json.dumps(profile("self", element("Task.onwer", min=1))))
    with pytest.raises(DefinitionError) as error:
        Conformance(Registry.load(tmp_path, BASE), BASE)
    assert str(error.value) == f"{file}: {url('self')}, element Task.onwer: Task has no onwer."


def test_the_command_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "StructureDefinition-self.json"
    for text in (json.dumps(profile("self", element("Task.onwer", min=1))), "{"):
        file.write_text(text)
        with pytest.raises(SystemExit) as stopped, _stopping():
            Conformance(Registry.load(tmp_path, BASE), BASE)
        assert stopped.value.code == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ([[], []], "nothing tells a, b apart"),
        ([[element("Task.code", patternCodeableConcept=concept("red"))]] * 2, "a has the code red as well"),
    ],
)
def test_profiles_of_one_type_must_be_told_apart(elements: list[list[Json]], reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        judge(*(profile(name, *rules) for name, rules in zip("ab", elements, strict=True)))


def test_the_guide_itself_is_understood(guide: Conformance) -> None:
    assert guide.mode == "enforce"
