"""Which row is of what: hidden keys against what the actor has. Pure.

A key is what somebody's program has made of it: it names only what its sheet is of, each thing once, all of one
version, and never what is not the actor's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from server.workbook.changes import Fault
from server.workbook.material import Initiative, Key, Material, Ref, is_of, part_of, ref_of, standing
from server.workbook.places import Place
from server.workbook.reading import Book, Line, Page
from server.workbook.slots import Resource
from server.workbook.table import FORMAT, LISTS, TASKS, Sheet

_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Given:
    """What a row is of: as it stands (`now`), as it was given out (`then`), and the report that it proposed."""

    ref: Ref
    initiative: Initiative
    now: Resource
    then: Resource
    last: Resource | None


@dataclass(frozen=True, slots=True)
class Match:
    """A row; `given` is None for a new one."""

    line: Line
    key: Key
    given: Given | None = None


class Unmatched(ValueError):
    """A row that is of nothing, or of what another is: (code, text)."""


@dataclass(frozen=True)
class Matching:
    """`given`: the versions that rows were made from, where another stands now."""

    material: Material
    given: Mapping[Ref, Resource]
    faults: list[Fault] = field(default_factory=list)
    _seen: set[tuple[object, ...]] = field(default_factory=set)
    _versions: dict[tuple[str, str], str] = field(default_factory=dict)

    def rows(self, sheet: Sheet, page: Page) -> Iterator[Match]:
        """Those that say anything; what is wrong with one is among the faults."""
        for line in page.lines:
            try:
                if (match := self._match(sheet, line)) is not None:
                    yield match
            except Unmatched as error:
                code, text = error.args
                self.faults.append(Fault(Place(sheet.name, f"A{line.number}"), text, code))

    def _match(self, sheet: Sheet, line: Line) -> Match | None:
        key = Key.read(line.key) if line.key else Key(new=_named(sheet, line))
        if key is None:
            raise _changed()
        name = (sheet.of, key.ref[:2] if key.ref is not None else key.new, key.part)
        repeated = name in self._seen
        if is_blank(line) and (key.ref is None or repeated):
            return None
        if repeated:
            text = "Samme rad står to ganger; skriv i en av de tomme radene / This row comes twice; use an empty one."
            raise Unmatched("duplicate", text)
        self._seen.add(name)
        if key.ref is not None:
            return Match(line, key, self._given(sheet, key, key.ref))
        _check_new(sheet, key)
        return Match(line, key)

    def _given(self, sheet: Sheet, key: Key, ref: Ref) -> Given:
        if (key.part is None) == (sheet.of in LISTS) or (key.last is not None and sheet.of != "statusrapport"):
            raise _changed()
        if self._versions.setdefault(ref[:2], ref.version) != ref.version:
            text = "Raden er fra en annen arbeidsbok enn resten / The row is of another workbook than the rest."
            raise Unmatched("value", text)
        initiative, now = self._standing(sheet, ref)
        then, last = self._version(ref, now), None
        if key.last is not None:
            last = self._version(key.last, initiative.last or {})
        if then is None or (key.last is not None and last is None):
            text = "Versjonen er ukjent; hent arbeidsboken på nytt / The row's version is not known."
            raise Unmatched("value", text)
        if sheet.of in LISTS and not is_of(sheet, part_of(sheet, then, key.part)):
            raise _changed()
        return Given(ref, initiative, now, then, last)

    def _standing(self, sheet: Sheet, ref: Ref) -> tuple[Initiative, Resource]:
        """What a row's key names, among what the actor has of the sheet's kind."""
        for one in self.material.initiatives:
            for resource in one.of(sheet):
                if ref_of(resource)[:2] == ref[:2]:
                    return one, resource
        text = "Raden er ikke (lenger) blant deres; hent arbeidsboken på nytt / The row is not (or no longer) yours."
        raise Unmatched("not-found", text)

    def _version(self, ref: Ref, now: Resource) -> Resource | None:
        return now if now and ref_of(now) == ref else self.given.get(ref)


def _changed() -> Unmatched:
    text = "Radens skjulte nøkkel er endret; hent arbeidsboken på nytt / The row's hidden key was changed."
    return Unmatched("value", text)


def _check_new(sheet: Sheet, key: Key) -> None:
    if sheet.of not in LISTS | TASKS:
        text = "Arket har ingen nye rader; hent arbeidsboken på nytt / This sheet takes no new rows."
        raise Unmatched("business-rule", text)
    if not key.new.startswith(f"{sheet.of}-"):
        text = (
            "Raden er fra et annet ark; skriv i en av de tomme radene / The row is of another sheet; use an empty one."
        )
        raise Unmatched("value", text)


def misplaced(book: Book, material: Material) -> Iterator[Fault]:
    """That the workbook is one of ours, and of this round and actor."""
    facts = book.facts
    if not _ID.fullmatch(facts.get("id", "")) or "format" not in facts:
        text = "Filen er ikke en arbeidsbok herfra; hent den på denne siden / The file is no workbook of ours."
        yield Fault.of("", "", text, "invalid")
        return
    if facts["format"] != FORMAT:
        text = f"Arbeidsboken har format {facts['format']}, ventet {FORMAT}; hent den på nytt / is of another format."
        yield Fault.of("", "", text, "value")
        return
    for name, expected, words in (("runde", material.round, "round"), ("aktør", material.actor, "actor")):
        if (found := facts.get(name, "")) != expected:
            text = f"Arbeidsboken gjelder {name} «{found}», ikke «{expected}» / The workbook is of another {words}."
            yield Fault.of("", "", text, "value")


def needed(book: Book, material: Material) -> Iterator[Ref]:
    """The versions that the workbook was made from and that no longer stand: of what the actor has, and of nothing
    else."""
    mine = {ref_of(one)[:2]: ref_of(one) for one in standing(material)}
    for page in book.pages.values():
        for line in page.lines:
            key = Key.read(line.key) if line.key else None
            for ref in (key.ref, key.last) if key else ():
                if ref is not None and mine.get(ref[:2]) not in (None, ref):
                    yield ref


def is_blank(line: Line) -> bool:
    """Whether no cell holds anything."""
    return all(cell.raw in (None, "") and not cell.formula for cell in line.cells.values())


def _named(sheet: Sheet, line: Line) -> str:
    """The name of a row that somebody has added beyond those that were given out: what its first cells say."""
    said_first = [str(cell.raw) for cell in line.cells.values() if cell.raw not in (None, "")][:3]
    return f"{sheet.of}-x{hashlib.sha256(repr(said_first).encode()).hexdigest()[:24]}"
