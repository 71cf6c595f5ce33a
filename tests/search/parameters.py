"""The search parameters of the generated searches: where each looks, in plain Python. R4's lists per resource, and
domain model section 7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

C = "http://eportefolje.example/fhir"
S = f"{C}/CodeSystem"
OWNER = "http://hl7.org/fhir/StructureDefinition/cqf-contactReference"
LINE = f"{C}/StructureDefinition/nep-finance-line"

Type = Literal["string", "token", "date", "number", "quantity", "uri", "reference", "composite"]
Resource = dict[str, Any]
Elements = Callable[[Any], list[Any]]


@dataclass(frozen=True)
class Parameter:
    type: Type
    elements: Elements
    components: tuple[Parameter, ...] = ()


def at(*path: str) -> Elements:
    """The elements at a path, through lists."""

    def elements(resource: Any) -> list[Any]:
        found = [resource]
        for name in path:
            here = [one[name] for one in found if name in one]
            found = [item for one in here for item in (one if isinstance(one, list) else [one])]
        return found

    return elements


def both(*parts: Elements) -> Elements:
    return lambda resource: [element for part in parts for element in part(resource)]


def extension(url: str, value: str, *path: str) -> Elements:
    """The values of an extension at a path, of that type."""
    found = at(*path, "extension")
    return lambda resource: [one[value] for one in found(resource) if one["url"] == url and value in one]


def line(part: str, value: str) -> Elements:
    """A part of each finance line."""
    inner = extension(part, value)
    return lambda resource: [x for one in resource.get("extension", []) if one["url"] == LINE for x in inner(one)]


def slot(where: str, code: str, value: str, system: str = f"{S}/nep-task-io") -> Elements:
    """The values of Task.input or Task.output of one type."""
    asked = {"system": system, "code": code}
    return lambda task: [
        one[value] for one in task.get(where, []) if value in one and asked in one["type"].get("coding", [])
    ]


def related(type: str) -> Elements:
    return lambda plan: [
        one["resource"] for one in plan.get("relatedArtifact", []) if one["type"] == type and "resource" in one
    ]


def itself(element: Any) -> list[Any]:
    return [element]


def only(elements: Elements, *names: str) -> Elements:
    """Those of the useContext values that stand under one of these names."""
    return lambda resource: [one[name] for one in elements(resource) for name in names if name in one]


_COMMON = {"_tag": Parameter("token", at("meta", "tag")), "identifier": Parameter("token", at("identifier"))}
_CONTEXT = at("useContext")
_CONCEPT, _AMOUNT = ("valueCodeableConcept",), ("valueQuantity", "valueRange")
_CRITERION = f"{S}/nep-assessment-criterion"

PARAMETERS: dict[str, dict[str, Parameter]] = {
    "PlanDefinition": {
        **_COMMON,
        "status": Parameter("token", at("status")),
        "title": Parameter("string", at("title")),
        "name": Parameter("string", at("name")),
        "publisher": Parameter("string", at("publisher")),
        "description": Parameter("string", at("description")),
        "url": Parameter("uri", at("url")),
        "version": Parameter("token", at("version")),
        "topic": Parameter("token", at("topic")),
        "context-type": Parameter("token", at("useContext", "code")),
        "context": Parameter("token", only(_CONTEXT, *_CONCEPT)),
        "context-quantity": Parameter("quantity", only(_CONTEXT, *_AMOUNT)),
        "context-type-value": Parameter(
            "composite",
            _CONTEXT,
            (Parameter("token", at("code")), Parameter("token", only(itself, *_CONCEPT))),
        ),
        "context-type-quantity": Parameter(
            "composite",
            _CONTEXT,
            (Parameter("token", at("code")), Parameter("quantity", only(itself, *_AMOUNT))),
        ),
        "date": Parameter("date", at("date")),
        "effective": Parameter("date", at("effectivePeriod")),
        "end": Parameter("date", at("effectivePeriod", "end")),
        "owner": Parameter("reference", extension(OWNER, "valueReference", "author")),
        "composed-of": Parameter("reference", related("composed-of")),
        "finance-type": Parameter("token", line("type", "valueCode")),
        "finance-year": Parameter("date", line("year", "valueDate")),
        "funding-source": Parameter("token", line("source", "valueCodeableConcept")),
        "finance": Parameter(
            "composite",
            lambda plan: [one for one in plan.get("extension", []) if one["url"] == LINE],
            (
                Parameter("token", extension("type", "valueCode")),
                Parameter("date", extension("year", "valueDate")),
                Parameter("token", extension("source", "valueCodeableConcept")),
                Parameter("reference", extension("funder", "valueReference")),
            ),
        ),
    },
    "Task": {
        **_COMMON,
        "status": Parameter("token", at("status")),
        "code": Parameter("token", at("code")),
        "business-status": Parameter("token", at("businessStatus")),
        "group-identifier": Parameter("token", at("groupIdentifier")),
        "based-on": Parameter("reference", at("basedOn")),
        "focus": Parameter("reference", at("focus")),
        "part-of": Parameter("reference", at("partOf")),
        "owner": Parameter("reference", at("owner")),
        "requester": Parameter("reference", at("requester")),
        "counterpart": Parameter("reference", both(at("owner"), slot("input", "motpart", "valueReference"))),
        "authored-on": Parameter("date", at("authoredOn")),
        "modified": Parameter("date", at("lastModified")),
        "period": Parameter("date", at("executionPeriod")),
        "planned": Parameter("date", at("restriction", "period")),
        "due": Parameter("date", at("restriction", "period", "end")),
        "description": Parameter("string", both(at("description"), at("code", "text"))),
        "service": Parameter("string", slot("input", "tjeneste", "valueString")),
        "criticality": Parameter("token", slot("input", "kritikalitet", "valueCodeableConcept")),
        "plan-agreed": Parameter("token", slot("input", "avklart-plan", "valueBoolean")),
        "score": Parameter("number", slot("output", "score", "valueDecimal", _CRITERION)),
        "rank": Parameter("number", slot("output", "rang", "valuePositiveInt", _CRITERION)),
    },
    "Organization": {
        **_COMMON,
        "name": Parameter("string", both(at("name"), at("alias"))),
        "active": Parameter("token", at("active")),
        "type": Parameter("token", at("type")),
        "partof": Parameter("reference", at("partOf")),
        "address": Parameter("string", at("address")),
        "address-city": Parameter("string", at("address", "city")),
    },
}
