"""What one transaction does: units checked and written, rows of the index replaced.

**Why it is right.** The first thing that every transaction does is to write the document of the clock. MongoDB lets
two transactions that write one document not both commit, unless the second began upon what the first had committed:
it breaks the other off with a write conflict, and that one begins anew. So of all processes' transactions each sees
all that were committed before it, and what is checked in it still holds when it commits; a condition needs no lock of
its own. That this is the one document they all write costs nothing more: sequences are given out one by one anyway.

**Many units to a transaction.** Units of one process that wait together are written together: the clock goes forward
by all of them at once, and their documents go in with one command. A unit is checked whole before anything of it is
written, so that one that is refused leaves nothing to be undone, and the others do not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from server.resource import decode
from server.search.query import Query
from server.store import mongo_read
from server.store.chain import GENESIS, linked
from server.store.instants import instant_text, microseconds
from server.store.mongo_driver import Alter, Driver, Insert, Session
from server.store.mongo_read import Reader
from server.store.mongo_schema import KINDS, MARK, OPEN, STATE, VERSIONS, Document, packed, rows, unpacked
from server.store.store import (
    RECORDS,
    UNLINKED,
    Commit,
    Conflict,
    Indexed,
    Moment,
    Ref,
    Unavailable,
    Unit,
    Version,
    Write,
)

T = TypeVar("T")

_REFERRERS = 10
_MOST_WRITES = 0xFFFF
LARGEST = 16 * 1024 * 1024 - 16 * 1024
"""Bytes of one document that MongoDB takes, with room for what its log puts around it."""
AT_ONCE = 12 * 1024 * 1024
"""Bytes that are put into one command, well below the 48 MB of a message."""
_TOGETHER = 200
"""Documents that are put into one command: a server answers it before it is taken for dead, however slow its disk."""


@dataclass(frozen=True, slots=True)
class Stands:
    """A resource's newest version, 0 for none."""

    version: int = 0
    deleted: bool = False


