"""What a filled in workbook becomes: changes of the cells that were changed, and faults by sheet and cell."""

from __future__ import annotations

import copy
import io
import zipfile
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from server.outcome import FhirError
from server.portfolio import elements
from server.workbook import reading
from server.workbook.cells import Misread, same, shown, value_of
from server.workbook.table import FORM
from tests.workbook.conftest import C, Office

NEW, LINE = 21, 22
"""The first empty rows of Leveranser and of Kostnader."""
DELIVERY = (("Leveranser", f"B{NEW}", "NEP-0012 EPJ-løftet"), ("Leveranser", f"C{NEW}", "Ny kurve"))


def told(outcome):
    return [f"{fault.place}: {fault.text}" for fault in outcome.faults]


def cells(outcome):
    return {str(one.place): (one.before, one.after) for one in outcome.changes}


class TestUnderstood:
    """sheet, cell, what was written -> what it says now, and what it shall say."""

    @pytest.mark.parametrize(
        ("sheet", "cell", "written", "before", "after"),
        [
            ("Leveranser", "C2", " Nytt navn\r\n", "Terminologiservere SNOMED CT", "Nytt navn"),
            ("Leveranser", "C2", 2027, "Terminologiservere SNOMED CT", "2027"),
            ("Leveranser", "E3", date(2023, 5, 31), "01.01.2022", "31.05.2023"),
            ("Leveranser", "E3", datetime(2023, 5, 31, 8), "01.01.2022", "31.05.2023"),
            ("Leveranser", "E3", "31.5.2023", "01.01.2022", "31.05.2023"),
            ("Leveranser", "E3", "2023-05-31", "01.01.2022", "31.05.2023"),
            ("Leveranser", "E3", "2023-05", "01.01.2022", "2023-05"),
            ("Leveranser", "E3", None, "01.01.2022", ""),
            ("Leveranser", "F3", "LEVERT ", "Ikke levert", "Levert"),
            ("Leveranser", "F3", "Delivered", "Ikke levert", "Levert"),
            ("Leveranser", "F3", "ja", "Ikke levert", "Levert"),
            ("Leveranser", "H3", "fastlege; Pharmacy", "", "Fastlege; Apotek"),
            ("Avhengigheter", "I3", True, "", "Ja"),
            ("Avhengigheter", "I2", "no", "Ja", "Nei"),
            ("Avhengigheter", "C2", "NHN", "Helseplattformen", "NHN"),
            ("Kostnader", "F2", "1 028,5", "28,3", "1028,5"),
            ("Kostnader", "F2", 0, "28,3", "0"),
            ("Kostnader", "E2", "2030", "2019", "2030"),
            ("Nytte", "C2", 12.0, "", "12"),
            ("Tiltak", "J2", "Helsenorge;  grunndata", "Kjernejournal", "Helsenorge; Grunndata"),
            ("Tiltak", "L3", "Alle; noen til", "Hele helsesektoren.", "Alle; noen til"),
        ],
    )
    def test_as_a_change_of_that_cell_alone(self, ehelse, sheet, cell, written, before, after):
        outcome = ehelse.after((sheet, cell, written))
        assert told(outcome) == []
        assert cells(outcome) == {f"{sheet}!{cell}": (before, after)}
        assert len(outcome.entries) == 1

    @pytest.mark.parametrize(
        ("sheet", "cell", "written"),
        [
            ("Leveranser", "F2", "  levert "),
            ("Leveranser", "E2", "01.12.2021"),
            ("Leveranser", "D2", "   "),
            ("Kostnader", "F2", "28,30"),
            ("Kostnader", "E2", "2019"),
            ("Nytte", "D3", 5.0),
            ("Tiltak", "B2", "nep-0001"),
            ("Avhengigheter", "G2", "HIGH"),
        ],
    )
    def test_the_same_said_otherwise_is_no_change(self, ehelse, sheet, cell, written):
        outcome = ehelse.after((sheet, cell, written))
        assert (told(outcome), outcome.changes, outcome.entries) == ([], (), ())


