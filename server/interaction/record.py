"""The record: what Provenance and AuditEvent say of a request, and when they are written. Domain model 5.8, 13.

A write and its records are one unit: one Provenance with all that the request wrote, one AuditEvent. A refused write
has an AuditEvent of its own before the answer is sent, and so has an answer that holds restricted data. The AuditEvents
follow the pattern of IHE BALP 1.1.3 without declaring its profiles (decision 27).

No record holds a body, a token, a personal number, or text that a client made up: a query is kept with the values
that name a code, an identifier, a date or a reference, free text left out; a refusal with its codes and places, not
its words. So nothing in the record ever needs to be erased, and its chain of digests stands for ever.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl

from server.access import ANONYMOUS, Caller
from server.asking import Asking, without_personal
from server.interaction.engine import Engine, Reading
from server.interaction.record_rows import record_rows
from server.interaction.searchable import caught_up
from server.outcome import FhirError
from server.resource import ID, Resource, body, references
from server.search.urls import query_of
from server.store.store import RECORDS, Conflict, Indexed, Ref, Rewritten, Unavailable, Unit, Version, Write

OFFICE = "portefoljekontoret"
"""The secretariat's slug."""

_ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_RESTRICTED = {"security": [{"system": f"{_TERMINOLOGY}/v3-Confidentiality", "code": "R"}]}
_INTERACTIONS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_CREATED, _CHANGED, _READ, _DELETED, _ERASED = "1", "3", "6", "14", "15"
"""Codes of dicom-audit-lifecycle."""
_ACTIONS = {_CREATED: "C", _CHANGED: "U", _DELETED: "D"}
_ACTIVITIES = {_CREATED: "CREATE", _CHANGED: "UPDATE", _DELETED: "DELETE"}
_CONTROLS = frozenset(
    ("_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_elements", "_asOf", "_since", "_format",
     "_pretty", "lang", "round", "overdue")
)  # fmt: skip
_MODIFIERS = frozenset(
    ("_has", "missing", "not", "text", "exact", "contains", "identifier", "above", "below", "in", "not-in", "type")
)
_FREE = frozenset(("string", "special"))
_WORDED = frozenset(("text", "exact", "contains", "telecom", "email", "phone"))
"""Modifiers that take free text, and tokens that lead to a person."""
_PLACE = re.compile(r"[A-Za-z0-9_.\[\]():$]{1,200}\Z")
_MOST_ENTITIES = 500
_MOST_ISSUES = 20
_KNOWN_FOR = 60.0
"""Seconds for which an organisation's registration is taken to stand."""
_ATTEMPTS = 20


class Tried(Protocol):
    """What of an Intent the record of its refusal needs."""

    @property
    def method(self) -> str: ...
    @property
    def resource_type(self) -> str: ...
    @property
    def id(self) -> str | None: ...
    @property
    def condition(self) -> str | None: ...
    @property
    def place(self) -> str: ...


class Decided(Protocol):
    """What of a Draft the record of its writing needs."""

    @property
    def stood(self) -> Resource | None: ...
    @property
    def write(self) -> Write | None: ...


@dataclass(frozen=True, slots=True)
class Parties:
    """Who acts: `who` is the organisation that answers for it, `supplier` the vendor that acts for it."""

    who: Resource
    supplier: Resource | None


@dataclass(frozen=True, slots=True)
class Event:
    """What an AuditEvent says beside who and when. `interactions` are R4's codes."""

    interactions: Sequence[str]
    action: str
    entities: Sequence[Resource]
    outcome: str = "0"
    description: str = ""


# Successful writes


async def with_records(
    engine: Engine, caller: Caller, snapshot: Reading, unit: Unit, drafts: Sequence[Decided], claims: Resource
) -> Unit:
    """The unit with its Provenance and AuditEvent; the same unit when nothing is to be recorded. `claims`: what the
    client's X-Provenance adds."""
    if not engine.recording or not unit.writes:
        return unit
    written = [(draft.write, _lifecycle(draft)) for draft in drafts if draft.write is not None]
    parties = await _parties(engine, snapshot, caller)
    now = _now(engine)
    provenance = _provenance(engine, caller, parties, now, written, claims)
    event = _audit_event(engine, caller, parties, now, _written_event(caller, written))
    alive = {_ref(target) for _, one in references(claims, "") if (target := engine.indexer.target(one["reference"]))}
    local = frozenset(ref for ref in alive if ref[0] in engine.resource_types and ID.match(ref[1]))
    return _joined(engine, replace(unit, alive=unit.alive | local), (provenance, event), claims=bool(claims))


