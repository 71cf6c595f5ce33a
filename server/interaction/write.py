"""One way to write: a list of intents, all or nothing. create, update, patch, delete and transaction use it.

Decided upon a snapshot, committed on the condition that what was read still holds, else decided anew
(Unit and Conflict in store.py). So a condition is never checked at one time and used at another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jsonpatch

from server.access import Caller
from server.interaction.engine import Engine, Reading
from server.interaction.links import Links, Target
from server.interaction.search import unavailable
from server.outcome import FhirError, Issue, invalid
from server.resource import ID, Resource, body, decode, references, same
from server.search.query import Query
from server.store.store import Conflict, Ref, Unavailable, Unit, Version, Write

_FREE_ATTEMPTS = 3
_ATTEMPTS = 60
Method = Literal["POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What a client wants written. `condition`: the query string of a conditional create, update, patch or
    delete. `if_match`: the version id that must be current. `create_only`: If-None-Match: *.
    `place` begins the expression of every fault ("Bundle.entry[3]"), "" for a single write."""

    method: Method
    resource_type: str
    id: str | None = None
    condition: str | None = None
    resource: Resource | None = None
    patch: tuple[dict[str, Any], ...] = ()
    if_match: str | None = None
    create_only: bool = False
    full_url: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an intent. `version` is what stands now (None: nothing was there to delete)."""

    status: Literal[200, 201, 204]
    version: Version | None
    changed: bool = True


@dataclass
class Draft:
    """An intent on its way: which resource it means, what stands, what was sent, what shall stand."""

    index: int
    intent: Intent
    ref: Ref
    before: Version | None = None
    stood: Resource | None = None
    sent: Resource | None = None
    after: Resource | None = None
    settled: bool = False
    write: Write | None = None


async def write(engine: Engine, caller: Caller, intents: Sequence[Intent]) -> list[Written]:
    """Does all of it or nothing; the results stand in the order of the intents. FhirError names the intent's
    place. Losing a race is no error: it decides again, after some attempts one request at a time."""
    engine.access.check_writer(caller)
    for attempt in range(_FREE_ATTEMPTS):
        if (done := await _attempt(engine, caller, intents)) is not None:
            return done
        await asyncio.sleep(0.001 * attempt)
    async with engine.contended:
        for _ in range(_ATTEMPTS):
            if (done := await _attempt(engine, caller, intents)) is not None:
                return done
    raise FhirError("conflict", "Andre endrer det samme nå / Others keep changing the same resource; try again.")


async def _attempt(engine: Engine, caller: Caller, intents: Sequence[Intent]) -> list[Written] | None:
    try:
        async with Reading(engine.store) as snapshot:
            plan = Plan(engine, caller, snapshot)
            drafts, unit = await plan.made(intents)
        if not unit.writes:
            return [_written(draft, None) for draft in drafts]
        versions = await engine.store.commit(unit)
    except Conflict as conflict:
        if conflict.kind == "stale":
            return None
        raise refused(engine, conflict, drafts) from None
    except Unavailable as error:
        raise unavailable(error) from None
    by_ref = {(version.resource_type, version.id): version for version in versions}
    return [_written(draft, by_ref.get(draft.ref)) for draft in drafts]


def _written(draft: Draft, version: Version | None) -> Written:
    if draft.write is None or version is None:
        gone = draft.before is None or draft.before.deleted
        return Written(204 if draft.intent.method == "DELETE" else 200, None if gone else draft.before, changed=False)
    if version.deleted:
        return Written(204, version)
    return Written(200 if draft.before is not None and not draft.before.deleted else 201, version)


@dataclass
class Plan:
    """One attempt at a unit of writes, decided upon one snapshot, step by step for all drafts: so no entry sees
    another before it was checked, and their order decides nothing."""

    engine: Engine
    caller: Caller
    snapshot: Reading
    unchanged: dict[Ref, int] = field(default_factory=dict)
    found: list[tuple[Query, frozenset[str]]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    faults: dict[int, FhirError] = field(default_factory=dict)

    async def made(self, intents: Sequence[Intent]) -> tuple[list[Draft], Unit]:
        """The drafts and their unit. FhirError with all that is wrong."""
        for index, intent in enumerate(intents):
            await self._tried(index, intent, self._placed(index, intent))
        await self._each(self._stated)
        if not self.faults:
            _raise([_twice(self.drafts)])
        links = Links(self.engine, self.snapshot, self.found, [_target(draft) for draft in self.drafts])
        if not self.faults:
            _raise([await links.clash()])
        # What could not even be placed is reported together with what is wrong in the others.
        await self._each(lambda draft: self._linked(draft, links))
        await self._each(self._completed)
        await self._each(self._allowed)
        _raise([self.faults[index] for index in sorted(self.faults)])
        return self.drafts, self._unit()

    async def _each(self, step: Callable[[Draft], Awaitable[None]]) -> None:
        """The step for every draft that is not yet at fault; others get their turn on the loop in between."""
        for count, draft in enumerate(self.drafts, 1):
            if draft.index not in self.faults:
                await self._tried(draft.index, draft.intent, step(draft))
            if count % 20 == 0:
                await asyncio.sleep(0)

    async def _tried(self, index: int, intent: Intent, step: Awaitable[None]) -> None:
        try:
            await step
        except FhirError as error:
            self.faults[index] = _within(error, intent) if intent.place else error

    async def _placed(self, index: int, intent: Intent) -> None:
        """Finds which resource is meant, and what stands there."""
        engine = self.engine
        engine.known_type(intent.resource_type)
        _check_form(intent)
        id = intent.id
        if intent.condition is not None:
            id = await self._by_condition(intent)
        draft = Draft(index, intent, (intent.resource_type, id or engine.new_id()))
        if id is not None:
            draft.before = await self.snapshot.read(intent.resource_type, id)
        self.unchanged[draft.ref] = draft.before.version_id if draft.before else 0
        if draft.before is not None and draft.before.body is not None:
            draft.stood = decode(draft.before.body)
        draft.settled = intent.method == "POST" and draft.stood is not None
        self.drafts.append(draft)

    async def _by_condition(self, intent: Intent) -> str | None:
        """The id of the one match, or the id the client gave, or None for a new one."""
        query = self.engine.parser.condition(intent.resource_type, intent.condition or "", place=_condition_of(intent))
        page = await self.snapshot.search(query)
        ids = [version.id for version in page.versions]
        self.found.append((query, frozenset(ids)))
        if len(ids) > 1:
            raise FhirError(
                "multiple-matches",
                f"Flere treff / Several {intent.resource_type} match «{intent.condition}»; a condition names one.",
                expression=_condition_of(intent),
            )
        sent = (intent.resource or {}).get("id") if intent.method == "PUT" else None
        if ids and sent not in (None, ids[0]):
            text = f"The condition finds {intent.resource_type}/{ids[0]}, the resource says id {sent}."
            raise FhirError("value", text, expression=f"{intent.resource_type}.id")
        if not ids and intent.method == "PATCH":
            raise FhirError("not-found", f"No {intent.resource_type} matches «{intent.condition}».")
        return ids[0] if ids else sent

    async def _stated(self, draft: Draft) -> None:
        """What shall stand, as sent: a patch applied. Says nothing of what stands to those who may not change it."""
        if draft.settled:
            self.engine.access.check_shown(self.caller, draft.before)
            return
        if draft.stood is not None:
            await self.engine.access.check_writable(self.caller, draft.intent.method, draft.stood, self._stands)
        _check_versions(draft.intent, draft.before)
        if draft.intent.method == "PATCH":
            draft.sent = _patched(draft)
        elif draft.intent.method != "DELETE":
            draft.sent = {**(draft.intent.resource or {}), "id": draft.ref[1]}

    async def _linked(self, draft: Draft, links: Links) -> None:
        """Its references made real, and the whole checked."""
        if draft.sent is None:
            return
        sent, draft.sent = draft.sent, None
        sent = await links.resolved(sent)
        if faults := self.engine.faults(sent, draft.ref[0]):
            raise invalid(faults)
        draft.sent = sent

    async def _completed(self, draft: Draft) -> None:
        if draft.sent is not None:
            draft.after = await self.engine.complete(draft.sent, draft.stood, self.caller, self._look)

    async def _allowed(self, draft: Draft) -> None:
        """Whether the caller may, and then the write, unless nothing changes."""
        method = draft.intent.method
        if draft.settled or (method == "DELETE" and draft.stood is None):
            return
        await self.engine.access.check_write(self.caller, method, draft.stood, draft.after, self._look)
        next_version = self.unchanged[draft.ref] + 1
        if draft.after is None:
            draft.write = Write(*draft.ref, next_version, "DELETE", None)
        elif draft.stood is None or not same(draft.stood, draft.after):
            indexed = self.engine.indexer.indexed(draft.after)
            draft.write = Write(*draft.ref, next_version, method, body(draft.after), indexed)

    async def _look(self, resource_type: str, id: str) -> Resource | None:
        """The resource as it will be: from this unit first, else as it stands."""
        for draft in self.drafts:
            if draft.ref == (resource_type, id) and not draft.settled:
                return draft.after or draft.sent
        return await self._stands(resource_type, id)

    async def _stands(self, resource_type: str, id: str) -> Resource | None:
        """The resource as it stands."""
        version = await self.snapshot.read(resource_type, id)
        return decode(version.body) if version is not None and version.body is not None else None

    def _unit(self) -> Unit:
        writes = tuple(draft.write for draft in self.drafts if draft.write is not None)
        new = {(write.resource_type, write.id) for write in writes if write.body is not None}
        local = {
            (kind, id)
            for write in writes
            for _, target, _, _ in write.indexed.reference
            if (kind := target.partition("/")[0]) and (id := target.partition("/")[2]) and ID.match(id)
        }
        deleted = frozenset((write.resource_type, write.id) for write in writes if write.body is None)
        return Unit(writes, self.unchanged, tuple(self.found), frozenset(local - new), deleted)


def _within(error: FhirError, intent: Intent) -> FhirError:
    """The fault as seen from the Bundle: in the entry's resource, or in its request."""

    def within(issue: Issue) -> Issue:
        if issue.expression.startswith("request."):
            return replace(issue, expression=f"{intent.place}.{issue.expression}")
        return issue.within(f"{intent.place}.resource" if issue.expression else intent.place)

    issues = [within(issue) for issue in error.issues]
    return FhirError(issues[0].code, issues[0].text, issues=issues, status=error.status, headers=error.headers)


