"""The Store protocol: the whole promise that every store keeps. R4 http.html, domain model decisions 2, 4, 13.

**Sequence and moment.** Every committed unit (one request: a create, or a whole transaction) gets the next
sequence number and an instant, both strictly increasing over all processes that share the store. What
was current after sequence s is the *moment* s. A version is current from its own sequence until that of the
resource's next version; no version is ever lost, so every past moment can be read for ever, and answers
the same for ever.

**Ordinal.** Each version has one integer, (sequence << 16) + its place in the unit: versions in order of
their writing, and the last word of every sort.

**The record.** Versions of the types in `RECORDS` say who did what. Every unit that writes such adds one link to a
chain, in the transaction that writes it: `chain.linked(digest of the link before, its records)`. The first link
builds upon `chain.GENESIS`. A chain is only true where its order is that of the commits: so a *lane* is as much of
the store as one order is known for. A store whose commits stand in one line (a file's write lock, a counter document
that every commit changes within its transaction and that can hold the newest digest) has the one lane ""; one whose
processes commit side by side has a lane for each writer, named by it, and a unit is in the lane of whoever wrote it.
What a record points to may go: records hold back no deletion and need not resolve.

**Nothing else changes.** A version's bytes stay as they were committed, but for `rewrite`, which never touches a
record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from server.search.query import Cursor, Include, Query

if TYPE_CHECKING:
    from server.store.chain import Link

Ref = tuple[str, str]
"""(resource type, logical id)"""

RECORDS = frozenset({"Provenance", "AuditEvent"})
"""The types that make up the record; see the head of this file."""

UNLINKED = RECORDS | {"Bundle"}
"""The types whose references are no links: they may name what is not there, and hold back no deletion."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """The index rows of one resource, by kind; the last member of each row is the ordinal of the element
    within its key (only composites need it; 0 elsewhere, where rows are without repetition).

    string (key, folded, exact, n) · token (key, code, system or "", n) · date (key, low, high, n) in µs ·
    number (key, low, high, n) · quantity (key, low, high, code or "", system or "", unit or "", n) ·
    uri (key, value, n) · reference (key, target, version or "", n): target "Type/id" when local, else the
    absolute URL or canonical without its version.
    The key "" in `reference` holds local references that no parameter covers: links, not searched. A Bundle's rows
    are no links, for it holds copies: what they name need not exist, and may be deleted.
    """

    string: tuple[tuple[str, str, str, int], ...] = ()
    token: tuple[tuple[str, str, str, int], ...] = ()
    date: tuple[tuple[str, int, int, int], ...] = ()
    number: tuple[tuple[str, float, float, int], ...] = ()
    quantity: tuple[tuple[str, float, float, str, str, str, int], ...] = ()
    uri: tuple[tuple[str, str, int], ...] = ()
    reference: tuple[tuple[str, str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of the store: its sequence, and the instant of that sequence as UTC text with six decimals
    and Z ("2026-11-22T04:39:10.123456Z"). Sequence 0, before any write, is "1970-01-01T00:00:00.000000Z"."""

    sequence: int
    instant: str


class Version(msgspec.Struct, frozen=True):
    """One version of a resource. `body` is the JSON as served, meta.versionId and meta.lastUpdated within;
    None when this version is a deletion. `method` is how it came to be, for history entries.

    A Struct, for one search may make hundreds: a frozen dataclass takes ten and more times as long to make."""

    resource_type: str
    id: str
    version_id: int
    ordinal: int
    last_updated: str
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    body: bytes | None

    @property
    def deleted(self) -> bool:
        return self.body is None

    @property
    def sequence(self) -> int:
        return self.ordinal >> 16


