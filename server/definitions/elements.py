"""Checks of one JSON property each, as closures: what validation.py puts together to a type. R4 json.html."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from server.definitions import faults
from server.definitions.faults import Issues, Place, path
from server.definitions.registry import Element, Variant

Json = dict[str, Any]
Check = Callable[[Any, Place, Issues], None]
"""Adds the issues of a value that stands at this place."""
Entry = Callable[[Any, Json, Place, Issues], None]
"""Adds the issues of a JSON property: its value, the object that holds it, and that object's place."""
Accepts = Callable[[Any], bool]
Checks = Mapping[str, Check]
"""Type or backbone path -> its check."""
Fault = Callable[[Any, str, Issues], None]
"""Adds the issue of a value that was not accepted, at this path."""


def nothing(item: Any, parent: Json, place: Place, issues: Issues) -> None:
    """For resourceType, which was read before."""


def primitive(element: Element, accepts: Accepts, fault: Fault) -> Entry:
    """A single primitive value."""
    name = element.name

    def entry(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        if not accepts(item):
            where = f"{path(place)}.{name}"
            if item is None:
                faults.stray_null(where, issues)
            else:
                fault(item, where, issues)

    return entry


def primitives(element: Element, key: str, accepts: Accepts, fault: Fault) -> Entry:
    """An array of primitive values, with null where only the array beside it has something."""
    name = element.name

    def entry(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        if type(item) is not list or not item:
            return faults.wrong_shape(item, "array", f"{path(place)}.{name}", issues)
        for index, one in enumerate(item):
            if accepts(one):
                continue
            where = f"{path(place)}.{name}[{index}]"
            if one is not None:
                fault(one, where, issues)
            elif not _has_object(parent.get(f"_{key}"), index):
                faults.stray_null(where, issues)
        return _count(item, element, place, issues)

    return entry


def shadow(element: Element, key: str, checks: Checks) -> Entry:
    """The property _key beside a primitive value: its id and extensions."""
    name = element.name

    def single(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        checks["Element"](item, (place, name, -1, place[3] + 1), issues)

    def several(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        where = f"{path(place)}.{name}"
        if type(item) is not list or not item:
            return faults.wrong_shape(item, "array", where, issues)
        values = parent.get(key)
        if isinstance(values, list) and len(values) != len(item):
            faults.unaligned(key, where, issues)
        for index, one in enumerate(item):
            if one is not None:
                checks["Element"](one, (place, name, index, place[3] + 1), issues)
            elif not isinstance(values, list):
                faults.stray_null(f"{where}[{index}]", issues)
        return None

    return several if element.many else single


def _has_object(shadows: Any, index: int) -> bool:
    return isinstance(shadows, list) and index < len(shadows) and shadows[index] is not None


def complex_(element: Element, type_name: str, checks: Checks, also: Check | None) -> Entry:
    """A single object; `also` is what this element asks beyond its type."""
    name = element.name

    def entry(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        here = (place, name, -1, place[3] + 1)
        checks[type_name](item, here, issues)
        if also is not None and type(item) is dict:
            also(item, here, issues)

    return entry


def complexes(element: Element, type_name: str, checks: Checks, also: Check | None) -> Entry:
    """An array of objects."""
    name = element.name

    def entry(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        if type(item) is not list or not item:
            return faults.wrong_shape(item, "array", f"{path(place)}.{name}", issues)
        check, depth = checks[type_name], place[3] + 1
        for index, one in enumerate(item):
            here = (place, name, index, depth)
            check(one, here, issues)
            if also is not None and type(one) is dict:
                also(one, here, issues)
        return _count(item, element, place, issues)

    return entry


def _count(item: list[Any], element: Element, place: Place, issues: Issues) -> None:
    if len(item) < element.min or (element.max is not None and len(item) > element.max):
        faults.count(len(item), element, f"{path(place)}.{element.name}", issues)


def with_rules(element: Element, entry: Entry, rules: Check) -> Entry:
    """An entry, and the invariants of its element on each of its values."""
    name = element.name

    def checked(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        entry(item, parent, place, issues)
        if not issues.judging:
            return
        for index, one in enumerate(item) if type(item) is list else ((-1, item),):
            rules(one, (place, name, index, place[3] + 1), issues)

    return checked


def chosen(element: Element, variant: Variant, key: str, entry: Entry) -> Entry:
    """A variant of a choice, by its key or _key: its own check, and that no other variant came before it."""
    owners = {one: other.key for other in element.variants for one in (other.key, f"_{other.key}")}
    own = variant.key

    def checked(item: Any, parent: Json, place: Place, issues: Issues) -> None:
        for other in parent:
            if other in owners:
                # Of valueString and _valueString only the first speaks, so that one fault is one issue.
                if owners[other] != own and (key == own or own not in parent):
                    faults.second_choice(element, variant, owners[other], path(place), issues)
                break
        entry(item, parent, place, issues)

    return checked