def _joined(engine: Engine, unit: Unit, records: Iterable[Resource], *, claims: bool = False) -> Unit:
    writes = tuple(
        Write(one["resourceType"], one["id"], 1, "POST", body(one), _indexed(engine, one, claims)) for one in records
    )
    unchanged = {**unit.unchanged, **{(write.resource_type, write.id): 0 for write in writes}}
    return replace(unit, writes=unit.writes + writes, unchanged=unchanged)


def _indexed(engine: Engine, record: Resource, claims: bool) -> Indexed:
    if claims or engine.parser.parameters.stored:
        return engine.indexer.indexed(record)
    return record_rows(record, engine.indexer.target, engine.indexer.zone)


def _lifecycle(draft: Decided) -> str:
    if draft.write is not None and draft.write.body is None:
        return _DELETED
    return _CREATED if draft.stood is None else _CHANGED


def _written_event(caller: Caller, written: Sequence[tuple[Write, str]]) -> Event:
    kinds = {lifecycle for _, lifecycle in written}
    interactions = dict.fromkeys(_INTERACTIONS[write.method] for write, _ in written)
    if len(written) > 1:
        interactions = {"transaction": None, **interactions}
    entities = [_resource_entity(_versioned(write), lifecycle) for write, lifecycle in written]
    action = _ACTIONS[kinds.pop()] if len(kinds) == 1 else "E"
    return Event(tuple(interactions), action, [*entities, *_request_entity(caller)])


def _versioned(write: Write) -> str:
    return f"{write.resource_type}/{write.id}/_history/{write.version_id}"


def _provenance(
    engine: Engine,
    caller: Caller,
    parties: Parties,
    now: str,
    written: Sequence[tuple[Write, str]],
    claims: Resource,
) -> Resource:
    """R4 provenance.html. The server's agents come first, the client's after them."""
    kinds = {lifecycle for _, lifecycle in written}
    activity = _ACTIVITIES[kinds.pop()] if len(kinds) == 1 else "UPDATE"
    answering: Resource = {"type": _concept("provenance-participant-type", "author"), "who": parties.who}
    if parties.supplier is not None:
        answering |= {"who": parties.supplier, "onBehalfOf": parties.who}
    agents = [answering]
    for kind, who in (("assembler", _device(caller)), ("enterer", _user(caller))):
        if who is not None:
            agents.append({"type": _concept("provenance-participant-type", kind), "who": who})
    request = caller.request
    asked = [{"role": "source", "what": {"identifier": {"value": request.id}}}] if request else []
    entities = [*asked, *claims.get("entity", ())]
    made = {
        "resourceType": "Provenance",
        "id": engine.new_id(),
        "meta": _RESTRICTED,
        **{name: value for name, value in claims.items() if name not in ("agent", "entity")},
        "target": [{"reference": _versioned(write)} for write, _ in written],
        "recorded": now,
        "activity": _concept("v3-DataOperation", activity),
        "agent": [*agents, *claims.get("agent", ())],
    }
    return {**made, "entity": entities} if entities else made


# Refused writes


