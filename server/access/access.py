"""Access: every decision on who may write what, and the criterion of what a caller may see. Domain model 10.

All writes pass through `check_interaction`, and all that is read or found through `sees_at_once` or `visible` (Sight):
what narrows a caller further, as the scopes of its token do, goes there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from server.access.caller import Caller, Look
from server.access.elements import LABEL, Fault, Merge, Permits, pieces
from server.access.labels import CONFIDENTIALITY, is_label, is_restricted, label_of
from server.access.parties import references_at
from server.access.rights import Elements, Kind, Party, Rights, standard_rights
from server.outcome import FhirError, Issue
from server.portfolio.states import INITIATIVE, standard
from server.resource import Resource, restored
from server.search.query import AllOf, AnyOf, Chain, Clause, Criterion, Reference, Token
from server.store.store import Version

Method = Literal["POST", "PUT", "PATCH", "DELETE"]

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
LEVELS = 8
"""Of partOf that are followed from an organisation to those above or below it, itself among them."""

# Stored bodies are compact and unescaped: a label R cannot be in one that does not hold this.
_RESTRICTED = b'"code":"R"'
_DONE = {"POST": ("create",), "PUT": ("create", "update"), "PATCH": ("update",), "DELETE": ("delete",)}


@dataclass(frozen=True)
class Access:
    """`canonical` is the base of our own code systems and identifiers."""

    canonical: str
    rights: Rights = field(default_factory=standard_rights)
    _known_readers: dict[str, Sequence[tuple[Party, frozenset[str]]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    # What a caller sees

    def sees_at_once(self, caller: Caller, version: Version) -> bool:
        """Whether it is plain without a look at its parties that the caller may see this version."""
        return version.body is None or _RESTRICTED not in version.body or caller.role == "secretariat"

    def is_public(self, version: Version) -> bool:
        """Whether it is for everybody."""
        return version.body is None or _RESTRICTED not in version.body or not is_restricted(restored(version.body))

    def visible(self, caller: Caller, resource_type: str, mine: Collection[str]) -> tuple[Criterion, ...]:
        """What resources of the type meet that the caller may see; `mine` are the references of its organisations."""
        if caller.role == "secretariat":
            return ()
        label = Token(CONFIDENTIALITY, "R")
        public = Clause(f"{resource_type}._security", "token", "match", (label,), negated=True)
        own = [self._own(party, excluded, mine) for party, excluded in self.readers(resource_type) if mine]
        return (AnyOf((public, *own)),) if own else (public,)

    def _own(self, party: Party, excluded: frozenset[str], mine: Collection[str]) -> Criterion:
        criterion = _points_to(party, mine)
        if not excluded:
            return criterion
        system = f"{self.canonical}/CodeSystem/nep-task-type"
        others = tuple(Token(system, name) for name in sorted(excluded))
        return AllOf((Clause("Task.code", "token", "match", others, negated=True), criterion))

    def readers(self, resource_type: str) -> Sequence[tuple[Party, frozenset[str]]]:
        """The parties that read what is labelled R of this type, each with the kinds of it that it does not read."""
        if resource_type not in self._known_readers:
            self._known_readers[resource_type] = _readers(self.rights.of_type(resource_type))
        return self._known_readers[resource_type]

    def kinds(self, resource: Resource) -> frozenset[str]:
        """The nep-task-types of a Task, as far as it has some."""
        system = f"{self.canonical}/CodeSystem/nep-task-type"
        return frozenset(code for of, code in _codings(resource.get("code")) if of == system)

    # Who may write

    def check_interaction(self, caller: Caller, method: Method) -> None:
        """FhirError login (401) or forbidden (403) for those who never do this, before anything is looked at."""
        if caller.role == "anonymous":
            raise FhirError(
                "login",
                "Logg inn for å skrive / Writing needs a bearer token.",
                headers={"WWW-Authenticate": 'Bearer realm="fhir"'},
            )
        if caller.role == "reader":
            raise FhirError("forbidden", "Tilgangen gjelder lesing / This token is for reading.")
        if caller.role == "reporter" and method == "DELETE":
            raise FhirError(
                "forbidden", "Ingenting slettes / Nothing is deleted; the secretariat marks it as an error."
            )
        allowed = self.rights.everywhere.get(caller.role, frozenset())
        if caller.role != "reporter" and not allowed.intersection(_DONE[method]):
            raise FhirError("forbidden", f"{caller.role}: {method}.")

    def check_secretariat(self, caller: Caller) -> None:
        """FhirError login (401) or forbidden (403) for everybody but the secretariat."""
        if caller.role == "anonymous":
            raise FhirError(
                "login",
                "Logg inn som sekretariatet / This needs a bearer token of the secretariat.",
                headers={"WWW-Authenticate": 'Bearer realm="fhir"'},
            )
        if caller.role != "secretariat":
            raise FhirError("forbidden", "Dette kan bare sekretariatet / Only the secretariat may do this.")

    async def check_writable(self, caller: Caller, stood: Resource, look: Look) -> None:
        """FhirError forbidden (403) unless the caller may change this resource in some way. It says no more than
        whose it is not."""
        if caller.role == "secretariat":
            return
        kind = self.kind(stood)
        if not kind.update:
            raise _secretariats(f"{stood['resourceType']}", f"{kind.name} skrives av / is written by")
        if not await self._roles(caller, kind, kind.update, stood, look):
            raise _foreign(kind, kind.update)

    async def merged(
        self, caller: Caller, stood: Resource, sent: Resource, look: Look, *, keep: bool = True
    ) -> Resource:
        """What is sent over what stands, for the elements that this caller may write (domain model 10, «Merge, then
        validate»). FhirError forbidden (403) with an issue for each element that is changed and may not be.
        With `keep` (PUT) an element left out stays, else (PATCH) it counts as removed. `sent` may be out of form."""
        if caller.role == "secretariat":
            return sent
        kind = self.kind(stood)
        roles = await self._roles(caller, kind, kind.update, stood, look)
        granted = [kind.update[role] for role in roles]
        granted += [kind.move[role] for role in roles if role in kind.move and self._moves(kind, role, stood, sent)]
        merge = Merge(_any_of(granted), kind.stamped, self.canonical, keep)
        result = merge.of(stood, sent)
        if merge.faults:
            raise _unwritable(stood["resourceType"], merge.faults)
        if stood["resourceType"] == "Task" and self.kinds(result) != self.kinds(stood):
            raise _secretariats("Task.code", "Typen endres ikke / The kind does not change")
        return _derived(kind, stood, result)

    async def check_create(self, caller: Caller, sent: Resource, after: Resource, look: Look) -> None:
        """FhirError forbidden (403) unless the caller may create `after`, the completed form of what was sent."""
        if caller.role == "secretariat":
            return
        kind = self.kind(after)
        if not kind.create or (kind.resource_type == "Task" and len(self.kinds(after)) != 1):
            allowed = ", ".join(one.name for one in self.rights.of_type(kind.resource_type) if one.create) or "–"
            place = "Task.code" if kind.resource_type == "Task" else kind.resource_type
            raise _secretariats(
                place, f"Du kan opprette / You may create: {allowed}; resten gjør / the rest is done by"
            )
        roles = await self._roles(caller, kind, kind.create, after, look)
        if not roles:
            raise _foreign(kind, kind.create)
        permits = _any_of([kind.create[role] for role in roles])
        faults = [one for one in pieces(sent, self.canonical) if not _is_permitted(one, permits)]
        needs = [kind.create[role].needs for role in roles]
        if not any(all(after.get(key) == value for key, value in one.items()) for one in needs):
            faults += [Fault(key, key) for key in needs[0]]
        if faults:
            raise _unwritable(kind.resource_type, faults)

    def check_label(self, sent: Resource, stood: Resource | None, after: Resource) -> None:
        """FhirError forbidden (403) for a label that is neither the one that stands nor the one that the server
        sets: none is dropped in silence."""
        allowed = {label_of(stood), label_of(after)}
        for index, coding in enumerate(sent.get("meta", {}).get("security", [])):
            if is_label(coding) and coding.get("code") not in allowed:
                text = f"Merkingen settes av tjeneren / The label is set by the server: {label_of(after) or 'none'}."
                raise FhirError("forbidden", text, expression=f"{after['resourceType']}.meta.security[{index}]")

    def kind(self, resource: Resource) -> Kind:
        """The kind whose rights hold."""
        resource_type = resource["resourceType"]
        if resource_type == "Task":
            name = next((one for one in sorted(self.kinds(resource)) if one in self.rights.kinds), "Task")
            return self.rights.kinds[name]
        return self.rights.kinds[INITIATIVE if resource_type == "PlanDefinition" else resource_type]

    async def _roles(
        self, caller: Caller, kind: Kind, part: Collection[str], resource: Resource, look: Look
    ) -> list[str]:
        """What the caller is to the resource, of the roles in `part`."""
        return [role for role in part if await self._is(caller, kind.parties[role], resource, look)]

    async def _is(self, caller: Caller, party: Party, resource: Resource, look: Look) -> bool:
        named = [reference for path in party.at for reference in references_at(resource, path)]
        if party.then is None:
            return any([await self.is_own(caller, reference, look) for reference in named])
        found = []
        for reference in named:
            kind, _, id = reference.partition("/")
            other = await look(kind, id) if kind == party.then.resource_type else None
            found.append(other is not None and await self._is(caller, party.then, other, look))
        # Based on several initiatives, it is written by who owns them all.
        return bool(found) and all(found)

    def _moves(self, kind: Kind, role: str, stood: Resource, sent: Resource) -> bool:
        """Whether this is a move of the life cycle that is open to the role."""
        machine = standard().get(kind.name)
        try:
            before, after = (machine.state(one, self.canonical) for one in (stood, sent)) if machine else ("", "")
        except (AttributeError, TypeError, KeyError, IndexError):
            # What is out of form is told of by the validation, which comes after.
            return False
        return machine is not None and any(role in move.who for move in machine.found(before, after))

    async def is_own(self, caller: Caller, reference: str, look: Look) -> bool:
        """Whether the reference is the caller's organisation or one below it by partOf."""
        for _ in range(LEVELS):
            kind, _, id = reference.partition("/")
            organization = await look(kind, id) if kind == "Organization" else None
            if organization is None:
                return False
            if any(self._names(identifier, caller.organization) for identifier in organization.get("identifier", [])):
                return True
            reference = organization.get("partOf", {}).get("reference", "")
        return False

    def identifiers(self, caller: Caller) -> tuple[Token, ...]:
        """What the caller's organisation is found by: its number, or its slug."""
        if not caller.organization:
            return ()
        return tuple(Token(system, caller.organization) for system in self._systems)

    @property
    def _systems(self) -> tuple[str, str]:
        return ENH, f"{self.canonical}/sid/aktor"

    def _names(self, identifier: Resource, value: str) -> bool:
        return bool(value) and identifier.get("system") in self._systems and identifier.get("value") == value


