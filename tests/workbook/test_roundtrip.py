"""A workbook that nobody has filled in changes nothing; and what it is like as a file."""

from __future__ import annotations

import copy
import io
import zipfile
from collections import Counter

import pytest
from openpyxl import load_workbook

from server.workbook import reading
from server.workbook.book import Made, workbook
from server.workbook.gathering import offered
from server.workbook.table import FORM
from tests.workbook.conftest import MADE, Office


def test_every_initiative_of_november_2021_comes_back_as_it_went_out(materials, slots):
    counts: Counter[str] = Counter()
    for material in materials.values():
        office = Office(material, slots)
        outcome = office.taken(office.file)
        assert (outcome.entries, outcome.changes, outcome.faults) == ((), (), ())
        for name, page in reading.book(office.file).pages.items():
            counts[name] += sum(not line.key.startswith("new/") for line in page.lines)
    assert counts == {
        "Tiltak": 40, "Statusrapport": 40, "Leveranser": 243, "Avhengigheter": 91, "Kostnader": 87, "Drift": 21,
        "Nytte": 10, "Nytteforutsetninger": 55,
    }  # fmt: skip


def test_so_it_does_when_a_program_has_saved_it_anew(ehelse):
    outcome = ehelse.taken(ehelse.filled())
    assert (outcome.entries, outcome.faults) == ((), ())


@pytest.mark.parametrize(
    ("actor", "sheets"),
    [
        ("direktoratet-for-e-helse", [sheet.name for sheet in FORM.sheets]),
        ("helse-vest", ["Tiltak", "Statusrapport", "Leveranser", "Avhengigheter"]),
        ("oslo-kommune", ["Tiltak", "Statusrapport", "Leveranser"]),
    ],
)
def test_an_actor_has_the_sheets_that_the_segments_of_its_initiatives_report(materials, slots, actor, sheets):
    book = load_workbook(io.BytesIO(Office(materials[actor], slots).file))
    shown = [sheet.title for sheet in book if sheet.sheet_state == "visible"]
    assert shown == ["Veiledning", *sheets]


@pytest.fixture(scope="module")
def book(ehelse):
    return load_workbook(io.BytesIO(ehelse.file))


class TestFile:
    def test_the_same_is_the_same_to_the_byte(self, ehelse):
        again = workbook(ehelse.material, ehelse.slots, MADE, offered(ehelse.slots))
        assert again == ehelse.file
        other = workbook(ehelse.material, ehelse.slots, Made(MADE.instant, "another-one"), offered(ehelse.slots))
        assert other != ehelse.file

    def test_codes_are_drop_downs_of_a_hidden_sheet_by_name(self, book):
        (status,) = [
            one for one in book["Statusrapport"].data_validations.dataValidation if one.promptTitle == "Status"
        ]
        assert (status.type, status.formula1, str(status.sqref)) == ("list", "Liste_nep_traffic_light", "C2:C4")
        sheet, cells = book.defined_names["Liste_nep_traffic_light"].attr_text.split("!")
        assert [row[0].value for row in book[sheet.strip("'")][cells.replace("$", "")]] == ["Grønn", "Gul", "Rød"]
        assert book[sheet.strip("'")].sheet_state == "hidden"

    def test_dates_are_dates_and_are_checked(self, book):
        (due,) = [one for one in book["Leveranser"].data_validations.dataValidation if one.promptTitle == "Sluttdato"]
        assert due.type == "date"
        assert book["Leveranser"]["E2"].is_date

    def test_cells_to_fill_in_are_open_and_the_rest_is_locked(self, book):
        sheet = book["Statusrapport"]
        assert sheet.protection.sheet
        assert not sheet.protection.password
        assert [sheet[name].protection.locked for name in ("A2", "B2", "C2", "G2", "H2")] == [
            True, True, False, False, True,
        ]  # fmt: skip

    def test_what_a_segment_does_not_report_is_locked(self, materials, slots):
        sheet = Office(materials["oslo-kommune"], slots).sheet("Statusrapport")
        assert (sheet["C2"].protection.locked, sheet["E2"].protection.locked) == (False, True)

    def test_every_sheet_is_a_named_table_without_merged_cells_whose_head_stays_in_sight(self, book):
        for form in FORM.sheets:
            sheet = book[form.name]
            assert list(sheet.tables) == [form.name]
            assert not sheet.merged_cells.ranges
            assert sheet.freeze_panes == "C2"
            assert sheet.column_dimensions["A"].hidden
            assert sheet.page_setup.orientation == "landscape"
            assert all(cell.comment for cell in sheet[1][1:])

    def test_there_are_empty_rows_for_what_is_new(self, book):
        keys = [row[0] for row in book["Leveranser"].iter_rows(min_row=2, max_col=1, values_only=True)]
        assert [key for key in keys if key.startswith("new/")] == [f"new/leveranse-{n}" for n in range(1, 16)]

    def test_values_of_an_open_report_are_proposals_of_the_last_one(self, book, ehelse):
        sheet = book["Statusrapport"]
        assert sheet["H2"].value == "Forslag fra / Proposed from November 2021"
        assert sheet["C2"].font.italic
        assert sheet["G2"].value is None

    def test_it_holds_nothing_that_runs(self, ehelse):
        names = zipfile.ZipFile(io.BytesIO(ehelse.file)).namelist()
        assert not [name for name in names if "vba" in name.lower() or "external" in name.lower()]


RISKY = ["=1+1", "+47 22 00 00 00", "-", "@SUM(A1)", "#N/A", "\t=2", "=cmd|' /C calc'!A0"]


def test_a_text_never_becomes_a_formula_and_comes_back_as_it_was(ehelse):
    spoiled = copy.deepcopy(ehelse.material)
    for task, text in zip(spoiled.initiatives[0].tasks, RISKY, strict=False):
        task["description"] = text
    office = Office(spoiled, ehelse.slots)
    cells = [cell for row in office.sheet("Leveranser").iter_rows(min_row=2, max_col=4) for cell in row]
    assert {cell.value for cell in cells} >= set(RISKY)
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert office.taken(office.file).changes == office.taken(office.filled()).changes == ()