class TestRefused:
    @pytest.mark.parametrize(
        ("sheet", "cell", "written", "why"),
        [
            ("Leveranser", "E3", "snart", "«snart» er ingen dato / is no date; ventet / expected dd.mm.åååå."),
            ("Leveranser", "E3", "31.02.2023", "ingen dato"),
            ("Leveranser", "E3", "12/31/2023", "ingen dato"),
            ("Leveranser", "E3", 12, "ingen dato"),
            ("Leveranser", "E3", date(1905, 7, 15), "«15.07.1905» er ingen dato"),
            ("Leveranser", "E3", time(8, 30), "ingen dato"),
            ("Leveranser", "E3", True, "ingen dato"),
            ("Leveranser", "E3", "=TODAY()", "er en formel"),
            ("Leveranser", "F3", "kanskje", "ventet / expected Ikke oppgitt, Ikke levert, Levert, Omdefinert, Utgår."),
            ("Leveranser", "F3", None, "mangler"),
            ("Leveranser", "C3", None, "mangler"),
            ("Leveranser", "C3", True, "er ingen tekst"),
            ("Leveranser", "H3", "Apotek; Frisør", "«Frisør» er ikke et av valgene"),
            ("Leveranser", "B3", "NEP-0002", "Raden hører til NEP-0001"),
            ("Leveranser", "A3", "Task/noe", "skjulte nøkkel"),
            ("Leveranser", "A3", "Task/annen/1", "ikke (lenger) blant deres"),
            ("Statusrapport", "C2", "Lav", "ventet / expected Grønn, Gul, Rød"),
            ("Statusrapport", "H2", "meg", "låst"),
            ("Statusrapport", "G2", "kanskje", "ventet / expected Ja, Nei (kladd)"),
            ("Tiltak", "C2", "Observere", "låst"),
            ("Tiltak", "F2", None, "mangler"),
            ("Tiltak", "L4", "Alle", "låst"),
            ("Avhengigheter", "C2", None, "mangler"),
            ("Avhengigheter", "I2", "x", "ventet / expected Ja, Nei"),
            ("Kostnader", "E2", 1999, "ventet / expected 2000–2050"),
            ("Kostnader", "E2", "i fjor", "er ikke noe år"),
            ("Kostnader", "F2", "mye", "er ikke noe beløp"),
            ("Kostnader", "F2", 0.0000001, "er ikke noe beløp"),
            ("Kostnader", "F2", date(2021, 1, 1), "er ikke noe beløp"),
            ("Nytte", "C3", -1, "er ikke noe antall"),
            ("Nytte", "C3", "ti", "er ikke noe antall"),
        ],
    )
    def test_by_sheet_and_cell_with_what_was_expected(self, ehelse, sheet, cell, written, why):
        outcome = ehelse.after((sheet, cell, written))
        (fault,) = told(outcome)
        assert fault.startswith(f"{sheet}!{cell}: ")
        assert why in fault
        assert outcome.entries == ()

    def test_all_faults_at_once(self, ehelse):
        outcome = ehelse.after(
            ("Leveranser", "E3", "snart"), ("Kostnader", "F2", "mye"), ("Tiltak", "F2", None), *DELIVERY[1:]
        )
        assert {one.partition(":")[0] for one in told(outcome)} == {
            "Tiltak!F2", f"Leveranser!B{NEW}", "Leveranser!E3", "Kostnader!F2",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ([("_arbeidsbok", "B1", "99")], "format 99"),
            ([("_arbeidsbok", "B2", "2021-11")], "gjelder runde «2021-11», ikke «2026-11»"),
            ([("_arbeidsbok", "B3", "helse-vest")], "gjelder aktør «helse-vest»"),
            ([("_arbeidsbok", "B5", "")], "ikke en arbeidsbok herfra"),
            ([("Leveranser", "E1", "Noe annet")], "Kolonnen «Sluttdato / End date» mangler"),
        ],
    )
    def test_a_workbook_of_another_kind_in_words(self, ehelse, changed, why):
        (fault,) = told(ehelse.taken(ehelse.filled(*changed)))
        assert why in fault

    def test_a_row_that_comes_twice(self, ehelse):
        key = ehelse.sheet("Leveranser")["A2"].value
        (fault,) = told(ehelse.after(("Leveranser", "A3", key)))
        assert fault.startswith("Leveranser!A3: Samme rad står to ganger")