def _target(draft: Draft) -> Target:
    intent = draft.intent
    new_by_condition = intent.condition if draft.stood is None and intent.method in ("POST", "PUT") else None
    return Target(draft.ref, intent.full_url, draft.sent, intent.method == "DELETE", new_by_condition, intent.place)


def _check_form(intent: Intent) -> None:
    """The resource sent is of the URL's type, and its id the URL's."""
    kind, sent = intent.resource_type, intent.resource
    if intent.id is not None and not ID.match(intent.id):
        raise FhirError(
            "value", f"«{intent.id}» is no id; expected 1 to 64 of A-Z a-z 0-9 - .", expression=f"{kind}.id"
        )
    if intent.method not in ("POST", "PUT"):
        return
    if not isinstance(sent, dict) or sent.get("resourceType") != kind:
        found = sent.get("resourceType", "none") if isinstance(sent, dict) else "no resource"
        raise FhirError(
            "invalid", f"Feil ressurstype / Expected a {kind}, found {found}.", expression=f"{kind}.resourceType"
        )
    if "id" in sent and not (isinstance(sent["id"], str) and ID.match(sent["id"])):
        raise FhirError("value", "An id is 1 to 64 of A-Z a-z 0-9 - .", expression=f"{kind}.id")
    if intent.method == "PUT" and intent.condition is None and sent.get("id") != intent.id:
        text = f"The resource's id is {sent.get('id', 'missing')}, the URL's {intent.id}; they must be equal."
        raise FhirError("value", text, expression=f"{kind}.id")


