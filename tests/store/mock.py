"""MongoDB's store over mongomock: quick, in this process, and without transactions. What it cannot do is in CANNOT,
and runs on a real server only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import bson
import mongomock
from bson.raw_bson import RawBSONDocument
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from server.store.mongo import MongoStore
from server.store.mongo_driver import Driver

CANNOT = {
    # What a reading transaction saw at first is not kept for it.
    "test_a_snapshot_does_not_see_what_is_written_after_it": "no snapshots",
    # $setIntersection is not implemented.
    "test_a_composite_is_met_by_one_element": "no $setIntersection",
    # Nor can it be held against the plain model (test_moments.py), which searches for all of these.
    # $min and $max of an array that $map makes are null.
    "test_order_with_missing_values_last_and_pages_from_every_position": "no $min of a mapped array",
    "test_broad_searches_are_the_same_in_every_form": "no $min of a mapped array",
    # No command of that name.
    "test_explain_has_a_line_for_each_criterion_and_the_engines_plan": "no explain",
}


class _Session:
    """A transaction that keeps others from writing, and puts back what was there before it."""

    in_transaction = True

    def __init__(self) -> None:
        self.before: dict[str, list[dict[str, Any]]] | None = None


class MockDriver(Driver):
    """The driver over one mongomock database; `lock` is shared by all drivers of it."""

    def __init__(self, database: Any, lock: asyncio.Lock) -> None:
        self._bulk = False
        self._mock = database
        self._lock = lock

    async def close(self) -> None:
        pass

    async def hello(self) -> dict[str, Any]:
        return {"setName": "mock"}

    async def begin(self) -> Any:
        return _Session()

    async def _writes(self, session: Any) -> None:
        if session is not None and session.before is None:
            await self._lock.acquire()
            names = self._mock.list_collection_names()
            session.before = {name: list(self._mock[name].find()) for name in names}

    async def commit(self, session: Any) -> None:
        if session.before is not None:
            session.before = None
            self._lock.release()

    async def end(self, session: Any) -> None:
        if session.before is None:
            return
        for name, documents in session.before.items():
            self._mock[name].delete_many({})
            if documents:
                self._mock[name].insert_many(documents)
        await self.commit(session)

    async def find(
        self, collection: str, filter: Any, projection: Any = None, *, sort: Any = (), limit: int = 0, **_: Any
    ) -> list[dict[str, Any]]:
        return list(self._mock[collection].find(filter, projection, sort=list(sort) or None, limit=limit))

    async def aggregate(self, collection: str, pipeline: Any, **_: Any) -> list[dict[str, Any]]:
        return list(self._mock[collection].aggregate(list(pipeline)))

    async def insert(self, collection: str, documents: Sequence[Mapping[str, Any]], session: Any) -> None:
        await self._writes(session)
        decoded = [bson.decode(one.raw) if isinstance(one, RawBSONDocument) else dict(one) for one in documents]
        try:
            self._mock[collection].insert_many(decoded)
        except BulkWriteError as error:
            raise DuplicateKeyError(str(error)) from error

    async def update(self, collection: str, updates: Any, session: Any = None) -> int:
        await self._writes(session)
        return sum(self._mock[collection].update_many(*update).matched_count for update in updates)

    async def changed(self, collection: str, id: str, change: Any, session: Any = None) -> Any:
        await self._writes(session)
        found = self._mock[collection]
        return found.find_one_and_update({"_id": id}, change, return_document=ReturnDocument.AFTER)

    async def put(self, collection: str, document: Any, session: Any = None) -> None:
        self._mock[collection].update_one({"_id": document["_id"]}, {"$setOnInsert": dict(document)}, upsert=True)

    async def create_indexes(self, collection: str, indexes: Any) -> None:
        # A partial unique index holds all documents against a new one, also those that its filter leaves out.
        whole = [index for index in indexes if "partialFilterExpression" not in index.document]
        self._mock[collection].create_indexes(whole)


def mock_stores(count: int) -> list[MongoStore]:
    """Stores on one empty database, not yet open."""
    database, lock = mongomock.MongoClient()["test"], asyncio.Lock()

    def store() -> MongoStore:
        made = MongoStore("mongodb://mock/test")
        made._connect = lambda: MockDriver(database, lock)
        return made

    return [store() for _ in range(count)]
