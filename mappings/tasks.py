"""Rows to Tasks: deliveries, dependencies, prerequisites, status reports and the round. Domain model 5.3 and 5.4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mappings.fhir import SDC, Context, Key, Resource, given, period, typed
from mappings.rows import DeliveryRow, DependencyRow, InitiativeRow, PrerequisiteRow
from mappings.tables import ADOPTED, INITIATIVES, ORGANIZATIONS, Initiative, Organization
from mappings.terminology import Actors, Coded, actors, task_status

QUESTIONNAIRE = "Questionnaire/nep-status-report|1.0.0"


def import_key(context: Context, initiative_id: str, type: str, number: str) -> Key:
    """The key of a row: 001:NEP-0025:LEV:7."""
    known = INITIATIVES[initiative_id]
    return "Task", "import", f"{context.round.source}:{known.tiltaksnummer}:{type}:{number}"


def adopted_key(context: Context, initiative_id: str, type: str, number: str) -> Key | None:
    """The key under which an earlier report brought the same thing (decision 17)."""
    value = ADOPTED.get((context.round.id, initiative_id, type, number))
    return ("Task", "import", value) if value else None


def _task(context: Context, profile: str, type: str, intent: str, **elements: Any) -> Resource:
    resource = given(
        resourceType="Task",
        meta=context.profile(profile),
        language="nb",
        intent=intent,
        **context.instants(),
        **elements,
    )
    code = elements["code"]
    return typed(
        resource | {"code": code | {"coding": [context.coding("nep-task-type", type), *code.get("coding", ())]}}
    )


def _owner(context: Context, initiative: Initiative) -> Resource:
    return context.organization(ORGANIZATIONS[initiative.owner])


def _io(context: Context, type: str, value: str, content: Any) -> Resource:
    """One Task.input or Task.output: `value` is the choice's key, valueCodeableConcept say."""
    return {"type": {"coding": [context.coding("nep-task-io", type)]}, value: content}


def delivery(context: Context, row: DeliveryRow, keys: Iterable[Key]) -> Resource:
    """A delivery that bears the identifiers `keys`. A blank *levert* is ikke-oppgitt, and ready."""
    initiative = INITIATIVES[row.initiative_id]
    status = row.delivered.code if row.delivered else "ikke-oppgitt"
    business = context.concept("nep-delivery-status", status, row.delivered.text if row.delivered else None)
    groups = (
        [Coded(row.audience.system, (code,), row.audience.text) for code in row.audience.codes] if row.audience else []
    )
    return _task(
        context,
        "nep-delivery",
        "leveranse",
        "plan",
        identifier=[context.identifier(sid, value) for _, sid, value in keys],
        basedOn=[context.initiative(initiative)],
        status=task_status(status),
        businessStatus=business,
        code={"text": row.name},
        description=row.description,
        requester=_owner(context, initiative),
        owner=_owner(context, initiative),
        restriction=given(period=period(None, row.due_date)),
        input=[_io(context, "maalgruppe", "valueCodeableConcept", context.coded(group)) for group in groups],
    )


def dependency(context: Context, row: DependencyRow, keys: Iterable[Key]) -> Resource:
    """A dependency. Nobody has accepted it yet: requested, or completed when it is Oppfylt (decision 9)."""
    initiative = INITIATIVES[row.initiative_id]
    named = actors(row.actor) or Actors()
    return _task(
        context,
        "nep-dependency",
        "avhengighet",
        "proposal",
        identifier=[context.identifier(sid, value) for _, sid, value in keys],
        basedOn=[context.initiative(initiative)],
        status="completed" if row.status and row.status.code == "oppfylt" else "requested",
        businessStatus=context.coded(row.status) if row.status else None,
        code=given(coding=[context.coding(row.category.system, row.category.code)] if row.category else []),
        description=row.need,
        focus=_focus(context, named),
        reasonCode={"text": row.purpose} if row.purpose else None,
        requester=_owner(context, initiative),
        owner=context.organization(named.organizations[0], row.actor) if named.sole else {"display": row.actor},
        restriction=given(period=period(None, row.due_date)),
        input=list(_dependency_inputs(context, row, named)),
    )


def _focus(context: Context, named: Actors) -> Resource | None:
    found = (known for known in INITIATIVES.values() if known.tiltaksnummer == named.initiative)
    initiative = next(found, None)
    return context.initiative(initiative) if initiative else None


