"""A folder of CSVs or one workbook to sheets of rows, each cell with its place. Nothing is understood here yet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

from mappings.log import Place, Refusal, ReportError, Wanted
from mappings.tables import FORMS, ROUNDS, Round, round_from

ROUND_FILE = "report"
"""The sheet (or, in a folder, the .json) in which a report says its round; it is optional."""

_ROUND = re.compile(r"(20\d\d-\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a sheet: column -> text as written ("" when blank), and where it stands. `sheet` is the form's
    name for it, `number` counts the header as 1."""

    sheet: str
    file: str
    number: int
    cells: Mapping[str, str]
    letters: Mapping[str, str]

    def place(self, column: str = "") -> Place:
        """The place of a cell, or of the row."""
        return Place(self.file, self.number, column, self.letters.get(column, ""))

    def header(self, column: str) -> str:
        """The header of "description|summary" that this sheet has."""
        return next((name for name in column.split("|") if name in self.cells), column)


@dataclass(frozen=True, slots=True)
class Sheets:
    """A report as it was read: its round, its form (a key of FORMS), and sheet -> rows in their order."""

    round: Round
    form: str
    rows: Mapping[str, tuple[Row, ...]]
    file: str


def _wanted(nb: str, en: str, expected_nb: str, expected_en: str) -> Wanted:
    return Wanted((nb, en), (expected_nb, expected_en))


def read_sheets(path: Path, round: str | None = None) -> Sheets:
    """The sheets of a folder of CSVs or of a workbook (.xlsx).

    `round` is the round's id; without it the report's own report.json (sheet report) says it, else a
    2021-11 in the name of the folder, its parent or the workbook. ReportError when sheets, columns or the
    round are not what they should be, naming each."""
    raw = dict(_workbook(path) if path.suffix.lower() == ".xlsx" else _folder(path))
    own = raw.pop(ROUND_FILE, None)
    form = _form(path, raw)
    found, refused = _checked(path, form, raw)
    if refused:
        raise ReportError(*refused)
    return Sheets(_round(path, round, own), form, found, path.name)


Records = list[list[str]]


def _folder(path: Path) -> Iterator[tuple[str, Records]]:
    if not path.is_dir():
        raise ReportError(_missing(path.name, "en mappe med CSV-filer eller en .xlsx", "a folder of CSVs or an .xlsx"))
    for file in sorted(path.glob("*.csv")):
        yield file.stem, list(_csv(file))
    own = path / f"{ROUND_FILE}.json"
    if own.exists():
        row = _own(own)
        yield ROUND_FILE, [list(row), [str(value) for value in row.values()]]


def _own(file: Path) -> dict[str, Any]:
    try:
        row = json.loads(file.read_bytes().decode("utf-8-sig"))
    except ValueError as error:
        raise ReportError(_unstated(file.name, str(error))) from None
    if not isinstance(row, dict):
        raise ReportError(_unstated(file.name, str(row)))
    return row


def _missing(found: str, nb: str, en: str) -> Refusal:
    return Refusal(Place(found), found, _wanted("er ikke rapporten", "is not the report", nb, en))