def _readers(kinds: Sequence[Kind]) -> tuple[tuple[Party, frozenset[str]], ...]:
    parties = {party.search: party for kind in kinds for party in kind.parties.values()}

    def reads(kind: Kind, search: str) -> bool:
        return any(kind.parties[role].search == search for role in kind.restricted)

    return tuple(
        (party, frozenset(kind.name for kind in kinds if not reads(kind, search)))
        for search, party in parties.items()
        if any(reads(kind, search) for kind in kinds)
    )


def _points_to(party: Party, mine: Collection[str]) -> Criterion:
    key = f"{party.resource_type}.{party.search}"
    if party.then is not None:
        return Chain(key, party.then.resource_type, False, _points_to(party.then, mine))
    if party.search == "_id":
        ids = tuple(Token(None, reference.partition("/")[2]) for reference in sorted(mine))
        return Clause("_id", "id", "match", ids)
    return Clause(key, "reference", "match", (Reference(tuple(sorted(mine))),))


def _any_of(granted: Sequence[Elements]) -> Permits:
    return lambda element, slices: any(one.hold(element, slices) for one in granted)


def _is_permitted(fault: Fault, permits: Permits) -> bool:
    return f"{fault.element}[{','.join(fault.slices)}]" == LABEL or permits(fault.element, fault.slices)


