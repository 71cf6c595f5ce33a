"""A report as its own reporter sends it: with its own numbers, on what stands, without what the server sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.bundles import ImportResult
from mappings.fhir import Context, Key, Resource, transaction
from mappings.initiatives import initiative, initiative_key
from mappings.oddities import adoptions, left_out, oddities
from mappings.rows import Report
from mappings.tasks import adopted_key, delivery, dependency, report_key, status_report


def push(report: Report, standing: Resource, *, canonical: str, own: str) -> ImportResult:
    """The transaction by which the owner of one initiative brings its report in.

    `standing` is the initiative's PlanDefinition as it stands: what the owner may not write is sent as it is
    there. `own` begins the identifier systems of the owner's numbers: https://ehelse.example/sid gives
    https://ehelse.example/sid/leveranse and …/avhengighet. Rows that an earlier report brought are
    adopted: updated by their import identifier, and given the owner's number besides (decision 17).
    The report in the round is updated, never created, and its businessStatus is the server's to set."""
    # A contact person is the secretariat's import to register; the one that stands is sent as it is.
    row = replace(report.initiatives[0], contact=None)
    context = Context(canonical, report.round, "", frozenset({initiative_key(row)}))
    plan = initiative(context, report, row, standing)
    state = status_report(context, row.known, row.owner, row, state=None)
    entries = [
        context.entry(initiative_key(row), plan),
        *_rows(context, report, own),
        context.entry(report_key(context, row.known), state),
    ]
    before = {row.known.tiltaksnummer: standing}
    log = (*oddities(report), *left_out([row], before), *adoptions(report))
    return ImportResult(transaction(entries), log, report.refused)


def _rows(context: Context, report: Report, own: str) -> Iterator[Resource]:
    for row in report.deliveries:
        number: Key = ("Task", f"{own}/leveranse", f"{row.initiative_id}-{row.seq:0>2}")
        earlier = adopted_key(context, row.initiative_id, "LEV", row.seq)
        keys = [key for key in (earlier, number) if key]
        yield context.entry(keys[0], delivery(context, row, keys))
    for asked in report.dependencies:
        number = ("Task", f"{own}/avhengighet", f"{asked.initiative_id}-{asked.seq:0>2}")
        yield context.entry(number, dependency(context, asked, [number]))