def _csv(file: Path) -> Iterator[list[str]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        yield from csv.reader(io.StringIO(text, newline=""), strict=True)
    except UnicodeDecodeError as error:
        wanted = _wanted("er ikke UTF-8", "is not UTF-8", "tekst i UTF-8", "text in UTF-8")
        raise ReportError(Refusal(Place(file.name), f"0x{error.object[error.start]:02x}", wanted)) from None
    except csv.Error as error:
        wanted = _wanted("er ikke gyldig CSV", "is no valid CSV", "CSV etter RFC 4180", "CSV as in RFC 4180")
        raise ReportError(Refusal(Place(file.name), str(error), wanted)) from None


def _workbook(path: Path) -> Iterator[tuple[str, Records]]:
    if not path.is_file():
        raise ReportError(_missing(path.name, "en .xlsx-fil", "an .xlsx file"))
    try:
        yield from _sheets(path)
    except Exception as error:
        # A damaged workbook makes openpyxl raise whatever its parts run into: BadZipFile, KeyError, ParseError,
        # zlib.error, OSError, NotImplementedError and others were met.
        wanted = _wanted("er ingen arbeidsbok", "is no workbook", "en .xlsx-fil", "an .xlsx file")
        raise ReportError(Refusal(Place(path.name), f"{type(error).__name__}: {error}", wanted)) from None


def _sheets(path: Path) -> Iterator[tuple[str, Records]]:
    book = load_workbook(path, read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            yield sheet.title, [[_written(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    finally:
        book.close()


def _written(cell: Any) -> str:
    """A workbook's cell as the CSV would have it: dates as YYYY-MM-DD, numbers in their shortest form."""
    match cell:
        case None:
            return ""
        case datetime():
            return cell.date().isoformat() if cell.time() == cell.time().min else cell.isoformat()
        case date():
            return cell.isoformat()
        case float() if cell.is_integer():
            return str(int(cell))
        case float():
            return repr(cell)
        case _:
            return str(cell)


def _form(path: Path, raw: Mapping[str, Records]) -> str:
    """The form whose sheets are there; its first sheet, initiatives or initiative, decides."""
    for form, sheets in FORMS.items():
        if next(iter(sheets)) in raw:
            return form
    firsts = " / ".join(next(iter(sheets)) for sheets in FORMS.values())
    raise ReportError(
        Refusal(
            Place(path.name),
            ", ".join(raw) or "–",
            _wanted("har ikke tiltakene", "lacks the initiatives", firsts, firsts),
        )
    )


def _checked(path: Path, form: str, raw: Mapping[str, Records]) -> tuple[dict[str, tuple[Row, ...]], list[Refusal]]:
    refused = [
        Refusal(Place(path.name), name, _wanted("er en ukjent del", "is an unknown sheet", known, known))
        for known in [", ".join(FORMS[form])]
        for name in raw
        if name not in FORMS[form]
    ]
    found: dict[str, tuple[Row, ...]] = {}
    for sheet, columns in FORMS[form].items():
        if sheet not in raw:
            wanted = _wanted("mangler", "is missing", "alle deler av skjemaet", "every sheet of the form")
            refused.append(Refusal(Place(path.name), sheet, wanted))
            continue
        file = f"{path.name}!{sheet}" if path.suffix.lower() == ".xlsx" else f"{sheet}.csv"
        records = raw[sheet] or [[]]
        faults = list(_header(file, records[0], columns))
        refused.extend(faults)
        if not faults:
            rows, ragged = _rows(sheet, file, records)
            found[sheet] = rows
            refused.extend(ragged)
    return found, refused


def _header(file: str, header: list[str], columns: list[str]) -> Iterator[Refusal]:
    known = {name for column in columns for name in column.split("|")}
    expected = ", ".join(columns)
    for number, name in enumerate(header, 1):
        place = Place(file, 1, name, get_column_letter(number))
        if name not in known:
            yield Refusal(place, name, _wanted("er en ukjent kolonne", "is an unknown column", expected, expected))
        elif name in header[: number - 1]:
            yield Refusal(place, name, _wanted("står to ganger", "comes twice", expected, expected))
    for column in columns:
        if not set(column.split("|")) & set(header):
            yield Refusal(Place(file, 1), column, _wanted("mangler", "is missing", expected, expected))


def _rows(sheet: str, file: str, records: Records) -> tuple[tuple[Row, ...], list[Refusal]]:
    header = records[0]
    letters = {name: get_column_letter(number) for number, name in enumerate(header, 1)}
    rows: list[Row] = []
    refused: list[Refusal] = []
    for number, record in enumerate(records[1:], 2):
        if not any(cell.strip() for cell in record):
            continue
        if len(record) != len(header):
            count = str(len(header))
            wanted = _wanted("celler", "cells", f"{count} celler", f"{count} cells")
            refused.append(Refusal(Place(file, number), str(len(record)), wanted))
            continue
        rows.append(Row(sheet, file, number, dict(zip(header, record, strict=True)), letters))
    return tuple(rows), refused


def _round(path: Path, asked: str | None, own: Records | None) -> Round:
    stated = dict(zip(own[0], own[1], strict=False)) if own and len(own) > 1 else {}
    id = asked or stated.get("round") or _named(path)
    if stated.get("round") == id and "start" in stated:
        return _stated(path, stated)
    if id in ROUNDS:
        return ROUNDS[id]
    known = ", ".join(ROUNDS)
    wanted = _wanted("er ingen kjent runde", "is no known round", f"en av {known}", f"one of {known}")
    raise ReportError(Refusal(Place(path.name), id or "–", wanted))


def _stated(path: Path, stated: Mapping[str, str]) -> Round:
    try:
        return round_from(stated)
    except (KeyError, ValueError) as error:
        raise ReportError(_unstated(f"{path.name}/{ROUND_FILE}", str(error))) from None


def _unstated(file: str, found: str) -> Refusal:
    keys = "round, title, start, end, closed (source)"
    return Refusal(Place(file), found, _wanted("sier ikke runden", "does not state the round", keys, keys))


def _named(path: Path) -> str | None:
    """The round in the folder's or workbook's name, else in that of its parent (…/portfolio-2021-11/facts)."""
    names: Iterable[str] = (path.resolve().name, path.resolve().parent.name)
    return next((found[1] for name in names if (found := _ROUND.search(name))), None)
