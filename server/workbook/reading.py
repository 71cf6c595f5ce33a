"""An uploaded workbook as cells: what it holds, where, and nothing of what it means.

A file is somebody's: it is looked at only as far as the limits go. Macros, links, pictures and styles are not read.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]
from openpyxl.utils.datetime import CALENDAR_MAC_1904  # type: ignore[import-untyped]

from server.outcome import FhirError
from server.workbook.book import FACTS, KEY
from server.workbook.cells import Raw, typed
from server.workbook.table import FORM

MOST_UNPACKED = 32 * 2**20
MOST_PARTS = 200
MOST_ROWS = 20_000
MOST_COLUMNS = 60
_LAST_ROW = 2**20
"""Excel's own."""
_FEW = 5
_DAYS_1904 = 1462
"""From the first day of a workbook of Excel's to that of one of an old Mac's."""
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([^\"']{1,40})")
_LABELS = frozenset({KEY, *(column.label for sheet in FORM.sheets for column in sheet.columns)})
_DATES = frozenset(column.label for sheet in FORM.sheets for column in sheet.columns if column.kind == "date")
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError, EOFError,
    ValueError, OSError, LookupError,
)  # fmt: skip
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY", b"<\x00!\x00D\x00", b"\x00<\x00!\x00D")


@dataclass(frozen=True, slots=True)
class Found:
    """A cell: its name ("D7"), and what it holds. `formula`: that is a formula or an error, and no value."""

    name: str
    raw: Raw
    formula: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a sheet that holds anything: its number, its key, its cells by heading."""

    number: int
    key: str
    cells: Mapping[str, Found]


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet: heading -> letter of its column, and its rows. `odd`: cells that cannot be told what they hold, and why
    not."""

    letters: Mapping[str, str]
    lines: tuple[Line, ...]
    odd: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Book:
    """A workbook: `facts` are its hidden ones (runde, aktør, format, id, laget)."""

    facts: Mapping[str, str]
    pages: Mapping[str, Page] = field(default_factory=dict)


def book(content: bytes) -> Book:
    """What the file holds. FhirError invalid (400) for what is no workbook, too-long (413) for one over the limits."""
    _check(content)
    try:
        found = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False, rich_text=False)
        try:
            facts = _facts(found)
            pages = {sheet.name: _page(found[sheet.name]) for sheet in FORM.sheets if sheet.name in found.sheetnames}
        finally:
            found.close()
    except FhirError:
        raise
    except Exception as error:
        # A library reads a stranger's file: whatever it stumbles over, the file is not one that can be read.
        raise _no_workbook(f"{type(error).__name__}") from None
    return Book(facts, pages)


def _no_workbook(why: str) -> FhirError:
    text = f"Filen er ingen lesbar .xlsx-arbeidsbok. / The file is no .xlsx workbook that can be read ({why})."
    return FhirError("invalid", text, expression="file")


def _check(content: bytes) -> None:
    """That it may be unpacked at all: no more than the limits, and no part that declares entities."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            size = sum(part.file_size for part in parts)
            if size > MOST_UNPACKED or len(parts) > MOST_PARTS:
                text = f"Filen er for stor utpakket / It unpacks to {size} bytes in {len(parts)} parts; at most "
                raise FhirError("too-long", f"{text}{MOST_UNPACKED} in {MOST_PARTS}.", expression="file")
            for part in parts:
                # Whatever it is called: a worksheet may have any name.
                content = archive.read(part)
                if any(sign in content for sign in _DECLARATIONS):
                    raise _no_workbook(f"DOCTYPE: {part.filename[:60]}")
    except _UNREADABLE as error:
        raise _no_workbook(type(error).__name__) from None


def _facts(found: Any) -> dict[str, str]:
    if FACTS not in found.sheetnames:
        return {}
    rows = found[FACTS].iter_rows(min_row=1, max_row=10, max_col=2, values_only=True)
    return {str(name): str(value) for name, value in rows if name is not None}


def _page(sheet: Any) -> Page:
    merged = _merged(sheet)
    sheet.reset_dimensions()
    rows = sheet.iter_rows(min_row=1, max_row=_LAST_ROW, max_col=MOST_COLUMNS)
    head = {place: heading(str(cell.value)) for place, cell in enumerate(next(rows, ())) if cell.value is not None}
    letters = {label: get_column_letter(place + 1) for place, label in head.items()}
    twice = [(place, label) for place, label in head.items() if label in _LABELS and _count(head, label) > 1]
    text = "Overskriften står to ganger; ta bort den ene kolonnen / The heading comes twice: remove one of the columns."
    odd = [*merged, *((f"{get_column_letter(place + 1)}1", text) for place, _ in twice[1:])]
    epoch_1904 = sheet.parent.epoch == CALENDAR_MAC_1904
    return Page(letters, tuple(_lines(sheet.title, head, rows, epoch_1904=epoch_1904)), tuple(odd))


def heading(text: str) -> str:
    """A heading as it is compared: some programs write å as two characters."""
    return unicodedata.normalize("NFC", text).strip()


def _count(head: Mapping[int, str], label: str) -> int:
    return sum(one == label for one in head.values())


def _merged(sheet: Any) -> list[tuple[str, str]]:
    """Merged cells: all but the first of them seem to be cleared."""
    with sheet.parent._archive.open(sheet._worksheet_path) as source:
        found = _MERGED.findall(source.read())
    text = "Celler er slått sammen; del dem og fyll ut hver rad / Cells are merged: unmerge them and fill in each row."
    return [(cells.decode("ascii", "replace"), text) for cells in found[:_FEW]]


def _lines(title: str, head: Mapping[int, str], rows: Iterator[Any], *, epoch_1904: bool) -> Iterator[Line]:
    for number, row in enumerate(rows, 2):
        if all(row[place].value in (None, "") for place in head):
            continue
        if number > MOST_ROWS:
            text = f"{title}: for mange rader / more than {MOST_ROWS} rows."
            raise FhirError("too-long", text, expression="file")
        cells = {label: _found(row[place], place, number) for place, label in head.items()}
        if epoch_1904:
            cells = {label: _since_1900(cell) if label in _DATES else cell for label, cell in cells.items()}
        key = cells.pop(KEY, None)
        yield Line(number, "" if key is None or key.raw is None else str(key.raw).strip(), cells)


def _found(cell: Any, place: int, number: int) -> Found:
    name = f"{get_column_letter(place + 1)}{number}"
    value = cell.value
    if value is None or (isinstance(value, str) and not value.strip()):
        return Found(name, None)
    return Found(name, typed(value), getattr(cell, "data_type", "") in ("f", "e"))


def _since_1900(cell: Found) -> Found:
    """A date that has lost its format counts its days from where the whole workbook does."""
    days = cell.raw
    is_day = isinstance(days, int | float) and not isinstance(days, bool) and not 1990 <= days <= 2099
    return replace(cell, raw=days + _DAYS_1904) if is_day and isinstance(days, int | float) else cell
