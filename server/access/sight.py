"""Sight: what one caller sees of one snapshot. Read, search, history, conditions and references all look through it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from server.access.access import LEVELS, Access
from server.access.caller import Caller
from server.access.labels import is_restricted
from server.access.parties import references_at
from server.access.rights import Party
from server.auth.narrowing import Narrowing
from server.auth.scopes import Letter
from server.resource import Resource, restored
from server.search.query import Clause, Criterion, Query, Reference, narrowed
from server.store.store import Page, Version

_AT_ONCE = 500


class Seen(Protocol):
    """What a Sight reads by: a Snapshot, or one that is taken at the first read."""

    async def read(self, resource_type: str, id: str) -> Version | None:
        """The version current at the moment."""
        ...

    async def search(self, query: Query) -> Page:
        """One page of matches."""
        ...


@dataclass
class Sight:
    """Of `snapshot`, by the parties of its resources as they are there. `present` is where the caller's
    organisations are looked up: rights are those of now, whatever moment is looked at. `narrowing` is what the scopes
    of its token leave of that."""

    access: Access
    caller: Caller
    snapshot: Seen
    present: Seen
    narrowing: Narrowing
    _mine: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing at all is hidden."""
        return self.caller.role == "secretariat" and self.caller.scopes is None

    async def reads(self, version: Version, letter: Letter = "r") -> bool:
        """Whether the caller may see this version, and its scopes leave it for this letter."""
        if not await self.sees(version):
            return False
        held = self.caller.scopes
        return held is None or version.body is None or self.narrowing.leaves(held, letter, restored(version.body))

    async def sees(self, version: Version) -> bool:
        """Whether the caller may see this version, whatever its scopes: what it sees it may point to. A deletion tells
        nothing by itself; see `history`."""
        if version.body is None or self.access.sees_at_once(self.caller, version):
            return True
        resource = restored(version.body)
        return not is_restricted(resource) or await self._is_party(resource)

    async def shown(self, versions: Iterable[Version]) -> tuple[Version, ...]:
        """Those of them that the caller may see, in their order."""
        return tuple([version for version in versions if await self.reads(version)])

    async def searched(self, query: Query) -> Query:
        """The search among what the caller may see and its scopes leave, wherever it looks. FhirError forbidden (403)
        when they leave no search of the type."""
        held, kind = self.caller.scopes, query.resource_type
        if held is None:
            return await self.narrowed(query)
        self.narrowing.check(held, "s", kind)
        return narrowed(await self.narrowed(query), lambda kind: self.narrowing.criteria(held, "s", kind))

    async def narrowed(self, query: Query) -> Query:
        """The search among what the caller may see, wherever it looks, whatever its scopes."""
        if self.caller.role == "secretariat":
            return query
        mine = await self.organizations()

        def visible(resource_type: str) -> tuple[Criterion, ...]:
            return self.access.visible(self.caller, resource_type, mine)

        return narrowed(query, visible)

    async def organizations(self) -> frozenset[str]:
        """The references of the caller's organisation and those below it by partOf."""
        if self._mine is None:
            self._mine = frozenset(await self._found_organizations())
        return self._mine

    async def _found_organizations(self) -> set[str]:
        tokens = self.access.identifiers(self.caller)
        if not tokens:
            return set()
        level = await self._search(Clause("Organization.identifier", "token", "match", tokens))
        found = set(level)
        for _ in range(LEVELS - 1):
            if not level:
                break
            below = Clause("Organization.partof", "reference", "match", (Reference(tuple(sorted(level))),))
            level = await self._search(below) - found
            found |= level
        return found

    async def _search(self, criterion: Criterion) -> set[str]:
        query, found = Query("Organization", (criterion,), count=_AT_ONCE), set()
        while True:
            page = await self.present.search(query)
            found |= {f"Organization/{version.id}" for version in page.versions}
            if page.next is None:
                return found
            query = Query("Organization", (criterion,), count=_AT_ONCE, cursor=page.next)

    async def _is_party(self, resource: Resource) -> bool:
        if not await self.organizations():
            return False
        kinds = self.access.kinds(resource)
        for party, excluded in self.access.readers(resource["resourceType"]):
            if not kinds & excluded and await self._names_mine(party, resource):
                return True
        return False

    async def _names_mine(self, party: Party, resource: Resource) -> bool:
        for path in party.at:
            for reference in references_at(resource, path):
                if party.then is None:
                    if reference in await self.organizations():
                        return True
                    continue
                kind, _, id = reference.partition("/")
                other = await self.snapshot.read(kind, id) if kind == party.then.resource_type else None
                if (
                    other is not None
                    and other.body is not None
                    and await self._names_mine(party.then, restored(other.body))
                ):
                    return True
        return False
