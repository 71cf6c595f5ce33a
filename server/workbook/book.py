"""The workbook as a file: a sheet of each thing that the actor reports, with drop-downs, hidden keys and locked cells.

Every row has its key in the first column, which is hidden: the resource and the version that it was made from. The
file's own facts (round, actor, format) stand in a hidden sheet. The same material, moment and id give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from openpyxl import Workbook  # type: ignore[import-untyped]
from openpyxl.comments import Comment  # type: ignore[import-untyped]
from openpyxl.styles import Alignment, Border, Font, PatternFill, Protection, Side  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]
from openpyxl.workbook.defined_name import DefinedName  # type: ignore[import-untyped]
from openpyxl.worksheet.datavalidation import DataValidation  # type: ignore[import-untyped]
from openpyxl.worksheet.table import Table, TableStyleInfo  # type: ignore[import-untyped]

from server import spreadsheet
from server.workbook.cells import Shown, shown
from server.workbook.material import Key, Material, Row, rows
from server.workbook.slots import Slots
from server.workbook.table import FORM, FORMAT, INITIATIVE, Column, Kind, Sheet

FACTS = "_arbeidsbok"
KEY = "_nøkkel"
_CODES = "_koder"
_GUIDANCE = "Veiledning"
_WIDTHS: dict[Kind, int] = {
    "fixed": 22, "initiative": 30, "text": 34, "markdown": 60, "code": 20, "codes": 30, "texts": 34, "date": 13,
    "year": 9, "count": 12, "amount": 14, "words": 16, "organization": 30,
}  # fmt: skip
_FORMATS: dict[Kind, str] = {"date": "dd\\.mm\\.yyyy", "year": "0", "count": "0", "amount": "#,##0.0#####"}
_GUIDE = 80
_LINE, _TALLEST = 15, 409
"""Points: of a line of text, and the most that a row may have."""
_HEAD = PatternFill("solid", fgColor="0B3D63")
_LOCKED = PatternFill("solid", fgColor="E3E8ED")
_FONT = "Calibri"
_PROPOSED = Font(name=_FONT, color="0B4F8A", italic=True)
_EDGE = Side(style="thin", color="C5CED6")
_BORDER = Border(left=_EDGE, right=_EDGE, top=_EDGE, bottom=_EDGE)
_WRAPPED = Alignment(wrap_text=True, vertical="top")
_OPEN, _SHUT = Protection(locked=False), Protection(locked=True)


@dataclass(frozen=True, slots=True)
class Made:
    """What differs between two workbooks of the same content: when it was made (instant), and its id."""

    instant: str
    id: str


def workbook(material: Material, slots: Slots, made: Made, organizations: Sequence[str]) -> bytes:
    """The .xlsx. `organizations` are the names that are offered for a dependency's actor."""
    book = Workbook()
    book.properties.title = f"Arbeidsbok {material.title} – {material.actor_name}"
    book.properties.creator = "Nasjonal e-helseportefølje"
    book.properties.language = "nb"
    _guide(book.active, material)
    lists = _Lists(book)
    for sheet in FORM.sheets:
        _fill(book, sheet, material, slots, lists, organizations)
    lists.written()
    _state(book, material, made)
    book.properties.created = book.properties.modified = _moment(made)
    saved = io.BytesIO()
    book.save(saved)
    book.properties.modified = _moment(made)
    return spreadsheet.repacked(saved.getvalue(), book.properties)


def _moment(made: Made) -> datetime:
    return datetime.fromisoformat(made.instant).replace(microsecond=0, tzinfo=None)


# ---- the sheets that are not filled in


def _guide(sheet: Any, material: Material) -> None:
    sheet.title = _GUIDANCE
    lines = [
        ("Norsk", "English"),
        (f"Arbeidsbok for {material.actor_name}", f"Workbook for {material.actor_name}"),
        (f"Runde: {material.title} ({material.round})", f"Round: {material.title} ({material.round})"),
        (f"Frist: {_day(material.deadline)}", f"Deadline: {material.deadline}"),
        *FORM.guidance,
    ]
    for index, line in enumerate(lines, 1):
        for place, words in enumerate(line, 1):
            cell = sheet.cell(index, place, spreadsheet.text(words))
            spreadsheet.keep_text(cell)
            cell.alignment, cell.font = _WRAPPED, Font(name=_FONT, bold=index <= 4)
        _heighten(sheet, index, [(words, _GUIDE) for words in line])
    for letter in "AB":
        sheet.column_dimensions[letter].width = _GUIDE
    sheet.freeze_panes = "A2"
    sheet.protection.sheet = True
    _printed(sheet)