async def refused(engine: Engine, caller: Caller, error: FhirError, tried: Sequence[Tried] = ()) -> None:
    """Puts a refusal on record, once, durable when this returns. What is no refusal (the store away, our own bug) and
    what is too much already (429) is none of it. Unavailable when the store could not keep it."""
    if not engine.recording or error.recorded or error.status >= 500 or error.status == 429:
        return
    error.recorded = True
    faulty = [one for one in tried if len(tried) == 1 or _names(error, one.place)]
    interactions = dict.fromkeys(_INTERACTIONS[one.method] for one in faulty)
    if len(tried) > 1 or not interactions:
        interactions = {_interaction(caller.request): None, **interactions}
    entities = [_tried_entity(engine, one) for one in faulty[:_MOST_ENTITIES]] or _line_entity(engine, caller)
    event = Event(
        interactions=tuple(interactions),
        action=_action(interactions),
        entities=[*entities, *_request_entity(caller)],
        # Who tries what is not theirs is another matter than who makes a mistake.
        outcome="8" if error.status in (401, 403) else "4",
        description=_reasons(error),
    )
    await _keep(engine, caller, event)


async def refused_request(engine: Engine, asking: Asking | None, error: FhirError) -> None:
    """The same for a request that was refused before it came to a write, or outside of one."""
    if asking is not None and asking.writing:
        caller = asking.caller or replace(ANONYMOUS, address=asking.address, request=asking)
        await refused(engine, caller, error)


def _names(error: FhirError, place: str) -> bool:
    return any(issue.expression == place or issue.expression.startswith(f"{place}.") for issue in error.issues)


def _interaction(asking: Asking | None) -> str:
    """R4's code for a request of which only the URL is known."""
    if asking is None or asking.path.rstrip("/") == "/fhir":
        return "transaction"
    if "$" in asking.path:
        return "operation"
    return _INTERACTIONS.get(asking.method, "operation")


def _action(interactions: Iterable[str]) -> str:
    found = {{"create": "C", "update": "U", "patch": "U", "delete": "D"}.get(one, "E") for one in interactions}
    return found.pop() if len(found) == 1 else "E"


def _tried_entity(engine: Engine, tried: Tried) -> Resource:
    known = tried.resource_type in engine.resource_types
    if known and tried.id and ID.match(tried.id) and without_personal(tried.id) == tried.id:
        return _resource_entity(f"{tried.resource_type}/{tried.id}", "")
    kind = tried.resource_type if known else "…"
    asked = "" if tried.condition is None else f"?{masked(engine, tried.condition)}"
    return _query_entity(f"{tried.method} {kind}{asked}")


def _reasons(error: FhirError) -> str:
    """ "403 forbidden Task.basedOn; …": never the words of a fault, which may hold what was sent."""
    parts = []
    for issue in error.issues[:_MOST_ISSUES]:
        place = issue.expression if _PLACE.match(issue.expression) else ""
        parts.append(" ".join(part for part in (issue.code, issue.rule, without_personal(place)) if part))
    more = len(error.issues) - len(parts)
    return f"{error.status} {'; '.join(parts)}" + (f"; and {more} more" if more > 0 else "")


# Reads of restricted data


def given(engine: Engine, caller: Caller, interaction: str, versions: Iterable[Version]) -> None:
    """Notes what an answer holds: those of the versions that are restricted go on record before it is sent. To be
    called by whoever puts stored resources into an answer."""
    if not engine.recording or caller.request is None or caller.role == "anonymous":
        return
    restricted = [version for version in versions if not engine.access.is_public(version)]
    if restricted:
        caller.request.given += restricted
        caller.request.interactions[interaction] = None


async def put_on_record(engine: Engine, asking: Asking) -> None:
    """The AuditEvent of an answer with restricted data. Unavailable when the store could not keep it."""
    caller = asking.caller or replace(ANONYMOUS, address=asking.address, request=asking)
    read = dict.fromkeys(f"{one.resource_type}/{one.id}/_history/{one.version_id}" for one in asking.given)
    shown = [_resource_entity(reference, _READ) for reference in list(read)[:_MOST_ENTITIES]]
    more = len(read) - len(shown)
    event = Event(
        interactions=tuple(asking.interactions),
        action="R" if asking.interactions.keys() <= {"read", "vread"} else "E",
        entities=[*shown, *_line_entity(engine, caller), *_request_entity(caller)],
        description=f"and {more} more resources" if more else "",
    )
    await _keep(engine, caller, event)


# Operations


