"""A store so plain that it can be believed: all versions in one list, every query answered by looking at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import Any

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Has,
    Include,
    Quantity,
    Query,
    Reference,
    Sort,
    Span,
    Text,
    Token,
    Uri,
    Value,
)
from server.store.instants import microseconds
from server.store.store import Indexed, Version

Row = tuple[Any, ...]


def date_meets(span: Span, low: int, high: int) -> bool:
    equal = low >= span.low and high <= span.high
    return {
        "eq": equal,
        "ne": not equal,
        "gt": high > span.high,
        "lt": low < span.low,
        "ge": high > span.high or equal,
        "le": low < span.low or equal,
        "sa": low >= span.high,
        "eb": high <= span.low,
        "ap": low < span.high and high > span.low,
    }[span.prefix]


def number_meets(span: Span, low: float, high: float) -> bool:
    equal = low >= span.low and high < span.high
    return {
        "eq": equal,
        "ne": not equal,
        "gt": high > span.high,
        "lt": low < span.low,
        "ge": high >= span.low,
        "le": low <= span.high,
        "sa": low > span.high,
        "eb": high < span.low,
        "ap": low <= span.high and high >= span.low,
    }[span.prefix]


def uri_below(stored: str, value: str) -> bool:
    if stored == value:
        return True
    return stored.startswith(value) and (value.endswith("/") or stored[len(value)] in "/|")


def row_meets(clause: Clause, value: Value, row: Row) -> bool:
    """Whether one index row, its key taken off, meets one value of the clause."""
    match value:
        case Text(folded, exact):
            if clause.op == "exact":
                return bool(row[1] == exact)
            return bool(folded in row[0] if clause.op == "contains" else row[0].startswith(folded))
        case Token(system, code):
            return code in (None, row[0]) and system in (None, row[1])
        case Span():
            return (date_meets if clause.kind == "date" else number_meets)(value, row[0], row[1])
        case Quantity(span, system, code):
            low, high, its_code, its_system, its_unit, _ = row
            unit = its_code == code or (system is None and its_unit == code)
            return number_meets(span, low, high) and (code is None or unit) and system in (None, its_system)
        case Uri(asked):
            if clause.op == "below":
                return uri_below(row[0], asked)
            return uri_below(asked, row[0]) if clause.op == "above" else bool(row[0] == asked)
        case Reference(targets, version):
            return row[0] in targets and version in (None, row[1])
    raise AssertionError(value)


@dataclass
class Model:
    written: list[tuple[Version, Indexed]] = field(default_factory=list)

    def standing(self, sequence: int) -> list[tuple[Version, Indexed]]:
        """Current and undeleted after that sequence, newest first."""
        newest: dict[tuple[str, str], tuple[Version, Indexed]] = {}
        for version, indexed in self.written:
            if version.sequence <= sequence:
                newest[(version.resource_type, version.id)] = (version, indexed)
        found = [one for one in newest.values() if not one[0].deleted]
        return sorted(found, key=lambda one: -one[0].ordinal)

    def at(self, sequence: int) -> Moment:
        return Moment(self.standing(sequence))

    def history(self, sequence: int, resource_type: str | None, id: str | None) -> list[int]:
        return [
            version.ordinal
            for version, _ in reversed(self.written)
            if version.sequence <= sequence
            and resource_type in (None, version.resource_type)
            and id in (None, version.id)
        ]


@dataclass
class Moment:
    all: list[tuple[Version, Indexed]]

    def matches(self, query: Query) -> list[int]:
        """Ordinals in order."""
        found = [one for one in self.of_type(query.resource_type) if self.meets_all(query.criteria, one)]

        def compare(a: tuple[Version, Indexed], b: tuple[Version, Indexed]) -> int:
            for sort in query.sort:
                x, y = sort_key(sort, *a), sort_key(sort, *b)
                if x != y:
                    if x is None or y is None:
                        return 1 if x is None else -1
                    return (1 if x > y else -1) * (-1 if sort.descending else 1)
            return b[0].ordinal - a[0].ordinal

        return [version.ordinal for version, _ in sorted(found, key=cmp_to_key(compare))]

    def of_type(self, resource_type: str) -> Iterator[tuple[Version, Indexed]]:
        return (one for one in self.all if one[0].resource_type == resource_type)

    def meets_all(self, criteria: tuple[Criterion, ...], one: tuple[Version, Indexed]) -> bool:
        return all(self.meets(criterion, one) for criterion in criteria)

    def meets(self, criterion: Criterion, one: tuple[Version, Indexed]) -> bool:
        match criterion:
            case Clause():
                return clause_meets(criterion, *one) != criterion.negated
            case AnyOf(criteria):
                return any(self.meets(part, one) for part in criteria)
            case AllOf(criteria):
                return all(self.meets(part, one) for part in criteria)
            case Chain(key, target_type, canonical, inner):
                return any(
                    leads(one, other, key, canonical) and self.meets(inner, other)
                    for other in self.of_type(target_type)
                )
            case Has(source_type, key, canonical, inner):
                return any(
                    leads(other, one, key, canonical) and self.meets(inner, other)
                    for other in self.of_type(source_type)
                )

    def include(self, matches: list[int], includes: list[Include]) -> set[int]:
        by_ordinal = {version.ordinal: (version, indexed) for version, indexed in self.all}
        found: set[int] = set()
        frontier, following = set(matches), includes
        while frontier:
            fresh = {
                ordinal
                for include in following
                for ordinal, other in by_ordinal.items()
                if any(included(include, by_ordinal[start], other) for start in frontier)
            }
            frontier = fresh - found - set(matches)
            found |= frontier
            following = [include for include in includes if include.iterate]
        return found


def included(include: Include, near: tuple[Version, Indexed], far: tuple[Version, Indexed]) -> bool:
    source, target = (far, near) if include.reverse else (near, far)
    if source[0].resource_type != include.source_type or include.target_type not in ("", target[0].resource_type):
        return False
    return any(leads(source, target, key, key in include.canonical) for key in include.keys)


def leads(source: tuple[Version, Indexed], target: tuple[Version, Indexed], key: str, canonical: bool) -> bool:
    """Whether a reference of source under `key` points to target."""
    version, rows = target
    urls = {value for name, value, _ in rows.uri if name == f"{version.resource_type}.url"}
    versions = {code for name, code, _, _ in rows.token if name == f"{version.resource_type}.version"}
    for name, to, wanted, _ in source[1].reference:
        if name != key:
            continue
        if not canonical and to == f"{version.resource_type}/{version.id}":
            return True
        if canonical and to in urls and (not wanted or wanted in versions):
            return True
    return False


def clause_meets(clause: Clause, version: Version, indexed: Indexed) -> bool:
    """The clause without its negation."""
    if clause.kind == "id":
        return any(isinstance(value, Token) and value.code == version.id for value in clause.values)
    if clause.key.endswith("._lastUpdated"):
        instant = microseconds(version.last_updated)
        return any(isinstance(value, Span) and date_meets(value, instant, instant + 1) for value in clause.values)
    if clause.kind == "composite":
        return any(isinstance(value, Composite) and composite_meets(value, indexed) for value in clause.values)
    found = [row[1:] for row in getattr(indexed, clause.kind) if row[0] == clause.key]
    if clause.op == "missing":
        return not found
    return any(row_meets(clause, value, row) for value in clause.values for row in found)


def composite_meets(composite: Composite, indexed: Indexed) -> bool:
    def ordinals(part: Clause) -> set[int]:
        rows = getattr(indexed, part.kind)
        return {row[-1] for row in rows if row[0] == part.key and any(row_meets(part, v, row[1:]) for v in part.values)}

    return bool(set.intersection(*(ordinals(part) for part in composite.components)))


def sort_key(sort: Sort, version: Version, indexed: Indexed) -> Any:
    if sort.kind == "id":
        return version.id
    if sort.kind == "updated":
        return version.last_updated
    place = 2 if sort.descending and sort.kind in ("date", "number", "quantity") else 1
    values = [row[place] for row in getattr(indexed, sort.kind) if row[0] == sort.key]
    return (max if sort.descending else min)(values, default=None)
