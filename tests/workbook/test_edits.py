"""Whatever is changed in a sheet becomes exactly that in the resources, and comes again as nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.workbook.cells import shown
from server.workbook.material import Key, rows
from server.workbook.table import FORM, INITIATIVE
from tests.workbook.test_changes import told

WORDS = st.text("abcæøå ;,.\n–😀", min_size=1, max_size=12).map(str.strip).filter(bool)
DAYS = st.dates(date(2001, 1, 1), date(2049, 12, 31)).map(date.isoformat)
MONEY = st.integers(-(10**9), 10**13).map(lambda kroner: kroner // 100 * 100)
SHEETS = {sheet.name: sheet for sheet in FORM.sheets}


def values(column, slots):
    """What a cell of the column may be changed to."""
    codes = sorted(slots.words.shown.get(column.system, {})) or ["x"]
    blank = [] if column.required else [st.none()]
    match column.kind:
        case "text" | "markdown" | "organization":
            return st.one_of(WORDS, *blank)
        case "code" | "words":
            return st.one_of(st.sampled_from(codes), *blank)
        case "codes":
            return st.one_of(st.lists(st.sampled_from(codes), min_size=1, max_size=3, unique=True).map(tuple), *blank)
        case "texts":
            each = WORDS.map(lambda text: " ".join(text.replace(";", " ").split())).filter(bool)
            return st.one_of(st.lists(each, min_size=1, max_size=3, unique=True).map(tuple), *blank)
        case "date":
            return st.one_of(DAYS, *blank)
        case "year":
            return st.integers(2000, 2050)
        case "count":
            return st.one_of(st.integers(0, 999_999), *blank)
        case _:
            return st.one_of(MONEY, *blank)


@st.composite
def edits(draw, office):
    """(sheet, line, column) -> value, of rows that were given out."""
    chosen = {}
    for _ in range(draw(st.integers(0, 6))):
        sheet = draw(st.sampled_from([one for one in FORM.sheets if one.of != "statusrapport"]))
        given_out = [line for line in office.read.pages[sheet.name].lines if not line.key.startswith("new/")]
        line, column = draw(st.sampled_from(given_out)), draw(st.sampled_from(sheet.inputs))
        chosen[sheet.name, line.number, column.name] = draw(values(column, office.slots))
    return chosen


def stands(office, material):
    """(sheet, what the row is of, column) -> value."""
    return {
        (sheet.name, named(row.key), column.name): row.values[column.name]
        for sheet in FORM.sheets
        for row in rows(sheet, material, office.slots)
        for column in sheet.inputs
    }


def named(key):
    return key.ref[:2], key.part


def as_lists(found):
    """The same, where lines have no names: what each says, and none that says nothing."""
    said, lines = {}, defaultdict(dict)
    for (sheet, (ref, part), column), value in found.items():
        if part is None:
            said[sheet, ref, column] = value
        else:
            lines[sheet, ref, part][column] = value
    told_of = ((sheet, ref, line) for (sheet, ref, _), line in lines.items() if set(line.values()) != {None})
    return said, Counter((sheet, ref, tuple(line.items())) for sheet, ref, line in told_of)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_edits_are_those_edits_and_no_others(ehelse, data):
    wanted = data.draw(edits(ehelse))
    segments = {one.number: one.segment for one in ehelse.material.initiatives}
    written, expected = [], stands(ehelse, ehelse.material)
    for (name, number, column_name), value in wanted.items():
        sheet, page = SHEETS[name], ehelse.read.pages[name]
        column = sheet.column(column_name)
        (line,) = [line for line in page.lines if line.number == number]
        key, initiative = Key.read(line.key), line.cells[sheet.column(INITIATIVE).label].raw.split()[0]
        if not sheet.reported_by(column, segments[initiative]):
            continue
        cell = shown(column, value, ehelse.slots.words)
        stored = float(cell) if isinstance(cell, Decimal) else cell
        written.append((name, f"{page.letters[column.label]}{number}", stored))
        expected[name, named(key), column_name] = value
        if (name, column_name, value) == ("Avhengigheter", "status", "oppfylt"):
            # What is met is completed, unless its own cell says otherwise.
            expected[name, named(key), "state"] = wanted.get((name, number, "state"), "completed")
    outcome = ehelse.after(*written)
    if any(fault.code == "business-rule" for fault in outcome.faults):
        return  # A row that became what another was: refused.
    assert told(outcome) == []
    now = ehelse.done(outcome)
    assert as_lists(stands(ehelse, now)) == as_lists(expected)
    again = ehelse.taken(ehelse.written(*written), now)
    assert (told(again), again.entries) == ([], ())