async def operation_trace(
    engine: Engine, caller: Caller, description: Callable[[Rewritten], str]
) -> Callable[[Rewritten], Unit]:
    """How an erasure is recorded by the unit that it is written with: what was changed, not what was erased."""
    async with Reading(engine.store) as snapshot:
        parties = await _parties(engine, snapshot, caller)

    def trace(rewritten: Rewritten) -> Unit:
        changed = [f"{kind}/{id}/_history/{number}" for kind, id, number in rewritten.versions[:_MOST_ENTITIES]]
        entities = [_resource_entity(reference, _ERASED) for reference in changed]
        event = Event(("operation",), "E", [*entities, *_request_entity(caller)], description=description(rewritten))
        return _joined(engine, Unit((), {}), [_audit_event(engine, caller, parties, _now(engine), event)])

    return trace


# What they have in common


async def _keep(engine: Engine, caller: Caller, event: Event) -> None:
    """An AuditEvent as a unit of its own."""

    async def made(snapshot: Reading) -> Unit:
        parties = await _parties(engine, snapshot, caller)
        defined = engine.parser.parameters.newest
        record = _audit_event(engine, caller, parties, _now(engine), event)
        return _joined(engine, Unit((), {}, defined=defined), [record])

    await _commit(engine, made)


async def _commit(engine: Engine, made: Callable[[Reading], Awaitable[Unit]]) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            async with Reading(engine.store) as snapshot:
                if attempt:
                    await caught_up(engine, snapshot)
                unit = await made(snapshot)
            await engine.store.commit(unit)
        except Conflict:
            continue
        return
    raise Unavailable("The record could not be kept: the definitions of its index keep changing.")


def _audit_event(engine: Engine, caller: Caller, parties: Parties, now: str, event: Event) -> Resource:
    """R4 auditevent.html."""
    made = {
        "resourceType": "AuditEvent",
        "id": engine.new_id(),
        "meta": _RESTRICTED,
        "type": {"system": f"{_TERMINOLOGY}/audit-event-type", "code": "rest"},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": code} for code in event.interactions],
        "action": event.action,
        "recorded": now,
        "outcome": event.outcome,
        "agent": list(_agents(engine, caller, parties, reading=event.action == "R")),
        "source": {
            "observer": {"type": "Device", "display": engine.base},
            "type": [{"system": f"{_TERMINOLOGY}/security-source-type", "code": "4"}],
        },
    }
    if event.description:
        made["outcomeDesc"] = event.description
    return {**made, "entity": list(event.entities)} if event.entities else made


def _agents(engine: Engine, caller: Caller, parties: Parties, *, reading: bool) -> Iterator[Resource]:
    """The client with its address, the organisation, vendor and user behind it as far as they are known, the server."""
    source, destination = _dicom("110153"), _dicom("110152")
    device = _device(caller)
    client: Resource = {"type": destination if reading else source, "who": device or parties.who, "requestor": True}
    if caller.address:
        client["network"] = {"address": caller.address, "type": "2"}
    yield client
    behind = (("RESP", parties.who if device else None), ("PRF", parties.supplier), ("IRCP", _user(caller)))
    for code, who in behind:
        if who is not None:
            yield {"type": _concept("v3-ParticipationType", code), "who": who, "requestor": False}
    here = {"type": "Device", "display": engine.base}
    yield {"type": source if reading else destination, "who": here, "requestor": False}


def _device(caller: Caller) -> Resource | None:
    return {"type": "Device", "identifier": {"value": without_personal(caller.client)}} if caller.client else None


def _user(caller: Caller) -> Resource | None:
    return {"identifier": {"value": without_personal(caller.user)}} if caller.user else None


async def _parties(engine: Engine, snapshot: Reading, caller: Caller) -> Parties:
    number = caller.organization or (OFFICE if caller.role == "secretariat" else "")
    who = await _organization(engine, snapshot, number) if number else {"display": caller.role}
    supplier = await _organization(engine, snapshot, caller.supplier) if caller.supplier else None
    return Parties(who, supplier)


