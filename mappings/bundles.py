"""A report to the transaction that brings it in, and a round to the one that opens it. Domain model section 6.

Order of entries: Organization, PractitionerRole, PlanDefinition, the round, then the other Tasks. Every entry
is a conditional update on a business identifier, so that the same report twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mappings.fhir import Context, Key, Resource, transaction
from mappings.initiatives import initiative, initiative_key
from mappings.log import LogEntry, Refusal, Wanted
from mappings.oddities import adoptions, left_out, oddities
from mappings.organizations import contact_entry, contact_key, organization_entries, organization_key
from mappings.rows import InitiativeRow, Report
from mappings.tables import INITIATIVES, ORGANIZATIONS, ROUNDS, Initiative
from mappings.tasks import (
    adopted_key,
    delivery,
    dependency,
    import_key,
    prerequisite,
    report_key,
    reporting_round,
    round_key,
    status_report,
)

PHASE = Wanted(
    ("mangler fase", "has no phase"),
    ("en fase, eller tiltaket slik det står fra før", "a phase, or the initiative as it stands already"),
)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """`bundle` holds what was understood; nothing of it is to be written when `refused` is not empty."""

    bundle: Resource
    log: tuple[LogEntry, ...]
    refused: tuple[Refusal, ...]


def bundle(
    report: Report,
    *,
    canonical: str,
    timezone: str = "Europe/Oslo",
    standing: Mapping[str, Resource] | None = None,
) -> ImportResult:
    """The transaction of a report, as the secretariat sends it.

    `standing` are the PlanDefinitions as they stand, by tiltaksnummer, for a report that is not the first of its
    initiatives: what its form does not ask is taken from there (decision 15)."""
    before = standing or {}
    refused = (*report.refused, *_without_phase(report, before))
    rows = [row for row in report.initiatives if row.phase or row.known.tiltaksnummer in before]
    context = Context(canonical, report.round, timezone)
    context = replace(context, present=frozenset(_keys(context, rows)))
    entries = [
        *organization_entries(context),
        *(contact_entry(context, row) for row in rows if row.contact),
        *(
            context.entry(initiative_key(row), initiative(context, report, row, before.get(row.known.tiltaksnummer)))
            for row in rows
        ),
        context.entry(round_key(context), reporting_round(context)),
        *_task_entries(context, report, rows),
    ]
    log = (*oddities(report), *left_out(rows, before), *adoptions(report))
    return ImportResult(transaction(entries), log, refused)


def _without_phase(report: Report, before: Mapping[str, Resource]) -> Iterator[Refusal]:
    for row in report.initiatives:
        if not row.phase and row.known.tiltaksnummer not in before:
            yield Refusal(row.row.place("phase"), "", PHASE)


def _keys(context: Context, rows: Sequence[InitiativeRow]) -> Iterator[Key]:
    """What the Bundle holds that others in it point to."""
    yield from (organization_key(actor) for actor in ORGANIZATIONS.values())
    yield from (initiative_key(row) for row in rows)
    yield from (contact_key(context, row) for row in rows if row.contact)


def _task_entries(context: Context, report: Report, rows: Sequence[InitiativeRow]) -> Iterator[Resource]:
    for row in report.deliveries:
        own = import_key(context, row.initiative_id, "LEV", row.seq)
        earlier = adopted_key(context, row.initiative_id, "LEV", row.seq)
        keys = [key for key in (earlier, own) if key]
        yield context.entry(keys[0], delivery(context, row, keys))
    for asked in report.dependencies:
        own = import_key(context, asked.initiative_id, "AVH", asked.seq)
        yield context.entry(own, dependency(context, asked, [own]))
    for needed in report.prerequisites:
        own = import_key(context, needed.initiative_id, "NFO", needed.prerequisite.code)
        yield context.entry(own, prerequisite(context, needed, own))
    for reported in rows:
        yield _report_entry(context, reported)


def _report_entry(context: Context, row: InitiativeRow) -> Resource:
    state = ("last" if context.round.closed else "innsendt") if row.status else "ikke-startet"
    task = status_report(context, row.known, row.owner, row, state=state)
    return context.entry(report_key(context, row.known), task)


def round_bundle(
    round_id: str, initiatives: Iterable[str] | None = None, *, canonical: str, timezone: str = "Europe/Oslo"
) -> Resource:
    """The transaction that opens a round of tables/rounds.json: the RUN, and a report asked of each initiative
    (tiltaksnummer; those of the table when None). KeyError for an unknown round or number."""
    known = ROUNDS[round_id]
    numbers = {entry.tiltaksnummer: entry for entry in INITIATIVES.values()}
    context = Context(canonical, known, timezone)
    asked = [numbers[number] for number in (known.initiatives if initiatives is None else initiatives)]
    entries = [context.entry(round_key(context), reporting_round(context))]
    return transaction([*entries, *(_asked_entry(context, one) for one in asked)])


def _asked_entry(context: Context, one: Initiative) -> Resource:
    task = status_report(context, one, ORGANIZATIONS[one.owner], None, state="ikke-startet")
    return context.entry(report_key(context, one), task)
