"""A row of initiatives, with its costs, operations and benefits, to a PlanDefinition. Domain model 5.2 and 6."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mappings.fhir import CONTACT_REFERENCE, Context, Key, Resource, given, period, typed
from mappings.organizations import contact_key
from mappings.rows import BenefitRow, FinanceRow, InitiativeRow, Report
from mappings.terminology import Coded
from server.portfolio.complete import computer_name

_USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"


def initiative_key(row: InitiativeRow) -> Key:
    return "PlanDefinition", "tiltaksnummer", row.known.tiltaksnummer


def initiative(context: Context, report: Report, row: InitiativeRow, standing: Resource | None = None) -> Resource:
    """The PlanDefinition of a row; with `standing`, the one that stands after an earlier report, brought up to
    date with what this report's form asks (decision 15)."""
    return _updated(context, row, standing) if standing else typed(_new(context, report, row))


def _new(context: Context, report: Report, row: InitiativeRow) -> Resource:
    id = row.known.initiative_id
    benefits = [benefit for benefit in report.benefits if benefit.initiative_id == id]
    settled = context.round.end.isoformat()
    subject = {"system": "http://hl7.org/fhir/resource-types", "code": "Organization"}
    return given(
        resourceType="PlanDefinition",
        meta=context.profile("nep-initiative"),
        language="nb",
        extension=[
            *(_line(context, "investering", cost) for cost in report.costs if cost.initiative_id == id),
            *(_line(context, "drift", change) for change in report.operations if change.initiative_id == id),
        ],
        url=f"{context.canonical}/PlanDefinition/{row.known.tiltaksnummer}",
        identifier=[{"use": "official", **context.identifier("tiltaksnummer", row.known.tiltaksnummer)}],
        name=computer_name(row.name),
        title=row.name,
        status="active",
        subjectCodeableConcept={"coding": [subject]},
        date=settled,
        publisher=row.owner.name,
        contact=_contact(context, row),
        description=row.description,
        useContext=[*_secretariat_contexts(context, row), *_contexts(context, row, benefits)],
        jurisdiction=[{"coding": [{"system": "urn:iso:std:iso:3166", "code": "NO"}]}],
        lastReviewDate=settled,
        effectivePeriod=period(None, row.end_date),
        topic=_topics(context, row),
        author=[_owner(context, row)],
        goal=[_goal(context, benefit) for benefit in benefits],
    )


def _owner(context: Context, row: InitiativeRow) -> Resource:
    extension = {"url": CONTACT_REFERENCE, "valueReference": context.organization(row.owner)}
    return {"extension": [extension], "name": row.owner_text}


def _contact(context: Context, row: InitiativeRow) -> list[Resource]:
    if not row.contact:
        return []
    role = {"reference": context.reference(contact_key(context, row))}
    return [{"extension": [{"url": CONTACT_REFERENCE, "valueReference": role}]}]


def _context(context: Context, code: str, value: Mapping[str, Any]) -> Resource:
    return {"code": context.coding("nep-context-type", code), "valueCodeableConcept": value}


def _secretariat_contexts(context: Context, row: InitiativeRow) -> list[Resource]:
    """Portfolio, segment and life cycle: the secretariat's to write."""
    return [
        {
            "code": {"system": _USAGE, "code": "program"},
            "valueCodeableConcept": context.concept("nep-portfolio", "nasjonal-e-helseportefolje"),
        },
        _context(context, "segment", context.coded(row.segment)),
        _context(context, "livslop", context.concept("nep-lifecycle", "aktiv")),
    ]


def _contexts(context: Context, row: InitiativeRow, benefits: Iterable[BenefitRow]) -> list[Resource]:
    """Phase, roll-out strategy and beneficiaries: the owner's to write."""
    words = (("fase", row.phase), ("innforingsstrategi", row.strategy))
    return [
        *(_context(context, code, context.coded(word)) for code, word in words if word),
        *(
            {"code": {"system": _USAGE, "code": "user"}, "valueCodeableConcept": {"text": benefit.beneficiaries}}
            for benefit in benefits
            if benefit.beneficiaries
        ),
    ]


def _topics(context: Context, row: InitiativeRow) -> list[Resource]:
    words: list[Coded | None] = [row.focus_area, row.strategic_goal, *row.solutions]
    return [context.coded(word) for word in words if word]


def _line(context: Context, type: str, row: FinanceRow) -> Resource:
    """A nep-finance-line. A blank amount is no element; zero is zero."""
    source = "source" if type == "investering" else "solution"
    parts: list[Resource] = [
        {"url": "type", "valueCode": type},
        {"url": "year", "valueDate": row.year},
        {"url": source, "valueCodeableConcept": context.coded(row.source)},
    ]
    if row.funder:
        parts.append({"url": "funder", "valueReference": context.organization(row.funder)})
    if row.amount is not None:
        parts.append({"url": "amount", "valueMoney": {"value": row.amount, "currency": "NOK"}})
    return {"extension": parts, "url": f"{context.canonical}/StructureDefinition/nep-finance-line"}


def _goal(context: Context, row: BenefitRow) -> Resource:
    measure = context.concept("nep-goal-measure", "netto-nytteverdi")
    value = {"value": row.net_value, "unit": "NOK", "system": "urn:iso:std:iso:4217", "code": "NOK"}
    years = {"value": row.years, "unit": "år", "system": "http://unitsofmeasure.org", "code": "a"}
    target = given(
        measure=measure,
        detailQuantity=value if row.net_value is not None else None,
        due=years if row.years is not None else None,
    )
    assessment = {"type": "justification", "label": "vurdering-av-nytte", "citation": row.assessment}
    return given(
        category=context.concept("nep-goal-category", "nytte"),
        description={"text": row.other_benefit or "Netto nytteverdi"},
        documentation=[assessment] if row.assessment else [],
        target=[target] if len(target) > 1 else [],
    )


def context_code(use: Mapping[str, Any]) -> str:
    """The code of a PlanDefinition.useContext."""
    return str(use["code"]["code"])


def _updated(context: Context, row: InitiativeRow, standing: Resource) -> Resource:
    """What the form asks is the row's; the rest stands, also the phase when the row leaves it out."""
    kept = [use for use in standing.get("useContext", ()) if context_code(use) != "innforingsstrategi"]
    if row.phase:
        kept = [use for use in kept if context_code(use) != "fase"]
    contexts = [*kept, *_contexts(context, row, ())]
    own = {"title", "description", "useContext", "effectivePeriod", "topic", "author", "id", "meta", "contact"}
    new = given(
        meta=context.profile("nep-initiative"),
        title=row.name,
        description=row.description,
        useContext=contexts,
        effectivePeriod=period(standing.get("effectivePeriod", {}).get("start"), row.end_date),
        topic=_topics(context, row),
        author=[_owner(context, row)],
        contact=_contact(context, row) or standing.get("contact"),
    )
    # What stands is sent as it is there, its server's instants to the millisecond too, which the model would change.
    new = typed({"resourceType": "PlanDefinition", "status": standing["status"], **new})
    return {name: value for name, value in standing.items() if name not in own} | new
