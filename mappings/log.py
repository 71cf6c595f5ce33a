"""What an import says: Refusal (a row that was not taken, and why) and LogEntry (one that was, with a remark)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mappings.tables import LOG_RULES

Level = Literal["info", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of a report, or with empty `column` its row, or with row 0 its file. `row` counts the records of
    the sheet as a spreadsheet does, the header being 1; `letter` is the column's letter there."""

    file: str
    row: int = 0
    column: str = ""
    letter: str = ""

    @property
    def norwegian(self) -> str:
        return self._text("rad")

    @property
    def english(self) -> str:
        return self._text("row")

    def _text(self, word: str) -> str:
        if not self.row:
            return self.file
        cell = f" ({self.letter}{self.row})" if self.letter else ""
        return f"{self.file} {word} {self.row}{cell}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cell should have held: `is_not` completes «x» er ikke …, `expected` what was waited for, in both
    languages (nb, en)."""

    is_not: tuple[str, str]
    expected: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row, or a whole sheet, that cannot be understood. Nothing of its report may be written."""

    place: Place
    found: str
    wanted: Wanted

    def __str__(self) -> str:
        """Norwegian with English beside it: place, what stands there, what was expected."""
        norwegian, english = self.wanted.is_not
        nb, en = self.wanted.expected
        cell, value = (f"«{self.found}»", f'"{self.found}"') if self.found else ("blankt felt", "a blank")
        return (
            f"{self.place.norwegian}: {cell} {norwegian}; ventet {nb} / "
            f"{self.place.english}: {value} {english}; expected {en}"
        )


class ReportError(Exception):
    """The report cannot be read at all: sheets, columns or its round are not what they should be."""

    def __init__(self, *refused: Refusal) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refused))
        self.refusals = refused


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A remark on a row that was taken. `rule` is a key of tables/log_rules.json, which words it."""

    rule: str
    place: Place
    level: Level
    text: str

    def __str__(self) -> str:
        """«warning deliveries.csv row 6 (C6): …», the remark in Norwegian and English, and its rule."""
        return f"{self.level} {self.place.english}: {self.text} [{self.rule}]"


def entry(rule: str, place: Place, **given: object) -> LogEntry:
    """The remark that `rule` makes of this place; `given` fills the words in."""
    words = LOG_RULES[rule]
    text = f"{words['nb']} / {words['en']}".format(**given)
    return LogEntry(rule, place, "warning" if words["level"] == "warning" else "info", text)
