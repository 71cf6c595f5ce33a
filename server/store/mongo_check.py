"""The store verified against its own bodies, resource by resource, beside readers and writers. Writes nothing.

No snapshot lasts as long as a check may: what is compared are the versions up to one moment, which never change but
for `until` and `state`, and these are looked at as they must be at that moment.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.store import mongo_chain, mongo_read
from server.store.bodies import Index, indexed
from server.store.chain import Link
from server.store.mongo_driver import Driver
from server.store.mongo_schema import KINDS, OPEN, VERSIONS, Document, row_of, unpacked
from server.store.store import RECORDS, UNLINKED, Indexed
from server.store.terms import PREFIX

CHUNK = 200
"""Versions in one step of a check, a build or a rebuilding of the index."""

_COMMITTED: Document = {"at": 1, "type": 1, "link": 1}
_GENERATION = re.compile(r"#(\d+)")
_LOCAL = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}\Z")


async def recomputed(driver: Driver, index: Index, after: int) -> list[tuple[int, Indexed]]:
    """The next versions after that ordinal with what `index` makes of them; a deletion has no rows."""
    filter = {"_id": {"$gt": after}, "version": {"$gt": 0}}
    found = await driver.find(VERSIONS, filter, {"body": 1}, sort=[("_id", 1)], limit=CHUNK)
    return [(one["_id"], indexed(index, unpacked(one))) for one in found]


async def check(driver: Driver, index: Index, anchors: Iterable[Link] = ()) -> tuple[dict[str, int], list[str]]:
    """As Store.check."""
    newest = await driver.find(VERSIONS, {}, {"_id": 1}, sort=[("_id", -1)], limit=1)
    clock = await mongo_read.clock(driver)
    found = _Check(index, clock["sequence"], clock["instant"], await _built(driver, clock))
    if newest and newest[0]["_id"] >> 16 > clock["sequence"]:
        found.faults.append(f"the clock says commit {clock['sequence']}, the newest is {newest[0]['_id'] >> 16}")
    bound = (clock["sequence"] << 16) | 0xFFFF
    async for resource in _resources(driver, bound):
        found.resource(resource)
    async for commit in _commits(driver, bound):
        found.commit(commit)
    found.faults += await mongo_chain.breaks(driver, clock, anchors)
    return found.counts(), found.all_faults()


async def _built(driver: Driver, clock: Document) -> frozenset[int]:
    """The generations in force whose rows are all there."""
    done = [int(name) for name, build in clock["builds"].items() if build["reached"] >= build["upto"]]
    found = await driver.find(VERSIONS, {"_id": {"$in": done}, "until": OPEN, "state": "now"}, {"_id": 1})
    return frozenset(one["_id"] for one in found)


async def _resources(driver: Driver, bound: int) -> AsyncIterator[list[Document]]:
    """All versions of one resource after those of the other, oldest first."""
    last: tuple[str, int] = ("", 0)
    waiting: list[Document] = []
    while True:
        ref, version = last
        beyond = {"$or": [{"ref": {"$gt": ref}}, {"ref": ref, "version": {"$gt": version}}]}
        filter = {"_id": {"$lte": bound}, **beyond}
        some = await driver.find(VERSIONS, filter, sort=[("ref", 1), ("version", 1)], limit=CHUNK)
        for one in some:
            if waiting and waiting[0]["ref"] != one["ref"]:
                yield waiting
                waiting = []
            waiting.append(one)
        if len(some) < CHUNK:
            break
        last = (some[-1]["ref"], some[-1]["version"])
    if waiting:
        yield waiting


async def _commits(driver: Driver, bound: int) -> AsyncIterator[Document]:
    last = 0
    while True:
        filter = {"_id": {"$gt": last, "$lte": bound}}
        some = await driver.find(VERSIONS, filter, _COMMITTED, sort=[("_id", 1)], limit=CHUNK * 10)
        for one in some:
            yield one
        if len(some) < CHUNK * 10:
            return
        last = some[-1]["_id"]


@dataclass
class _Check:
    """What was found so far, up to `sequence`."""

    index: Index
    sequence: int
    instant: int
    built: frozenset[int]
    faults: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    alive: set[str] = field(default_factory=set)
    pointing: dict[str, set[str]] = field(default_factory=dict)
    _last: tuple[int, int] = (0, 0)

    def resource(self, versions: Sequence[Document]) -> None:
        if versions[0]["version"] == 0:
            return  # A mark: of a commit, and of no resource.
        ref = versions[0]["ref"]
        self.figures["resources"] += 1
        self.figures["versions"] += len(versions)
        self.figures["records"] += len(versions) if versions[0]["type"] in RECORDS else 0
        for place, one in enumerate(versions):
            following = versions[place + 1] if place + 1 < len(versions) else None
            self.faults += [
                f"{ref} version {one['version']}: {fault}" for fault in self._version(one, place, following)
            ]
        newest = versions[-1]
        deleted = "body" not in newest
        self.figures["deleted" if deleted else "current"] += 1
        if not deleted:
            self.alive.add(ref)
            for row in newest.get("reference", ()) if newest["type"] not in UNLINKED else ():
                self.pointing.setdefault(row["target"], set()).add(ref)

    def _version(self, one: Document, place: int, following: Document | None) -> Iterator[str]:
        if one["version"] != place + 1:
            yield "a version before it is missing, or numbered twice"
        if one["ref"] != f"{one['type']}/{one['id']}":
            yield "its type and id are not those of the resource"
        if following is not None and following["_id"] <= one["_id"]:
            yield "the version after it is older"
        ended = one["until"] <= self.sequence
        until = following["_id"] >> 16 if following is not None else None
        if (one["until"] if ended else None) != until:
            yield "does not end where the next version begins"
        if one["state"] not in (("gone",) if "body" not in one else ("was",) if one["until"] != OPEN else ("now",)):
            yield f"its state is {one['state']}"
        if ("body" in one) is (one["method"] == "DELETE"):
            yield "its body is missing, or it is a deletion with one"
        yield from self._rows(one)

    def _rows(self, one: Document) -> Iterator[str]:
        try:
            rows = indexed(self.index, unpacked(one))
        except Exception as error:
            yield f"its body cannot be indexed: {error}"
            return
        for kind in KINDS:
            stored = one.get(kind, [])
            self.figures[f"{kind} rows"] += len(stored)
            wanted, found = Counter(set(getattr(rows, kind))), Counter(row_of(kind, row) for row in stored)
            yield from (f"{kind} row is missing: {row}" for row in wanted - found if self._due(row))
            yield from (f"{kind} row too many: {row}" for row in found - wanted if self._due(row))
            if kind == "string":
                yield from _prefixes(stored)

    def _due(self, row: tuple[Any, ...]) -> bool:
        """Whether the row must be as computed: not while a stored SearchParameter's index is being built, and not for
        the rows that one leaves behind when it changes or goes."""
        generation = _GENERATION.search(str(row[0]))
        return generation is None or int(generation.group(1)) in self.built

    def commit(self, one: Document) -> None:
        """In the order of the ordinals."""
        sequence, instant = one["_id"] >> 16, one["at"]
        if "link" in one:
            self.figures["links of the record"] += 1
            if one["type"] not in RECORDS:
                self.faults.append(f"record: broken at commit {sequence}: its records are gone")
        last, at = self._last
        if sequence == last:
            if instant != at:
                self.faults.append(f"ordinal {one['_id']}: its instant is not that of its commit")
            return
        self.figures["commits"] += 1
        if sequence != last + 1:
            self.faults.append(f"commit {sequence}: the one before is missing")
        if instant <= at:
            self.faults.append(f"commit {sequence}: its instant is not after the one before")
        self._last = (sequence, instant)

    def counts(self) -> dict[str, int]:
        names = (
            *("commits", "links of the record", "versions", "records", "resources", "current", "deleted"),
            *(f"{kind} rows" for kind in KINDS),
        )
        return {name: self.figures[name] for name in names}

    def all_faults(self) -> list[str]:
        if self._last != (self.sequence, self.instant):
            self.faults.append(f"the clock says commit {self.sequence}, the newest is {self._last[0]}")
        for target in sorted(self.pointing.keys() - self.alive):
            if _LOCAL.match(target):
                sources = sorted(self.pointing[target])
                self.faults += [f"{source}: points to {target}, which is not there" for source in sources]
        return self.faults


def _prefixes(stored: Sequence[Document]) -> Iterator[str]:
    for row in stored:
        if row.get("prefix") != str(row.get("folded", ""))[:PREFIX]:
            yield f"string row with another prefix than its text: {row_of('string', row)}"
