"""Rows that are items of an initiative's lists: lines of cost and operation, benefits. Pure.

An item has no identity but what it says. One that stands as it was given out is changed in its place; one that says
already what the row says needs nothing; for any other somebody else has been there.
"""

from __future__ import annotations

import copy
from collections import Counter
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
        known = [row for row in rows if row.index is not None]
        if known and self._is_done(rows, known[0].then):
            return self.done
        # What is certain first: no item that one row is of can be another's.
        known = [row for row in known if not self._keeps_place(row)]
        known = [row for row in known if not self._has_moved(row)]
        left = [*known, *(row for row in rows if row.index is None)]
        for row in [row for row in left if row.edits and not self._says_already(row)]:
            if row.index is not None:
                self._elsewhere(row)
            else:
                self._add(row)
        self._place_origins()
        return self.done

    def _is_done(self, rows: list[ListRow], then: Resource) -> bool:
        """Whether the list says as a whole what the rows make of it: the same file comes again. Item by item that could
        not be told, where one was changed to what another said: years that were moved on by one."""
        after: list[Resource | None] = list(then.get(self.done.element, ()))
        for row in rows:
            if row.index is None:
                after.append(self._edited(row, fresh.item(row.sheet, self.slots)))
            elif row.edits:
                after[row.index] = self._edited(row, self._then(row))
        sheets = [row.sheet for row in rows]
        return self._all_say(sheets, [one for one in after if one is not None]) == self._all_say(sheets, self.stands)

    def _all_say(self, sheets: list[Sheet], items: list[Resource]) -> Counter[tuple[Value, ...]]:
        each = {sheet.of: sheet for sheet in sheets}.values()
        return Counter((sheet.of, *self._says(sheet, item)) for sheet in each for item in items if is_of(sheet, item))

    def _then(self, row: ListRow) -> Resource:
        return part_of(row.sheet, row.then, row.index)

    def _keeps_place(self, row: ListRow) -> bool:
        """The item stands where it did, as it was given out or as the row wants it."""
        index = row.index or 0
        if index >= len(self.stands):
            return False
        stands, wanted = self.stands[index], self._edited(row, self._then(row))
        if stands == self._then(row):
            self._change(row, index)
        elif wanted is None or not self._say_the_same(row.sheet, stands, wanted):
            return False
        self.claimed.add(index)
        return True

    def _has_moved(self, row: ListRow) -> bool:
        """The item stands elsewhere as it was given out."""
        item = self._then(row)
        place = next((at for at, one in enumerate(self.stands) if one == item and at not in self.claimed), None)
        if place is None:
            return False
        self.claimed.add(place)
        self._change(row, place)
        return True

    def _says_already(self, row: ListRow) -> bool:
        """Some item says what the row wants, or what it takes out is gone."""
        item = self._then(row) if row.index is not None else fresh.item(row.sheet, self.slots)
        wanted = self._edited(row, item)
        if wanted is None:
            return row.index is None or self._at(row) is None
        place = self._same(row.sheet, wanted)
        if place is not None:
            self.claimed.add(place)
        return place is not None

    def _at(self, row: ListRow) -> int | None:
        """Where the item stood, if what stands there now is what somebody has made of it: places hold as long as none
        has come or gone."""
        index, stood = row.index or 0, len(row.then.get(self.done.element, ()))
        free = len(self.stands) == stood and index not in self.claimed and is_of(row.sheet, self.stands[index])
        return index if free else None

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
        """The item is not there as it was given out: it is somebody else's now."""
        index = self._at(row)
        if self.overwrite:
            self._overwrite(row, index)
            return
        now = self.stands[index] if index is not None else {}
        for name, value in row.edits.items():
            column = row.sheet.column(name)
            stands = self.slots.read(column, now) if now else None
            if not now or stands != value:
                self.done.conflicts.append((row.origin, column, stands, value))

    def _overwrite(self, row: ListRow, index: int | None) -> None:
        now = self.stands[index] if index is not None else {}
        if index is not None:
            self.claimed.add(index)
            self.after[index] = _Slot(self._edited(row, now), row)
        else:
            self.after.append(_Slot(self._edited(row, self._then(row)), row))
        self._told(row, now, new=not now)

    def _same(self, sheet: Sheet, wanted: Resource) -> int | None:
        """An item that says the same, and that no row has claimed."""
        for place, item in enumerate(self.stands):
            if place not in self.claimed and self._say_the_same(sheet, item, wanted):
                return place
        return None

    def _say_the_same(self, sheet: Sheet, item: Resource, wanted: Resource) -> bool:
        return is_of(sheet, item) and self._says(sheet, item) == self._says(sheet, wanted)

    def _says(self, sheet: Sheet, item: Resource) -> list[Value]:
        return [self.slots.read(column, item) for column in sheet.inputs]

    def _add(self, row: ListRow) -> None:
        self.after.append(_Slot(self._edited(row, fresh.item(row.sheet, self.slots)), row))
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