@dataclass(frozen=True, slots=True)
class Body:
    """A resource's JSON around the two values that only the commit knows. The stored bytes are
    head + b'"versionId":"3","lastUpdated":"…"' + tail."""

    head: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """One new version: `body` None deletes. `version_id` is the number it will carry: 1, or the previous
    version's plus one; the unit's `unchanged` must say which version (or none) it builds on."""

    resource_type: str
    id: str
    version_id: int
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    body: Body | None
    indexed: Indexed = field(default_factory=Indexed)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one request writes, all or nothing, and what it was decided upon.

    `unchanged`: resource -> version_id that must still be its newest version (a deletion counts as a version),
    0 for "never existed". Every written resource must be in it.
    `found`: each query must, at the commit and before this unit's own writes, still find exactly these ids
    (at most two are looked for: none, one, or "several").
    `alive`: resources that must exist and not be deleted once the unit is written (referential integrity).
    `unreferenced`: resources that no current resource may point to once the unit is written (deletes), records apart.
    `defined`: Indexing.newest by which the index rows were made, and which must still be the newest; None: any.
    """

    writes: tuple[Write, ...]
    unchanged: Mapping[Ref, int]
    found: tuple[tuple[Query, frozenset[str]], ...] = ()
    alive: frozenset[Ref] = frozenset()
    unreferenced: frozenset[Ref] = frozenset()
    defined: int | None = None


class Conflict(Exception):
    """The unit was not written, for what it was decided upon no longer holds.

    kind "stale" (unchanged or found differ: decide anew on the present) · "absent" (`refs`: of `alive`) ·
    "referenced" (`refs`: who points to one of `unreferenced`, at most 10).
    """

    def __init__(self, kind: Literal["stale", "absent", "referenced"], refs: Iterable[Ref] = ()) -> None:
        super().__init__(kind)
        self.kind = kind
        self.refs = tuple(refs)


class Unavailable(Exception):
    """The store cannot answer now (away, locked, or the time limit passed); nothing was written that
    was not acknowledged, unless `uncertain`, when the commit's outcome is not known."""

    def __init__(self, text: str, *, too_costly: bool = False, uncertain: bool = False) -> None:
        super().__init__(text)
        self.too_costly = too_costly
        self.uncertain = uncertain


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search or history. `next`: where the following page begins, None on the last.
    `total` counts matches (never includes); None when it was not asked for and is not known for free."""

    versions: tuple[Version, ...]
    next: Cursor | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What one unit wrote, as it stands in a store: for taking it over into another. `link`: the digest of the link
    that it added to the record's chain, None when it added none."""

    moment: Moment
    versions: tuple[Version, ...]
    link: bytes | None = None


@dataclass(frozen=True, slots=True)
class Indexing:
    """How far the index is, now and not at a past moment. `newest`: the ordinal of the newest version of any
    SearchParameter, 0 for none. `shares`: for each build that was begun, by the ordinal of the version that defines it,
    the part of the versions that have their rows, 1.0 only when all have."""

    newest: int
    shares: Mapping[int, float]


class Eraser(Protocol):
    """What is to be gone, wherever it stands."""

    def body(self, body: bytes) -> bytes | None:
        """The stored resource without it; None when it does not hold it."""
        ...

    def text(self, text: str) -> str:
        """The text without it; the same text when it does not hold it."""
        ...


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a rewriting changed, or would change: `versions` as (type, id, version_id), in the order of their writing.
    `kept`: resources where it must stand on, for it is in their id, or they are records. `remains`: whether old bytes
    may still be in files that the store has no say over, a database server's."""

    versions: tuple[tuple[str, str, int], ...]
    kept: tuple[Ref, ...] = ()
    remains: bool = False


class Snapshot(Protocol):
    """The store at one moment. All that one request reads, it reads from one snapshot."""

    moment: Moment

    async def read(self, resource_type: str, id: str) -> Version | None:
        """The version current at the moment (which may be a deletion), or None if there was none."""
        ...

    async def read_version(self, resource_type: str, id: str, version_id: int) -> Version | None:
        """That version, if it was written by the moment."""
        ...

    async def history(
        self,
        resource_type: str | None,
        id: str | None,
        *,
        since: str | None = None,
        cursor: Cursor | None = None,
        count: int = 50,
    ) -> Page:
        """Versions written by the moment, newest first, of a resource, a type or (both None) the whole store;
        with `since` (instant text as in Moment) only those at or after it. `total` counts all of them. Page.next
        is a Cursor without keys."""
        ...

    async def search(self, query: Query) -> Page:
        """Versions current at the moment that meet all criteria; within a clause, any value.

        At most query.count, in the order of query.sort and then newest first, from query.cursor on; so pages of
        one moment never repeat or skip. `total` is exact when asked ("accurate" or "estimate"), when
        query.count is 0, and when the first page holds all; else None. Deletions never match. Chains and _has
        see the same moment. Raises Unavailable(too_costly=True) past the time limit."""
        ...

    async def include(
        self, versions: Sequence[Version], includes: Sequence[Include], limit: int
    ) -> tuple[tuple[Version, ...], bool]:
        """The resources that these includes add to those matches, each once and none of the matches, in the
        order of their finding; iterating ones to their end. At most `limit`; the flag says that it was reached."""
        ...

    async def indexing(self) -> Indexing:
        """The state of the index that this snapshot's searches read."""
        ...

    async def explain(self, query: Query) -> list[str]:
        """How the search would be served: a line per criterion, and the engine's own plan."""
        ...