class TestReports:
    FIRST = ("Statusrapport", "G2", "Ja")

    def test_what_was_proposed_is_sent_once_somebody_says_so(self, ehelse):
        outcome = ehelse.after(self.FIRST)
        (entry,) = outcome.entries
        report = entry["resource"]
        assert report["status"] == "completed"
        assert "businessStatus" not in report
        said = [elements.code(elements.value(report["output"], code)) for code in ("status", "risiko")]
        assert said == ["gul", "gul"]
        assert cells(outcome)["Statusrapport!G2"] == ("", "Ja")

    def test_the_form_of_the_risk_of_2023_is_understood(self, ehelse):
        (entry,) = ehelse.after(self.FIRST, ("Statusrapport", "E2", "høy")).entries
        assert elements.code(elements.value(entry["resource"]["output"], "risiko")) == "rod"

    def test_a_draft_is_kept_as_one(self, ehelse):
        (entry,) = ehelse.after(("Statusrapport", "G2", "nei")).entries
        assert entry["resource"]["status"] == "in-progress"
        assert elements.value(entry["resource"]["output"], "fase") is None

    def test_what_was_filled_in_and_not_sent_is_told(self, ehelse):
        (fault,) = told(ehelse.after(("Statusrapport", "D2", "Mye nytt")))
        assert fault.startswith("Statusrapport!G2: velg Ja eller Nei (kladd)")

    @pytest.mark.parametrize(("corrects", "kept"), [(False, None), (True, "2023-12-31")])
    def test_one_that_was_returned_has_the_end_date_of_its_new_day_but_in_a_correction(self, ehelse, corrects, kept):
        material = copy.deepcopy(ehelse.material)
        report = material.initiatives[0].report
        report |= {"status": "in-progress", "output": copy.deepcopy(material.initiatives[0].last["output"])}
        io_ = {"coding": [ehelse.slots.words.coding("nep-task-io", "sluttdato")]}
        report["output"] = [one for one in report["output"] if "valueDate" not in one]
        report["output"].append({"type": io_, "valueDate": "2023-12-31"})
        (entry,) = Office(replace(material, corrects=corrects), ehelse.slots).after(self.FIRST).entries
        assert elements.value(entry["resource"]["output"], "sluttdato") == kept

    def test_a_cleared_comment_is_left_out(self, ehelse):
        (entry,) = ehelse.after(self.FIRST, ("Statusrapport", "D2", None)).entries
        assert elements.value(entry["resource"]["output"], "kommentar") is None


