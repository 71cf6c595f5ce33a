"""Where a cell's value stands in a resource: read from there and written there, for each `element` of sheets.json.

A value is a str (text, code or FHIR date), an int (year, count, NOK), a tuple of str, or None for blank. Writing
changes the resource that it is given; what a cell does not say of an element stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.workbook.table import Column
from server.workbook.words import Words, squeezed

Resource = dict[str, Any]
Value = str | int | tuple[str, ...] | None

NO_OTHER_BENEFIT = "Netto nytteverdi"
"""What stands for a blank «Annen nytte», for a goal must have a description."""

_SEVERAL = frozenset({"codes", "texts"})
_SLICE = re.compile(r"(useContext|topic|input|output|code\.coding|part)\[(.+)\]")


@dataclass(frozen=True)
class Slots:
    """`organizations`: a spelling, squeezed -> {reference, display} of the one organisation that it names."""

    words: Words
    organizations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def read(self, column: Column, resource: Mapping[str, Any]) -> Value:
        """The column's value in a resource, or in a part of one."""
        return self._read(column, resource) or None if column.kind in _SEVERAL else self._read(column, resource)

    def _read(self, column: Column, resource: Mapping[str, Any]) -> Value:
        found = _SLICE.fullmatch(column.element)
        if found is not None:
            return _READ[found[1]](self, column, resource, found[2])
        if column.element in _NAMED:
            return _NAMED[column.element][0](self, column, resource)
        value = _at(resource, column.element.split(".")) if column.element else None
        if column.kind == "date" and value is not None:
            return str(value)[:10]
        return None if value is None else str(value)

    def write(self, column: Column, resource: Resource, value: Value) -> None:
        """Sets the column's value, or takes it out for None."""
        found = _SLICE.fullmatch(column.element)
        if found is not None:
            _WRITE[found[1]](self, column, resource, found[2], value)
        elif column.element in _NAMED:
            _NAMED[column.element][1](self, column, resource, value)
        else:
            _put(resource, column.element.split("."), value)

    def coded(self, concept: Any, system: str) -> str | None:
        """The code in one of our systems, else the text."""
        for coding in (concept or {}).get("coding", ()):
            if coding.get("system") == f"{self.words.canonical}/CodeSystem/{system}" and "code" in coding:
                return str(coding["code"])
        text = (concept or {}).get("text")
        return None if text is None else str(text)

    def concept(self, system: str, code: str) -> Resource:
        """A CodeableConcept of one of our codes."""
        return {"coding": [self.words.coding(system, code)]}

    def organization(self, text: str) -> Resource:
        """A reference to the organisation of this name, or the text as it was written. Decision 9."""
        known = self.organizations.get(squeezed(text))
        return {"reference": known["reference"], "display": text} if known else {"display": text}


# ---- plain paths


