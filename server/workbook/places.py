"""From an element of a resource, as a fault names it, to the cell that it was read from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.workbook.reading import Line, Page
from server.workbook.slots import Resource
from server.workbook.table import Column, Sheet

_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\](?:\.resource)?\.?(.*)", re.DOTALL)
_ITEM = re.compile(r"(useContext|topic|input|output|code\.coding|extension)\[(\d+)\]")
_STATUSES = ("status", "report.status", "businessStatus")


@dataclass(frozen=True, slots=True)
class Place:
    """A cell: «Leveranser!D7». `cell` "" is the sheet as a whole."""

    sheet: str
    cell: str = ""

    def __str__(self) -> str:
        return f"{self.sheet}!{self.cell}" if self.cell else self.sheet


@dataclass(frozen=True, slots=True)
class Origin:
    """A row that a resource, or what is below `prefix` in it ("extension[4]"), was read from."""

    sheet: Sheet
    page: Page
    line: Line
    prefix: str = ""

    def place(self, column: Column | None) -> Place:
        """The cell of a column, else of the first that is filled in."""
        label = (column or self.sheet.inputs[0]).label
        letter = self.page.letters.get(label, "A")
        return Place(self.sheet.name, f"{letter}{self.line.number}")


@dataclass(slots=True)
class Origins:
    """All rows that one resource was read from."""

    rows: list[Origin] = field(default_factory=list)

    def place(self, resource: Resource, expression: str, rule: str) -> Place:
        """The cell that an element is from: that of the element itself, of the rule, or of the row."""
        for row in self.rows:
            if row.prefix and expression.startswith(row.prefix):
                inner = expression.removeprefix(row.prefix).removeprefix(".")
                return row.place(_column(row.sheet, _item(resource, row.prefix), inner, rule))
        whole = [row for row in self.rows if not row.prefix] or self.rows
        found = ((row, _column(row.sheet, resource, expression, rule)) for row in whole)
        row, column = next(((row, column) for row, column in found if column), (whole[0], None))
        return row.place(column)


def entry_of(expression: str) -> tuple[int | None, str]:
    """The index of the Bundle's entry that a fault is of, and the place within its resource."""
    found = _ENTRY.fullmatch(expression)
    if found is not None:
        return int(found[1]), found[2]
    return None, expression.partition(".")[2]


def _item(resource: Resource, prefix: str) -> Resource:
    element, _, index = prefix.rstrip("]").partition("[")
    found: Resource = resource[element][int(index)]
    return found


def _column(sheet: Sheet, resource: Resource, expression: str, rule: str) -> Column | None:
    named = sheet.rules.get(rule)
    if named is not None:
        return sheet.column(named)
    return next(_columns(sheet, resource, expression), None)


def _columns(sheet: Sheet, resource: Resource, expression: str) -> Iterator[Column]:
    item = _ITEM.match(expression)
    names = _names(resource, item[1], int(item[2])) if item else ()
    for column in sheet.columns:
        if column.locked:
            continue
        if any(column.element in (f"{item[1] if item else ''}[{name}]", f"part[{name}]") for name in names):
            yield column
    plain = re.sub(r"\[\d+\]", "", expression)
    if not plain:
        return
    statuses = [one for one in sheet.columns if one.element in _STATUSES and not one.locked]
    if plain.split(".")[0] in _STATUSES:
        yield from (one for one in statuses if one.element == plain.split(".")[0])
        yield from statuses
    for column in sheet.columns:
        element = column.element.partition("[")[0]
        if not column.locked and element and (f"{element}.".startswith(f"{plain}.") or plain.startswith(f"{element}.")):
            yield column
    yield from (
        one for one in sheet.columns if one.element.startswith("goal") and plain.startswith(_GOALS[one.element])
    )


_GOALS: Mapping[str, str] = {
    "goal.years": "target.due", "goal.value": "target", "goal.text": "description", "goal.assessment": "documentation",
}  # fmt: skip


def _names(resource: Mapping[str, Any], element: str, index: int) -> Sequence[str]:
    """What the slices of an item are called in sheets.json."""
    items: Any = resource.get("code", {}).get("coding") if element == "code.coding" else resource.get(element)
    if not isinstance(items, list) or index >= len(items) or not isinstance(items[index], dict):
        return ()
    item: Any = items[index]
    match element:
        case "useContext":
            return (str(item.get("code", {}).get("code", "")),)
        case "extension":
            return (str(item.get("url", "")),)
        case "code.coding":
            return (str(item.get("system", "")).rpartition("/")[2],)
        case "topic":
            return [str(one.get("system", "")).rpartition("/")[2] for one in item.get("coding", ())]
        case _:
            return [str(one.get("code", "")) for one in item.get("type", {}).get("coding", ())]