class TestDeliveries:
    @pytest.mark.parametrize(
        ("written", "status"),
        [("Levert", "completed"), ("Omdefinert", "cancelled"), ("Utgår", "cancelled"), ("Ikke oppgitt", "ready")],
    )
    def test_the_status_follows_what_is_said(self, ehelse, written, status):
        (entry,) = ehelse.after(("Leveranser", "F3", written)).entries
        assert entry["resource"]["status"] == status
        assert "text" not in entry["resource"]["businessStatus"]

    def test_an_update_is_of_the_version_that_was_given_out_and_leaves_the_rest_alone(self, ehelse):
        (entry,) = ehelse.after(("Leveranser", "E3", None)).entries
        (stood,) = [
            one
            for one in ehelse.material.initiatives[0].tasks
            if one["id"] == entry["request"]["url"].partition("/")[2]
        ]
        assert entry["request"] == {"method": "PUT", "url": f"Task/{stood['id']}", "ifMatch": 'W/"1"'}
        assert entry["resource"]["meta"] == {"profile": stood["meta"]["profile"]}
        own = ("restriction", "lastModified", "meta")
        assert {k: v for k, v in entry["resource"].items() if k not in own} == {
            k: v for k, v in stood.items() if k not in own
        }
        assert "restriction" not in entry["resource"]

    def test_a_new_one_is_made_by_an_identifier_of_this_workbook_and_row(self, ehelse):
        (entry,) = ehelse.after(*DELIVERY, ("Leveranser", f"E{NEW}", "31.12.2027")).entries
        number = "0123-4567-89ab:leveranse-1"
        assert entry["request"] == {
            "method": "POST", "url": "Task", "ifNoneExist": f"identifier={C}/sid/arbeidsbok%7C{number}",
        }  # fmt: skip
        new = entry["resource"]
        assert new["identifier"] == [{"system": f"{C}/sid/arbeidsbok", "value": number}]
        assert (new["status"], elements.code(new["businessStatus"]), new["code"]["text"]) == (
            "ready", "ikke-oppgitt", "Ny kurve",
        )  # fmt: skip
        assert new["owner"] == new["requester"]
        assert new["restriction"]["period"] == {"end": "2027-12-31"}

    def test_a_new_one_says_what_it_lacks(self, ehelse):
        outcome = ehelse.after(("Leveranser", f"D{NEW}", "Bare en beskrivelse"))
        assert {one.partition(" ")[0] for one in told(outcome)} == {f"Leveranser!B{NEW}:", f"Leveranser!C{NEW}:"}

    def test_one_of_an_initiative_that_is_not_the_actors_is_refused(self, ehelse):
        (fault,) = told(ehelse.after(("Leveranser", f"B{NEW}", "NEP-0040"), *DELIVERY[1:]))
        assert "expected NEP-0001, NEP-0002, NEP-0012" in fault

    def test_a_row_that_was_added_without_a_key_is_known_by_what_it_says(self, ehelse):
        rows = [(*cell[:1], cell[1].replace(str(NEW), "90"), cell[2]) for cell in DELIVERY]
        (entry,) = ehelse.after(*rows).entries
        again = ehelse.after(*[(sheet, cell.replace("90", "91"), value) for sheet, cell, value in rows]).entries
        assert again[0]["request"] == entry["request"]


class TestDependencies:
    def test_a_known_organisation_becomes_its_reference_and_any_other_word_stays_a_word(self, ehelse):
        (entry,) = ehelse.after(("Avhengigheter", "C2", "NHN")).entries
        assert entry["resource"]["owner"]["display"] == "NHN"
        (counterpart,) = elements.values(entry["resource"]["input"], "motpart")
        assert counterpart["reference"] == entry["resource"]["owner"]["reference"]
        (entry,) = ehelse.after(("Avhengigheter", "C2", "Noen")).entries
        assert entry["resource"]["owner"] == {"display": "Noen"}

    def test_fulfilled_is_completed(self, ehelse):
        (entry,) = ehelse.after(("Avhengigheter", "J2", "Oppfylt")).entries
        assert entry["resource"]["status"] == "completed"

    def test_withdrawn_is_cancelled(self, ehelse):
        (entry,) = ehelse.after(("Avhengigheter", "K2", "Trukket")).entries
        assert entry["resource"]["status"] == "cancelled"


