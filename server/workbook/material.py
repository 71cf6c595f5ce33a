"""What a workbook is made of, and its rows: one actor's initiatives in one round, as they stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from server.portfolio import elements
from server.workbook.slots import Resource, Slots, Value
from server.workbook.table import INITIATIVE, LISTS, TASKS, Sheet

_ID, _VERSION = r"[A-Za-z0-9\-.]{1,64}", r"\d{1,9}"
_KEY = re.compile(rf"(Task|PlanDefinition)/({_ID})/({_VERSION})(?:#(\d{{1,4}}))?(?: ({_ID})/({_VERSION}))?")
_NEW = re.compile(r"new/([A-Za-z0-9-]{1,64})")
_ELEMENTS = {"investering": "extension", "drift": "extension", "nytte": "goal"}


class Ref(NamedTuple):
    """One version of a resource."""

    resource_type: str
    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Key:
    """What a row is of, hidden in its first cell. `ref` None: a new row, named by `new`. `part`: the index in the
    resource's list. `last`: of a status report, the one that its proposals were taken from."""

    ref: Ref | None = None
    part: int | None = None
    last: Ref | None = None
    new: str = ""

    def __str__(self) -> str:
        if self.ref is None:
            return f"new/{self.new}"
        part = "" if self.part is None else f"#{self.part}"
        last = "" if self.last is None else f" {self.last.id}/{self.last.version}"
        return f"{'/'.join(self.ref)}{part}{last}"

    @classmethod
    def read(cls, text: str) -> Key | None:
        """None for what no workbook of ours has."""
        if new := _NEW.fullmatch(text):
            return cls(new=new[1])
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        last = Ref("Task", found[5], found[6]) if found[5] else None
        return cls(Ref(found[1], found[2], found[3]), int(found[4]) if found[4] else None, last)


@dataclass(frozen=True, slots=True)
class Initiative:
    """`report` is this round's, `last` the newest one before it that says anything; `tasks` the deliveries,
    dependencies and prerequisites."""

    number: str
    segment: str
    plan: Resource
    report: Resource | None = None
    last: Resource | None = None
    tasks: tuple[Resource, ...] = ()

    @property
    def title(self) -> str:
        return str(self.plan.get("title", self.number))

    def of(self, sheet: Sheet) -> list[Resource]:
        """What the sheet's rows are of, or are parts of."""
        if sheet.of in TASKS:
            return [task for task in self.tasks if elements.kind(task) == sheet.of]
        if sheet.of == "statusrapport":
            return [] if self.report is None else [self.report]
        return [self.plan]


@dataclass(frozen=True, slots=True)
class Material:
    """`actor` is the organisation's slug, `round` the round's number; `rounds` their titles by number. `corrects`: the
    round has an edition already, which is being corrected."""

    round: str
    title: str
    deadline: str
    actor: str
    actor_name: str
    initiatives: tuple[Initiative, ...]
    rounds: Mapping[str, str] = field(default_factory=dict)
    corrects: bool = False

    def initiative(self, number: str) -> Initiative | None:
        """By its tiltaksnummer."""
        return next((one for one in self.initiatives if one.number == number), None)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is given out: `values` by the column's name."""

    key: Key
    initiative: Initiative
    values: Mapping[str, Value]
    proposed: bool = False


def initiatives(found: Iterable[Resource], owner: str, round: str, sid: str) -> Iterator[Initiative]:
    """Those of the owner (reference) that have a report in the round, of PlanDefinitions and all their Tasks. `sid` is
    the base of our identifier systems."""
    plans: dict[str, Resource] = {}
    tasks: dict[str, list[Resource]] = {}
    for one in found:
        if one["resourceType"] == "PlanDefinition":
            plans[elements.number(one, f"{sid}/tiltaksnummer")] = one
        elif one["resourceType"] == "Task" and one.get("status") != "entered-in-error":
            tasks.setdefault(elements.based_on(one), []).append(one)
    for number, plan in sorted(plans.items()):
        mine = tasks.get(f"PlanDefinition/{plan['id']}", [])
        reports = [one for one in mine if elements.kind(one) == "statusrapport"]
        report = next((one for one in reports if one.get("groupIdentifier", {}).get("value") == round), None)
        if report is not None and elements.owner(plan).get("reference") == owner:
            segment = elements.code(elements.context(plan, "segment")) or "observere"
            others = tuple(one for one in mine if elements.kind(one) != "statusrapport")
            yield Initiative(number, segment, plan, report, _last(report, reports), others)


