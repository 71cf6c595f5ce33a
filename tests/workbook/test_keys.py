"""Rows whose hidden keys were touched: copied, moved, sorted, forged. None becomes a change of something else."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from openpyxl import load_workbook

from server.portfolio import elements
from server.workbook.material import Key, Ref
from server.workbook.table import FORM
from tests.workbook.test_changes import DELIVERY, NEW, told


def keys(ehelse, sheet):
    """Row -> its key."""
    lines = ehelse.read.pages[sheet].lines
    return {line.number: line.key for line in lines if not line.key.startswith("new/")}


def row_of(ehelse, sheet, number):
    """All cells of a row by their letters, with its key and its initiative."""
    page = ehelse.read.pages[sheet]
    (line,) = [line for line in page.lines if line.number == number]
    found = {page.letters[label]: cell.raw for label, cell in line.cells.items()}
    return line.key, found


def copied(ehelse, sheet, number, to, *, key, target=""):
    """The row written anew as another one, on its own sheet or on `target`."""
    own, found = row_of(ehelse, sheet, number)
    pasted = [(target or sheet, f"{letter}{to}", value) for letter, value in found.items()]
    return [*pasted, (target or sheet, f"A{to}", own if key else "")]


class TestForged:
    """A key that names what its sheet is not of."""

    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ("Leveranser", "Avhengigheter"), ("Avhengigheter", "Leveranser"), ("Nytteforutsetninger", "Leveranser"),
            ("Statusrapport", "Leveranser"), ("Tiltak", "Statusrapport"), ("Leveranser", "Statusrapport"),
        ],
    )  # fmt: skip
    def test_a_row_of_another_sheet_is_refused(self, ehelse, source, target):
        key = keys(ehelse, source)[2]
        (fault, *_) = told(ehelse.after((target, "A2", key)))
        assert fault.startswith(f"{target}!A2: Raden")
        assert ehelse.after((target, "A2", key)).entries == ()

    @pytest.mark.parametrize(
        ("sheet", "change", "why"),
        [
            ("Drift", lambda key: key.partition("#")[0] + "#0", "skjulte nøkkel er endret"),
            ("Kostnader", lambda key: key.partition("#")[0] + "#13", "skjulte nøkkel er endret"),
            ("Kostnader", lambda key: key.partition("#")[0] + "#999", "skjulte nøkkel er endret"),
            ("Kostnader", lambda key: key.partition("#")[0], "skjulte nøkkel er endret"),
            ("Tiltak", lambda key: key + "#0", "skjulte nøkkel er endret"),
            ("Leveranser", lambda key: key + " r1/1", "skjulte nøkkel er endret"),
            ("Leveranser", lambda key: key.replace("/1", "/7"), "Versjonen er ukjent"),
            ("Leveranser", lambda key: "Task/../1", "ikke (lenger) blant deres"),
            ("Leveranser", lambda key: "new/avhengighet-1", "fra et annet ark"),
            ("Tiltak", lambda key: "new/tiltak-1", "ingen nye rader"),
            ("Statusrapport", lambda key: "", "ingen nye rader"),
        ],
    )
    def test_a_key_that_is_none_of_the_sheet_is_refused(self, ehelse, sheet, change, why):
        (fault, *_) = told(ehelse.after((sheet, "A2", change(keys(ehelse, sheet)[2]))))
        assert fault.startswith(f"{sheet}!A2: ")
        assert why in fault

    def test_one_of_another_actor_is_refused_whatever_its_facts_say(self, ehelse, materials):
        theirs = next(task for task in materials["helse-vest"].initiatives[0].tasks)
        name = {kind.of: kind.name for kind in FORM.sheets}[elements.kind(theirs)]
        (fault, *_) = told(ehelse.after((name, "A2", f"Task/{theirs['id']}/1")))
        assert "ikke (lenger) blant deres" in fault

    def test_rows_of_two_downloads_are_not_mixed(self, ehelse):
        """The same delivery, of an earlier and of a later version."""
        now = ehelse.changed("leveranse", lambda task: task.update(description="Deres"))
        changed = next(one for one in now.initiatives[0].tasks if one["meta"]["versionId"] == "2")
        row = {key: row for row, key in keys(ehelse, "Leveranser").items()}[f"Task/{changed['id']}/1"]
        content = ehelse.written(
            *copied(ehelse, "Leveranser", row, 90, key=False),
            ("Leveranser", "A90", f"Task/{changed['id']}/2"),
            ("Leveranser", "C90", "Et navn"),
            ("Leveranser", f"C{row}", "Et annet navn"),
        )
        (fault,) = told(ehelse.taken(content, now))
        assert fault.startswith("Leveranser!A90: Samme rad står to ganger")

    def test_lines_of_two_downloads_are_not_mixed(self, ehelse):
        now = ehelse.changed("PlanDefinition", lambda plan: plan["extension"].pop(0))
        key = keys(ehelse, "Kostnader")[2]
        later = key.replace("/1#0", "/2#1")
        content = ehelse.written(("Kostnader", "A3", later))
        (fault,) = told(ehelse.taken(content, now))
        assert fault.startswith("Kostnader!A3: Raden er fra en annen arbeidsbok")


class TestMoved:
    def test_a_whole_row_may_stand_anywhere(self, ehelse):
        """Sorted with its hidden column, or filtered: nothing is changed by that."""
        page = ehelse.read.pages["Leveranser"]
        turned = replace(page, lines=tuple(reversed(page.lines)))
        book = replace(ehelse.read, pages={**ehelse.read.pages, "Leveranser": turned})
        assert ehelse.taken(book).changes == ()

    def test_one_that_was_moved_without_its_key_is_refused(self, ehelse):
        """Sorted by name alone within one initiative: 2 and 3 have changed places, their keys have not."""
        swapped = [
            *copied(ehelse, "Leveranser", 2, 3, key=False)[:-1], *copied(ehelse, "Leveranser", 3, 2, key=False)[:-1],
        ]  # fmt: skip
        outcome = ehelse.after(*swapped)
        assert [one.partition(" (")[0][:44] for one in told(outcome)] == [
            "Leveranser!A2: Raden har innholdet til rad 3", "Leveranser!A3: Raden har innholdet til rad 2",
        ]  # fmt: skip
        assert ehelse.after(*[(s, c, v) for s, c, v in swapped if c == "B2" or c[1] == "2"]).faults == ()

    def test_one_of_another_initiative_is_told_by_its_number(self, ehelse):
        other = next(
            row for row in keys(ehelse, "Leveranser") if "NEP-0002" in row_of(ehelse, "Leveranser", row)[1]["B"]
        )
        swapped = [("Leveranser", "A2", keys(ehelse, "Leveranser")[other]),
                   ("Leveranser", f"A{other}", keys(ehelse, "Leveranser")[2])]  # fmt: skip
        assert any("Raden hører til" in one for one in told(ehelse.after(*swapped)))

    def test_a_copy_of_a_row_with_its_key_is_refused(self, ehelse):
        (fault,) = told(ehelse.after(*copied(ehelse, "Leveranser", 2, NEW, key=True)))
        assert fault.startswith(f"Leveranser!A{NEW}: Samme rad står to ganger")

    @pytest.mark.parametrize("sheet", ["Leveranser", "Avhengigheter", "Nytteforutsetninger"])
    def test_a_copy_that_says_the_same_is_no_new_thing(self, ehelse, sheet):
        (fault,) = told(ehelse.after(*copied(ehelse, sheet, 2, 90, key=False)))
        assert fault.startswith(f"{sheet}!C90: Raden finnes fra før")

    def test_a_copied_new_row_of_another_sheet_is_refused(self, ehelse):
        outcome = ehelse.after(*DELIVERY, ("Nytteforutsetninger", "A90", "new/leveranse-1"),
                               ("Nytteforutsetninger", "B90", "NEP-0001"))  # fmt: skip
        assert any(one.startswith("Nytteforutsetninger!A90: Raden er fra et annet ark") for one in told(outcome))

    @pytest.mark.parametrize("sheet", ["Kostnader", "Leveranser"])
    def test_an_empty_row_with_the_key_of_another_means_nothing(self, ehelse, sheet):
        assert ehelse.after((sheet, "A90", keys(ehelse, sheet)[2])).changes == ()

    def test_a_sheet_without_its_hidden_column_makes_nothing_anew(self, ehelse):
        book = load_workbook(io.BytesIO(ehelse.file))
        book["Leveranser"].delete_cols(1)
        saved = io.BytesIO()
        book.save(saved)
        outcome = ehelse.taken(saved.getvalue())
        assert "Leveranser!1:1: Kolonnen «_nøkkel» mangler / The column is missing." in told(outcome)
        assert outcome.entries == ()

    def test_an_initiative_row_that_was_added_is_refused(self, ehelse):
        (fault,) = told(ehelse.after(("Tiltak", "B90", "NEP-0012"), ("Tiltak", "D90", "Nytt tiltak")))
        assert fault.startswith("Tiltak!A90: Arket har ingen nye rader")


class TestMeanwhile:
    def test_a_new_row_that_was_sent_is_not_moved_to_another_initiative(self, ehelse):
        now = ehelse.done(ehelse.after(*DELIVERY))
        content = ehelse.written(*DELIVERY[1:], ("Leveranser", f"B{NEW}", "NEP-0001"))
        (fault,) = told(ehelse.taken(content, now))
        assert fault.startswith(f"Leveranser!B{NEW}: Raden er alt sendt inn for NEP-0012")

    def test_an_initiative_that_has_another_owner_is_nobodys_to_change_here(self, ehelse):
        now = replace(ehelse.material, initiatives=ehelse.material.initiatives[1:])
        outcome = ehelse.taken(ehelse.written(("Leveranser", "C2", "Nytt navn")), now)
        assert all("ikke (lenger) blant deres" in one for one in told(outcome))
        assert outcome.entries == ()

    def test_a_delivery_that_was_dropped_is_not_taken_up_again(self, ehelse):
        def dropped(task):
            task["status"] = "cancelled"
            task["businessStatus"] = ehelse.slots.concept("nep-delivery-status", "utgaar")

        now = ehelse.changed("leveranse", dropped)
        first = next(one for one in now.initiatives[0].tasks if one["meta"]["versionId"] == "2")
        row = {key: row for row, key in keys(ehelse, "Leveranser").items()}[f"Task/{first['id']}/1"]
        outcome = ehelse.taken(ehelse.written(("Leveranser", f"F{row}", "Levert")), now)
        (fault,) = told(outcome)
        assert "nå står «Utgår», her «Levert»" in fault

    def test_what_its_segment_no_longer_reports_is_locked(self, ehelse):
        def moved(one):
            return replace(one, segment="observere") if one.number == "NEP-0001" else one

        now = replace(ehelse.material, initiatives=tuple(map(moved, ehelse.material.initiatives)))
        (fault,) = told(ehelse.taken(ehelse.written(("Kostnader", "F2", 1)), now))
        assert fault.startswith("Kostnader!F2: Cellen er låst")


def test_a_key_is_read_as_it_was_written():
    for key in (Key(Ref("Task", "a-1", "3")), Key(Ref("PlanDefinition", "b", "12"), 4), Key(new="leveranse-1"),
                Key(Ref("Task", "a", "1"), last=Ref("Task", "b", "2"))):  # fmt: skip
        assert Key.read(str(key)) == key


@pytest.mark.parametrize(
    "text", ["", "Task/a", "Patient/a/1", "Task/a/1#x", "Task/a/1 b", "new/", "new/a b", "Task/a/1\n"]
)
def test_what_is_no_key(text):
    assert Key.read(text) is None
