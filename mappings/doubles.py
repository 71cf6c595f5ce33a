"""Remarks on rows that stand twice. Both are kept: a number in its initiative, not its name, is a row's key."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Protocol

from mappings.log import LogEntry, entry
from mappings.reading import Row
from mappings.rows import Report
from mappings.tables import squeezed
from mappings.terminology import organization


class _Typed(Protocol):
    @property
    def row(self) -> Row: ...


def doubles(report: Report) -> Iterator[LogEntry]:
    """One remark for each row that repeats an earlier one, naming that one's row."""
    deliveries = [(one, (one.initiative_id, squeezed(one.name), one.due_date)) for one in report.deliveries]
    yield from _repeated("duplicate-delivery", "name", deliveries)
    operations = [(one, (one.initiative_id, one.source.code, one.year)) for one in report.operations]
    yield from _repeated("duplicate-operation", "solution", operations)
    counterparts = [(one, (one.initiative_id, _actor(one.actor))) for one in report.dependencies]
    yield from _repeated("repeated-counterpart", "actor", counterparts)
    yield from _shared(report)


def _actor(cell: str) -> str:
    """The organisation when the cell is a spelling of its name, else the cell."""
    known = organization(cell)
    return known.slug if known else squeezed(cell)


def _repeated(rule: str, column: str, keyed: Iterable[tuple[_Typed, Hashable]]) -> Iterator[LogEntry]:
    first: dict[Hashable, int] = {}
    for typed, key in keyed:
        if key in first:
            yield entry(rule, typed.row.place(column), other=first[key])
        first.setdefault(key, typed.row.number)


def _shared(report: Report) -> Iterator[LogEntry]:
    """The same delivery, by name and date, of two initiatives."""
    first: dict[Hashable, tuple[str, int]] = {}
    for row in report.deliveries:
        key = (squeezed(row.name), row.due_date)
        id, number = first.setdefault(key, (row.initiative_id, row.row.number))
        if row.due_date and id != row.initiative_id:
            yield entry("delivery-in-two-initiatives", row.row.place("name"), other=number)