def _dependency_inputs(context: Context, row: DependencyRow, named: Actors) -> Iterable[Resource]:
    if row.criticality:
        yield _io(context, "kritikalitet", "valueCodeableConcept", context.coded(row.criticality))
    if row.mutual_plan is not None:
        yield _io(context, "avklart-plan", "valueBoolean", row.mutual_plan)
    for actor in named.organizations:
        yield _io(context, "motpart", "valueReference", context.organization(actor))
    for solution in named.solutions:
        yield _io(context, "losning", "valueCodeableConcept", context.concept("nep-national-solution", solution))


def prerequisite(context: Context, row: PrerequisiteRow, key: Key) -> Resource:
    """A benefit prerequisite; its number is its code (decision 19)."""
    initiative = INITIATIVES[row.initiative_id]
    criticality = row.criticality
    return _task(
        context,
        "nep-benefit-prerequisite",
        "nytteforutsetning",
        "plan",
        identifier=[context.identifier(key[1], key[2])],
        basedOn=[context.initiative(initiative)],
        status="ready",
        code={
            "coding": [context.coding(row.prerequisite.system, row.prerequisite.code)],
            "text": row.prerequisite.text,
        },
        requester=_owner(context, initiative),
        restriction=given(period=period(row.start, row.due_date)),
        input=[_io(context, "kritikalitet", "valueCodeableConcept", context.coded(criticality))] if criticality else [],
    )


def report_key(context: Context, initiative: Initiative) -> Key:
    return "Task", "statusrapport", f"{context.round.id}:{initiative.tiltaksnummer}"


def _questionnaire(context: Context) -> list[Resource]:
    canonical = f"{context.canonical}/{QUESTIONNAIRE}"
    return [{"type": {"coding": [{"system": SDC, "code": "questionnaire"}]}, "valueCanonical": canonical}]


def _days(context: Context) -> Resource:
    return {"period": period(context.round.start.isoformat(), context.round.end.isoformat())}


def status_report(
    context: Context, initiative: Initiative, owner: Organization, row: InitiativeRow | None, *, state: str | None
) -> Resource:
    """The report of one initiative in the context's round: `row` is its content, None before it has any.

    `state` is its nep-report-status, None when the server is to set it. A closed round without a status
    from the row makes it cancelled, ikke-rapportert (decision 23)."""
    reported = row is not None and row.status is not None
    missed = context.round.closed and not reported
    outputs = list(_report_outputs(context, row)) if row is not None and reported else []
    return _task(
        context,
        "nep-status-report",
        "statusrapport",
        "order",
        identifier=[context.identifier(*report_key(context, initiative)[1:])],
        basedOn=[context.initiative(initiative)],
        groupIdentifier=context.identifier("runde", context.round.id),
        status="completed" if reported else "cancelled" if missed else "requested",
        statusReason=context.concept("nep-status-reason", "ikke-rapportert") if missed else None,
        businessStatus=context.concept("nep-report-status", state) if state else None,
        code={"coding": [{"system": SDC, "code": "complete-questionnaire"}]},
        **{"for": context.initiative(initiative)},
        requester=context.secretariat(),
        owner=context.organization(owner),
        restriction=_days(context),
        input=_questionnaire(context),
        output=outputs,
    )


def _report_outputs(context: Context, row: InitiativeRow) -> Iterable[Resource]:
    words = {"status": row.status, "risiko": row.risk, "fase": row.phase}
    texts = {"kommentar": row.status_comment, "risikobeskrivelse": row.risk_description}
    for type in ("status", "kommentar", "risiko", "risikobeskrivelse", "fase"):
        if word := words.get(type):
            yield _io(context, type, "valueCodeableConcept", context.coded(word))
        elif text := texts.get(type):
            yield _io(context, type, "valueMarkdown", text)
    if row.end_date:
        yield _io(context, "sluttdato", "valueDate", row.end_date)


def round_key(context: Context) -> Key:
    return "Task", "runde", context.round.id


def reporting_round(context: Context) -> Resource:
    """The round itself: completed when it is closed, else in-progress."""
    return _task(
        context,
        "nep-reporting-round",
        "rapporteringsrunde",
        "order",
        identifier=[context.identifier("runde", context.round.id)],
        status="completed" if context.round.closed else "in-progress",
        code={"text": context.round.title},
        requester=context.secretariat(),
        owner=context.secretariat(),
        restriction=_days(context),
        input=_questionnaire(context),
    )