@dataclass(slots=True)
class Working:
    """One transaction, from `began` to `finished`. `now` and `time_limit` as in MongoStore.

    `careful`: every resource is looked up first. Without, one that a unit means to create is taken to be new, which
    saves a round trip; the unique index breaks the whole transaction off when that is wrong.

    `known`: resources with a sequence at which they stood, undeleted. They still do when nothing at all was deleted
    since, which the clock says: what one creates upon is mostly what one created upon before."""

    driver: Driver
    session: Session
    now: Callable[[], int]
    time_limit: float
    careful: bool = False
    known: dict[str, int] = field(default_factory=dict)
    clock: Document = field(default_factory=dict)
    definition: int = 0
    sequence: int = 0
    instant: int = 0
    _digest: bytes = GENESIS
    _first: int = 0
    _changed: Document = field(default_factory=dict)
    _standing: dict[str, Stands] = field(default_factory=dict)
    _fresh: list[RawBSONDocument] = field(default_factory=list)
    _fresh_refs: set[str] = field(default_factory=set)
    _fresh_bytes: int = 0
    _endings: list[Alter] = field(default_factory=list)
    # What conditions found since the last write: many units that wait together ask the same.
    _found_ids: dict[Query, frozenset[str]] = field(default_factory=dict)

    async def began(self, units: Sequence[Unit]) -> None:
        """Takes the clock, forward by as many sequences as there are units, and looks up what they are about."""
        step = len(units)
        earliest = {"$max": [self.now(), {"$add": ["$instant", 1]}, {"$add": ["$floor", 1]}]}
        forward = {
            # Nothing waits for a sequence that is not used: then the instant stays as well.
            "instant": {"$add": [earliest, step - 1]} if step else "$instant",
            "sequence": {"$add": ["$sequence", step]},
            "turns": {"$add": ["$turns", 1]},
            # Whether another process has asked for its turn since the last one; see mongo_writer.py.
            "yields": "$asked",
            "asked": False,
        }
        clock = await self.driver.changed(STATE, "clock", [{"$set": forward}], self.session)
        if clock is None:
            raise Unavailable("The database holds no registry, or has lost the document of its clock.")
        self.clock, self.definition = clock, clock["definition"]
        self.sequence, self.instant = clock["sequence"] - step, clock["instant"] - step
        self._digest = clock["head"]["digest"]
        self._first = self.sequence + 1
        await self._look({ref for unit in units for ref in self._looked_up(unit)})

    def _looked_up(self, unit: Unit) -> Iterable[str]:
        written = {(write.resource_type, write.id) for write in unit.writes}
        for ref, version_id in unit.unchanged.items():
            if self.careful or version_id or ref not in written:
                yield "/".join(ref)
        for ref in unit.alive:
            if ref not in written and not self._still_stands("/".join(ref)):
                yield "/".join(ref)

    def _still_stands(self, ref: str) -> bool:
        return self.known.get(ref, -1) >= int(self.clock["deletion"])

    async def _look(self, refs: Iterable[str]) -> None:
        wanted = sorted(set(refs) - self._standing.keys())
        if not wanted:
            return
        shown = {"ref": 1, "version": 1, "state": 1}
        found = await self.driver.find(VERSIONS, {"ref": {"$in": wanted}, "until": OPEN}, shown, session=self.session)
        self._standing |= dict.fromkeys(wanted, Stands())
        self._standing |= {one["ref"]: Stands(one["version"], one["state"] == "gone") for one in found}
        self.known.update((one["ref"], self._first - 1) for one in found if one["state"] == "now")

    async def finished(self) -> None:
        """All that waits is written, and with it what the clock is to say: what was really used, the chain's head."""
        used = {"sequence": self.sequence, "instant": self.instant}
        self._changed |= {name: value for name, value in used.items() if self.clock[name] != value}
        await self._flush([Alter(STATE, {"_id": "clock"}, {"$set": self._changed})] if self._changed else [])

    async def left(self) -> None:
        """Instead of `finished`, of a transaction that is committed without writing a unit: the clock as it stood."""
        newest = await self.driver.find(VERSIONS, {}, {"at": 1}, sort=[("_id", -1)], limit=1, session=self.session)
        self.instant = newest[0]["at"] if newest else 0
        await self.finished()

    async def write(self, unit: Unit) -> tuple[Version, ...]:
        """As Store.commit, up to the commit. Whatever it raises, nothing of the unit was written."""
        self._check_form(unit)
        if unit.defined is not None and unit.defined != self.definition:
            raise Conflict("stale")
        self._unchanged(unit)
        await self._found(unit)
        self._alive(unit)
        await self._unreferenced(unit)
        return await self._written(unit)

    def _check_form(self, unit: Unit) -> None:
        if len(unit.writes) > _MOST_WRITES:
            raise ValueError(f"A unit holds at most 65535 writes, this one {len(unit.writes)}.")
        for write in unit.writes:
            ref = (write.resource_type, write.id)
            if write.version_id != unit.unchanged.get(ref, -1) + 1:
                raise ValueError(f"{ref}: version {write.version_id} does not follow what the unit calls unchanged.")
        if len({(write.resource_type, write.id) for write in unit.writes}) < len(unit.writes):
            raise ValueError("A unit writes each resource once.")

    def _unchanged(self, unit: Unit) -> None:
        for ref, version_id in unit.unchanged.items():
            if self._standing.get("/".join(ref), Stands()).version != version_id:
                raise Conflict("stale", [ref])

    async def _found(self, unit: Unit) -> None:
        if not unit.found:
            return
        await self._flush()
        for query, expected in unit.found:
            if query not in self._found_ids:
                self._found_ids[query] = await self._reader.found_ids(query)
            found = self._found_ids[query]
            several = len(found) > 1 and len(expected) > 1
            if found != expected and not several:
                raise Conflict("stale", [(query.resource_type, id) for id in found])

    @property
    def _reader(self) -> Reader:
        moment = Moment(self.sequence, instant_text(self.instant))
        return Reader(self.driver, self.session, moment, True, self.time_limit)

    def _alive(self, unit: Unit) -> None:
        written = {(write.resource_type, write.id): write.body is not None for write in unit.writes}
        absent = []
        for ref in unit.alive:
            name = "/".join(ref)
            stands = self._standing.get(name)
            alive = self._still_stands(name) if stands is None else stands.version > 0 and not stands.deleted
            if not written.get(ref, alive):
                absent.append(ref)
        if absent:
            raise Conflict("absent", sorted(absent))

    async def _unreferenced(self, unit: Unit) -> None:
        """Of those that the unit itself writes, what they will point to counts, and not what they do."""
        if not unit.unreferenced:
            return
        await self._flush()
        targets = ["/".join(ref) for ref in unit.unreferenced]
        referrers: dict[Ref, None] = {}
        for write in unit.writes:
            if write.body is None or write.resource_type in UNLINKED:
                continue
            if any(target in targets for _, target, _, _ in write.indexed.reference):
                referrers[(write.resource_type, write.id)] = None
        written = [f"{write.resource_type}/{write.id}" for write in unit.writes]
        pointing = {"reference": {"$elemMatch": {"target": {"$in": targets}}}}
        filter = {"state": "now", **pointing, "type": {"$nin": sorted(UNLINKED)}, "ref": {"$nin": written}}
        shown = {"type": 1, "id": 1}
        for one in await self.driver.find(VERSIONS, filter, shown, limit=_REFERRERS, session=self.session):
            referrers[(one["type"], one["id"])] = None
        if referrers:
            raise Conflict("referenced", list(referrers)[:_REFERRERS])

    async def _written(self, unit: Unit) -> tuple[Version, ...]:
        sequence, instant = self.sequence + 1, self.instant + 1
        text = instant_text(instant)
        first = sequence << 16
        made = [_version(write, first + place, text) for place, write in enumerate(unit.writes)]
        records = [version for version in made if version.resource_type in RECORDS]
        link = linked(self._digest, records) if records else None
        await self._put(sequence, instant, made, [write.indexed for write in unit.writes], link)
        return tuple(made)

    async def write_alone(self, unit: Unit) -> tuple[Version, ...]:
        """As `write`, for a job that began without units. Every resource is looked up: the job before it is costly,
        and would be done anew."""
        self.careful = True
        self.instant = max(self.now(), self.instant + 1, int(self.clock["floor"]) + 1) - 1
        await self._look(self._looked_up(unit))
        return await self.write(unit)

    async def append(self, commits: Sequence[tuple[Commit, Sequence[Indexed]]]) -> None:
        """As Store.append."""
        await self._look(f"{one.resource_type}/{one.id}" for commit, _ in commits for one in commit.versions)
        if any(commit.moment.sequence != self.sequence + n for n, (commit, _) in enumerate(commits, 1)):
            raise Conflict("stale")
        for commit, indexed in commits:
            instant = microseconds(commit.moment.instant)
            await self._put(commit.moment.sequence, instant, commit.versions, indexed, commit.link)

    async def _put(
        self,
        sequence: int,
        instant: int,
        versions: Sequence[Version],
        indexed: Sequence[Indexed],
        link: bytes | None,
    ) -> None:
        """All of one commit. Nothing is changed before all of it could be encoded."""
        made = [_document(version, instant, some) for version, some in zip(versions, indexed, strict=True)]
        made = made or [_mark(sequence, instant)]
        if link is not None:
            # Of a record; one without was taken over with a commit that has lost its records, for `check` to tell of.
            next((one for one in made if one["type"] in RECORDS), made[0])["link"] = link
        documents = [_encoded(one) for one in made]
        refs = {f"{version.resource_type}/{version.id}" for version in versions}
        if refs & self._fresh_refs:
            await self._flush()  # The version before is still to be inserted, and then to be ended.
        for version in versions:
            self._ended(version, sequence)
        for document in documents:
            await self._add(document)
        self._fresh_refs |= refs
        self.sequence, self.instant = sequence, instant
        if link is not None:
            self._digest = link
            self._changed["head"] = {"sequence": sequence, "digest": link}

    def _ended(self, version: Version, sequence: int) -> None:
        """The version before it, if there is one, and what now stands."""
        ref = f"{version.resource_type}/{version.id}"
        stood = self._standing.get(ref, Stands())
        if stood.version:
            change = {"until": sequence} if stood.deleted else {"until": sequence, "state": "was"}
            standing = {"ref": ref, "until": OPEN, "version": stood.version}
            self._endings.append(Alter(VERSIONS, standing, {"$set": change}))
        self._standing[ref] = Stands(version.version_id, version.deleted)
        if version.deleted:
            self._changed["deletion"] = sequence
        if version.resource_type == "SearchParameter":
            self._changed["definition"] = self.definition = version.ordinal

    async def _add(self, document: RawBSONDocument) -> None:
        if self._fresh and self._fresh_bytes + len(document.raw) > AT_ONCE:
            await self._flush()
        self._fresh.append(document)
        self._fresh_bytes += len(document.raw)

    async def _flush(self, last: Sequence[Alter] = ()) -> None:
        """Endings first: a resource has one open version at any time. Then what is new, then what is `last`."""
        if self._fresh or self._endings:
            self._found_ids.clear()
        waiting: list[Insert | Alter] = [
            *self._endings,
            *(Insert(VERSIONS, document) for document in self._fresh),
            *last,
        ]
        found = 0
        for some in _parts(waiting):
            found += await self.driver.write(some, self.session)
        if (expected := len(self._endings) + len(last)) != found:
            raise RuntimeError(f"{expected} documents were to be changed, {found} were found.")
        self._endings, self._fresh, self._fresh_refs, self._fresh_bytes = [], [], set(), 0

    async def holds(self, versions: Sequence[Version]) -> bool:
        """Whether an earlier transaction, whose end was not heard of, has written them. It sees what is committed,
        and what was not committed before this one took the clock never will be."""
        found = await self.driver.find(
            VERSIONS, {"_id": versions[0].ordinal}, {"ref": 1, "at": 1}, session=self.session
        )
        ref = f"{versions[0].resource_type}/{versions[0].id}"
        return any(one["ref"] == ref and instant_text(one["at"]) == versions[0].last_updated for one in found)

    def check_defined(self, newest: int | None) -> None:
        """Conflict when rows were made by other definitions than those in force."""
        if newest is not None and newest != self.definition:
            raise Conflict("stale")

    async def replace(
        self, replacements: Sequence[tuple[int, Indexed]], bodies: Mapping[int, bytes] | None = None
    ) -> None:
        """Other index rows for those versions, and other bodies for those that `bodies` has."""
        updates = []
        for ordinal, indexed in replacements:
            given = rows(indexed)
            gone = {kind: "" for kind in KINDS if kind not in given}
            if bodies and ordinal in bodies:
                given["body"] = packed(bodies[ordinal])
            updates.append(({"_id": ordinal}, {name: one for name, one in (("$set", given), ("$unset", gone)) if one}))
        await self.driver.update(VERSIONS, updates, self.session)

    async def add(self, additions: Sequence[tuple[int, Indexed]]) -> None:
        """More index rows for those versions; those that are there already stay as they are."""
        updates = []
        for ordinal, indexed in additions:
            if given := rows(indexed):
                each = {kind: {"$each": some} for kind, some in given.items()}
                updates.append(({"_id": ordinal}, {"$addToSet": each}))
        if updates:
            await self.driver.update(VERSIONS, updates, self.session)

    def note(self, generation: int, build: Document) -> None:
        """How far a build is."""
        self._changed[f"builds.{generation}"] = build


