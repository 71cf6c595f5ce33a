"""An uploaded workbook against what was given out and what stands now: only cells that were changed become changes.

A cell is compared with the version of its row that the workbook was made from. What somebody else has changed since is
kept where the cell was left alone, and told where it was not; a change that stands already is none, so that the same
file may come twice. The answer is one transaction Bundle, as an actor's own system would send it. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.workbook import fresh
from server.workbook.book import KEY
from server.workbook.cells import Misread, same, shown, value_of
from server.workbook.changes import Changed, Fault, Outcome, said
from server.workbook.lists import ListRow, merged
from server.workbook.matching import Given, Match, Matching, misplaced
from server.workbook.material import Initiative, Key, Material, Ref, Row, list_element, ref_of, row
from server.workbook.places import Origin, Origins
from server.workbook.reading import Book, Found, Page
from server.workbook.slots import Resource, Slots, Value
from server.workbook.table import FORM, INITIATIVE, LISTS, SUBMIT, TASKS, Column, Sheet

_BLANK = Found("", None)

Edits = dict[str, Value]
"""Column's name -> the value that its cell was changed to."""


@dataclass
class _Draft:
    """A resource on its way: as it stands (None: new), as it shall stand, and the rows that it is from."""

    stands: Resource | None
    after: Resource
    origins: Origins = field(default_factory=Origins)


@dataclass(frozen=True)
class _Filled:
    """A row that was given out (`before`), and what was changed in it."""

    origin: Origin
    before: Row
    edits: Edits

    def said(self, sheet: Sheet) -> tuple[Value, ...]:
        """What its cells held."""
        return (self.before.initiative.number, *(self.before.values[one.name] for one in sheet.inputs))

    def says(self, sheet: Sheet) -> tuple[Value, ...]:
        """What they hold."""
        now = {**self.before.values, **self.edits}
        return (self.before.initiative.number, *(now[one.name] for one in sheet.inputs))


