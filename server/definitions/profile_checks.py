"""Checks of one thing each, as closures: what profiles.py puts together. Out-of-form values are passed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.definitions import profile_faults as faults
from server.definitions.elements import Check, Json
from server.definitions.faults import Issues, Place, path
from server.definitions.patterns import Test
from server.definitions.profile_faults import Source
from server.definitions.slices import Slicer
from server.definitions.snapshots import Shape
from server.definitions.terminology import Members

Run = Callable[[Json, Place, Issues], None]
"""Adds the issues of one element of an object, which it finds by its own key."""


def nothing(value: Any, place: Place, issues: Issues) -> None:
    """Of a profile that asks nothing beyond R4."""


def together(checks: Sequence[Check]) -> Check | None:
    """One check of several; None of none."""
    if len(checks) < 2:
        return checks[0] if checks else None
    if len(checks) == 2:
        first, second = checks

        def both(value: Any, place: Place, issues: Issues) -> None:
            first(value, place, issues)
            second(value, place, issues)

        return both

    def every(value: Any, place: Place, issues: Issues) -> None:
        for check in checks:
            check(value, place, issues)

    return every


# ---- values


def equal(source: Source, expected: Any, test: Test) -> Check:
    """A fixed value or a pattern."""

    def check(value: Any, place: Place, issues: Issues) -> None:
        if not test(value):
            faults.wrong_value(source, expected, path(place), issues)

    return check


def bound_code(source: Source, url: str, members: Members, severity: str) -> Check:
    """A code, string or uri of a value set, of whatever system."""
    codes = frozenset(members.codes)

    def check(value: Any, place: Place, issues: Issues) -> None:
        if type(value) is str and value not in codes:
            faults.not_member(source, value, url, members, path(place), issues, severity)

    return check


def bound_coding(source: Source, url: str, members: Members, severity: str) -> Check:
    """A Coding or Quantity of a value set."""
    pairs = members.pairs

    def check(value: Any, place: Place, issues: Issues) -> None:
        if type(value) is not dict:
            return
        system, code = value.get("system"), value.get("code")
        if type(system) is str and type(code) is str and (system, code) in pairs:
            return
        if severity == "error" or code is not None:
            faults.not_member(source, code, url, members, path(place), issues, severity)

    return check


def bound_concept(source: Source, url: str, members: Members, severity: str) -> Check:
    """A CodeableConcept with a coding of a value set. One of text alone meets an extensible binding."""
    pairs = members.pairs

    def check(value: Any, place: Place, issues: Issues) -> None:
        if type(value) is not dict:
            return
        codings = value.get("coding")
        given = None
        for coding in codings if type(codings) is list else ():
            if type(coding) is dict:
                system, code = coding.get("system"), coding.get("code")
                if type(system) is str and type(code) is str and (system, code) in pairs:
                    return
                given = code if given is None else given
        if severity == "error" or given is not None:
            faults.not_member(source, given, url, members, path(place), issues, severity)

    return check


def sized(source: Source, length: int) -> Check:
    """maxLength."""

    def check(value: Any, place: Place, issues: Issues) -> None:
        if type(value) is str and len(value) > length:
            faults.too_long(source, length, path(place), issues)

    return check


def of_resource_type(source: Source, types: frozenset[str]) -> Check:
    """A resource within, of one of these types."""

    def check(value: Any, place: Place, issues: Issues) -> None:
        found = value.get("resourceType") if type(value) is dict else None
        if found is not None and found not in types:
            faults.wrong_resource(source, found, types, path(place), issues)

    return check


# ---- objects


@dataclass(frozen=True)
class Asked:
    """Of an object: elements that must be there, and JSON keys that may not, each with who says so."""

    needed: Sequence[tuple[Source, Shape]]
    forbidden: Mapping[str, tuple[Source, Shape]]


def of_object(asked: Asked, runs: Sequence[tuple[str, Run]]) -> Check:
    """What may not be there, what must, and each element by its own check: by its JSON key, where nothing is asked
    of an element that is not there, else by ""."""
    forbidden = frozenset(asked.forbidden)
    # The fast way knows elements of one key alone; a choice, or a value that has only extensions, goes the slow one.
    plain = frozenset(shape.variants[0].key for _, shape in asked.needed)

    def check(value: Any, place: Place, issues: Issues) -> None:
        if type(value) is not dict:
            return
        if not forbidden.isdisjoint(value):
            _tell_forbidden(asked, value, place, issues)
        if not plain <= value.keys():
            _tell_missing(asked, value, place, issues)
        for key, run in runs:
            if not key or key in value:
                run(value, place, issues)

    return check


def _tell_forbidden(asked: Asked, value: Json, place: Place, issues: Issues) -> None:
    told = set()
    for key in value:
        if key in asked.forbidden:
            source, shape = asked.forbidden[key]
            where = f"{path(place)}.{shape.name}"
            if where in told:
                continue
            told.add(where)
            if shape.max == 0:
                faults.not_allowed(source, where, issues)
            else:
                faults.wrong_type(source, key, [variant.key for variant in shape.variants], where, issues)


def _tell_missing(asked: Asked, value: Json, place: Place, issues: Issues) -> None:
    for source, shape in asked.needed:
        # A value of the wrong type is told of as such.
        variants = (*shape.variants, *(shape.holder.variants if shape.holder else ()))
        if not any(key in value for one in variants for key in (one.key, f"_{one.key}")):
            faults.missing(source, shape, f"{path(place)}.{shape.name}", issues)


# ---- elements


def single(name: str, rows: Sequence[tuple[str, Check]]) -> Run:
    """An element of one value, by the JSON keys that it may have."""
    if len(rows) == 1:
        [(key, check)] = rows

        def run(holder: Json, place: Place, issues: Issues) -> None:
            value = holder.get(key)
            if value is not None:
                check(value, (place, name, -1, place[3] + 1), issues)

        return run

    def run_choice(holder: Json, place: Place, issues: Issues) -> None:
        for key, check in rows:
            if key in holder:
                check(holder[key], (place, name, -1, place[3] + 1), issues)

    return run_choice


def needing(source: Source, shape: Shape) -> Run:
    """A slice of a choice that must be there, where R4 asks for the element or not."""
    key = shape.variants[0].key

    def run(holder: Json, place: Place, issues: Issues) -> None:
        if key not in holder and f"_{key}" not in holder:
            faults.missing(source, shape, f"{path(place)}.{shape.name}", issues)

    return run


def many(source: Source, shape: Shape, check: Check | None, *, counted: bool) -> Run:
    """An array: each item by its check, and their number."""
    name, key = shape.name, shape.variants[0].key

    def run(holder: Json, place: Place, issues: Issues) -> None:
        items = holder.get(key)
        if type(items) is not list:
            return
        if check is not None:
            depth = place[3] + 1
            for index, item in enumerate(items):
                check(item, (place, name, index, depth), issues)
        if counted and not _fits(shape, len(items)):
            faults.count(source, shape, len(items), f"{path(place)}.{name}", issues)

    return run


def _fits(shape: Shape, found: int) -> bool:
    return found >= shape.min and (shape.max is None or found <= shape.max)


@dataclass(frozen=True)
class Slices:
    """The slices of an element, in their order: how items are told apart, and what each slice asks."""

    slicer: Slicer
    rows: Sequence[tuple[Source, Shape, Check | None]]

    def asks(self, shape: Shape) -> bool:
        """Whether anything is asked of the items by their slice."""
        slicing = shape.slicing
        narrow = any(one.min or one.max != shape.max or check is not None for _, one, check in self.rows)
        return narrow or slicing is None or slicing.rules != "open" or slicing.ordered


def sliced(source: Source, shape: Shape, check: Check | None, slices: Slices, *, counted: bool) -> Run:
    """An array whose items fall into slices: each item also by its slice's check, and the slices by their number."""
    name, key = shape.name, shape.variants[0].key
    classify, checks = slices.slicer.classify, [check for _, _, check in slices.rows]
    assert shape.slicing is not None
    closed, ordered = shape.slicing.rules == "closed", shape.slicing.ordered
    at_end = shape.slicing.rules == "openAtEnd"
    limits = [
        (index, one.min, one.max)
        for index, (_, one, _) in enumerate(slices.rows)
        if one.min or (one.max is not None and one.max != shape.max)
    ]

    def run(holder: Json, place: Place, issues: Issues) -> None:
        items = holder.get(key)
        if type(items) is not list:
            if shape.min == 0 and limits and items is None:
                numbers([], place, issues)
            return
        found, depth = [], place[3] + 1
        for index, item in enumerate(items):
            which = classify(item)
            found.append(which)
            if check is not None:
                check(item, (place, name, index, depth), issues)
            if which < 0:
                if closed and type(item) is dict:
                    given = slices.slicer.given(item)
                    where = path((place, name, index, depth))
                    faults.no_slice(source, given, slices.slicer.labels, where, issues)
            elif (own := checks[which]) is not None:
                own(item, (place, name, index, depth), issues)
        if ordered or at_end:
            order(found, place, issues)
        told = numbers(found, place, issues) if limits else False
        if counted and not told and not _fits(shape, len(items)):
            faults.count(source, shape, len(items), f"{path(place)}.{name}", issues)

    def numbers(found: list[int], place: Place, issues: Issues) -> bool:
        told = False
        for index, least, most in limits:
            number = found.count(index)
            if number < least or (most is not None and number > most):
                own, one, _ = slices.rows[index]
                label = slices.slicer.labels[index]
                faults.slice_count(own, one, label, number, f"{path(place)}.{name}", issues)
                told = True
        return told

    def order(found: list[int], place: Place, issues: Issues) -> None:
        last = 0
        for index, which in enumerate(found):
            # What is of no slice stands last, where it must stand at the end, else anywhere.
            rank = which if which >= 0 else len(checks) if at_end else last
            if rank < last and (ordered or last == len(checks)):
                faults.out_of_order(source, slices.rows[which][1].slice_name, f"{path(place)}.{name}[{index}]", issues)
            last = max(last, rank)

    return run