def _check_versions(intent: Intent, before: Version | None) -> None:
    current = str(before.version_id) if before is not None and not before.deleted else None
    if intent.if_match is not None and intent.if_match != current:
        text = f"Endret av andre / If-Match asks for version {intent.if_match}, current is {current or 'none'}."
        raise FhirError("conflict", text, status=412)
    if intent.create_only and current is not None:
        raise FhirError("conflict", f"Finnes alt / {intent.resource_type}/{intent.id} exists already.", status=412)
    if intent.method == "PATCH" and current is None:
        known = before is not None
        raise FhirError(
            "deleted" if known else "not-found", f"{intent.resource_type}/{intent.id} is not here to patch."
        )


def _patched(draft: Draft) -> Resource:
    try:
        patched = jsonpatch.apply_patch(draft.stood, list(draft.intent.patch))
    except jsonpatch.JsonPatchTestFailed:
        raise FhirError("conflict", "A test of the patch failed: the resource has changed.", status=412) from None
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError, KeyError) as error:
        raise FhirError("processing", f"The JSON Patch cannot be applied: {error}.") from None
    if not isinstance(patched, dict) or (patched.get("resourceType"), patched.get("id")) != draft.ref:
        raise FhirError("invalid", "A patch may change neither resourceType nor id.")
    return patched


def _condition_of(intent: Intent) -> str:
    return "request.ifNoneExist" if intent.method == "POST" else "request.url"


def _twice(drafts: Sequence[Draft]) -> FhirError | None:
    """R4 http.html#trules: one identity, one entry."""
    seen: dict[Ref, str] = {}
    for draft in drafts:
        if draft.ref in seen:
            text = f"{'/'.join(draft.ref)} is meant by {seen[draft.ref]} too; a Bundle may name it once."
            return FhirError("duplicate", text, expression=draft.intent.place, status=400)
        seen[draft.ref] = draft.intent.place
    return None


def _raise(faults: Sequence[FhirError | None]) -> None:
    """All entries' faults as one error, with the status of the first."""
    found = [fault for fault in faults if fault is not None]
    if len(found) == 1:
        raise found[0]
    if found:
        issues = [issue for fault in found for issue in fault.issues]
        raise FhirError(issues[0].code, issues[0].text, issues=issues, status=found[0].status, headers=found[0].headers)


def refused(engine: Engine, conflict: Conflict, drafts: Sequence[Draft]) -> FhirError:
    """What the commit found, as the client is told it."""
    if conflict.kind == "referenced":
        names = ", ".join("/".join(ref) for ref in conflict.refs)
        return FhirError("conflict", f"Andre viser hit / Still pointed to by {names}.")
    gone = {"/".join(ref) for ref in conflict.refs}
    issues = [
        issue.within(f"{draft.intent.place}.resource") if draft.intent.place else issue
        for draft in drafts
        for place, reference in references(draft.after or {}, draft.ref[0])
        if engine.indexer.target(reference["reference"]) in gone
        for issue in [Issue("not-found", f"Finnes ikke / {reference['reference']} does not exist here.", place)]
    ]
    return FhirError("not-found", "A reference does not resolve.", issues=issues, status=422)