class TestLines:
    def lines(self, outcome, element="extension"):
        (entry,) = outcome.entries
        return entry["resource"][element]

    def test_costs_and_operations_of_one_initiative_are_changed_together(self, ehelse):
        plan = ehelse.material.initiatives[0].plan
        outcome = ehelse.after(("Kostnader", "F2", 30), ("Drift", "E2", None), ("Tiltak", "E2", "Kort"))
        lines = self.lines(outcome)
        assert len(lines) == len(plan["extension"])
        assert elements.part(lines[0], "amount") == {"value": 30_000_000, "currency": "NOK"}
        drift = [one for one in lines if elements.part(one, "type") == "drift"]
        assert [elements.part(one, "amount") for one in drift] == [None]
        assert outcome.entries[0]["resource"]["description"] == "Kort"

    def test_clearing_a_line_takes_it_out(self, ehelse):
        stood = ehelse.material.initiatives[0].plan["extension"]
        faults = ehelse.after(*[("Kostnader", f"{letter}2", None) for letter in "CDEF"])
        assert told(faults) == []
        assert self.lines(faults) == stood[1:]

    def test_a_new_line_comes_last(self, ehelse):
        stood = ehelse.material.initiatives[0].plan["extension"]
        new = [("B", "NEP-0001"), ("C", "Forskningsrådet"), ("E", 2026), ("F", "12,5")]
        lines = self.lines(ehelse.after(*[("Kostnader", f"{letter}{LINE}", value) for letter, value in new]))
        assert lines[:-1] == stood
        assert elements.part(lines[-1], "amount") == {"value": 12_500_000, "currency": "NOK"}

    def test_a_benefit_is_counted_in_whole_kroner_and_years(self, ehelse):
        goal = self.lines(ehelse.after(("Nytte", "D2", "200,5"), ("Nytte", "C2", 8)), "goal")[0]
        target = goal["target"][0]
        assert (target["detailQuantity"]["value"], target["due"]["value"]) == (200_500_000, 8)


class TestMeanwhile:
    """Somebody else has changed the first delivery since the workbook was made."""

    def changed(self, ehelse, **elements_):
        def change(task):
            task.update(elements_)

        return ehelse.changed("leveranse", change), self.row(ehelse)

    def row(self, ehelse):
        first = next(one for one in ehelse.material.initiatives[0].tasks if elements.kind(one) == "leveranse")
        keys = [cell.value for cell in ehelse.sheet("Leveranser")["A"]]
        return keys.index(f"Task/{first['id']}/1") + 1

    def test_what_was_left_alone_is_theirs(self, ehelse):
        now, row = self.changed(ehelse, description="Deres")
        assert ehelse.taken(ehelse.file, now).changes == ()
        outcome = ehelse.taken(ehelse.written(("Leveranser", f"C{row}", "Vårt navn")), now)
        (entry,) = outcome.entries
        assert entry["request"]["ifMatch"] == 'W/"2"'
        assert (entry["resource"]["description"], entry["resource"]["code"]["text"]) == ("Deres", "Vårt navn")

    def test_the_same_cell_is_told_by_name_with_what_stands_now(self, ehelse):
        now, row = self.changed(ehelse, description="Deres")
        outcome = ehelse.taken(ehelse.written(("Leveranser", f"D{row}", "Vår")), now)
        (fault,) = told(outcome)
        assert fault.startswith(f"Leveranser!D{row}: er endret av andre")
        assert "nå står «Deres», her «Vår»" in fault
        assert outcome.faults[0].code == "conflict"

    def test_what_somebody_else_has_said_already_is_no_conflict(self, ehelse):
        now, row = self.changed(ehelse, description="Det samme")
        assert ehelse.taken(ehelse.written(("Leveranser", f"D{row}", "Det samme")), now).changes == ()

    def test_it_gives_way_when_asked_to(self, ehelse):
        now, row = self.changed(ehelse, description="Deres")
        outcome = ehelse.taken(ehelse.written(("Leveranser", f"D{row}", "Vår")), now, overwrite=True)
        assert cells(outcome) == {f"Leveranser!D{row}": ("Deres", "Vår")}

    def test_a_line_that_is_no_longer_there_is_told(self, ehelse):
        now = ehelse.changed("PlanDefinition", lambda plan: plan["extension"].pop(0))
        outcome = ehelse.taken(ehelse.written(("Kostnader", "F2", 1)), now)
        assert [one.partition(":")[0] for one in told(outcome)] == ["Kostnader!F2"]

    def test_a_line_that_has_moved_is_found_again(self, ehelse):
        now = ehelse.changed("PlanDefinition", lambda plan: plan["extension"].pop(0))
        (entry,) = ehelse.taken(ehelse.written(("Kostnader", "F3", 1)), now).entries
        assert elements.part(entry["resource"]["extension"][0], "amount")["value"] == 1_000_000


