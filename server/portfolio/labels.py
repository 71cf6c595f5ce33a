"""Which label a resource gets: U for all, R for its parties and the secretariat. Domain model 0, decisions 5 and 10.

By state: an initiative is open while and after it is in the portfolio; deliveries, dependencies and prerequisites go
with their initiative; a status report opens when its round is closed (last, or not
reported); a round once it is no draft; a report
document when it is final. By kind: nominations, form answers, contact persons and the record stay with the parties.
Published by the secretariat: assessments and council cases, R until it sends the label U. Everything else is U,
unless the secretariat sends R.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.access import Caller, Look, label_of
from server.access.labels import is_label, with_label
from server.outcome import FhirError
from server.portfolio.states import INITIATIVE, context_code, kind_of
from server.resource import Resource

FOLLOWING = frozenset({"leveranse", "avhengighet", "nytteforutsetning"})
"""Kinds of Task that have the label of their initiative."""

_OPEN_LIFE = frozenset({"aktiv", "pa-vent", "avsluttet", "stanset"})
_CLOSED = frozenset({"nominasjon", "PractitionerRole", "QuestionnaireResponse", "Provenance", "AuditEvent"})
_PUBLISHED = frozenset({"vurdering", "radssak"})
_RECORD = frozenset({"Provenance", "AuditEvent"})


@dataclass(frozen=True)
class Labels:
    """`canonical` is the base of our code systems. `everything`: every resource has a label; else only the
    portfolio's own and the record, so that any FHIR tool finds what it sent."""

    canonical: str
    everything: bool = True

    async def __call__(self, resource: Resource, stood: Resource | None, caller: Caller, look: Look) -> Resource:
        """The resource with its label, whatever it was sent with; whether it might be is for Access to say.
        FhirError value (422) when the secretariat sends another label than U or R."""
        kind = kind_of(resource, self.canonical)
        kept = self._kept(resource, stood, caller)
        if not kind and not self.everything and resource["resourceType"] not in _RECORD:
            return _replaced(resource, kept)
        code = await self._code(kind or resource["resourceType"], resource, kept, look)
        return with_label(resource, code)

    def _kept(self, resource: Resource, stood: Resource | None, caller: Caller) -> str:
        """The label that was asked for, by the secretariat alone, or that stands."""
        sent = label_of(resource)
        if not sent or caller.role != "secretariat":
            return label_of(stood)
        if sent not in ("U", "R"):
            text = f"Ukjent merking / The label is U or R, not {sent}."
            raise FhirError("code-invalid", text, expression=f"{resource['resourceType']}.meta.security")
        return sent

    async def _code(self, kind: str, resource: Resource, kept: str, look: Look) -> str:
        match kind:
            case _ if kind == INITIATIVE:
                return "U" if context_code(resource, "livslop", self.canonical) in _OPEN_LIFE else "R"
            case _ if kind in FOLLOWING:
                return await self._of_initiative(resource, look)
            case "statusrapport":
                told = _codes(resource, "businessStatus") + _codes(resource, "statusReason")
                # That nothing was reported is published too; what a draft said is taken out when the round is closed.
                return "U" if "last" in told or "ikke-rapportert" in told else "R"
            case "rapporteringsrunde":
                return "R" if resource.get("status") == "draft" else "U"
            case "Composition":
                return "U" if resource.get("status") in ("final", "amended") else "R"
            case _ if kind in _CLOSED:
                return "R"
            case _ if kind in _PUBLISHED:
                return kept or "R"
            case _:
                return kept or "U"

    async def _of_initiative(self, task: Resource, look: Look) -> str:
        for reference in task.get("basedOn", []):
            kind, _, id = reference.get("reference", "").partition("/")
            plan = await look(kind, id) if kind == "PlanDefinition" else None
            if plan is not None and await self._plan(plan, look) == "R":
                return "R"
        return "U"

    async def _plan(self, plan: Resource, look: Look) -> str:
        kind = kind_of(plan, self.canonical)
        return await self._code(kind, plan, "", look) if kind else label_of(plan)


def _codes(resource: Resource, element: str) -> list[str]:
    return [str(coding.get("code", "")) for coding in resource.get(element, {}).get("coding", [])]


def _replaced(resource: Resource, label: str) -> Resource:
    """With this label instead of the one that was sent; "" for none."""
    if label_of(resource) == label:
        return resource
    if label:
        return with_label(resource, label)
    meta = {**resource["meta"], "security": [one for one in resource["meta"]["security"] if not is_label(one)]}
    meta = {key: value for key, value in meta.items() if value != []}
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest
