"""Whether one resource's index rows meet a criterion, in plain Python, by the words of query.py.

For what is not stored yet: references by condition to resources that the same transaction creates.
"""

from __future__ import annotations

from typing import Any, assert_never

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Has,
    Quantity,
    Reference,
    Span,
    Text,
    Token,
    Uri,
    Value,
)
from server.store.store import Indexed

Row = tuple[Any, ...]


def matches(criterion: Criterion, resource_type: str, id: str, rows: Indexed) -> bool:
    """Raises ValueError for a Chain or a Has, which ask for other resources than this one."""
    match criterion:
        case Clause():
            return _found(criterion, id, rows) is not criterion.negated
        case AnyOf(criteria):
            return any(matches(one, resource_type, id, rows) for one in criteria)
        case AllOf(criteria):
            return all(matches(one, resource_type, id, rows) for one in criteria)
        case Chain() | Has():
            raise ValueError(f"{criterion.key} leads to other resources than this one.")
        case _:
            assert_never(criterion)


def _found(clause: Clause, id: str, rows: Indexed) -> bool:
    if clause.kind == "id":
        return any(isinstance(value, Token) and value.code == id for value in clause.values)
    if clause.op == "missing":
        return not _under(clause, rows)
    if clause.kind == "composite":
        return any(isinstance(value, Composite) and _elements(value, rows) for value in clause.values)
    return any(_meets(clause, value, row) for row in _under(clause, rows) for value in clause.values)


def _under(clause: Clause, rows: Indexed) -> list[Row]:
    """The rows of the clause's key. A composite's first component may be of any kind."""
    kinds = Indexed.__slots__ if clause.kind in ("composite", "id") else (clause.kind,)
    return [row for kind in kinds for row in getattr(rows, kind) if row[0] == clause.key]


def _elements(composite: Composite, rows: Indexed) -> set[int]:
    """The ordinals of the elements that meet every component."""
    found: list[set[int]] = []
    for clause in composite.components:
        met = (row for row in _under(clause, rows) for value in clause.values if _meets(clause, value, row))
        found.append({row[-1] for row in met})
    return set.intersection(*found)


def _meets(clause: Clause, value: Value, row: Row) -> bool:
    match value:
        case Text():
            return _text(clause.op, value, row)
        case Token(system, code):
            return code in (None, row[1]) and system in (None, row[2])
        case Span():
            return span_of_dates(value, row[1], row[2]) if clause.kind == "date" else span(value, row[1], row[2])
        case Quantity():
            return span(value.span, row[1], row[2]) and _unit(value, row)
        case Uri():
            return _uri(clause.op, value.value, row[1])
        case Reference(targets, version):
            return row[1] in targets and version in (None, row[2])
        case Composite():
            raise ValueError("A composite has no composites.")
        case _:
            assert_never(value)


def _text(op: str, value: Text, row: Row) -> bool:
    if op == "exact":
        return bool(row[2] == value.exact)
    return value.folded in row[1] if op == "contains" else bool(row[1].startswith(value.folded))


def _unit(value: Quantity, row: Row) -> bool:
    _, _, _, code, system, unit, _ = row
    if value.system is None:
        return value.code is None or value.code in (code, unit)
    return value.system == system and value.code in (None, code)


def _uri(op: str, asked: str, stored: str) -> bool:
    if op == "below":
        return _begins(stored, asked)
    return _begins(asked, stored) if op == "above" else asked == stored


def _begins(longer: str, shorter: str) -> bool:
    """Whether one URI begins with the other, at the end of a path segment or of the URL before its version."""
    rest = longer[len(shorter) :]
    return longer.startswith(shorter) and (not rest or rest[0] in "/|" or shorter.endswith("/"))


def span_of_dates(asked: Span, low: int, high: int) -> bool:
    """A stored interval [low, high) against the one asked for."""
    equal = low >= asked.low and high <= asked.high
    match asked.prefix:
        case "eq":
            return equal
        case "ne":
            return not equal
        case "gt":
            return high > asked.high
        case "lt":
            return low < asked.low
        case "ge":
            return high > asked.high or equal
        case "le":
            return low < asked.low or equal
        case "sa":
            return low >= asked.high
        case "eb":
            return high <= asked.low
        case "ap":
            return low < asked.high and high > asked.low
        case _:
            assert_never(asked.prefix)


def span(asked: Span, low: float, high: float) -> bool:
    """A stored number, or the range of a Range or of a quantity with a comparator, against the one asked for."""
    equal = low >= asked.low and high < asked.high
    match asked.prefix:
        case "eq":
            return equal
        case "ne":
            return not equal
        case "gt":
            return high > asked.high
        case "lt":
            return low < asked.low
        case "ge":
            return high >= asked.low
        case "le":
            return low <= asked.high
        case "sa":
            return low > asked.high
        case "eb":
            return high < asked.low
        case "ap":
            return low <= asked.high and high >= asked.low
        case _:
            assert_never(asked.prefix)
