"""What spreadsheet programs and people make of a file on its way: it is read as it was meant, or refused in words."""

from __future__ import annotations

import io
import time
import unicodedata
from datetime import date

import pytest
from openpyxl import load_workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.utils.datetime import CALENDAR_MAC_1904, to_excel

from server.outcome import FhirError
from server.workbook import reading
from server.workbook.cells import Misread, value_of
from server.workbook.table import FORM
from tests.workbook.test_changes import cells, packed, told, unpacked

SHEET = {sheet.name: sheet for sheet in FORM.sheets}


def saved(book):
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


@pytest.fixture
def book(ehelse):
    return load_workbook(io.BytesIO(ehelse.file))


def test_an_old_macs_calendar_is_the_same_calendar(ehelse, book):
    """Its days are counted from 1904, also where a cell has lost its format."""
    book.epoch = CALENDAR_MAC_1904
    stood = book["Leveranser"]["E2"].value
    for cell, day in (("E2", stood), ("E3", date(2027, 5, 31))):
        book["Leveranser"][cell] = int(to_excel(day, CALENDAR_MAC_1904))
        book["Leveranser"][cell].number_format = "General"
    outcome = ehelse.taken(saved(book))
    assert told(outcome) == []
    assert cells(outcome) == {"Leveranser!E3": ("01.01.2022", "31.05.2027")}


def test_days_without_their_format_are_counted_from_1900(ehelse):
    content = ehelse.filled(("Leveranser", "E3", 46538.0))
    book = load_workbook(io.BytesIO(content))
    book["Leveranser"]["E3"].number_format = "General"
    assert cells(ehelse.taken(saved(book))) == {"Leveranser!E3": ("01.01.2022", "31.05.2027")}


def test_letters_of_two_parts_are_the_same_letters(ehelse, book):
    """å as a and a ring, as a Mac may write it: in headings, in choices, and in texts that nobody touched."""
    for name in SHEET:
        for row in book[name].iter_rows():
            for cell in row:
                if isinstance(cell.value, str):
                    cell.value = unicodedata.normalize("NFD", cell.value)
    assert (told(ehelse.taken(saved(book))), ehelse.taken(saved(book)).changes) == ([], ())
    book["Leveranser"]["F3"] = unicodedata.normalize("NFD", "Utgår")
    book["Leveranser"]["C3"] = unicodedata.normalize("NFD", "På plass")
    (entry,) = ehelse.taken(saved(book)).entries
    assert entry["resource"]["code"]["text"] == "På plass"


def test_bold_words_hard_spaces_and_blanks_are_the_same_words(ehelse, book):
    sheet = book["Leveranser"]
    sheet["C3"] = CellRichText(TextBlock(InlineFont(b=True), sheet["C3"].value))
    sheet["F2"] = "\u00a0levert\u00a0"
    sheet["D2"] = "\u00a0\n"
    sheet["B30"] = "  "
    assert ehelse.taken(saved(book)).changes == ()


def test_hidden_filtered_and_sorted_rows_are_read_as_any(ehelse, book):
    sheet = book["Leveranser"]
    sheet.row_dimensions[3].hidden = True
    sheet.auto_filter.ref = "A1:H20"
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2, max_row=10)]
    for number, values in enumerate(sorted(rows, key=lambda row: row[2]), 2):
        for place, value in enumerate(values, 1):
            sheet.cell(number, place).value = value
    assert ehelse.taken(saved(book)).changes == ()


def test_columns_and_sheets_of_ones_own_mean_nothing(ehelse, book):
    book["Leveranser"]["J1"], book["Leveranser"]["J2"] = "Egne notater", "=1/0"
    book.create_sheet("Notater")["A1"] = "Husk"
    book["Notater"].merge_cells("A1:C3")
    assert (told(ehelse.taken(saved(book))), ehelse.taken(saved(book)).changes) == ([], ())


class TestRefused:
    def change(self, ehelse, book, change):
        change(book)
        outcome = ehelse.taken(saved(book))
        assert outcome.entries == ()
        return told(outcome)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda book: book.remove(book["Drift"]), "Drift: Arket mangler"),
            (lambda book: setattr(book["Drift"], "title", "Drift 2"), "Drift: Arket mangler"),
            (lambda book: book["Drift"].merge_cells("D2:D3"), "Drift!D2:D3: Celler er slått sammen"),
            (lambda book: book["Drift"].insert_rows(1), "Drift!1:1: Kolonnen «_nøkkel» mangler"),
            (lambda book: book["Drift"].__setitem__("H1", book["Drift"]["E1"].value), "Drift!H1: Overskriften står to"),
            (lambda book: book["Drift"].__setitem__("E2", "#REF!"), "Drift!E2: «#REF!» er en formel eller feil"),
            (lambda book: book["Drift"].__setitem__("E2", "=E3*2"), "Drift!E2: «=E3*2» er en formel"),
            (lambda book: book["Drift"].__setitem__("D2", True), "Drift!D2: «True» er ikke noe år"),
        ],
    )
    def test_in_words_and_by_place(self, ehelse, book, change, why):
        assert self.change(ehelse, book, change)[0].startswith(why)

    @pytest.mark.parametrize("written", ["1.000", "12.500", "-1.250", "1.000,5", "1,5 mrd", "1e3", "--1", "1,", ","])
    def test_an_amount_that_may_be_two_is_none(self, slots, written):
        """In Norway a point stands between thousands."""
        with pytest.raises(Misread, match="er ikke noe beløp"):
            value_of(SHEET["Kostnader"].column("amount"), written, slots.words)

    @pytest.mark.parametrize(
        ("written", "amount"),
        [("12,5", 12_500_000), ("12.5", 12_500_000), ("0.125", 125_000), ("−3,25", -3_250_000), ("1 000", 10**9),
         ("28,000001", 28_000_001), (12.0, 12_000_000), (0.1 + 0.2, 300_000)],
    )  # fmt: skip
    def test_an_amount_that_is_one(self, slots, written, amount):
        assert value_of(SHEET["Kostnader"].column("amount"), written, slots.words) == amount


class TestHarm:
    def test_a_row_far_below_the_last_is_not_waited_for(self, ehelse):
        parts, name = unpacked(ehelse.file), "xl/worksheets/sheet2.xml"
        far = b'<row r="2000000000"><c r="B2000000000"><v>1</v></c></row></sheetData>'
        content = packed({**parts, name: parts[name].replace(b"</sheetData>", far)})
        start = time.process_time()
        reading.book(content)
        assert time.process_time() - start < 10

    def test_a_declaration_is_found_in_a_part_of_any_name(self, ehelse):
        parts = unpacked(ehelse.file)
        sheet = parts.pop("xl/worksheets/sheet2.xml").replace(
            b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet', 1
        )
        rels = parts["xl/_rels/workbook.xml.rels"].replace(b"worksheets/sheet2.xml", b"worksheets/sheet2.bin")
        with pytest.raises(FhirError, match="DOCTYPE"):
            reading.book(packed({**parts, "xl/_rels/workbook.xml.rels": rels, "xl/worksheets/sheet2.bin": sheet}))