def _last(report: Resource, reports: Iterable[Resource]) -> Resource | None:
    """The newest report before this one that says how it goes."""
    earlier = [
        one
        for one in reports
        if elements.value(one.get("output"), "status") is not None
        and elements.report_key(one)[:2] < elements.report_key(report)[:2]
    ]
    return max(earlier, key=elements.report_key, default=None)


def ref_of(resource: Mapping[str, Any]) -> Ref:
    """The version that a resource is."""
    return Ref(str(resource["resourceType"]), str(resource["id"]), str(resource["meta"]["versionId"]))


def standing(material: Material) -> Iterator[Resource]:
    """All that a row's key may name."""
    for one in material.initiatives:
        yield one.plan
        yield from (report for report in (one.report, one.last) if report is not None)
        yield from one.tasks


def rows(sheet: Sheet, material: Material, slots: Slots) -> Iterator[Row]:
    """The sheet's rows, initiative by initiative."""
    for initiative in material.initiatives:
        if initiative.segment in sheet.segments:
            for resource, key in _keyed(sheet, initiative):
                yield row(sheet, initiative, key, resource, initiative.last if key.last else None, slots, material)


def row(
    sheet: Sheet,
    initiative: Initiative,
    key: Key,
    resource: Resource,
    last: Resource | None,
    slots: Slots,
    material: Material,
) -> Row:
    """A row of this version of its resource; `last`: the report that it proposes the values of."""
    part = part_of(sheet, resource, key.part)
    values = {column.name: slots.read(column, part) for column in sheet.columns}
    values[INITIATIVE] = initiative.number
    if sheet.of == "statusrapport":
        values["from"] = _origin(resource, last, material)
        if last is not None:
            values |= {one.name: slots.read(one, last) for one in sheet.inputs if one.element.startswith("output")}
    return Row(key, initiative, values, last is not None)


def part_of(sheet: Sheet, resource: Resource, index: int | None) -> Resource:
    """What a row's cells are read from: the resource, or an item of its list. {} for an item that is not there."""
    if sheet.of not in LISTS:
        return resource
    items = items_of(sheet, resource)
    found: Resource = items[index] if index is not None and index < len(items) else {}
    return found


def items_of(sheet: Sheet, resource: Resource) -> list[Resource]:
    """The list that the rows of this sheet are items of, with what is not the sheet's."""
    return list(resource.get(_ELEMENTS[sheet.of], ()))


def list_element(sheet: Sheet) -> str:
    """The name of that list."""
    return _ELEMENTS[sheet.of]


def is_of(sheet: Sheet, item: Mapping[str, Any]) -> bool:
    """Whether an item of the list is the sheet's."""
    if sheet.of == "nytte":
        return elements.code(item.get("category")) == "nytte"
    is_line = str(item.get("url", "")).endswith("/nep-finance-line")
    return is_line and elements.part(item, "type") == sheet.of


def _keyed(sheet: Sheet, initiative: Initiative) -> Iterator[tuple[Resource, Key]]:
    if sheet.of in LISTS:
        for index, item in enumerate(items_of(sheet, initiative.plan)):
            if is_of(sheet, item):
                yield initiative.plan, Key(ref_of(initiative.plan), index)
    elif sheet.of == "statusrapport":
        for report in initiative.of(sheet):
            proposes = report.get("status") == "requested" and initiative.last is not None
            last = ref_of(initiative.last) if proposes and initiative.last is not None else None
            yield report, Key(ref_of(report), last=last)
    else:
        for resource in sorted(initiative.of(sheet), key=_order):
            yield resource, Key(ref_of(resource))


def _order(task: Resource) -> tuple[str, str, str]:
    """Open ones come with the rest: by deadline, then by name."""
    name = task.get("code", {}).get("text") or task.get("description", "")
    return elements.due(task) or "9999", str(name), str(task["id"])


def _origin(report: Resource, last: Resource | None, material: Material) -> str | None:
    if last is not None:
        number = str(last.get("groupIdentifier", {}).get("value", ""))
        return f"Forslag fra / Proposed from {material.rounds.get(number, number)}"
    return f"{material.title}" if report.get("output") else None
