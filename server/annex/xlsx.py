"""The annex as a workbook: a sheet per table, headings that stay in sight, filters, dates and amounts as such.

The same annex gives the same bytes: openpyxl states the time of writing in two places, and both are set here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, assert_never

from openpyxl import Workbook  # type: ignore[import-untyped]
from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped]
from openpyxl.styles import Alignment, Font, PatternFill  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]
from openpyxl.worksheet.worksheet import Worksheet  # type: ignore[import-untyped]

from server import spreadsheet
from server.annex.tables import FORMS, Annex, Cell, Column, Form, Kind, Light, Row

_CUT = " … [forkortet, hele teksten står i CSV / cut, the whole text is in the CSV]"
_WIDTHS: dict[Kind, int] = {
    "code": 15, "text": 38, "markdown": 70, "word": 20, "colour": 12, "date": 13, "year": 9, "count": 9,
    "amount": 13, "total": 16, "list": 34,
}  # fmt: skip
_FORMATS: dict[Kind, str] = {
    "date": "dd\\.mm\\.yyyy", "year": "0", "count": "0", "amount": "#,##0.0##", "total": "#,##0.###",
}  # fmt: skip
_HEAD = PatternFill("solid", fgColor="0B3D63")
_HEAD_MORE = PatternFill("solid", fgColor="4A5B69")
_HEAD_FONT = Font(bold=True, color="FFFFFF")
_TINTS = {code: PatternFill("solid", fgColor=tint) for code, tint in (
    ("gronn", "D5EEDB"), ("oppfylt", "D5EEDB"), ("gul", "FFF0BD"), ("rod", "FBD5D2"),
)}  # fmt: skip
_WRAPPED = Alignment(wrap_text=True, vertical="top")
_TOP = Alignment(vertical="top")


def workbook(annex: Annex) -> bytes:
    """The .xlsx."""
    book = Workbook(write_only=True)
    book.properties.title = _text(annex.title)
    book.properties.identifier = annex.number
    book.properties.creator = "Nasjonal e-helseportefølje"
    book.properties.language = "nb"
    book.properties.created = book.properties.modified = _moment(annex)
    for form in FORMS:
        _fill(book.create_sheet(form.nb), form, annex.rows(form.name))
    saved = io.BytesIO()
    book.save(saved)
    book.properties.modified = _moment(annex)
    return spreadsheet.repacked(saved.getvalue(), book.properties)


def _moment(annex: Annex) -> datetime:
    """To the second, as the file has it."""
    return datetime.fromisoformat(annex.date).replace(microsecond=0, tzinfo=None)


def _fill(sheet: Any, form: Form, rows: list[Row]) -> None:
    sheet.freeze_panes = "B2"
    for place, column in enumerate(form.columns, 1):
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS[column.kind]
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(form.columns))}{len(rows) + 1}"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = Worksheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = "1:1"
    sheet.append([_head(sheet, column) for column in form.columns])
    for row in rows:
        sheet.append(list(_cells(sheet, form, row)))


def _head(sheet: Any, column: Column) -> Any:
    label = column.nb if column.nb == column.en else f"{column.nb} / {column.en}"
    cell = WriteOnlyCell(sheet, label)
    cell.font, cell.alignment = _HEAD_FONT, _WRAPPED
    cell.fill = _HEAD_MORE if column.more else _HEAD
    return cell


def _cells(sheet: Any, form: Form, row: Row) -> Iterator[Any]:
    for column in form.columns:
        value = row[column.name]
        yield None if value is None else _cell(sheet, value, column.kind)


def _cell(sheet: Any, value: Cell, kind: Kind) -> Any:
    content = _content(value, kind)
    cell = WriteOnlyCell(sheet, content)
    cell.alignment = _WRAPPED if isinstance(content, str) else _TOP
    if isinstance(content, str):
        spreadsheet.keep_text(cell)
    elif kind in _FORMATS:
        cell.number_format = _FORMATS[kind]
    if isinstance(value, Light) and value.code in _TINTS:
        cell.fill = _TINTS[value.code]
    return cell


def _content(cell: Cell, kind: Kind) -> str | int | Decimal | date | None:
    match cell:
        case str() if kind == "date":
            return date.fromisoformat(cell) if len(cell) == 10 else cell
        case str():
            return _text(cell)
        case Light():
            return _text(cell.word)
        case tuple():
            return _text("; ".join(cell))
        case int() | Decimal() | None:
            return cell
        case _:
            assert_never(cell)


def _text(text: str) -> str:
    """What a cell can hold, with a word where it was cut."""
    return spreadsheet.text(text, _CUT)
