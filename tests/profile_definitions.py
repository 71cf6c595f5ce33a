"""Small definitions for the tests of profiles, and a judge over them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from server.definitions.conformance import Conformance, Mode
from server.definitions.registry import Registry, Schema
from server.outcome import Issue

Json = dict[str, Any]
BASE = "http://registry.example/fhir"
CODES = f"{BASE}/CodeSystem/colours"
COLOURS = f"{BASE}/ValueSet/colours"
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"


@cache
def schema() -> Schema:
    return Schema()


def url(id: str) -> str:
    return f"{BASE}/StructureDefinition/{id}"


def element(id: str, **says: Any) -> Json:
    """An element of a differential: "Task.input:a.type" with its path and, for a slice itself, its name."""
    path = ".".join(step.partition(":")[0] for step in id.split("."))
    slice = id.rpartition(".")[2].partition(":")[2]
    return {"id": id, "path": path, **({"sliceName": slice} if slice else {}), **says}


def profile(id: str, *elements: Json, type: str = "Task", base: str = "", **more: Any) -> Json:
    """A StructureDefinition of ours."""
    return {
        "resourceType": "StructureDefinition",
        "id": id,
        "url": url(id),
        "name": "Small",
        "status": "draft",
        "kind": "complex-type" if type == "Extension" else "resource",
        "abstract": False,
        "type": type,
        "baseDefinition": base or f"{STRUCTURE}{type}",
        "derivation": "constraint",
        "differential": {"element": sorted(elements or [element(type)], key=_below_root)},
        **more,
    }


def _below_root(one: Json) -> bool:
    return "." in one["id"]


def extension(id: str, *elements: Json, at: str = "Task", **more: Any) -> Json:
    """An extension of ours that belongs to `at`."""
    return profile(
        id,
        element("Extension.url", fixedUri=url(id)),
        *elements,
        type="Extension",
        context=[{"type": "element", "expression": at}],
        **more,
    )


def sliced(id: str, *discriminators: tuple[str, str], rules: str = "open", **more: Any) -> Json:
    """The element that says how its slices are told apart; `ordered` goes to the slicing."""
    slicing: Json = {
        "discriminator": [{"type": kind, "path": path} for kind, path in discriminators],
        "rules": rules,
    }
    if "ordered" in more:
        slicing["ordered"] = more.pop("ordered")
    return element(id, slicing=slicing, **more)


def concept(code: str, system: str = CODES) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def rule(key: str, expression: str, severity: str = "error", human: str = "Rett opp / Correct it.") -> Json:
    return {"key": key, "severity": severity, "human": human, "expression": expression}


TERMS: tuple[Json, ...] = (
    {
        "resourceType": "CodeSystem",
        "url": CODES,
        "status": "active",
        "content": "complete",
        "concept": [{"code": "green"}, {"code": "yellow", "concept": [{"code": "amber"}]}, {"code": "red"}],
    },
    {
        "resourceType": "ValueSet",
        "url": COLOURS,
        "status": "active",
        "compose": {"include": [{"system": CODES}]},
    },
)


def judge(*definitions: Json, mode: Mode = "enforce", terms: Iterable[Json] = TERMS) -> Conformance:
    return Conformance(Registry(schema(), [*terms, *definitions]), BASE, mode)


def places(issues: Iterable[Issue]) -> list[tuple[str, str]]:
    """(code, expression) of each issue."""
    return [(issue.code, issue.expression) for issue in issues]


def task(**changes: Any) -> Json:
    """A valid Task with changes; None leaves an element out."""
    resource = {"resourceType": "Task", "status": "ready", "intent": "plan", **changes}
    return {key: value for key, value in resource.items() if value is not None}
