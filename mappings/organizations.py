"""Organizations of tables/organizations.json, and the contact persons that full reports name. Domain model 5.1."""

from __future__ import annotations

from mappings.fhir import ENH, Context, Key, Resource, given, typed
from mappings.rows import InitiativeRow
from mappings.tables import ORGANIZATIONS, Organization
from mappings.terminology import aliases

_PERIOD = "http://hl7.org/fhir/StructureDefinition/organization-period"
_LABEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def organization_key(organization: Organization) -> Key:
    return "Organization", "aktor", organization.slug


def organization_entries(context: Context) -> list[Resource]:
    """An entry for every actor that is known, in the table's order: the same in every import."""
    return [context.entry(organization_key(actor), organization(context, actor)) for actor in ORGANIZATIONS.values()]


def organization(context: Context, actor: Organization) -> Resource:
    """Active, also when it has ended since: it was so in the rounds that are imported."""
    number = [{"system": ENH, "value": actor.number}] if actor.number else []
    ended = [{"url": _PERIOD, "valuePeriod": {"end": actor.end}}] if actor.end else []
    return typed(
        given(
            resourceType="Organization",
            meta=context.profile("nep-organization"),
            extension=ended,
            identifier=[*number, context.identifier("aktor", actor.slug)],
            active=True,
            type=[context.concept("nep-actor-type", actor.type)],
            name=actor.name,
            alias=list(aliases(actor.slug)),
        )
    )


def contact_key(context: Context, row: InitiativeRow) -> Key:
    return "PractitionerRole", "import", f"{context.round.source}:{row.known.tiltaksnummer}:KON:1"


def contact_entry(context: Context, row: InitiativeRow) -> Resource:
    """*Kontaktperson*: a PractitionerRole that carries its label R from the start, because nothing else in it
    tells the server that it holds a name (decision 5)."""
    key = contact_key(context, row)
    role = typed(
        given(
            resourceType="PractitionerRole",
            meta={"security": [{"system": _LABEL, "code": "R"}]},
            identifier=[context.identifier(key[1], key[2])],
            practitioner={"display": row.contact},
            organization=context.organization(row.owner),
        )
    )
    return context.entry(key, role)
