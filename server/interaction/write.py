"""One way to write: a list of intents, all or nothing. create, update, patch, delete and transaction use it.

Decided upon a snapshot, committed on the condition that what was read still holds, else decided anew
(Unit and Conflict in store.py). So a condition is never checked at one time and used at another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from server.access import Caller, Sight, label_of
from server.auth.scopes import Letter, insufficient
from server.interaction import record
from server.interaction.around import Around
from server.interaction.claims import claimed
from server.interaction.crosswalk import crossed
from server.interaction.engine import Engine, Reading
from server.interaction.intents import (
    Draft,
    Intent,
    Written,
    check_form,
    check_versions,
    condition_of,
    is_identity,
    not_to_patch,
    patched,
    target,
)
from server.interaction.links import Links
from server.interaction.search import unavailable
from server.interaction.searchable import caught_up, check_definitions
from server.interaction.terminology import parser_at
from server.interaction.unit_faults import nowhere, raise_all, refused, twice, within
from server.outcome import FhirError, Issue, invalid
from server.portfolio.labels import FOLLOWING
from server.portfolio.rules import Change
from server.resource import ID, Resource, body, references, restored, same
from server.search.query import Clause, Criterion, Query, Reference, Token
from server.store.store import Conflict, Ref, Unavailable, Unit, Version, Write

_FREE_ATTEMPTS = 3
_ATTEMPTS = 60
_AT_ONCE = 500


async def write(
    engine: Engine, caller: Caller, intents: Sequence[Intent], *, relied_on: Mapping[Ref, int] | None = None
) -> list[Written]:
    """Does all of it or nothing, on record either way; the results stand in the order of the intents. FhirError names
    the intent's place.

    `relied_on`: what the intents were made from, resource -> version_id; FhirError conflict (412) when any of it has
    changed by the commit, so that the caller makes them anew."""
    try:
        done = await _decided(engine, caller, intents, relied_on or {})
    except FhirError as error:
        try:
            await record.refused(engine, caller, error, intents)
        except Unavailable as away:
            raise unavailable(away) from None
        raise
    shown = [written.version for written in done if not written.changed and written.version is not None]
    record.given(engine, caller, "read", shown)
    return done


async def _decided(
    engine: Engine, caller: Caller, intents: Sequence[Intent], relied: Mapping[Ref, int]
) -> list[Written]:
    """Losing a race is no error: it decides again, after some attempts one request at a time."""
    claims = claimed(engine, caller)
    for attempt in range(_FREE_ATTEMPTS):
        if (done := await _attempt(engine, caller, intents, claims, relied, again=attempt > 0)) is not None:
            return done
        await asyncio.sleep(0.001 * attempt)
    async with engine.contended:
        for _ in range(_ATTEMPTS):
            if (done := await _attempt(engine, caller, intents, claims, relied, again=True)) is not None:
                return done
    raise FhirError("conflict", "Andre endrer det samme nå / Others keep changing the same resource; try again.")


async def _attempt(
    engine: Engine,
    caller: Caller,
    intents: Sequence[Intent],
    claims: Resource,
    relied: Mapping[Ref, int],
    *,
    again: bool,
) -> list[Written] | None:
    try:
        async with Reading(engine.store) as snapshot:
            if again:
                # Another process may have defined a SearchParameter: that too makes an attempt stale.
                await caught_up(engine, snapshot)
            await _check_relied(snapshot, relied)
            plan = Plan(engine, caller, snapshot)
            drafts, unit = await plan.made(intents)
            unit = replace(unit, unchanged={**relied, **unit.unchanged}) if relied else unit
            unit = await record.with_records(engine, caller, snapshot, unit, drafts, claims)
        if not unit.writes:
            return [_written(draft, None) for draft in drafts if not draft.by_server]
        versions = await engine.store.commit(unit)
    except Conflict as conflict:
        if conflict.kind == "stale":
            return None
        raise refused(engine, conflict, drafts) from None
    except Unavailable as error:
        raise unavailable(error) from None
    if any(version.resource_type == "SearchParameter" for version in versions):
        async with Reading(engine.store) as snapshot:
            await caught_up(engine, snapshot)
    record.written_elsewhere(engine, versions)
    by_ref = {(version.resource_type, version.id): version for version in versions}
    return [_written(draft, by_ref.get(draft.ref)) for draft in drafts if not draft.by_server]


async def _check_relied(snapshot: Reading, relied: Mapping[Ref, int]) -> None:
    for (kind, id), version_id in relied.items():
        version = await snapshot.read(kind, id)
        if version is None or version.version_id != version_id:
            text = f"Endret i mellomtiden / Changed in the meantime: {kind}/{id}."
            raise FhirError("conflict", text, status=412)


def _written(draft: Draft, version: Version | None) -> Written:
    if draft.write is None or version is None:
        gone = draft.before is None or draft.before.deleted
        status: Literal[200, 204] = 204 if draft.intent.method == "DELETE" else 200
        return Written(status, None if gone else draft.before, changed=False, warnings=draft.warnings)
    if version.deleted:
        return Written(204, version)
    new = draft.before is None or draft.before.deleted
    return Written(201 if new else 200, version, warnings=draft.warnings)


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
    meant: dict[Ref, Draft | None] = field(default_factory=dict)
    """What the drafts mean, each with the first draft that brings something to it, or None."""
    faults: list[tuple[int, FhirError]] = field(default_factory=list)
    clash: FhirError | None = None

    @cached_property
    def sight(self) -> Sight:
        """What the caller sees of the snapshot."""
        return self.engine.sight(self.caller, self.snapshot)

    async def made(self, intents: Sequence[Intent]) -> tuple[list[Draft], Unit]:
        """The drafts and their unit. FhirError with all that is wrong."""
        await self.decide(intents)
        raise_all([self.clash])
        raise_all([fault for _, fault in sorted(self.faults, key=lambda one: one[0])])
        return self.drafts, self.unit()

    async def decide(self, intents: Sequence[Intent]) -> None:
        """Makes the drafts; `faults` are by the index of their intent, and `clash` is of the request as a whole."""
        for index, intent in enumerate(intents):
            await self._tried(index, intent, self._placed(index, intent))
        await self._each(self._stated)
        targets = [target(draft) for draft in self.drafts]
        links = Links(self.engine, self.snapshot, self.found, targets, self.sight)
        if not self.faults:
            self.clash = twice(self.drafts) or await links.clash()
        # What could not even be placed is reported together with what is wrong in the others.
        await self._each(lambda draft: self._linked(draft, links))
        await self._each(self._checked)
        await self._each(self._completed)
        await self._each(self._followed)
        await self._each(self._allowed)
        await self._each(self._decided)
        around = Around(self.engine, self.snapshot, self.drafts, self.unchanged, self.found)
        await self._each(lambda draft: self._ruled(draft, around))
        self._check_definitions()

    async def _each(self, step: Callable[[Draft], Awaitable[None]]) -> None:
        """The step for every draft that is not yet at fault; others get their turn on the loop in between."""
        faulty = {index for index, _ in self.faults}
        for count, draft in enumerate(list(self.drafts), 1):
            if draft.index not in faulty:
                await self._tried(draft.index, draft.intent, step(draft))
            if count % 20 == 0:
                await asyncio.sleep(0)

    async def _tried(self, index: int, intent: Intent, step: Awaitable[None]) -> None:
        try:
            await step
        except FhirError as error:
            self.faults.append((index, within(error, intent) if intent.place else error))

    def _check_definitions(self) -> None:
        """SearchParameters are tried together: two of one code clash."""
        defining = {d.ref[1]: d for d in self.drafts if d.ref[0] == "SearchParameter" and d.write and d.after}
        if defining:
            faults = check_definitions(self.engine, [draft.after for draft in defining.values() if draft.after])
            for id, fault in faults.items():
                intent = defining[id].intent
                self.faults.append((defining[id].index, within(fault, intent) if intent.place else fault))

    async def _placed(self, index: int, intent: Intent) -> None:
        """Finds which resource is meant, and what stands there."""
        engine = self.engine
        record.check_unrecorded(engine, intent.resource_type)
        engine.access.check_interaction(self.caller, intent.method)
        engine.known_type(intent.resource_type)
        check_form(intent)
        id = intent.id
        if intent.condition is not None:
            id = await self._by_condition(intent)
        draft = Draft(index, intent, (intent.resource_type, id or engine.new_id()))
        if id is not None:
            draft.before = await self.snapshot.read(intent.resource_type, id)
            draft.stood = await self.snapshot.resource(intent.resource_type, id)
        self.unchanged[draft.ref] = draft.before.version_id if draft.before else 0
        if draft.stood is not None and draft.before is not None:
            await self._check_shown(intent, draft.before)
        draft.settled = intent.method == "POST" and draft.stood is not None
        self._check_scope(draft, draft.stood)
        self._take(draft)

    def _take(self, draft: Draft) -> None:
        self.drafts.append(draft)
        if self.meant.get(draft.ref) is None:
            self.meant[draft.ref] = None if draft.settled else draft

    def _check_scope(self, draft: Draft, resource: Resource | None) -> None:
        """FhirError forbidden (403) unless the scopes of the caller's token leave it this write of a resource as it
        stands, or as it shall stand."""
        held, kind = self.caller.scopes, draft.ref[0]
        if held is None or draft.by_server:
            return
        letter: Letter = "d" if draft.intent.method == "DELETE" else "u"
        if draft.stood is None or draft.settled:
            letter = "c" if draft.intent.method != "DELETE" else letter
        self.engine.narrowing.check(held, letter, kind)
        # A create that finds what is there already answers with it.
        letter = "r" if draft.settled else letter
        if resource is not None and not self.engine.narrowing.leaves(held, letter, resource):
            raise insufficient(letter, kind)

    async def _check_shown(self, intent: Intent, before: Version) -> None:
        """What the caller may not see is not there for it. But an id or identifier that is taken cannot be given
        once more, and so a create or update says that it is, and nothing else."""
        if await self.sight.sees(before):
            return
        if intent.method == "PATCH":
            raise not_to_patch(intent)
        raise FhirError("forbidden", "Finnes, men vises ikke for deg / It exists, but is not shown to you.")

    async def _by_condition(self, intent: Intent) -> str | None:
        """The id of the one match, or the id the client gave, or None for a new one. Among what the caller may see;
        a condition of nothing but identifiers among all, so that none is given twice."""
        asked = intent.condition or ""
        parser = await parser_at(self.engine, self.snapshot, asked)
        query = parser.condition(intent.resource_type, asked, place=condition_of(intent))
        if not all(map(is_identity, query.criteria)):
            query = await self.sight.searched(query)
        page = await self.snapshot.search(query)
        ids = [version.id for version in page.versions]
        self.found.append((query, frozenset(ids)))
        if len(ids) > 1:
            raise FhirError(
                "multiple-matches",
                f"Flere treff / Several {intent.resource_type} match «{intent.condition}»; a condition names one.",
                expression=condition_of(intent),
            )
        sent = (intent.resource or {}).get("id") if intent.method == "PUT" else None
        if ids and sent not in (None, ids[0]):
            text = f"The condition finds {intent.resource_type}/{ids[0]}, the resource says id {sent}."
            raise FhirError("value", text, expression=f"{intent.resource_type}.id")
        if not ids and intent.method == "PATCH":
            raise not_to_patch(intent)
        return ids[0] if ids else sent

    async def _stated(self, draft: Draft) -> None:
        """What shall stand, as sent: a patch applied. Says nothing of what stands to those who may not change it."""
        if draft.settled:
            return
        if draft.stood is not None:
            await self.engine.access.check_writable(self.caller, draft.stood, self._stands)
            if self.engine.rules.is_frozen(draft.stood):
                text = "En utgave endres ikke / An edition never changes; $close-round with amends makes a new one."
                raise FhirError("not-supported", text, status=405, headers={"Allow": "GET, HEAD"})
        check_versions(draft.intent, draft.before)
        if draft.intent.method == "PATCH":
            draft.sent = patched(draft)
        elif draft.intent.method != "DELETE":
            draft.sent = {**(draft.intent.resource or {}), "id": draft.ref[1]}

    async def _linked(self, draft: Draft, links: Links) -> None:
        """Its references made real, merged with what stands, and its form checked: what others look at is well formed
        from here on."""
        if draft.sent is None:
            return
        sent, draft.sent = draft.sent, None
        sent = await links.resolved(sent)
        if draft.stood is not None:
            keep = draft.intent.method == "PUT"
            sent = await self.engine.access.merged(self.caller, draft.stood, sent, self._stands, keep=keep)
        if form := self.engine.form_faults(sent, draft.ref[0]):
            raise invalid(await self._all_faults(draft, sent, form))
        draft.sent = sent

    async def _all_faults(self, draft: Draft, sent: Resource, form: list[Issue]) -> list[Issue]:
        """Of a resource out of form: what the profiles say too, as far as the server can complete it at all."""
        try:
            completed = await self.engine.complete(sent, draft.stood, self.caller, self._stands, self._number)
        except (FhirError, AttributeError, KeyError, TypeError):
            return form
        return self.engine.issues(completed, draft.ref[0])

    async def _checked(self, draft: Draft) -> None:
        """The reporter's own codes beside ours."""
        if draft.sent is not None:
            draft.sent = await crossed(self.engine, self.snapshot, self.caller, draft.sent, self._look)

    async def _completed(self, draft: Draft) -> None:
        """The resource as the server completes it, once it holds against R4 and its profiles."""
        if draft.sent is None:
            return
        completed = await self.engine.complete(draft.sent, draft.stood, self.caller, self._relied, self._number)
        issues = self.engine.issues(completed, draft.ref[0])
        if any(issue.severity == "error" for issue in issues):
            raise invalid(issues)
        draft.after = completed
        draft.warnings = tuple(issues)

    async def _number(self) -> str:
        """A tiltaksnummer that nobody has had, and no other of this request is given."""
        planned = [resource for draft in self.drafts if (resource := draft.after or draft.sent) is not None]
        number, taken = await self.engine.complete.numbers.free(self.snapshot, planned)
        self.found.append((taken, frozenset()))
        return number

    async def _followed(self, draft: Draft) -> None:
        """What the server writes besides: the label of an initiative's Tasks when the initiative's changes. The
        commit sees to it that no other such Task has come since."""
        stood, after = draft.stood, draft.after
        if draft.ref[0] != "PlanDefinition" or stood is None or after is None or label_of(stood) == label_of(after):
            return
        criteria = _following(draft, self.engine.access.canonical)
        query, seen = Query("Task", criteria, count=_AT_ONCE), set()
        while True:
            page = await self.snapshot.search(query)
            for version in page.versions:
                seen.add(version.id)
                await self._relabel(draft, version)
            if page.next is None:
                break
            query = replace(query, cursor=page.next)
        others = Clause("_id", "id", "match", tuple(Token(None, id) for id in sorted(seen)), negated=True)
        self.found.append((Query("Task", (*criteria, others) if seen else criteria), frozenset()))

    async def _relabel(self, cause: Draft, version: Version) -> None:
        ref = (version.resource_type, version.id)
        if version.body is None or ref in self.meant:
            return
        stood = restored(version.body)
        after = await self.engine.complete.labels(stood, stood, self.caller, self._look)
        self.unchanged[ref] = version.version_id
        intent = Intent("PUT", *ref, place=cause.intent.place)
        self._take(Draft(cause.index, intent, ref, version, stood, after=after, by_server=True))

    async def _allowed(self, draft: Draft) -> None:
        """Whether the caller may: its label, its references, and, of what is new, all of it. What stands already
        was merged by the caller's rights."""
        access, after = self.engine.access, draft.after
        if draft.sent is None or after is None:
            return
        access.check_label(draft.sent, draft.stood, after)
        if draft.stood is None:
            await access.check_create(self.caller, draft.sent, after, self._look)
        if self.caller.role != "secretariat":
            await self._check_references(draft, after)

    async def _check_references(self, draft: Draft, after: Resource) -> None:
        """A reference to what the caller may not see is one to nothing."""
        stood = {reference["reference"] for _, reference in references(draft.stood or {}, "")}
        issues = []
        for place, reference in references(after, draft.ref[0]):
            kind, _, id = (self.engine.indexer.target(reference["reference"]) or "").partition("/")
            if reference["reference"] in stood or (kind, id) in self.meant or kind not in self.engine.resource_types:
                continue
            version = await self.snapshot.read(kind, id)
            if version is not None and not await self.sight.sees(version):
                issues.append(nowhere(reference["reference"], place))
        if issues:
            raise FhirError("not-found", issues[0].text, issues=issues, status=422)

    async def _decided(self, draft: Draft) -> None:
        """The write, unless nothing changes."""
        method = draft.intent.method
        if draft.settled or (method == "DELETE" and draft.stood is None):
            return
        self._check_scope(draft, draft.after)
        next_version = self.unchanged[draft.ref] + 1
        if draft.after is None:
            draft.write = Write(*draft.ref, next_version, "DELETE", None)
        elif draft.stood is None or not same(draft.stood, draft.after):
            indexed = self.engine.indexer.indexed(draft.after)
            draft.write = Write(*draft.ref, next_version, method, body(draft.after), indexed)

    async def _ruled(self, draft: Draft, around: Around) -> None:
        """The rules that see beyond the resource, once all of the request is decided."""
        if draft.write is None or draft.after is None or draft.by_server:
            return
        change = Change("/".join(draft.ref), draft.stood, draft.after)
        issues = await self.engine.rules(change, self.caller, around)
        errors = [issue for issue in issues if issue.severity != "warning"]
        if errors:
            raise invalid(errors)
        draft.warnings += tuple(issues)

    async def _look(self, resource_type: str, id: str) -> Resource | None:
        """The resource as it will be: from this unit first, else as it stands."""
        draft = self.meant.get((resource_type, id))
        if draft is not None:
            return draft.after or draft.sent
        return await self._stands(resource_type, id)

    async def _relied(self, resource_type: str, id: str) -> Resource | None:
        """As `_look`; an initiative is relied upon to stay as it is, for labels follow from it."""
        ref = (resource_type, id)
        if resource_type == "PlanDefinition" and ref not in self.unchanged:
            version = await self.snapshot.read(*ref)
            self.unchanged[ref] = version.version_id if version else 0
        return await self._look(resource_type, id)

    async def _stands(self, resource_type: str, id: str) -> Resource | None:
        """The resource as it stands."""
        return await self.snapshot.resource(resource_type, id)

    def unit(self) -> Unit:
        """What the drafts come to; of those at fault nothing, and what points to them is not looked for."""
        faulty = {index for index, _ in self.faults}
        planned = {draft.ref for draft in self.drafts if draft.index in faulty}
        writes = tuple(draft.write for draft in self.drafts if draft.write is not None and draft.index not in faulty)
        new = planned | {(write.resource_type, write.id) for write in writes if write.body is not None}
        local = {
            (kind, id)
            for write in writes
            if write.resource_type != "Bundle"  # It holds copies, and what they point to need not be here.
            for _, target, _, _ in write.indexed.reference
            if (kind := target.partition("/")[0]) and (id := target.partition("/")[2]) and ID.match(id)
        }
        deleted = frozenset((write.resource_type, write.id) for write in writes if write.body is None)
        defined = self.engine.parser.parameters.newest
        return Unit(writes, self.unchanged, tuple(self.found), frozenset(local - new), deleted, defined)


def _following(draft: Draft, canonical: str) -> tuple[Criterion, ...]:
    """The Tasks that have the label of this initiative."""
    based = Clause("Task.based-on", "reference", "match", (Reference(("/".join(draft.ref),)),))
    kinds = tuple(Token(f"{canonical}/CodeSystem/nep-task-type", kind) for kind in sorted(FOLLOWING))
    return based, Clause("Task.code", "token", "match", kinds)
