"""The initiatives of November 2021 as workbooks are made of them, without a server: imported, and given ids."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

import mappings
from server.portfolio import elements
from server.resource import decode, encode
from server.workbook import reading
from server.workbook.book import Made, workbook
from server.workbook.changes import Outcome
from server.workbook.gathering import by_name, offered
from server.workbook.material import Material, Ref, initiatives
from server.workbook.merging import Merging
from server.workbook.reading import Book, Found, Line
from server.workbook.slots import Slots
from server.workbook.words import Words

ROOT = Path(__file__).parents[2]
C = "http://eportefolje.example/fhir"
MADE = Made("2026-11-29T10:00:00.123456Z", "0123-4567-89ab")
Resource = dict[str, Any]


def imported() -> list[Resource]:
    """The import's resources, each with an id, a version and plain references."""
    report = mappings.read_report(ROOT / "mappings" / "data" / "portfolio-2021-11")
    bundle = decode(encode(mappings.bundle(report, canonical=C).bundle))
    names = {}
    for index, entry in enumerate(bundle["entry"]):
        resource = entry["resource"]
        resource["id"], resource["meta"] = f"r{index}", {**resource.get("meta", {}), "versionId": "1"}
        name = f"{resource['resourceType']}/{resource['id']}"
        names |= {entry.get("fullUrl", ""): name, entry["request"]["url"]: name}
    return [linked(entry["resource"], names) for entry in bundle["entry"]]


def linked(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [linked(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: linked(one, names) for name, one in value.items()}
    if "reference" in found:
        found["reference"] = names.get(found["reference"], found["reference"])
    return found


class Office:
    """One actor's workbook: given out, filled in with openpyxl as a person would, and taken in again."""

    def __init__(self, material: Material, slots: Slots) -> None:
        self.material = material
        self.slots = slots
        self.file = workbook(material, slots, MADE, offered(slots))
        self.read = reading.book(self.file)

    def filled(self, *cells: tuple[str, str, Any]) -> bytes:
        """The file with these cells (sheet, name, value) written."""
        book = load_workbook(io.BytesIO(self.file))
        for sheet, cell, value in cells:
            book[sheet][cell] = value
        saved = io.BytesIO()
        book.save(saved)
        return saved.getvalue()

    def written(self, *cells: tuple[str, str, Any]) -> Book:
        """The same without a file in between, which takes most of the time: cells as they would be read."""
        book = replace(self.read, pages=dict(self.read.pages))
        for sheet, cell, value in cells:
            page = book.pages[sheet]
            letter, number = cell[0], int(cell[1:])
            lines = {line.number: line for line in page.lines}
            line = lines.get(number) or Line(number, "", {})
            if letter == "A":
                line = replace(line, key=value)
            else:
                (label,) = [label for label, known in page.letters.items() if known == letter]
                formula = isinstance(value, str) and value.startswith("=")
                line = replace(line, cells={**line.cells, label: Found(cell, value, formula)})
            book.pages[sheet] = replace(page, lines=tuple({**lines, number: line}.values()))
        return book

    def taken(self, content: bytes | Book, now: Material | None = None, *, overwrite: bool = False) -> Outcome:
        """What becomes of the file while `now` stands."""
        given = {Ref(one["resourceType"], one["id"], "1"): one for one in standing(self.material)}
        stands = now or self.material
        book = reading.book(content) if isinstance(content, bytes) else content
        return Merging(book, stands, given, self.slots, overwrite).outcome()

    def after(self, *cells: tuple[str, str, Any]) -> Outcome:
        return self.taken(self.written(*cells))

    def sheet(self, name: str) -> Any:
        return load_workbook(io.BytesIO(self.file))[name]

    def changed(self, kind: str, change: Callable[[Resource], None]) -> Material:
        """What stands once somebody else has changed the first resource of this kind, as its second version."""
        ours = copy.deepcopy(self.material)
        found = next(one for one in standing(ours) if kind in (one["resourceType"], elements.kind(one)))
        change(found)
        found["meta"]["versionId"] = "2"
        return ours

    def done(self, outcome: Outcome) -> Material:
        """What stands once the transaction was done."""
        sent = {entry["resource"].get("id"): entry["resource"] for entry in outcome.entries}
        new = [
            one | {"id": f"new-{n}", "meta": {"versionId": "1"}}
            for n, one in enumerate(sent.values())
            if "id" not in one
        ]

        def stood(one: Resource | None) -> Any:
            if one is None or one["id"] not in sent:
                return one
            return sent[one["id"]] | {"meta": {**one["meta"], "versionId": "2"}}

        return replace(
            self.material,
            initiatives=tuple(
                replace(
                    one,
                    plan=stood(one.plan),
                    report=stood(one.report),
                    tasks=(
                        *map(stood, one.tasks),
                        *(task for task in new if elements.based_on(task) == f"PlanDefinition/{one.plan['id']}"),
                    ),
                )
                for one in self.material.initiatives
            ),
        )


def standing(material: Material) -> list[Resource]:
    return [
        found
        for one in material.initiatives
        for found in (one.plan, one.report, one.last, *one.tasks)
        if found is not None
    ]


@pytest.fixture(scope="session")
def resources() -> list[Resource]:
    return imported()


@pytest.fixture(scope="session")
def slots(resources) -> Slots:
    systems = [json.loads(file.read_text("utf-8")) for file in (ROOT / "profiles").glob("CodeSystem-*.json")]
    return Slots(Words.of(C, systems), by_name(one for one in resources if one["resourceType"] == "Organization"))


@pytest.fixture(scope="session")
def materials(resources) -> dict[str, Material]:
    """By the actor's slug: its initiatives in the round of November 2021."""
    found = {}
    for one in resources:
        if one["resourceType"] == "Organization":
            mine = tuple(initiatives(resources, f"Organization/{one['id']}", "2021-11", f"{C}/sid"))
            slug = elements.number(one, f"{C}/sid/aktor")
            found[slug] = Material("2021-11", "November 2021", "2021-11-30", slug, one["name"], mine)
    return {slug: material for slug, material in found.items() if material.initiatives}


def asked(material: Material) -> Material:
    """The same in a round that was just opened: reports that say nothing yet, after those of November 2021."""
    return replace(
        material,
        round="2026-11",
        title="November 2026",
        rounds={"2021-11": "November 2021"},
        initiatives=tuple(replace(one, last=one.report, report=_opened(one.report)) for one in material.initiatives),
    )


def _opened(report: Resource | None) -> Resource:
    assert report is not None
    kept = {name: value for name, value in report.items() if name != "output"}
    opened = copy.deepcopy(kept) | {"id": f"{report['id']}-2026", "status": "requested"}
    opened["groupIdentifier"]["value"] = "2026-11"
    opened["businessStatus"]["coding"][0] |= {"code": "ikke-startet", "display": "Ikke startet"}
    return opened


@pytest.fixture(scope="session")
def ehelse(materials, slots) -> Office:
    """Three initiatives of Direktoratet for e-helse, with everything that a workbook can hold."""
    whole = materials["direktoratet-for-e-helse"]
    few = [one for one in whole.initiatives if one.number in ("NEP-0001", "NEP-0002", "NEP-0012")]
    return Office(asked(replace(whole, initiatives=tuple(few))), slots)