@dataclass(frozen=True)
class Merging:
    """`given`: the versions that rows were made from, where another stands now. `overwrite`: what somebody else has
    changed in the same cell since gives way."""

    book: Book
    material: Material
    given: Mapping[Ref, Resource]
    slots: Slots
    overwrite: bool = False
    faults: list[Fault] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    drafts: dict[tuple[str, str], _Draft] = field(default_factory=dict)
    _lists: dict[tuple[str, str], list[ListRow]] = field(default_factory=dict)

    def outcome(self) -> Outcome:
        """What becomes of the workbook."""
        self.faults.extend(misplaced(self.book, self.material))
        if self.faults:
            return Outcome((), (), tuple(self.faults), ())
        matching = Matching(self.material, self.given, self.faults)
        for sheet in FORM.sheets:
            if page := self._page(sheet):
                self._sheet(sheet, page, list(matching.rows(sheet, page)))
        for (id, element), found in self._lists.items():
            self._list(id, element, found)
        sent = [draft for draft in self.drafts.values() if draft.after != draft.stands]
        return Outcome(
            tuple(_entry(draft) for draft in sent),
            tuple(self.changes),
            tuple(self.faults),
            tuple(draft.origins for draft in sent),
        )

    def _page(self, sheet: Sheet) -> Page | None:
        """The sheet in the file. A sheet or column that is gone is told: else its changes would be lost unseen."""
        expected = any(one.segment in sheet.segments for one in self.material.initiatives)
        page = self.book.pages.get(sheet.name)
        if page is None:
            if expected:
                self._fault(sheet.name, "", "Arket mangler / The sheet is missing.", "required")
            return None
        for cell, text in page.odd:
            self._fault(sheet.name, cell, text, "value")
        labels = (KEY, *(column.label for column in sheet.columns))
        missing = [label for label in labels if label not in page.letters]
        for label in missing:
            self._fault(sheet.name, "1:1", f"Kolonnen «{label}» mangler / The column is missing.", "required")
        return None if missing or page.odd else page

    def _sheet(self, sheet: Sheet, page: Page, matches: list[Match]) -> None:
        filled: list[_Filled] = []
        for match in matches:
            origin = Origin(sheet, page, match.line)
            if match.given is None:
                self._new(origin, match.key)
            elif (row := self._known(origin, match.key, match.given)) is not None:
                filled.append(row)
        if sheet.of in TASKS:
            self._check_shifted(sheet, filled)

    # Rows that were given out

    def _known(self, origin: Origin, key: Key, given: Given) -> _Filled | None:
        sheet, initiative, then = origin.sheet, given.initiative, given.then
        before = row(sheet, initiative, key, then, given.last, self.slots, self.material)
        edits = self._edits(origin, before, initiative)
        if edits is None:
            return None
        if sheet.of == "statusrapport":
            stood = row(sheet, initiative, Key(given.ref), then, None, self.slots, self.material)
            edits, before = self._reported(origin, edits, before, stood), stood
        if sheet.of in LISTS:
            rows = self._lists.setdefault((given.ref.id, list_element(sheet)), [])
            rows.append(ListRow(origin, key.part, then, edits))
        elif edits:
            self._apply(origin, initiative, given.now, before, edits)
        return _Filled(origin, before, edits)

    def _check_shifted(self, sheet: Sheet, filled: list[_Filled]) -> None:
        """That rows were not moved, or sorted, without their hidden keys: one that says all that another was given out
        with, and no longer has, would make one thing into another."""
        changed = [one for one in filled if one.edits]
        gave = {one.said(sheet): one for one in changed}
        for one in changed:
            other = gave.get(one.says(sheet), one)
            if other is not one:
                line = other.origin.line.number
                text = (
                    f"Raden har innholdet til rad {line}: radene er flyttet uten den skjulte kolonnen A / It holds "
                    f"what row {line} was given out with: rows were moved without their hidden column A."
                )
                self._fault(sheet.name, f"A{one.origin.line.number}", text, "business-rule")

    def _edits(self, origin: Origin, before: Row, initiative: Initiative) -> Edits | None:
        """What was changed in the row; None when something in it is at fault, which is told."""
        if origin.sheet.of in LISTS and not any(_is_said(origin, column.name) for column in origin.sheet.inputs):
            # All of the line is cleared: it goes.
            return {one.name: None for one in origin.sheet.inputs if before.values[one.name] is not None}
        edits: Edits = {}
        count = len(self.faults)
        for column in origin.sheet.columns:
            cell = origin.line.cells.get(column.label, _BLANK)
            value = before.values[column.name]
            if column.kind == INITIATIVE:
                self._check_number(origin, column, cell, initiative)
            elif cell.formula or not same(cell.raw, shown(column, value, self.slots.words)):
                self._edit(origin, column, cell, value, initiative, edits)
        return edits if len(self.faults) == count else None

    def _edit(
        self, origin: Origin, column: Column, cell: Found, before: Value, initiative: Initiative, edits: Edits
    ) -> None:
        if column.locked or not origin.sheet.reported_by(column, initiative.segment):
            text = "Cellen er låst og endres ikke her / The cell is locked; it is not changed here."
            return self._fault_at(origin, column, text, "business-rule")
        value = self._value(origin, column, cell)
        if value is None and column.required:
            return self._fault_at(origin, column, "mangler; den kan ikke være tom / is missing.", "required")
        if value != before and not isinstance(value, Misread):
            edits[column.name] = value
        return None

    def _value(self, origin: Origin, column: Column, cell: Found) -> Value | Misread:
        try:
            if cell.formula:
                text = "er en formel eller feil; lim inn verdien / is a formula or an error: paste the value."
                raise Misread(f"«{str(cell.raw)[:40]}» {text}")
            return value_of(column, cell.raw, self.slots.words)
        except Misread as error:
            self._fault_at(origin, column, str(error), "value")
            return error

    def _check_number(self, origin: Origin, column: Column, cell: Found, initiative: Initiative) -> None:
        value = self._value(origin, column, cell)
        if not isinstance(value, Misread) and value != initiative.number:
            text = f"Raden hører til {initiative.number} / The row belongs to {initiative.number}."
            self._fault_at(origin, column, text, "business-rule")

    def _reported(self, origin: Origin, edits: Edits, before: Row, stood: Row) -> Edits:
        """What a row of the status reports changes: all that it shows, once it says that it is sent."""
        chosen = edits[SUBMIT] if SUBMIT in edits else before.values[SUBMIT]
        if chosen is None:
            if edits.keys() - {SUBMIT}:
                text = "velg Ja eller Nei (kladd): rapporten er fylt ut / choose Ja or Nei (kladd): it is filled in."
                self._fault_at(origin, origin.sheet.column(SUBMIT), text, "required")
            return {}
        if not before.proposed:
            return edits
        shows = {**before.values, **edits}
        return {one.name: shows[one.name] for one in origin.sheet.inputs if shows[one.name] != stood.values[one.name]}

    # Rows that were added

    def _new(self, origin: Origin, key: Key) -> None:
        sheet, line, count = origin.sheet, origin.line, len(self.faults)
        initiative = self._chosen(origin)
        edits: Edits = {}
        for column in sheet.inputs:
            cell = line.cells.get(column.label, _BLANK)
            if cell.raw in (None, "") and not cell.formula:
                if column.default:
                    edits[column.name] = column.default
                elif column.required:
                    self._fault_at(origin, column, "mangler / is missing.", "required")
            elif initiative is not None and not sheet.reported_by(column, initiative.segment):
                self._fault_at(origin, column, "Rapporteres ikke i segmentet / Not reported by this segment.", "value")
            elif not isinstance(value := self._value(origin, column, cell), Misread):
                edits[column.name] = value
        if initiative is None or len(self.faults) > count:
            return
        if sheet.of in LISTS:
            rows = self._lists.setdefault((initiative.plan["id"], list_element(sheet)), [])
            rows.append(ListRow(origin, None, initiative.plan, edits))
        else:
            self._added(origin, initiative, f"{self.book.facts['id']}:{key.new}", edits)

    def _chosen(self, origin: Origin) -> Initiative | None:
        """The initiative of a new row."""
        column = origin.sheet.column(INITIATIVE)
        value = self._value(origin, column, origin.line.cells.get(column.label, _BLANK))
        found = self.material.initiative(str(value))
        if isinstance(value, Misread):
            return None
        if value is None:
            self._fault_at(origin, column, "mangler; velg tiltak / is missing: choose the initiative.", "required")
        elif found is None or found.segment not in origin.sheet.segments:
            listed = ", ".join(one.number for one in self.material.initiatives if one.segment in origin.sheet.segments)
            text = f"«{value}» er ikke blant tiltakene / is none of the initiatives; ventet / expected {listed}."
            self._fault_at(origin, column, text, "value")
            return None
        return found

    def _added(self, origin: Origin, initiative: Initiative, number: str, edits: Edits) -> None:
        """A new Task; one that this row has made already is changed, as any other."""
        named = fresh.identifier(self.slots, number)
        made = ((one, task) for one in self.material.initiatives for task in one.tasks if named in task["identifier"])
        theirs, stands = next(made, (initiative, None))
        blank = Row(Key(), initiative, dict.fromkeys((column.name for column in origin.sheet.columns), None))
        if theirs is not initiative:
            text = f"Raden er alt sendt inn for {theirs.number} / The row was sent in for {theirs.number} already."
            return self._fault_at(origin, origin.sheet.column(INITIATIVE), text, "business-rule")
        if stands is not None:
            said = {name: value for name, value in edits.items() if name not in _DEFAULTED or _is_said(origin, name)}
            return self._apply(origin, initiative, stands, blank, said)
        if self._stands_already(origin.sheet, initiative, edits):
            text = (
                "Raden finnes fra før; endre den der den står / There is such a row already: change it where it stands."
            )
            return self._fault_at(origin, None, text, "duplicate")
        after = fresh.task(origin.sheet, initiative, self.slots, number)
        draft = self.drafts[number, ""] = _Draft(None, after, Origins([origin]))
        self._written(draft, origin, initiative, edits, blank)
        return None

    def _stands_already(self, sheet: Sheet, initiative: Initiative, edits: Edits) -> bool:
        """Whether some row says exactly the same: a copy, or one whose hidden key was lost."""
        return any(
            all(self.slots.read(column, task) == edits.get(column.name) for column in sheet.inputs)
            for task in initiative.of(sheet)
        )

    # What is changed

    def _apply(self, origin: Origin, initiative: Initiative, now: Resource, before: Row, edits: Edits) -> None:
        wanted: Edits = {}
        for name, value in edits.items():
            column = origin.sheet.column(name)
            stands = self.slots.read(column, now)
            if stands == value:
                continue
            if stands != before.values[name] and not self.overwrite:
                self._conflict(origin, column, stands, value)
            else:
                wanted[name] = value
        if wanted:
            draft = self.draft(now)
            draft.origins.rows.append(origin)
            stood = Row(
                before.key, initiative, {name: self.slots.read(origin.sheet.column(name), now) for name in wanted}
            )
            self._written(draft, origin, initiative, wanted, stood)

    def draft(self, now: Resource) -> _Draft:
        """The resource on its way, once for all rows that are of it."""
        return self.drafts.setdefault((now["resourceType"], now["id"]), _Draft(now, copy.deepcopy(now)))

    def _written(self, draft: _Draft, origin: Origin, initiative: Initiative, edits: Edits, before: Row) -> None:
        for name, value in edits.items():
            column = origin.sheet.column(name)
            self.slots.write(column, draft.after, value)
            self._changed(origin, column, initiative, before.values.get(name), value, new=draft.stands is None)
        fresh.follow(origin.sheet, draft.after, edits, corrects=self.material.corrects)

    def _list(self, id: str, element: str, found: list[ListRow]) -> None:
        initiative = next(one for one in self.material.initiatives if one.plan["id"] == id)
        done = merged(element, initiative.plan, found, self.slots, overwrite=self.overwrite)
        for origin, column, stands, value in done.conflicts:
            self._conflict(origin, column, stands, value)
        if not done.changes:
            return
        draft = self.draft(initiative.plan)
        done.put(draft.after)
        draft.origins.rows.extend(done.origins)
        for origin, column, before, value, new in done.changes:
            self._changed(origin, column, initiative, before, value, new=new)

    def _changed(
        self, origin: Origin, column: Column, initiative: Initiative, before: Value, after: Value, *, new: bool
    ) -> None:
        words = self.slots.words
        told = (said(shown(column, before, words)), said(shown(column, after, words)))
        self.changes.append(Changed(origin.place(column), initiative.number, column, *told, new))

    # What is wrong

    def _conflict(self, origin: Origin, column: Column, stands: Value, value: Value) -> None:
        now, wanted = (said(shown(column, one, self.slots.words)) or "–" for one in (stands, value))
        text = (
            f"er endret av andre siden arbeidsboken ble laget; nå står «{now[:200]}», her «{wanted[:200]}» / "
            f"was changed by somebody else since: it now says «{now[:200]}»."
        )
        self._fault_at(origin, column, text, "conflict")

    def _fault_at(self, origin: Origin, column: Column | None, text: str, code: str) -> None:
        self.faults.append(Fault(origin.place(column), text, code))

    def _fault(self, sheet: str, cell: str, text: str, code: str) -> None:
        self.faults.append(Fault.of(sheet, cell, text, code))


_DEFAULTED = frozenset(column.name for sheet in FORM.sheets for column in sheet.columns if column.default)


def _is_said(origin: Origin, name: str) -> bool:
    return origin.line.cells.get(origin.sheet.column(name).label, _BLANK).raw not in (None, "")


def _entry(draft: _Draft) -> Resource:
    """The Bundle's entry: an update of the version that was looked at, or a create by its identifier."""
    if draft.stands is None:
        named = draft.after["identifier"][0]
        condition = f"identifier={named['system']}%7C{named['value']}"
        return {"resource": draft.after, "request": {"method": "POST", "url": "Task", "ifNoneExist": condition}}
    kind, id, version = ref_of(draft.stands)
    # When it was changed is the server's to say; a narrative would tell of what was.
    sent = {name: value for name, value in draft.after.items() if name not in ("lastModified", "date", "text")}
    sent["meta"] = {name: value for name, value in sent["meta"].items() if name not in ("versionId", "lastUpdated")}
    return {"resource": sent, "request": {"method": "PUT", "url": f"{kind}/{id}", "ifMatch": f'W/"{version}"'}}