class Store(Protocol):
    """A registry's memory. All methods may raise Unavailable."""

    async def exists(self) -> bool:
        """Whether there is a store already; asked of one that is not open, and makes nothing."""
        ...

    async def open(self) -> None:
        """Ready for use; makes the schema when empty, refuses one that is newer than this program."""
        ...

    async def close(self) -> None:
        """Finishes what was acknowledged, then lets go of everything."""
        ...

    async def current(self, resource_type: str, id: str) -> Version | None:
        """The newest version (which may be a deletion). One point look-up, for the present only."""
        ...

    async def moment(self, instant: str | None = None) -> Moment:
        """The newest moment, or the newest at or before `instant` (text as in Moment). Once answered for
        an instant, no later commit will be at or before it. Raises ValueError for an instant of the future."""
        ...

    def snapshot(self, at: Moment | None = None) -> AbstractAsyncContextManager[Snapshot]:
        """The store at a moment, by default the newest. Writers are not held up by it."""
        ...

    async def commit(self, unit: Unit) -> tuple[Version, ...]:
        """Writes the unit: durable before this returns, seen whole or not at all, in any process. The versions
        come in the order of unit.writes. Raises Conflict, and then nothing of it is written."""
        ...

    async def rehearse(self, unit: Unit) -> None:
        """Everything that `commit` does but the keeping: Conflict as it would raise it, and no trace of the unit,
        not even a sequence number."""
        ...

    async def build(self, generation: int, types: frozenset[str], index: Callable[[dict[str, Any]], Indexed]) -> None:
        """Adds the rows of `index` to every version of these types written up to the unit of the version
        `generation` (an ordinal), past ones included, in chunks beside readers and writers; later ones have theirs
        from their own commit, by Unit.defined. What was done is remembered: a build that broke off goes on where it
        was, and several processes may build the same."""
        ...

    async def reindex(
        self,
        index: Callable[[dict[str, Any]], Indexed],
        *,
        progress: Callable[[int], None],
        defined: int | None = None,
    ) -> int:
        """Replaces the index rows of every version, past ones included, by those of `index`, in chunks and
        beside readers and writers of any process. Returns the number of versions. Conflict("stale") when `defined`
        is no longer the newest SearchParameter version: begin again with the new definitions."""
        ...

    async def commits(self, after: int, count: int) -> list[Commit]:
        """The commits after that sequence, oldest first: as many whole ones as hold `count` versions, and at least
        one; none when there are none."""
        ...

    async def append(self, commits: Sequence[Commit], index: Callable[[dict[str, Any]], Indexed]) -> None:
        """Takes over commits of another store as they are, links included, in one commit to the disk: the first
        follows the newest here, each the one before it, else Conflict("stale") and nothing is written. Deletions have
        no rows. A link that does not hold is taken over too, and `check` tells of it here as it does there."""
        ...

    async def rewrite(
        self,
        eraser: Eraser,
        index: Callable[[dict[str, Any]], Indexed],
        trace: Callable[[Rewritten], Unit] | None,
    ) -> Rewritten:
        """Takes out of every version, past ones included, what the eraser knows, with its index rows; the unit that
        `trace` makes of it is written in the same transaction, and no other writer comes in between. Without `trace`
        nothing is changed. When it returns the old bytes are gone from all files of the store, its log and its free
        space included, unless Rewritten.remains says that a database server keeps those. Unavailable when that could
        not be done, because a reader of another process still holds on to them; done again it does what is left."""
        ...

    async def heads(self) -> tuple[Link, ...]:
        """The newest link of each lane: kept outside, it shows later that nothing up to it was changed or cut off."""
        ...

    async def check(
        self, index: Callable[[dict[str, Any]], Indexed], anchors: Iterable[Link] = ()
    ) -> tuple[dict[str, int], list[str]]:
        """Counts by name, and every fault found: a current version without history, intervals that overlap
        or gape, index rows that are missing or too many, local references that do not resolve, the first break in each
        lane of the record's chain, and those of `anchors` (heads of earlier days) that are not on it."""
        ...