ALL_AT_ONCE = [
    TestReports.FIRST, ("Statusrapport", "G3", "Nei (kladd)"), *DELIVERY, ("Leveranser", "F3", "Levert"),
    ("Avhengigheter", "C2", "NHN"), ("Kostnader", "F2", 1), *(("Kostnader", f"{x}3", None) for x in "CDEF"),
    ("Kostnader", f"B{LINE}", "NEP-0001"), ("Kostnader", f"C{LINE}", "Andre"), ("Kostnader", f"E{LINE}", 2026),
    ("Nytte", "E2", None), ("Tiltak", "J2", "Helsenorge"), ("Nytteforutsetninger", "G2", "Utgår"),
]  # fmt: skip


def test_the_same_file_twice_changes_nothing_the_second_time(ehelse):
    content = ehelse.filled(*ALL_AT_ONCE)
    first = ehelse.taken(content)
    assert told(first) == []
    assert len(first.entries) == 7
    again = ehelse.taken(content, ehelse.done(first))
    assert (told(again), again.changes, again.entries) == ([], (), ())


class TestFiles:
    """What is no workbook of ours, or wants to harm."""

    @pytest.mark.parametrize("content", [b"", b"noe", b"PK\x03\x04tull", b"%PDF-1.7"])
    def test_what_is_no_workbook(self, content):
        with pytest.raises(FhirError, match=r"ingen lesbar \.xlsx") as refused:
            reading.book(content)
        assert refused.value.status == 400

    def test_a_zip_of_something_else(self):
        with pytest.raises(FhirError, match=r"ingen lesbar \.xlsx"):
            reading.book(packed({"hei.txt": b"hei"}))

    def test_a_workbook_of_somebody_elses(self, ehelse):
        saved = io.BytesIO()
        Workbook().save(saved)
        (fault,) = told(ehelse.taken(saved.getvalue()))
        assert "ikke en arbeidsbok herfra" in fault

    def test_a_bomb(self):
        with pytest.raises(FhirError, match="unpacks to") as refused:
            reading.book(packed({"xl/worksheets/sheet1.xml": b" " * (reading.MOST_UNPACKED + 1)}))
        assert refused.value.status == 413

    def test_a_thousand_parts(self):
        with pytest.raises(FhirError, match="unpacks to"):
            reading.book(packed({f"{number}.xml": b"" for number in range(1000)}))

    def test_entities(self, ehelse):
        parts = unpacked(ehelse.file)
        lol = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>'
        name = "xl/workbook.xml"
        with pytest.raises(FhirError, match="DOCTYPE"):
            reading.book(packed({**parts, name: parts[name].replace(b"<workbook", lol + b"<workbook", 1)}))

    def test_too_many_rows(self, ehelse):
        with pytest.raises(FhirError, match="more than 20000 rows"):
            reading.book(ehelse.filled(("Leveranser", "C25000", "langt nede")))

    @pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
    def test_half_a_file(self, ehelse, cut):
        with pytest.raises(FhirError):
            reading.book(ehelse.file[: int(len(ehelse.file) * cut)])

    def test_parts_that_are_broken(self, ehelse):
        parts = unpacked(ehelse.file)
        for name in ("xl/workbook.xml", "xl/worksheets/sheet2.xml", "xl/styles.xml", "[Content_Types].xml"):
            with pytest.raises(FhirError, match=r"ingen lesbar \.xlsx"):
                reading.book(packed({**parts, name: b"<"}))


def packed(parts):
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return saved.getvalue()


def unpacked(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


COLUMNS = [column for sheet in FORM.sheets for column in sheet.inputs]
RAW = st.one_of(
    st.none(), st.text(max_size=40), st.integers(), st.floats(), st.booleans(), st.datetimes(), st.dates(), st.times()
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(COLUMNS), RAW)
def test_whatever_a_cell_holds_is_a_value_that_shows_as_itself_or_is_misread(slots, column, raw):
    try:
        value = value_of(column, raw, slots.words)
    except Misread:
        return
    cell = shown(column, value, slots.words)
    stored = float(cell) if isinstance(cell, Decimal) else cell
    assert value_of(column, stored, slots.words) == value
    assert same(stored, cell)
