"""The workbook's form: sheets.json, read once. A new column is a change of that file.

`element` says where a cell's value stands; slots.py knows the ways to write it. `system` is the code system of a
`code` or `codes`, or the words of a `words`. `segments` are those that report the column or the sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import msgspec

Kind = Literal[
    "fixed", "initiative", "text", "markdown", "code", "codes", "texts", "date", "year", "count", "amount", "words",
    "organization",
]  # fmt: skip
"""What a cell holds: `fixed` is locked, `codes` and `texts` several with semicolons, `amount` MNOK."""

FORMAT = "1"
"""The workbook's own version: a file of another one is refused. Raised when an older file can no longer be read."""

LISTS = frozenset({"investering", "drift", "nytte"})
"""Sheets whose rows are parts of an initiative, and no resources of their own."""

TASKS = frozenset({"leveranse", "avhengighet", "nytteforutsetning"})
"""Sheets of Tasks that a reporter adds to."""

SUBMIT = "submit"
INITIATIVE = "initiative"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `default` is what a new row gets while its cell is blank; `also`: other words for its codes."""

    name: str
    nb: str
    en: str
    kind: Kind
    note_nb: str
    note_en: str
    element: str = ""
    system: str = ""
    required: bool = False
    default: str = ""
    segments: frozenset[str] = frozenset()
    source: str = ""
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The heading, by which the column is found again."""
        words = self.nb if self.nb == self.en else f"{self.nb} / {self.en}"
        return f"{words} *" if self.required else words

    @property
    def locked(self) -> bool:
        """Whether it is for information only."""
        return self.kind == "fixed"

    def reported_by(self, segment: str) -> bool:
        """Whether initiatives of this segment report it."""
        return not self.segments or segment in self.segments


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet. `of` is a kind of Task (nep-task-type), `tiltak`, or one of LISTS; `blank`: empty rows at its end;
    `rules`: key of an invariant -> the column that it is about."""

    name: str
    en: str
    of: str
    blank: int
    segments: frozenset[str]
    columns: tuple[Column, ...]
    rules: Mapping[str, str]

    def column(self, name: str) -> Column:
        """KeyError for none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def reported_by(self, column: Column, segment: str) -> bool:
        """Whether initiatives of this segment report this column of the sheet."""
        return segment in self.segments and column.reported_by(segment)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that say something of the row's own."""
        return tuple(one for one in self.columns if not one.locked and one.kind != "initiative")


@dataclass(frozen=True, slots=True)
class Form:
    """All of it. `words`: name -> code -> its spellings, the first of which is shown."""

    sheets: tuple[Sheet, ...]
    words: Mapping[str, Mapping[str, tuple[str, ...]]]
    guidance: tuple[tuple[str, str], ...]


def _form() -> Form:
    read = msgspec.json.decode(Path(__file__).with_name("sheets.json").read_bytes())
    return Form(
        tuple(_sheet(one) for one in read["sheets"]),
        {name: {code: tuple(said) for code, said in words.items()} for name, words in read["words"].items()},
        tuple((line["nb"], line["en"]) for line in read["guidance"]),
    )


def _sheet(one: Mapping[str, object]) -> Sheet:
    columns = one["columns"]
    assert isinstance(columns, list)
    given = {name: one[name] for name in ("name", "en", "of", "blank")}
    return msgspec.convert(
        {**given, "segments": one["segments"], "rules": one.get("rules", {}), "columns": [_column(c) for c in columns]},
        Sheet,
    )


def _column(one: Mapping[str, object]) -> Mapping[str, object]:
    note = one["note"]
    assert isinstance(note, dict)
    given = {name: value for name, value in one.items() if name != "note"}
    return {**given, "note_nb": note["nb"], "note_en": note["en"]}


FORM = _form()
assert all(column.kind in get_args(Kind) for sheet in FORM.sheets for column in sheet.columns)