async def _organization(engine: Engine, snapshot: Reading, number: str) -> Resource:
    """A reference when exactly one Organization has the number or slug, else a logical one. What was found stands for a
    minute: of a registration by another process the record is told that late, and a logical reference is as true."""
    kept = engine.known_organizations.get(number)
    if kept is not None and kept[0] > time.monotonic():
        return kept[1]
    system = _ENH if re.fullmatch(r"\d{9}", number) else f"{engine.access.canonical}/sid/aktor"
    who: Resource = {"type": "Organization", "identifier": {"system": system, "value": without_personal(number)}}
    if re.fullmatch(r"[\w.-]+", number):
        condition = query_of([("identifier", f"{system}|{number}")])
        query = engine.parser.condition("Organization", condition, place="")
        found = (await snapshot.search(replace(query, count=2))).versions
        if len(found) == 1:
            who = {"reference": f"Organization/{found[0].id}"}
    engine.known_organizations[number] = (time.monotonic() + _KNOWN_FOR, who)
    return who


def written_elsewhere(engine: Engine, versions: Iterable[Version]) -> None:
    """To be told of what was written: an organisation that comes or goes is named by the next record as it is then."""
    if any(version.resource_type == "Organization" for version in versions):
        engine.known_organizations.clear()


def check_unrecorded(engine: Engine, resource_type: str) -> None:
    """FhirError not-supported (405): nobody writes the record but the server."""
    if engine.recording and resource_type in RECORDS:
        text = f"{resource_type} føres av tjeneren alene / is kept by the server; nobody changes it."
        raise FhirError("not-supported", text, status=405, headers={"Allow": "GET, HEAD"})


def _resource_entity(reference: str, lifecycle: str) -> Resource:
    entity: Resource = {
        "what": {"reference": reference},
        "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "2"},
        "role": {"system": f"{_TERMINOLOGY}/object-role", "code": "4"},
    }
    if lifecycle:
        entity["lifecycle"] = {"system": f"{_TERMINOLOGY}/dicom-audit-lifecycle", "code": lifecycle}
    return entity


def _request_entity(caller: Caller) -> list[Resource]:
    """The request's id, as BALP's entity "transaction" has it."""
    if caller.request is None:
        return []
    system = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
    return [{"what": {"identifier": {"value": caller.request.id}}, "type": {"system": system, "code": "XrequestId"}}]


def _line_entity(engine: Engine, caller: Caller) -> list[Resource]:
    """The request line, masked."""
    asking = caller.request
    if asking is None:
        return []
    parts = asking.path.lstrip("/").split("/")
    path = "/".join(part if not part or ID.match(part.lstrip("$_")) else "…" for part in parts)
    query = f"?{masked(engine, asking.query)}" if asking.query else ""
    return [_query_entity(f"{asking.method} /{without_personal(path)}{query}")]


def _query_entity(text: str) -> Resource:
    return {
        "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "2"},
        "role": {"system": f"{_TERMINOLOGY}/object-role", "code": "24"},
        "query": base64.b64encode(text.encode()).decode(),
    }


def masked(engine: Engine, query: str) -> str:
    """A query string with the values that are no free text, contact or personal number; "…" stands for the others."""
    pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
    return "&".join(_masked_pair(engine, name, text) for name, text in pairs)


def _masked_pair(engine: Engine, name: str, text: str) -> str:
    """The name as it is only when every part of it is known, for a client can write anything there too."""
    if name in _CONTROLS:
        return query_of([(name, without_personal(text))])
    parts = re.split(r"[.:]", name)
    types = [engine.parser.parameters.types_of(part) for part in parts]
    known = all(
        found or part in _MODIFIERS or part in engine.registry.schema.resource_types
        for part, found in zip(parts, types, strict=True)
    )
    worded = any(found & _FREE or part in _WORDED for part, found in zip(parts, types, strict=True))
    return query_of([(name if known else "…", without_personal(text) if known and not worded else "…")])


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": f"{_TERMINOLOGY}/{system}", "code": code}]}


def _dicom(code: str) -> Resource:
    return {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": code}]}


def _now(engine: Engine) -> str:
    return engine.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _ref(target: str) -> Ref:
    kind, _, id = target.partition("/")
    return kind, id