def _at(resource: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(resource, Mapping) or key not in resource:
            return None
        resource = resource[key]
    return resource


def _put(resource: Resource, path: Sequence[str], value: Value) -> None:
    """Sets or removes; what is empty then goes too."""
    key, *rest = path
    if not rest:
        if value is None:
            resource.pop(key, None)
        else:
            resource[key] = value
        return
    inner = resource.setdefault(key, {})
    _put(inner, rest, value)
    if not inner:
        del resource[key]


# ---- items of lists: useContext[fase], topic[system], input[maalgruppe], code.coding[system]


def replaced(resource: Resource, key: str, mine: Callable[[Any], bool], new: Sequence[Any]) -> None:
    """The items that are `mine` give way to `new`, where the first of them stood."""
    stood = resource.get(key, [])
    place = next((index for index, item in enumerate(stood) if mine(item)), len(stood))
    kept = [item for item in stood if not mine(item)]
    items = [*kept[:place], *new, *kept[place:]]
    resource.pop(key, None)
    if items:
        resource[key] = items


def _is_context(use: Mapping[str, Any], code: str) -> bool:
    return bool(use.get("code", {}).get("code") == code)


def _is_text(use: Mapping[str, Any]) -> bool:
    return "text" in use.get("valueCodeableConcept", {})


def _contexts(resource: Mapping[str, Any], code: str) -> Iterator[Any]:
    return (use.get("valueCodeableConcept") for use in resource.get("useContext", ()) if _is_context(use, code))


def _read_context(slots: Slots, column: Column, resource: Mapping[str, Any], code: str) -> Value:
    if column.kind == "texts":
        return tuple(str(concept["text"]) for concept in _contexts(resource, code) if concept and "text" in concept)
    return slots.coded(next(_contexts(resource, code), None), column.system)


def _write_context(slots: Slots, column: Column, resource: Resource, code: str, value: Value) -> None:
    if code == "user":
        named = {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": code}
        stood = {concept["text"]: concept for concept in _contexts(resource, code) if concept and "text" in concept}
        concepts = [stood.get(text, {"text": text}) for text in _several(value)]
    else:
        named = slots.words.coding("nep-context-type", code)
        concepts = [] if value is None else [slots.concept(column.system, str(value))]
    new = [{"code": named, "valueCodeableConcept": concept} for concept in concepts]
    # Of those who have the benefit, the cell says only the ones in words.
    replaced(resource, "useContext", lambda use: _is_context(use, code) and (code != "user" or _is_text(use)), new)


def _read_topics(slots: Slots, column: Column, resource: Mapping[str, Any], system: str) -> Value:
    topics = (one for one in resource.get("topic", ()) if _is_of(slots, one, system))
    return tuple(code for topic in topics if (code := slots.coded(topic, system)) is not None)


def _write_topics(slots: Slots, column: Column, resource: Resource, system: str, value: Value) -> None:
    stood = {slots.coded(one, system): one for one in resource.get("topic", ()) if _is_of(slots, one, system)}
    new = [stood.get(code) or slots.concept(system, code) for code in _several(value)]
    replaced(resource, "topic", lambda one: _is_of(slots, one, system), new)


def _is_of(slots: Slots, concept: Mapping[str, Any], system: str) -> bool:
    url = f"{slots.words.canonical}/CodeSystem/{system}"
    return any(coding.get("system") == url for coding in concept.get("coding", ()))


def _read_category(slots: Slots, column: Column, resource: Mapping[str, Any], system: str) -> Value:
    codings = {"coding": resource.get("code", {}).get("coding", [])}
    return slots.coded(codings, system)


def _write_category(slots: Slots, column: Column, resource: Resource, system: str, value: Value) -> None:
    code, url = resource.setdefault("code", {}), f"{slots.words.canonical}/CodeSystem/{system}"
    # The text is the word that was printed for the code that stood.
    if column.required:
        code.pop("text", None)
    new = [] if value is None else [slots.words.coding(system, str(value))]
    replaced(code, "coding", lambda coding: bool(coding.get("system") == url), new)


# ---- inputs and outputs of a Task


def typed(parameter: Mapping[str, Any], code: str) -> bool:
    return any(coding.get("code") == code for coding in parameter.get("type", {}).get("coding", ()))


def _value_of(element: Mapping[str, Any]) -> Any:
    return next((value for key, value in element.items() if key.startswith("value")), None)


def _slots_of(place: str) -> tuple[Callable[..., Value], Callable[..., None]]:
    def read(slots: Slots, column: Column, resource: Mapping[str, Any], code: str) -> Value:
        values = [_value_of(one) for one in resource.get(place, ()) if typed(one, code)]
        if column.kind == "codes":
            return tuple(found for one in values if (found := slots.coded(one, column.system)) is not None)
        first = values[0] if values else None
        if isinstance(first, bool):
            return "true" if first else "false"
        if column.kind == "code":
            return slots.coded(first, column.system)
        return None if first is None else str(first)

    def write(slots: Slots, column: Column, resource: Resource, code: str, value: Value) -> None:
        type = {"coding": [slots.words.coding("nep-task-io", code)]}
        stood = {slots.coded(_value_of(one), column.system): one for one in resource.get(place, ()) if typed(one, code)
                 } if column.kind == "codes" else {}  # fmt: skip
        new = [stood.get(one) or {"type": type, **_as_value(slots, column, one)} for one in _several(value)]
        replaced(resource, place, lambda one: typed(one, code), new)

    return read, write


def _as_value(slots: Slots, column: Column, value: str) -> Resource:
    if column.kind in ("code", "codes"):
        return {"valueCodeableConcept": slots.concept(column.system, value)}
    if column.system == "yes":
        return {"valueBoolean": value == "true"}
    return {"valueDate" if column.kind == "date" else "valueMarkdown": value}


def _several(value: Value) -> tuple[str, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (str(value),)


# ---- parts of a finance line


def _read_part(slots: Slots, column: Column, resource: Mapping[str, Any], name: str) -> Value:
    value = next((_value_of(one) for one in resource.get("extension", ()) if one.get("url") == name), None)
    if value is None:
        return None
    match column.kind:
        case "code":
            return slots.coded(value, column.system)
        case "year":
            return int(str(value)[:4])
        case "amount":
            return _whole(value.get("value"))
        case _:
            return str(value.get("display") or value.get("reference", ""))


def _write_part(slots: Slots, column: Column, resource: Resource, name: str, value: Value) -> None:
    new: list[Resource] = []
    if value is not None:
        match column.kind:
            case "code":
                new = [{"url": name, "valueCodeableConcept": slots.concept(column.system, str(value))}]
            case "year":
                new = [{"url": name, "valueDate": str(value)}]
            case "amount":
                new = [{"url": name, "valueMoney": {"value": value, "currency": "NOK"}}]
            case _:
                new = [{"url": name, "valueReference": slots.organization(str(value))}]
    replaced(resource, "extension", lambda one: bool(one.get("url") == name), new)


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)


# ---- elements with a way of their own


def _read_status(slots: Slots, column: Column, resource: Mapping[str, Any]) -> Value:
    return slots.coded(resource.get(column.element), column.system)


def _write_status(slots: Slots, column: Column, resource: Resource, value: Value) -> None:
    resource.pop(column.element, None)
    if value is not None:
        resource[column.element] = slots.concept(column.system, str(value))


def _read_submitted(slots: Slots, column: Column, resource: Mapping[str, Any]) -> Value:
    status = str(resource.get("status", ""))
    return status if status in ("in-progress", "completed") else None


def _write_submitted(slots: Slots, column: Column, resource: Resource, value: Value) -> None:
    if value is not None:
        resource["status"] = value
        # The server says what the report then is: kladd, innsendt.
        resource.pop("businessStatus", None)


def _read_owner(slots: Slots, column: Column, resource: Mapping[str, Any]) -> Value:
    owner = resource.get("owner", {})
    found = owner.get("display") or owner.get("reference")
    return None if found is None else str(found)


def _write_owner(slots: Slots, column: Column, resource: Resource, value: Value) -> None:
    """With what the former name stood for: the initiative, its solutions, and the known counterparts."""
    reference = slots.organization(str(value or ""))
    resource["owner"] = reference
    resource.pop("focus", None)
    named = [{"type": {"coding": [slots.words.coding("nep-task-io", "motpart")]}, "valueReference": reference}]
    replaced(resource, "input", lambda one: typed(one, "losning"), [])
    replaced(resource, "input", lambda one: typed(one, "motpart"), named if "reference" in reference else [])


def _target(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(iter(resource.get("target", ())), {})
    return found


def _of_target(key: str, quantity: Mapping[str, str]) -> tuple[Callable[..., Value], Callable[..., None]]:
    def read(slots: Slots, column: Column, resource: Mapping[str, Any]) -> Value:
        return _whole(_target(resource).get(key, {}).get("value"))

    def write(slots: Slots, column: Column, resource: Resource, value: Value) -> None:
        target = {"measure": slots.concept("nep-goal-measure", "netto-nytteverdi"), **_target(resource)}
        target.pop(key, None)
        if value is not None:
            target[key] = {"value": value, **quantity}
        others = resource.pop("target", [])[1:]
        if targets := [*([target] if target.keys() & {"due", "detailQuantity"} else []), *others]:
            resource["target"] = targets

    return read, write


def _read_benefit(slots: Slots, column: Column, resource: Mapping[str, Any]) -> Value:
    text = resource.get("description", {}).get("text")
    return None if text in (None, NO_OTHER_BENEFIT) else str(text)


def _write_benefit(slots: Slots, column: Column, resource: Resource, value: Value) -> None:
    resource["description"] = {**resource.get("description", {}), "text": value or NO_OTHER_BENEFIT}


def _read_assessment(slots: Slots, column: Column, resource: Mapping[str, Any]) -> Value:
    return next((str(one["citation"]) for one in resource.get("documentation", ()) if "citation" in one), None)


def _write_assessment(slots: Slots, column: Column, resource: Resource, value: Value) -> None:
    first = next((one for one in resource.get("documentation", ()) if "citation" in one), None)
    kept = first or {"type": "justification", "label": "vurdering-av-nytte"}
    replaced(
        resource, "documentation", lambda one: one is first, [] if value is None else [{**kept, "citation": value}]
    )


_INPUT, _OUTPUT = _slots_of("input"), _slots_of("output")
_READ: Mapping[str, Callable[..., Value]] = {
    "useContext": _read_context, "topic": _read_topics, "code.coding": _read_category, "input": _INPUT[0],
    "output": _OUTPUT[0], "part": _read_part,
}  # fmt: skip
_WRITE: Mapping[str, Callable[..., None]] = {
    "useContext": _write_context, "topic": _write_topics, "code.coding": _write_category, "input": _INPUT[1],
    "output": _OUTPUT[1], "part": _write_part,
}  # fmt: skip
_NAMED: Mapping[str, tuple[Callable[..., Value], Callable[..., None]]] = {
    "businessStatus": (_read_status, _write_status),
    "statusReason": (_read_status, _write_status),
    "report.status": (_read_submitted, _write_submitted),
    "owner": (_read_owner, _write_owner),
    "goal.years": _of_target("due", {"unit": "år", "system": "http://unitsofmeasure.org", "code": "a"}),
    "goal.value": _of_target("detailQuantity", {"unit": "NOK", "system": "urn:iso:std:iso:4217", "code": "NOK"}),
    "goal.text": (_read_benefit, _write_benefit),
    "goal.assessment": (_read_assessment, _write_assessment),
}  # fmt: skip
