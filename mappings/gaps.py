"""Remarks on what a report does not say. A blank is kept as a blank: not stated, never zero, never Nei."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.log import LogEntry, entry
from mappings.rows import (
    BenefitRow,
    DeliveryRow,
    DependencyRow,
    FinanceRow,
    InitiativeRow,
    PrerequisiteRow,
    Report,
)
from mappings.tables import LOST_CELLS


def gaps(report: Report) -> Iterator[LogEntry]:
    """The remarks on blanks, sheet by sheet."""
    contacts = any(row.contact for row in report.initiatives)
    for row in report.initiatives:
        yield from _initiative(row)
        if contacts and not row.contact:
            yield entry("contact-missing", row.row.place("contact"))
        yield from _tables(report, row)
    for delivery in report.deliveries:
        yield from _delivery(delivery)
    purposes = any(row.purpose for row in report.dependencies)
    for dependency in report.dependencies:
        yield from _dependency(report, dependency)
        if purposes and not dependency.purpose:
            yield entry("purpose-missing", dependency.row.place("purpose"))
    for line in (*report.costs, *report.operations):
        yield from _amount(line)
    for benefit in report.benefits:
        yield from _benefit(benefit)
    for prerequisite in report.prerequisites:
        yield from _prerequisite(prerequisite)


def _initiative(row: InitiativeRow) -> Iterator[LogEntry]:
    observed = row.segment.code == "observere"
    place = row.row.place
    if not row.end_date:
        yield entry("end-date-missing", place("end_date"))
    if not row.description:
        yield entry("description-missing", place(row.row.header("description|summary")))
    if not row.focus_area and not row.strategic_goal:
        yield entry("focus-area-missing", place("focus_area_code"))
    if not row.solutions:
        yield entry("solutions-none", place("national_solutions"))
    if observed and not row.risk:
        yield entry("risk-not-asked", place("risk"))
    if not observed and not row.risk_description:
        yield entry("risk-description-missing", place("risk_description"))
    if not observed and not row.strategy:
        yield entry("strategy-missing", place("introduction_strategy"))
    yield from _comment(row)


def _comment(row: InitiativeRow) -> Iterator[LogEntry]:
    if not row.status:
        yield entry("not-reported", row.row.place("status"))
    elif not row.status_comment:
        rule = "comment-missing" if row.status.code == "gronn" else "comment-missing-on-colour"
        yield entry(rule, row.row.place("status_comment"))


def _tables(report: Report, row: InitiativeRow) -> Iterator[LogEntry]:
    """What the segment has tables for, and this initiative nothing in them."""
    id, segment = row.known.initiative_id, row.segment.code
    if segment != "observere" and not any(one.initiative_id == id for one in report.dependencies):
        yield entry("dependencies-none", row.row.place())
    if segment != "samstyre":
        return
    costs, operations, benefits, prerequisites = (
        any(one.row.cells["initiative_id"] == id for one in rows)
        for rows in (report.costs, report.operations, report.benefits, report.prerequisites)
    )
    if not (costs or operations or benefits or prerequisites):
        yield entry("finance-missing", row.row.place())
    elif not operations:
        yield entry("operations-none", row.row.place())


def _delivery(row: DeliveryRow) -> Iterator[LogEntry]:
    if not row.delivered:
        yield entry("delivered-not-stated", row.row.place("delivered"))
    if not row.due_date:
        yield entry("delivery-date-missing", row.row.place("due_date"))


def _dependency(report: Report, row: DependencyRow) -> Iterator[LogEntry]:
    stated = {
        "need-missing": ("need", row.need),
        "mutual-plan-not-stated": ("mutual_plan", row.mutual_plan),
        "dependency-status-not-stated": ("status", row.status),
        "": ("due_date", row.due_date),
    }
    for rule, (column, value) in stated.items():
        if value is not None:
            continue
        if (report.round.id, "dependencies", row.initiative_id, row.seq, column) in LOST_CELLS:
            yield entry("lost-cell", row.row.place(column))
        elif rule:
            yield entry(rule, row.row.place(column))
    if row.status and row.status.code == "oppfylt":
        yield entry("dependency-fulfilled", row.row.place("status"))


def _amount(row: FinanceRow) -> Iterator[LogEntry]:
    column = "amount_mnok" if row.row.sheet == "costs" else "change_mnok"
    if row.amount is None:
        yield entry("amount-blank", row.row.place(column))
    elif row.amount == 0:
        yield entry("amount-zero", row.row.place(column))


def _benefit(row: BenefitRow) -> Iterator[LogEntry]:
    match row.years, row.net_value:
        case None, None:
            yield entry("benefit-unquantified", row.row.place())
        case None, _:
            yield entry("benefit-years-missing", row.row.place("years"))
        case _, None:
            yield entry("benefit-value-missing", row.row.place("net_value_mnok"))


def _prerequisite(row: PrerequisiteRow) -> Iterator[LogEntry]:
    if not row.due_date:
        yield entry("prerequisite-date-missing", row.row.place("due_date"))
    if not row.criticality:
        yield entry("prerequisite-criticality-missing", row.row.place("criticality"))
