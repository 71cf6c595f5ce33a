"""The index rows of records as record.py makes them, without asking the Indexer: it evaluates 25 expressions for them.

They are those that it would give (tests/test_record.py holds them against it), as long as R4 alone says what is
indexed: with a stored SearchParameter, or claims of a client, the Indexer is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

from server.resource import Resource
from server.search.dates import interval
from server.search.values import fold
from server.store.store import Indexed

_ACTION = "http://hl7.org/fhir/audit-event-action"
_OUTCOME = "http://hl7.org/fhir/audit-event-outcome"

TokenRow = tuple[str, str, str, int]
ReferenceRow = tuple[str, str, str, int]


def record_rows(resource: Resource, target: Callable[[str], str | None], zone: ZoneInfo) -> Indexed:
    """The rows of a Provenance or AuditEvent. `target`: as Indexer.target."""
    kind = resource["resourceType"]
    tokens: dict[TokenRow, None] = {}
    links: dict[ReferenceRow, None] = {}

    def token(code: str, coding: Resource) -> None:
        tokens[f"{kind}.{code}", coding["code"], coding["system"], 0] = None

    def point(code: str, reference: Resource) -> None:
        if "reference" in reference:
            links[f"{kind}.{code}", target(reference["reference"]) or "", "", 0] = None
        if "identifier" in reference:
            identifier = reference["identifier"]
            tokens[f"{kind}.{code}:identifier", identifier["value"], identifier.get("system", ""), 0] = None

    for label in resource["meta"]["security"]:
        token("_security", label)
    for agent in resource["agent"]:
        point("agent", agent["who"])
    for entity in resource.get("entity", ()):
        if "what" in entity:
            point("entity", entity["what"])
    low, high = interval(resource["recorded"], zone)
    if kind == "Provenance":
        for agent in resource["agent"]:
            token("agent-type", agent["type"]["coding"][0])
        for written in resource["target"]:
            point("target", written)
        behalf = [agent["onBehalfOf"] for agent in resource["agent"] if "onBehalfOf" in agent]
        _uncovered(behalf, links, target)
        return Indexed(token=tuple(tokens), date=(("Provenance.recorded", low, high, 0),), reference=tuple(links))
    token("type", resource["type"])
    token("action", {"code": resource["action"], "system": _ACTION})
    token("outcome", {"code": resource["outcome"], "system": _OUTCOME})
    for subtype in resource["subtype"]:
        token("subtype", subtype)
    for entity in resource.get("entity", ()):
        token("entity-type", entity["type"])
        if "role" in entity:
            token("entity-role", entity["role"])
    addresses = [agent["network"]["address"] for agent in resource["agent"] if "network" in agent]
    return Indexed(
        string=tuple(("AuditEvent.address", fold(address), address, 0) for address in addresses),
        token=tuple(tokens),
        date=(("AuditEvent.date", low, high, 0),),
        reference=tuple(links),
    )


def _uncovered(
    references: Iterable[Resource], links: dict[ReferenceRow, None], target: Callable[[str], str | None]
) -> None:
    """Links that no search parameter covers."""
    covered = {link[1] for link in links}
    for reference in references:
        if "reference" in reference and (to := target(reference["reference"]) or "") not in covered:
            links["", to, "", 0] = None