def _parts(some: Sequence[T]) -> Iterable[Sequence[T]]:
    return (some[start : start + _TOGETHER] for start in range(0, len(some), _TOGETHER))


def _version(write: Write, ordinal: int, instant: str) -> Version:
    body = None
    if write.body is not None:
        meta = f'"versionId":"{write.version_id}","lastUpdated":"{instant}"'.encode()
        body = write.body.head + meta + write.body.tail
    return Version(write.resource_type, write.id, write.version_id, ordinal, instant, write.method, body)


def _document(version: Version, instant: int, indexed: Indexed) -> Document:
    found: Document = {
        "_id": version.ordinal,
        "type": version.resource_type,
        "id": version.id,
        "ref": f"{version.resource_type}/{version.id}",
        "version": version.version_id,
        "at": instant,
        "method": version.method,
        "until": OPEN,
        "state": "now" if version.body is not None else "gone",
    }
    if version.body is not None:
        found |= {"body": packed(version.body), **rows(indexed)}
    return found


def _mark(sequence: int, instant: int) -> Document:
    """Of a unit that wrote nothing."""
    return {"_id": sequence << 16 | MARK, "type": "", "ref": f"#{sequence}", "version": 0, "at": instant, "until": OPEN}


def _encoded(document: Document) -> RawBSONDocument:
    """As it is sent. ValueError for a text that UTF-8 cannot hold; Unavailable for what no document can."""
    try:
        encoded = bson.encode(document)
    except BSONError as error:
        raise ValueError(str(error)) from None
    if len(encoded) > LARGEST:
        text = f"{document['ref']} and what it is found by take {len(encoded)} bytes; MongoDB holds {LARGEST}."
        raise Unavailable(text, too_costly=True)
    return RawBSONDocument(encoded)