def _day(text: str) -> str:
    return date.fromisoformat(text).strftime("%d.%m.%Y") if len(text) == 10 else text


def _state(book: Any, material: Material, made: Made) -> None:
    sheet = book.create_sheet(FACTS)
    facts = {
        "format": FORMAT, "runde": material.round, "aktør": material.actor, "laget": made.instant, "id": made.id,
    }  # fmt: skip
    for index, (name, value) in enumerate(facts.items(), 1):
        for place, words in enumerate((name, value), 1):
            cell = sheet.cell(index, place, words)
            spreadsheet.keep_text(cell)
    sheet.sheet_state = "veryHidden"
    sheet.protection.sheet = True


class _Lists:
    """The choices of the drop-downs, a column each of a hidden sheet, by defined names."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._known: dict[str, Sequence[str]] = {}

    def formula(self, name: str, choices: Sequence[str]) -> str:
        """What a validation names the list by."""
        known = f"Liste_{name.replace('-', '_')}"
        self._known.setdefault(known, choices)
        return known

    def written(self) -> None:
        """Writes the sheet."""
        sheet = self._book.create_sheet(_CODES)
        for place, (name, choices) in enumerate(self._known.items(), 1):
            for index, word in enumerate((name, *choices), 1):
                spreadsheet.keep_text(sheet.cell(index, place, spreadsheet.text(word)))
            letter = get_column_letter(place)
            where = f"'{_CODES}'!${letter}$2:${letter}${max(len(choices), 1) + 1}"
            self._book.defined_names[name] = DefinedName(name, attr_text=where)
        sheet.sheet_state = "hidden"
        sheet.protection.sheet = True


# ---- the sheets that are


def _fill(
    book: Any, form: Sheet, material: Material, slots: Slots, lists: _Lists, organizations: Sequence[str]
) -> None:
    mine = [one for one in material.initiatives if one.segment in form.segments]
    filled = list(rows(form, material, slots))
    if not mine or not (filled or form.blank):
        return
    sheet = book.create_sheet(form.name)
    _heads(sheet, form)
    for index, row in enumerate(filled, 2):
        _written(sheet, index, form, row, slots)
    last = len(filled) + 1 + form.blank
    for index in range(len(filled) + 2, last + 1):
        _blank(sheet, index, form, Key(new=f"{form.of}-{index - len(filled) - 1}"))
    known = {
        INITIATIVE: [f"{one.number} {one.title}" for one in mine],
        "organization": organizations,
    }
    for place, column in enumerate(form.columns, 2):
        _validated(sheet, form, column, f"{get_column_letter(place)}2:{get_column_letter(place)}{last}", lists, slots,
                   known)  # fmt: skip
    _table(sheet, form, last)
    sheet.freeze_panes = "C2"
    sheet.protection.sheet = True
    for free in ("formatColumns", "formatRows", "autoFilter"):
        setattr(sheet.protection, free, False)
    _printed(sheet)
    sheet.print_title_rows = "1:1"


def _heads(sheet: Any, form: Sheet) -> None:
    sheet.cell(1, 1, KEY)
    sheet.column_dimensions["A"].hidden = True
    for place, column in enumerate(form.columns, 2):
        cell = sheet.cell(1, place, column.label)
        cell.fill, cell.font, cell.alignment = _HEAD, Font(name=_FONT, bold=True, color="FFFFFF"), _WRAPPED
        source = f"\n[{column.source}]" if column.source else ""
        note = Comment(f"{column.note_nb}.\n{column.note_en}.{source}", "Nasjonal e-helseportefølje")
        note.width, note.height = 260, 110
        cell.comment = note
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS[column.kind]
    _heighten(sheet, 1, [(column.label, _WIDTHS[column.kind]) for column in form.columns])


def _written(sheet: Any, index: int, form: Sheet, row: Row, slots: Slots) -> None:
    sheet.cell(index, 1, str(row.key))
    texts = []
    for place, column in enumerate(form.columns, 2):
        value = shown(column, row.values[column.name], slots.words)
        if column.kind == INITIATIVE:
            value = f"{row.initiative.number} {row.initiative.title}"
        free = not column.locked and column.kind != INITIATIVE and column.reported_by(row.initiative.segment)
        cell = _cell(sheet, index, place, column, value, free=free)
        if row.proposed and column.element.startswith("output"):
            cell.font = _PROPOSED
        texts.append((value if isinstance(value, str) else "", _WIDTHS[column.kind]))
    _heighten(sheet, index, texts)


def _heighten(sheet: Any, index: int, texts: Sequence[tuple[str, int]]) -> None:
    """Room for wrapped texts, each with its column's width: not every program finds it by itself."""
    lines = max(sum(1 + len(part) // (width - 4) for part in text.split("\n")) for text, width in texts)
    if lines > 1:
        sheet.row_dimensions[index].height = min(_LINE * lines + 1, _TALLEST)


def _blank(sheet: Any, index: int, form: Sheet, key: Key) -> None:
    sheet.cell(index, 1, str(key))
    for place, column in enumerate(form.columns, 2):
        _cell(sheet, index, place, column, None, free=not column.locked)


def _cell(sheet: Any, row: int, place: int, column: Column, value: Shown, *, free: bool) -> Any:
    cell = sheet.cell(row, place)
    if isinstance(value, str):
        cell.value = value
        spreadsheet.keep_text(cell)
    elif value is not None:
        cell.value = value
    cell.number_format = _FORMATS.get(column.kind, "@" if column.kind in ("text", "markdown", "texts") else "General")
    cell.alignment, cell.border = _WRAPPED, _BORDER
    cell.protection = _OPEN if free else _SHUT
    if not free:
        cell.fill = _LOCKED
    return cell


def _validated(
    sheet: Any, form: Sheet, column: Column, where: str, lists: _Lists, slots: Slots, known: dict[str, Sequence[str]]
) -> None:
    check = _validation(form, column, lists, slots, known)
    if check is None:
        return
    check.promptTitle, check.prompt = column.nb[:32], f"{column.note_nb}. / {column.note_en}."[:255]
    check.showInputMessage = True
    check.add(where)
    sheet.add_data_validation(check)


def _validation(
    form: Sheet, column: Column, lists: _Lists, slots: Slots, known: dict[str, Sequence[str]]
) -> Any | None:
    match column.kind:
        case "code" | "words":
            named = lists.formula(column.system, slots.words.choices(column.system))
            return _chosen(named, free=False)
        case "initiative":
            return _chosen(lists.formula(f"{INITIATIVE}_{form.of}", known[INITIATIVE]), free=False)
        case "organization":
            return _chosen(lists.formula("organization", known["organization"]), free=True)
        case "date":
            span = ("DATE(1990,1,1)", "DATE(2099,12,31)")
            return _number("date", *span, "dd.mm.åååå / dd.mm.yyyy")
        case "year":
            return _number("whole", "2000", "2050", "2000–2050")
        case "count":
            return _number("whole", "0", "999999", "Et helt tall / A whole number")
        case "amount":
            return _number("decimal", "-1000000", "1000000000", "Mill. kr / MNOK")
        case _:
            return None


def _chosen(named: str, *, free: bool) -> Any:
    """`free`: other words than those of the list are taken too."""
    check = DataValidation("list", named, allow_blank=True, showErrorMessage=not free)
    check.errorTitle, check.error = "Velg fra listen", "Velg en verdi fra listen / Choose a value of the list"
    return check


def _number(kind: str, least: str, most: str, expected: str) -> Any:
    check = DataValidation(kind, least, most, operator="between", allow_blank=True, showErrorMessage=True)
    check.errorTitle, check.error = "Ugyldig verdi", f"Ventet / Expected: {expected}"
    return check


def _table(sheet: Any, form: Sheet, last: int) -> None:
    table = Table(displayName=form.name, ref=f"A1:{get_column_letter(len(form.columns) + 1)}{last}")
    table.tableStyleInfo = TableStyleInfo(name="TableStyleLight1", showRowStripes=False)
    sheet.add_table(table)


def _printed(sheet: Any) -> None:
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = 9
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
