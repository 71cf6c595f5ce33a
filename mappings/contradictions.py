"""Remarks on dates that contradict each other or the round. They are kept as they are."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.log import LogEntry, entry
from mappings.rows import Report


def contradictions(report: Report) -> Iterator[LogEntry]:
    """Dates after the initiative's end, and dates against the round: due before its first day, or its last."""
    ends = {row.known.initiative_id: row.end_date for row in report.initiatives if row.end_date}
    yield from _after_end(report, ends)
    yield from _passed(report)
    yield from _overdue(report)


def _after_end(report: Report, ends: dict[str, str]) -> Iterator[LogEntry]:
    for row in report.deliveries:
        end = ends.get(row.initiative_id)
        if end and row.due_date and row.due_date > end:
            yield entry("delivery-after-end", row.row.place("due_date"), due=row.due_date, end=end)
    for asked in report.dependencies:
        end = ends.get(asked.initiative_id)
        if end and asked.due_date and asked.due_date > end:
            yield entry("dependency-after-end", asked.row.place("due_date"), due=asked.due_date, end=end)
    for cost in report.costs:
        end = ends.get(cost.initiative_id)
        if end and cost.year > end[:4]:
            yield entry("cost-after-end", cost.row.place("year"), year=cost.year, end=end)


def _passed(report: Report) -> Iterator[LogEntry]:
    closes = report.round.end.isoformat()
    for row in report.initiatives:
        if row.end_date and row.end_date < closes and row.phase and row.phase.code != "avslutte":
            yield entry("end-passed", row.row.place("end_date"), end=row.end_date, phase=row.phase.text)


def _overdue(report: Report) -> Iterator[LogEntry]:
    opens, closes = report.round.start.isoformat(), report.round.end.isoformat()
    for row in report.deliveries:
        state = row.delivered.code if row.delivered else ""
        if row.due_date and state == "levert" and row.due_date > closes:
            yield entry("delivered-before-date", row.row.place("due_date"), due=row.due_date)
        if row.due_date and row.due_date < opens and state not in ("levert", "omdefinert", "utgaar"):
            yield entry("delivery-overdue", row.row.place("due_date"), due=row.due_date)
    for asked in report.dependencies:
        fulfilled = asked.status is not None and asked.status.code == "oppfylt"
        if asked.due_date and asked.due_date < opens and not fulfilled:
            yield entry("dependency-overdue", asked.row.place("due_date"), due=asked.due_date)
