"""The annex as people read it, for HTML and PDF alike: initiative by initiative, the report's columns, Norwegian forms.

Days are 31.12.2021, amounts 28,3. Whatever stands in a row of the report's table of initiatives is a fact (short) or
prose (long); the other six tables follow below, without the number that they all begin with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never
from zoneinfo import ZoneInfo

from server.annex.tables import FORMS, Annex, Cell, Column, Entry, Form, Kind, Light, Row
from server.pages.render import Words

_FACTS = (
    "actor", "segment", "phase", "end_date", "national_solutions", "focus_area_name", "introduction_strategy", "status",
    "risk",
)  # fmt: skip
_PROSE = ("description", "status_comment", "risk_description")
_OVERVIEW = ("tiltaksnummer", "name", "actor", "phase", "status", "risk", "end_date")
_HEADS = {
    "initiatives": "name", "deliveries": "name", "dependencies": "actor", "costs": "funder", "operations": "solution",
    "benefit_prerequisites": "prerequisite",
}  # fmt: skip
"""Table -> the column that names a row; a benefit has no name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell: its text, "" for blank, and its colour's code or ""."""

    text: str
    kind: Kind
    colour: str = ""
    head: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows have a cell for each column."""

    name: str
    nb: str
    en: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Shown, ...], ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled cell of an initiative."""

    nb: str
    en: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Section:
    """An initiative. Facts, prose and tables without content are left out."""

    number: str
    name: str
    facts: tuple[Fact, ...]
    prose: tuple[Fact, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A chapter with its initiatives."""

    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """The whole. `day` is the edition's, `period` its round's first and last day, as they are read."""

    number: str
    title: str
    status: str
    day: str
    period: str
    reason: str
    replaces: str
    overview: Table
    parts: tuple[Part, ...]


def paper(annex: Annex, zone: ZoneInfo) -> Paper:
    """Days are those of `zone`."""
    words = Words("nb", zone)
    overview = next(form for form in FORMS if form.name == "initiatives")
    return Paper(
        number=annex.number,
        title=annex.title,
        status=annex.status,
        day=words.day(annex.date),
        period="–".join(words.day(day) for day in annex.period if day),
        reason=annex.reason,
        replaces=annex.replaces,
        overview=_table(words, overview, annex.rows("initiatives"), _OVERVIEW),
        parts=tuple(
            Part(chapter.title, tuple(_section(words, entry) for entry in chapter.entries))
            for chapter in annex.chapters
        ),
    )


def _section(words: Words, entry: Entry) -> Section:
    form, *others = FORMS
    return Section(
        number=str(entry.facts["tiltaksnummer"] or ""),
        name=str(entry.facts["name"] or ""),
        facts=tuple(_facts(words, form, entry.facts, _FACTS)),
        prose=tuple(_facts(words, form, entry.facts, _PROSE)),
        tables=tuple(_table(words, other, entry.rows[other.name]) for other in others if entry.rows[other.name]),
    )


def _facts(words: Words, form: Form, row: Row, names: tuple[str, ...]) -> Iterator[Fact]:
    columns = {column.name: column for column in form.columns}
    for name in names:
        if row[name] is not None:
            text = f"{row['focus_area_code'] or ''} {row[name]}".strip() if name == "focus_area_name" else row[name]
            yield Fact(columns[name].nb, columns[name].en, shown(words, text, columns[name].kind))


def _table(words: Words, form: Form, rows: tuple[Row, ...] | list[Row], names: tuple[str, ...] = ()) -> Table:
    """With the named columns, by default the report's own but the first."""
    own = tuple(column for column in form.columns[1:] if not column.more)
    by_name = {column.name: column for column in form.columns}
    columns = tuple(by_name[name] for name in names) or own
    head = _HEADS.get(form.name, "")
    return Table(
        form.name,
        form.nb,
        form.en,
        columns,
        tuple(tuple(_cell(words, row, column, head=column.name == head) for column in columns) for row in rows),
    )


def _cell(words: Words, row: Row, column: Column, *, head: bool) -> Shown:
    """A date that was moved says so: people read the report's own columns alone."""
    found = shown(words, row[column.name], column.kind, head=head)
    moves = row.get("moves")
    if column.name != "due_date" or not moves:
        return found
    first, times = str(row["first_due_date"] or ""), "1 gang" if moves == 1 else f"{moves} ganger"
    return replace(found, text=f"{found.text} (først {words.day(first)}, flyttet {times})".strip())


def shown(words: Words, cell: Cell, kind: Kind, *, head: bool = False) -> Shown:
    """A cell as people read it."""
    colour = cell.code if isinstance(cell, Light) else ""
    return Shown(_text(words, cell, kind), kind, colour, head)


def _text(words: Words, cell: Cell, kind: Kind) -> str:
    match cell:
        case None:
            return ""
        case str():
            return words.day(cell) if kind == "date" else cell
        case Light():
            return cell.word
        case tuple():
            return ", ".join(cell)
        case Decimal() if kind == "amount" and cell:
            return words.amount(cell)
        case Decimal():
            return words.number(cell)
        case int():
            return str(cell)
        case _:
            assert_never(cell)
