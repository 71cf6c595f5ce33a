"""What an import remarks on: gaps, doubles, contradictions, and what the printed source is known to have lost.

Each rule is a key of tables/log_rules.json. Nothing here changes a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mappings.contradictions import contradictions
from mappings.doubles import doubles
from mappings.fhir import Resource
from mappings.gaps import gaps
from mappings.initiatives import context_code
from mappings.log import LogEntry, Place, entry
from mappings.reading import Row
from mappings.rows import DependencyRow, FinanceRow, InitiativeRow, PrerequisiteRow, Report
from mappings.tables import ADOPTED, MISREADINGS, NOTES
from mappings.terminology import Coded, actors, display


def oddities(report: Report) -> tuple[LogEntry, ...]:
    """All remarks on a report, rule by rule, in the order of its rows."""
    return (
        *_round(report),
        *gaps(report),
        *doubles(report),
        *contradictions(report),
        *_spellings(report),
        *_named(report.dependencies),
        *_noted(report),
    )


def _round(report: Report) -> Iterator[LogEntry]:
    if report.round.assumed:
        yield entry("round-dates-assumed", Place(report.file), start=report.round.start, end=report.round.end)


def _spellings(report: Report) -> Iterator[LogEntry]:
    """Printed words that are not the display of what they are read as."""
    for row in report.initiatives:
        yield from _spelling("printed-word", row.row, {"phase": row.phase, "status": row.status, "risk": row.risk})
        for solution in row.solutions:
            yield from _spelling("printed-word", row.row, {"national_solutions": solution})
        yield from _spelling("focus-area-spelling", row.row, {"focus_area_name": row.focus_area})
    lines: Sequence[FinanceRow] = [line for line in report.costs if line.funder is None]
    for line in lines:
        yield from _spelling("printed-word", line.row, {"funder": line.source})
    needed: Sequence[DependencyRow | PrerequisiteRow] = (*report.dependencies, *report.prerequisites)
    for ranked in needed:
        yield from _spelling("printed-word", ranked.row, {"criticality": ranked.criticality})


def _spelling(rule: str, row: Row, words: Mapping[str, Coded | None]) -> Iterator[LogEntry]:
    for column, word in words.items():
        if word and word.text != display(word.system, word.code):
            yield entry(rule, row.place(column), text=word.text, display=display(word.system, word.code))


def _named(rows: Sequence[DependencyRow]) -> Iterator[LogEntry]:
    for row in rows:
        named = actors(row.actor)
        place = row.row.place("actor")
        if named is None or not named.organizations:
            yield entry("actor-unresolved", place, actor=row.actor)
        elif not named.sole:
            yield entry("actor-several", place, known=", ".join(actor.name for actor in named.organizations))


def _rows(report: Report) -> Iterator[Row]:
    for rows in (report.initiatives, report.deliveries, report.dependencies):
        yield from (typed.row for typed in rows)


def _noted(report: Report) -> Iterator[LogEntry]:
    """What readers of the source noted, where the cell still shows it; and words that it is known to misprint."""
    noted_once: set[tuple[str, str]] = set()
    for row in _rows(report):
        for note in NOTES:
            if (note.round, note.sheet, note.initiative_id) != (report.round.id, row.sheet, row.cells["initiative_id"]):
                continue
            cell = row.cells.get(note.column, "")
            where = (note.rule, note.initiative_id)
            whole_sheet = not note.seq and row.sheet != "initiatives"
            if whole_sheet and where not in noted_once:
                noted_once.add(where)
                yield entry(note.rule, Place(row.file, row.number, note.column))
            elif not whole_sheet and note.seq == row.cells.get("seq", "") and _shows(note.rule, note.source, cell):
                yield entry(note.rule, row.place(note.column), source=note.source)
        yield from _misread(row)


def _shows(rule: str, source: str, cell: str) -> bool:
    """Whether the cell has what the note is about. A correction and a double name something else as source."""
    elsewhere = rule in ("corrected-source", "near-duplicate")
    return bool(cell) and (elsewhere or source in cell)


def _misread(row: Row) -> Iterator[LogEntry]:
    for column, cell in row.cells.items():
        for word, probably in MISREADINGS.items():
            if word in cell:
                yield entry("misread", row.place(column), source=word, text=probably)


def left_out(rows: Sequence[InitiativeRow], before: Mapping[str, Resource]) -> tuple[LogEntry, ...]:
    """What an earlier report had and this one leaves out: removed where it may be absent, carried forward where
    it is required (decision 15)."""
    return tuple(
        remark
        for row in rows
        if row.known.tiltaksnummer in before
        for remark in _left_out(row, before[row.known.tiltaksnummer])
    )


def _left_out(row: InitiativeRow, standing: Resource) -> Iterator[LogEntry]:
    uses = {context_code(use): use["valueCodeableConcept"] for use in standing.get("useContext", ())}
    end = standing.get("effectivePeriod", {}).get("end")
    if end and not row.end_date:
        yield entry("left-out-removed", row.row.place("end_date"), element="effectivePeriod.end", old=end)
    for code, column, value in (("innforingsstrategi", "introduction_strategy", row.strategy),):
        if code in uses and not value:
            old = _word(uses[code])
            yield entry("left-out-removed", row.row.place(column), element=f"useContext[{code}]", old=old)
    if "fase" in uses and not row.phase:
        yield entry("left-out-carried", row.row.place("phase"), element="useContext[fase]", old=_word(uses["fase"]))
    focus = [topic for topic in standing.get("topic", ()) if "focus-area" in topic["coding"][0].get("system", "")]
    if focus and not row.focus_area:
        yield entry("left-out-removed", row.row.place("focus_area_code"), element="topic", old=_word(focus[0]))


def _word(concept: Resource) -> str:
    return str(concept.get("text") or concept["coding"][0].get("display", ""))


def adoptions(report: Report) -> tuple[LogEntry, ...]:
    """Deliveries that an earlier report brought under another number (decision 17)."""
    found = ((row, ADOPTED.get((report.round.id, row.initiative_id, "LEV", row.seq))) for row in report.deliveries)
    return tuple(entry("adopted", row.row.place("seq"), identifier=earlier) for row, earlier in found if earlier)
