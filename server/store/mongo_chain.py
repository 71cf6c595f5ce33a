"""The record's chain in MongoDB: one lane, for the clock's document puts all processes' commits in one line. A link
stands on the first record of its unit. The clock holds the newest, for the next to build upon: a second change of that
document, once for all units of a transaction, in the command that inserts them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from server.store.chain import GENESIS, Link, linked
from server.store.mongo_driver import Driver
from server.store.mongo_schema import MARK, SHOWN, VERSIONS, Document, version_of
from server.store.store import RECORDS

_CHUNK = 200
_IS_RECORD: Document = {"type": {"$in": sorted(RECORDS)}}


def heads(clock: Document) -> tuple[Link, ...]:
    """As Store.heads."""
    sequence, digest = clock["head"]["sequence"], clock["head"]["digest"]
    return (Link("", sequence, digest.hex()),) if sequence else ()


async def breaks(driver: Driver, clock: Document, anchors: Iterable[Link]) -> list[str]:
    """The chain's first break up to the clock, and the anchors that are not on it."""
    broken = await _first_break(driver, clock)
    faults = [broken] if broken else []
    for anchor in anchors:
        if anchor.lane or await _link_at(driver, anchor.sequence) != anchor.digest:
            faults.append(f"record: the link {anchor} is not on the chain; it was changed or cut off")
    return faults


async def _link_at(driver: Driver, sequence: int) -> str:
    first = sequence << 16
    if first.bit_length() > 63:
        return ""
    filter = {"_id": {"$gte": first, "$lte": first | MARK}, "link": {"$exists": True}}
    found = await driver.find(VERSIONS, filter, {"link": 1}, limit=1)
    return str(found[0]["link"].hex()) if found else ""


async def _first_break(driver: Driver, clock: Document) -> str | None:
    previous, last = GENESIS, 0
    async for unit in _units(driver, (clock["sequence"] << 16) | MARK):
        last = unit[0]["_id"] >> 16
        named = ", ".join(f"{one['type']}/{one['id']}" for one in unit)
        link: Any = unit[0].get("link")
        if link is None:
            return f"record: broken at commit {last}: {named} has no link"
        if linked(previous, [version_of(one) for one in unit]) != link:
            return f"record: broken at commit {last}: {named}, or the link before, is not what was written"
        previous = link
    head = clock["head"]
    if head["sequence"] > last:
        return f"record: broken at commit {head['sequence']}: its records are gone"
    if (head["sequence"], head["digest"]) != (last, previous):
        return f"record: broken at commit {last}: the clock names another end of the chain, {head['sequence']}"
    return None


async def _units(driver: Driver, bound: int) -> AsyncIterator[list[Document]]:
    """The records of one commit after those of the other."""
    last = 0
    waiting: list[Document] = []
    while True:
        filter = {**_IS_RECORD, "_id": {"$gt": last, "$lte": bound}}
        some = await driver.find(VERSIONS, filter, {**SHOWN, "link": 1}, sort=[("_id", 1)], limit=_CHUNK)
        for one in some:
            if waiting and waiting[0]["_id"] >> 16 != one["_id"] >> 16:
                yield waiting
                waiting = []
            waiting.append(one)
        if len(some) < _CHUNK:
            break
        last = some[-1]["_id"]
    if waiting:
        yield waiting
