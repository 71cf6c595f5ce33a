"""Engine: what every interaction needs, made once at start."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from server.access import Access, Caller, Sight
from server.auth.narrowing import Narrowing
from server.definitions.conformance import Conformance
from server.definitions.registry import Registry
from server.definitions.terminology import Kept
from server.outcome import FhirError, Issue
from server.portfolio.complete import Complete
from server.portfolio.rules import Rules
from server.resource import ID, Resource, restored
from server.search.parse import Parser
from server.search.query import Cursor, Query
from server.search.values import Indexer
from server.store.store import Indexing, Moment, Page, Ref, Snapshot, Store, Version


class _Ids:
    """Random UUIDs (version 4), their randomness fetched for a thousand at a time: each call of the system gives up
    the interpreter, and a busy writer then takes 200 µs to give it back."""

    def __init__(self) -> None:
        self._bytes: Iterator[bytes] = iter(())

    def __call__(self) -> str:
        taken = next(self._bytes, None)
        if taken is None:
            pool = os.urandom(16 * 1000)
            self._bytes = (pool[start : start + 16] for start in range(0, len(pool), 16))
            taken = next(self._bytes)
        return str(uuid.UUID(bytes=taken, version=4))


@dataclass(frozen=True)
class Engine:
    """The parts behind the interactions. `base` is the FHIR base URL; `contended` lets those who lost a
    race several times try one at a time; `unbuilt` says that an index is to be built. `recording`: who does what is
    put on record; `known_organizations` is record.py's: number or slug -> until when it stands, and who that is."""

    store: Store
    registry: Registry
    conformance: Conformance
    parser: Parser
    indexer: Indexer
    access: Access
    complete: Complete
    rules: Rules
    base: str
    resource_types: frozenset[str]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    new_id: Callable[[], str] = field(default_factory=_Ids)
    contended: asyncio.Lock = field(default_factory=asyncio.Lock)
    kept_terminology: Kept = field(default_factory=Kept)
    unbuilt: asyncio.Event = field(default_factory=asyncio.Event)
    recording: bool = True
    known_organizations: dict[str, tuple[float, Resource]] = field(default_factory=dict)

    def sight(self, caller: Caller, snapshot: Snapshot | Reading, present: Snapshot | Reading | None = None) -> Sight:
        """What the caller sees of a snapshot; `present` when that is one of the past."""
        return Sight(self.access, caller, snapshot, present or snapshot, self.narrowing)

    @property
    def narrowing(self) -> Narrowing:
        """What the scopes of a caller's token leave of its rights."""
        return Narrowing(self.parser, self.indexer.indexed)

    def known_type(self, resource_type: str) -> str:
        """The type itself. FhirError not-found when it is not served."""
        if resource_type not in self.resource_types:
            raise FhirError("not-found", f"Ressurstypen finnes ikke her / {resource_type} is not served here.")
        return resource_type

    def form_faults(self, resource: Resource, resource_type: str) -> list[Issue]:
        """What is wrong with the form of a resource as it was sent; no invariant or profile is asked."""
        return self.conformance.form(resource, resource_type)

    def issues(self, resource: Resource, resource_type: str) -> list[Issue]:
        """All that is to be said of a resource as it is to be stored: errors, and warnings among them."""
        return self.conformance.issues(resource, resource_type)


class Reading:
    """The newest moment of a store, taken at the first read: a write that needs to read nothing takes none.

    An async context; what it gives is a Snapshot but for `moment`."""

    def __init__(self, store: Store, snapshot: Snapshot | None = None) -> None:
        """`snapshot`: one that is taken already and that others let go of."""
        self._store = store
        self._stack = AsyncExitStack()
        self._snapshot = snapshot
        self._read: dict[Ref, Version | None] = {}
        self._restored: dict[Ref, Resource] = {}

    async def __aenter__(self) -> Reading:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()

    async def read(self, resource_type: str, id: str) -> Version | None:
        """As Snapshot.read, once for each resource: at one moment it stays what it is."""
        ref = (resource_type, id)
        if ref not in self._read:
            self._read[ref] = await (await self._taken()).read(resource_type, id)
        return self._read[ref]

    async def resource(self, resource_type: str, id: str) -> Resource | None:
        """What stands, for looking at only: whoever asks again gets the same object."""
        version = await self.read(resource_type, id)
        if version is None or version.body is None:
            return None
        ref = (resource_type, id)
        if ref not in self._restored:
            self._restored[ref] = restored(version.body)
        return self._restored[ref]

    async def search(self, query: Query) -> Page:
        """As Snapshot.search."""
        return await (await self._taken()).search(query)

    async def history(
        self, resource_type: str | None, id: str | None, *, cursor: Cursor | None = None, count: int = 50
    ) -> Page:
        """As Snapshot.history."""
        return await (await self._taken()).history(resource_type, id, cursor=cursor, count=count)

    async def indexing(self) -> Indexing:
        """As Snapshot.indexing."""
        return await (await self._taken()).indexing()

    async def _taken(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = await self._stack.enter_async_context(self._store.snapshot())
        return self._snapshot


def instant_of(text: str, zone: tzinfo | None = None) -> str:
    """An instant as Moment writes it. `zone` is that of one which states none. ValueError for what is no instant,
    states no zone and is given none, or is outside the years 0001 to 9999 of UTC."""
    # A + that was not percent-encoded arrives as a space.
    stated = datetime.fromisoformat(text.strip().replace(" ", "+"))
    zoned = stated if stated.tzinfo else stated.replace(tzinfo=zone)
    if zoned.tzinfo is None:
        raise ValueError(f"{text} states no zone")
    try:
        return f"{zoned.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    except OverflowError:
        raise ValueError(f"{text} is beyond the years of UTC") from None


EDITION = "rapport|"
"""What `_asOf` begins with when it names an edition of the portfolio report."""


async def moment_of(store: Store, text: str | None) -> Moment | None:
    """The moment that `_asOf` asks for, an instant or an edition (rapport|2021-11: when it was published); None for
    the present. FhirError value when it is neither, or not past."""
    if text is None:
        return None
    if text.startswith(EDITION):
        text = await _published(store, text)
    try:
        instant = instant_of(text)
    except ValueError:
        raise FhirError(
            "value",
            f"_asOf={text}: expected an instant with its zone, e.g. 2021-11-30T12:00:00Z, or {EDITION}2021-11.",
            expression="_asOf",
        ) from None
    try:
        return await store.moment(instant)
    except ValueError:
        raise FhirError("value", f"_asOf={text} is in the future.", expression="_asOf") from None


async def _published(store: Store, text: str) -> str:
    """The instant at which an edition was stored; it never changes, so that its first version is the only one."""
    number = text.removeprefix(EDITION)
    version = await store.current("Bundle", f"rapport-{number}") if ID.match(number) else None
    if version is None or version.deleted:
        raise FhirError("value", f"_asOf={text}: ingen slik utgave / no such edition.", expression="_asOf")
    return version.last_updated
