"""An uploaded workbook as cells: what it holds, where, and nothing of what it means.

A file is somebody's: it is looked at only as far as the limits go. Macros, links, pictures and styles are not read.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

from server.outcome import FhirError
from server.workbook.book import FACTS, KEY
from server.workbook.cells import Raw, typed
from server.workbook.table import FORM

MOST_UNPACKED = 32 * 2**20
MOST_PARTS = 200
MOST_ROWS = 20_000
MOST_COLUMNS = 60
_XML = (".xml", ".rels", ".vml")
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
    """A sheet: heading -> letter of its column, and its rows."""

    letters: Mapping[str, str]
    lines: tuple[Line, ...]


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
                content = archive.read(part)
                if part.filename.endswith(_XML) and any(sign in content for sign in _DECLARATIONS):
                    raise _no_workbook(f"DOCTYPE: {part.filename[:60]}")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _no_workbook(type(error).__name__) from None


def _facts(found: Any) -> dict[str, str]:
    if FACTS not in found.sheetnames:
        return {}
    rows = found[FACTS].iter_rows(min_row=1, max_row=10, max_col=2, values_only=True)
    return {str(name): str(value) for name, value in rows if name is not None}


def _page(sheet: Any) -> Page:
    sheet.reset_dimensions()
    rows = sheet.iter_rows(min_row=1, max_col=MOST_COLUMNS)
    head = {place: str(cell.value).strip() for place, cell in enumerate(next(rows, ())) if cell.value is not None}
    letters = {label: get_column_letter(place + 1) for place, label in head.items()}
    return Page(letters, tuple(_lines(sheet.title, head, rows)))


def _lines(title: str, head: Mapping[int, str], rows: Iterator[Any]) -> Iterator[Line]:
    for number, row in enumerate(rows, 2):
        cells = {label: _found(row[place], place, number) for place, label in head.items()}
        key = cells.pop(KEY, None)
        if all(one.raw in (None, "") for one in cells.values()) and (key is None or key.raw in (None, "")):
            continue
        if number > MOST_ROWS:
            text = f"{title}: for mange rader / more than {MOST_ROWS} rows."
            raise FhirError("too-long", text, expression="file")
        yield Line(number, "" if key is None or key.raw is None else str(key.raw).strip(), cells)


def _found(cell: Any, place: int, number: int) -> Found:
    name = f"{get_column_letter(place + 1)}{number}"
    value = getattr(cell, "value", None)
    if value is None:
        return Found(name, None)
    return Found(name, typed(value), getattr(cell, "data_type", "") in ("f", "e"))
