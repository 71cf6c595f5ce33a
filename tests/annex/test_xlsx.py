"""The workbook: typed cells, text that stays text, sheets that can be worked in."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest
from openpyxl import load_workbook

from server.annex.tables import FORMS, Annex, annex
from server.annex.xlsx import workbook
from server.spreadsheet import LONGEST
from tests.annex.build import HOSTILE, document, initiative, saying, task

pytestmark = pytest.mark.xdist_group("annex")


def sheets(tables: Annex) -> Any:
    return load_workbook(io.BytesIO(workbook(tables)))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_text_stays_text_whatever_it_begins_with(text: str) -> None:
    book = sheets(annex(saying(text)))
    cell = book["Leveranser"]["C2"]
    # XML has one line end, and neither control characters nor U+FFFE.
    kept = "".join(c if c in "\t\n\r" or (c >= " " and c != "\ufffe") else "\N{REPLACEMENT CHARACTER}" for c in text)
    shown = kept.replace("\r\n", "\n").replace("\r", "\n")
    assert cell.data_type == "s"
    assert cell.value == shown
    assert cell.quotePrefix == (text[0] in "=+-@\t")
    assert {c.data_type for sheet in book for row in sheet.iter_rows() for c in row} <= {"s", "n", "d"}


def test_a_text_longer_than_a_cell_says_that_it_is_cut() -> None:
    value = sheets(annex(saying("x" * (LONGEST + 1))))["Leveranser"]["C2"].value
    assert len(value) == LONGEST
    assert value.endswith("the whole text is in the CSV]")


def test_dates_amounts_and_counts_are_what_they_are(facts: Annex) -> None:
    book = sheets(facts)
    end, year, amount, count = (
        book["Tiltak"]["G2"],
        book["Kostnader"]["C2"],
        book["Kostnader"]["D2"],
        book["Leveranser"]["B2"],
    )
    assert (end.value, end.number_format) == (datetime(2023, 12, 31), "dd\\.mm\\.yyyy")
    assert (year.value, amount.value, count.value) == (2019, 28.3, 1)
    assert {cell.data_type for cell in (year, amount, count)} == {"n"}


def test_a_date_that_is_a_month_stays_the_month() -> None:
    plan = initiative("Tiltak", effectivePeriod={"end": "2023-12"})
    assert sheets(annex(document(plan)))["Tiltak"]["G2"].value == "2023-12"


def test_blank_is_blank_and_nought_is_nought(facts: Annex) -> None:
    rows = list(sheets(facts)["Kostnader"].iter_rows(values_only=True))
    found = {row[2]: row[3] for row in rows if row[0] == "NEP-0005" and row[2] >= 2023}
    assert found == {2023: None, 2024: None, 2025: 0, 2026: 0}


def test_headings_stay_in_sight_and_filter(facts: Annex) -> None:
    book = sheets(facts)
    for form in FORMS:
        sheet = book[form.nb]
        assert sheet.freeze_panes == "B2"
        assert sheet.auto_filter.ref == sheet.dimensions
        assert sheet["A1"].value == "Tiltaksnummer / Initiative number"


def test_a_table_without_rows_has_its_headings() -> None:
    book = sheets(annex(document(initiative("Tiltak"), task("leveranse", "one"))))
    assert book["Avhengigheter"].max_row == 1
