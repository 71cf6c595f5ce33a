"""What is to be gone for good, out of bodies and index rows. MongoDB's own files are its own: see Rewritten.remains.

Bodies are looked at beside the writers, for a version's body never changes but here; within the transaction, when no
other writer comes in between, only what was found and what is newer is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.resource import decode
from server.store.mongo_driver import Driver, Session
from server.store.mongo_schema import VERSIONS, Document, unpacked
from server.store.mongo_unit import Working
from server.store.store import RECORDS, Eraser, Indexed, Ref, Rewritten, Unit, Version

CHUNK = 200
_SHOWN: Document = {"type": 1, "id": 1, "version": 1, "body": 1}

Index = Callable[[dict[str, Any]], Indexed]


@dataclass(frozen=True, slots=True)
class Looked:
    """What holds it among the versions up to the ordinal `reached`: by ordinal, as (type, id, version_id)."""

    versions: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    kept: frozenset[Ref] = frozenset()
    reached: int = 0

    @property
    def rewritten(self) -> Rewritten:
        return Rewritten(tuple(self.versions.values()), tuple(sorted(self.kept)))


async def look(driver: Driver, eraser: Eraser, before: Looked | None = None, session: Session | None = None) -> Looked:
    """All versions, or those after what was looked at `before`, together with it."""
    before = before or Looked()
    versions, kept, reached = dict(before.versions), set(before.kept), before.reached
    while True:
        filter = {"_id": {"$gt": reached}, "version": {"$gt": 0}}
        some = await driver.find(VERSIONS, filter, _SHOWN, sort=[("_id", 1)], limit=CHUNK, session=session)
        for one in some:
            ref = (one["type"], one["id"])
            holds = (body := unpacked(one)) is not None and eraser.body(body) is not None
            if holds and one["type"] not in RECORDS:
                versions[one["_id"]] = (*ref, one["version"])
            if eraser.text(one["id"]) != one["id"] or (holds and one["type"] in RECORDS):
                kept.add(ref)
        if some:
            reached = some[-1]["_id"]
        if len(some) < CHUNK:
            return Looked(versions, frozenset(kept), reached)


class Rewriting:
    """One rewriting: the writer's work, done anew when its transaction lost a race. `found` is what it then did."""

    def __init__(self, eraser: Eraser, index: Index, trace: Callable[[Rewritten], Unit], looked: Looked) -> None:
        self._eraser = eraser
        self._index = index
        self._trace = trace
        self._looked = looked
        self.found = Rewritten(())

    async def __call__(self, working: Working) -> tuple[Version, ...]:
        looked = await look(working.driver, self._eraser, self._looked, working.session)
        versions = []
        for ordinals in _parts(list(looked.versions)):
            bodies = await self._bodies(working, ordinals)
            await working.replace([(one, self._index(decode(body))) for one, body in bodies.items()], bodies)
            versions += [looked.versions[one] for one in ordinals if one in bodies]
        self.found = Rewritten(tuple(versions), tuple(sorted(looked.kept)), remains=bool(versions))
        return await working.write_alone(self._trace(self.found))

    async def _bodies(self, working: Working, ordinals: Sequence[int]) -> dict[int, bytes]:
        """As they are to be, of those that hold it still: another process may have taken it out by now."""
        filter = {"_id": {"$in": list(ordinals)}}
        found = await working.driver.find(VERSIONS, filter, {"body": 1}, session=working.session)
        changed = {one["_id"]: self._eraser.body(unpacked(one) or b"") for one in found}
        return {ordinal: body for ordinal, body in sorted(changed.items()) if body is not None}


def _parts(ordinals: list[int]) -> Iterator[list[int]]:
    return (ordinals[start : start + CHUNK] for start in range(0, len(ordinals), CHUNK))