@dataclass(frozen=True, slots=True)
class Step:
    """The next rows of a build: after them all versions from `after` up to `reached` have theirs."""

    generation: int
    after: int
    build: Document
    rows: tuple[tuple[int, Indexed], ...]


async def build_step(
    driver: Driver, generation: int, types: frozenset[str], index: Callable[[dict[str, Any]], Indexed], chunk: int
) -> Step | None:
    """What is next; None when all is done."""
    upto = (((generation >> 16) + 1) << 16) - 1
    of_types = {"type": {"$in": sorted(types)}, "body": {"$exists": True}}
    build = (await mongo_read.clock(driver))["builds"].get(str(generation))
    if build is None:
        total = await driver.aggregate(VERSIONS, [{"$match": {**of_types, "_id": {"$lte": upto}}}, {"$count": "count"}])
        build = {"reached": 0, "upto": upto, "done": 0, "total": total[0]["count"] if total else 0}
    after = build["reached"]
    if after >= upto:
        return None
    found = await driver.find(
        VERSIONS, {**of_types, "_id": {"$gt": after, "$lte": upto}}, {"body": 1}, sort=[("_id", 1)], limit=chunk
    )
    reached = found[-1]["_id"] if len(found) == chunk else upto
    further = {**build, "reached": reached, "done": build["done"] + len(found)}
    return Step(generation, after, further, tuple((one["_id"], index(decode(unpacked(one) or b""))) for one in found))


async def take(working: Working, step: Step) -> None:
    """Writes a step, unless another process took it already."""
    build = working.clock["builds"].get(str(step.generation), {"reached": 0})
    if build["reached"] == step.after:
        await working.add(step.rows)
        working.note(step.generation, step.build)