def _derived(kind: Kind, stood: Resource, merged: Resource) -> Resource:
    """Without what follows from the status, when that is another now and this was sent as it stood."""
    if merged.get("status") == stood.get("status"):
        return merged
    return {key: value for key, value in merged.items() if key not in kind.derived or value != stood.get(key)}


def _codings(concept: object) -> list[tuple[str, str]]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    found = codings if isinstance(codings, list) else []
    return [(str(one.get("system", "")), str(one.get("code", ""))) for one in found if isinstance(one, dict)]


def _unwritable(resource_type: str, faults: Sequence[Fault]) -> FhirError:
    issues = [_issue(resource_type, fault) for fault in faults]
    return FhirError("forbidden", issues[0].text, issues=issues)


def _issue(resource_type: str, fault: Fault) -> Issue:
    slices = f"[{','.join(fault.slices)}]" if any(fault.slices) else ""
    text = (
        f"{fault.element}{slices} skrives ikke av deg / is not yours to write: "
        "utelat det, eller send det som det står / leave it out, or send it as it stands."
    )
    return Issue("forbidden", text, f"{resource_type}.{fault.place}")


def _secretariats(expression: str, text: str) -> FhirError:
    return FhirError("forbidden", f"{text}: sekretariatet / the secretariat.", expression=expression)


def _foreign(kind: Kind, part: Collection[str]) -> FhirError:
    party = kind.parties[next(iter(part))]
    element = party.at[0].partition(".")[0].partition("[")[0]
    place = f"{kind.resource_type}.{element}" if element else kind.resource_type
    return FhirError("forbidden", "Tilhører en annen aktør / This belongs to another organisation.", expression=place)
