"""Rows that are items of an initiative's lists: lines of cost and operation, benefits. Pure.

An item has no identity but what it says. One that stands as it was given out is changed in its place; one that says
already what the row says needs nothing; for any other somebody else has been there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.workbook import fresh
from server.workbook.material import is_of, part_of
from server.workbook.places import Origin
from server.workbook.slots import Resource, Slots, Value
from server.workbook.table import Column, Sheet

Conflict = tuple[Origin, Column, Value, Value]
"""(row, column, what stands, what the cell says)"""
Change = tuple[Origin, Column, Value, Value, bool]
"""(row, column, before, after, whether the item is new)"""


@dataclass(frozen=True, slots=True)
class ListRow:
    """`index`: of the item in the initiative as it was given out (`then`); None for a new row. `edits`: what was
    changed."""

    origin: Origin
    index: int | None
    then: Resource
    edits: Mapping[str, Value]

    @property
    def sheet(self) -> Sheet:
        return self.origin.sheet


@dataclass
class Merged:
    """`items`: the whole list as it shall stand."""

    element: str
    items: list[Resource] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    def put(self, plan: Resource) -> None:
        """Sets the list."""
        plan.pop(self.element, None)
        if self.items:
            plan[self.element] = self.items


@dataclass(frozen=True)
class _Slot:
    """An item on its way: `row` is the one that it is from, None for one that no row speaks of."""

    item: Resource | None
    row: ListRow | None = None


def merged(element: str, plan: Resource, rows: list[ListRow], slots: Slots, *, overwrite: bool) -> Merged:
    """The list of `plan` with what its rows change; they may be of two sheets, as costs and operations are."""
    return _Merge(element, plan, slots, overwrite).of(rows)


class _Merge:
    def __init__(self, element: str, plan: Resource, slots: Slots, overwrite: bool) -> None:
        self.slots = slots
        self.overwrite = overwrite
        self.done = Merged(element)
        self.stands: list[Resource] = list(plan.get(element, ()))
        self.after = [_Slot(item) for item in self.stands]
        self.claimed: set[int] = set()

    def of(self, rows: list[ListRow]) -> Merged:
        # Those that stand as they were given out first: what they claim, no changed one can be.
        for row in rows:
            if row.index is not None and (place := self._place(row)) is not None:
                self.claimed.add(place)
                self._change(row, place)
        for row in rows:
            if row.index is not None and row.edits and self._place(row) is None:
                self._elsewhere(row)
        for row in rows:
            if row.index is None:
                self._add(row)
        self._place_origins()
        return self.done

    def _then(self, row: ListRow) -> Resource:
        return part_of(row.sheet, row.then, row.index)

    def _place(self, row: ListRow) -> int | None:
        """Where the item of a row stands as it was given out: at its index, else where it has moved to."""
        item, index = self._then(row), row.index or 0
        if index < len(self.stands) and self.stands[index] == item:
            return index
        found = (at for at, one in enumerate(self.stands) if one == item and at not in self.claimed)
        return next(found, None)

    def _change(self, row: ListRow, place: int) -> None:
        if not row.edits:
            return
        item = self._edited(row, self.stands[place])
        self.after[place] = _Slot(item, row)
        self._told(row, self.stands[place], new=False)

    def _edited(self, row: ListRow, item: Resource) -> Resource | None:
        """The item as it shall be; None when nothing of it is left."""
        after = copy.deepcopy(item)
        for name, value in row.edits.items():
            self.slots.write(row.sheet.column(name), after, value)
        return after if any(value is not None for value in self._says(row.sheet, after)) else None

    def _elsewhere(self, row: ListRow) -> None:
        """The item is not there as it was given out: it says already what the row says, or is somebody else's now."""
        wanted = self._edited(row, self._then(row))
        if wanted is None or (place := self._same(row.sheet, wanted)) is not None:
            if wanted is not None and place is not None:
                self.claimed.add(place)
            return
        index = row.index or 0
        free = index < len(self.stands) and index not in self.claimed and is_of(row.sheet, self.stands[index])
        now = self.stands[index] if free else {}
        if self.overwrite:
            self._overwrite(row, index, now)
            return
        for name, value in row.edits.items():
            column = row.sheet.column(name)
            self.done.conflicts.append((row.origin, column, self.slots.read(column, now) if now else None, value))

    def _overwrite(self, row: ListRow, index: int, now: Resource) -> None:
        if now:
            self.claimed.add(index)
            self.after[index] = _Slot(self._edited(row, now), row)
        else:
            self.after.append(_Slot(self._edited(row, self._then(row)), row))
        self._told(row, now, new=not now)

    def _same(self, sheet: Sheet, wanted: Resource) -> int | None:
        """An item that says the same, and that no row has claimed."""
        for place, item in enumerate(self.stands):
            free = place not in self.claimed and is_of(sheet, item)
            if free and self._says(sheet, item) == self._says(sheet, wanted):
                return place
        return None

    def _says(self, sheet: Sheet, item: Resource) -> list[Value]:
        return [self.slots.read(column, item) for column in sheet.inputs]

    def _add(self, row: ListRow) -> None:
        item = self._edited(row, fresh.item(row.sheet, self.slots))
        if item is None:
            return
        if (place := self._same(row.sheet, item)) is not None:
            self.claimed.add(place)
            return
        self.after.append(_Slot(item, row))
        self._told(row, {}, new=True)

    def _told(self, row: ListRow, before: Resource, *, new: bool) -> None:
        for name, value in row.edits.items():
            column = row.sheet.column(name)
            stood = self.slots.read(column, before) if before else None
            if stood != value:
                self.done.changes.append((row.origin, column, stood, value, new))

    def _place_origins(self) -> None:
        """The list, and which of its items is from which row."""
        for slot in self.after:
            if slot.row is not None:
                self.done.origins.append(self._origin(slot))
            if slot.item is not None:
                self.done.items.append(slot.item)

    def _origin(self, slot: _Slot) -> Origin:
        assert slot.row is not None
        origin, at = slot.row.origin, len(self.done.items)
        prefix = f"{self.done.element}[{at}]" if slot.item is not None else ""
        return Origin(origin.sheet, origin.page, origin.line, prefix)
