"""MongoStore: one registry for many processes, in a replica set or sharded cluster. store.py has the promise.

A snapshot is a transaction that reads: all its commands see one state of the database, on every kind of server that
has transactions. It begins with the clock, so that a look-up in it is two round trips, and `current` is one. A unit
that creates is three, its records included: the clock; the documents, with the chain's new head for the clock (before
MongoDB 8.0 two commands); the commit. What it refers to is one more when it is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from server.search.query import Cursor, Include, Query
from server.store import instants, mongo_chain, mongo_check, mongo_erase, mongo_read, mongo_unit
from server.store.bodies import indexed
from server.store.chain import Link
from server.store.instants import microseconds
from server.store.mongo_driver import Driver, Name, PyMongoError, failure
from server.store.mongo_read import Reader
from server.store.mongo_schema import CLOCK, STATE, VERSION, VERSIONS, indexes
from server.store.mongo_unit import Working
from server.store.mongo_writer import Writer
from server.store.store import (
    Commit,
    Eraser,
    Indexed,
    Indexing,
    Moment,
    Page,
    Rewritten,
    Unavailable,
    Unit,
    Version,
)

T = TypeVar("T")

_GRACE = 2.0
"""Seconds beyond the time limit that a server may be silent: it is to answer itself that the time is over."""


class MongoStore:
    """The Store in the database that `url` names. Several processes may share it.

    `time_limit`: seconds that one search may take. `patience`: seconds to wait for a connection, or for other
    processes' commits. `now`: the clock, microseconds since 1970. `options` are for the driver.
    """

    def __init__(
        self,
        url: str,
        *,
        driver: Name = "motor",
        time_limit: float = 5.0,
        patience: float = 5.0,
        now: Callable[[], int] = instants.now,
        **options: Any,
    ) -> None:
        self._time_limit = time_limit
        self._patience = patience
        self._now = now
        self._connect: Callable[[], Driver] = partial(
            Driver, url, driver, patience=patience, silence=time_limit + _GRACE, **options
        )
        self._opened: Driver | None = None
        self._writing: Writer | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def exists(self) -> bool:
        """As Store.exists."""
        driver = self._connect()
        try:
            return bool(await _translated(driver.find(STATE, {"_id": "schema"})))
        finally:
            await driver.close()

    async def open(self) -> None:
        """As Store.open. Unavailable for a server without transactions."""
        try:
            driver = self._connect()
        except PyMongoError as error:
            raise failure(error) from error
        try:
            await self._prepare(driver)
        except BaseException as error:
            await driver.close()
            if isinstance(error, PyMongoError):
                raise failure(error) from error
            raise
        self._opened = driver
        self._writing = Writer(driver, self._now, self._time_limit, self._patience)

    async def _prepare(self, driver: Driver) -> None:
        hello = await driver.hello()
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise Unavailable(
                "This MongoDB server stands alone and has no transactions. Start it with --replSet NAME and run "
                "rs.initiate() once (a replica set of one is enough), or name a mongos."
            )
        await driver.put(STATE, {"_id": "schema", "version": VERSION})
        (schema,) = await driver.find(STATE, {"_id": "schema"})
        if schema["version"] > VERSION:
            raise Unavailable(
                f"The database has schema version {schema['version']}; this program knows up to {VERSION}."
            )
        await driver.create_indexes(VERSIONS, indexes())
        if not await driver.find(STATE, {"_id": "clock"}):
            if await driver.find(VERSIONS, {}, {"_id": 1}, limit=1):
                raise Unavailable("The database has versions but has lost the document of its clock; restore a backup.")
            await driver.put(STATE, CLOCK)

    async def close(self) -> None:
        """As Store.close."""
        writing, self._writing = self._writing, None
        driver, self._opened = self._opened, None
        if writing is not None:
            await writing.stop()
        if self._ending:
            await asyncio.wait(self._ending)
        if driver is not None:
            await driver.close()

    @property
    def _driver(self) -> Driver:
        if self._opened is None:
            raise Unavailable("The store is not open.")
        return self._opened

    @property
    def _writer(self) -> Writer:
        if self._writing is None:
            raise Unavailable("The store is not open.")
        return self._writing

    async def current(self, resource_type: str, id: str) -> Version | None:
        """As Store.current."""
        return await _translated(mongo_read.current(self._driver, f"{resource_type}/{id}"))

    async def moment(self, instant: str | None = None) -> Moment:
        """As Store.moment. An instant later than the newest commit is written into the clock, which every commit
        reads: so none will be at or before it, whatever the clocks of other machines say."""
        driver = self._driver
        clock = await _translated(mongo_read.clock(driver))
        latest = mongo_read.newest(clock)
        if instant is None:
            return latest
        wanted = microseconds(instant)
        if wanted > clock["instant"]:
            if wanted > self._now():
                raise ValueError(f"{instant} is in the future.")
            if wanted <= clock["floor"]:
                return latest
            floor = await _translated(driver.changed(STATE, "clock", {"$max": {"floor": wanted}}))
            assert floor is not None
            if wanted >= floor["instant"]:
                return mongo_read.newest(floor)
        return await _translated(mongo_read.moment_at(driver, wanted))

    def snapshot(self, at: Moment | None = None) -> AbstractAsyncContextManager[MongoSnapshot]:
        """As Store.snapshot."""
        return self._snapshot(at)

    @asynccontextmanager
    async def _snapshot(self, at: Moment | None) -> AsyncIterator[MongoSnapshot]:
        driver = self._driver
        session = await _translated(driver.begin())
        try:
            clock = await _translated(mongo_read.clock(driver, session))
            latest = mongo_read.newest(clock)
            moment = at or latest
            # A moment beyond the newest would be another store's; within this one it can only be the present.
            present = moment.sequence >= latest.sequence
            reader = Reader(driver, session, moment, present, self._time_limit)
            yield MongoSnapshot(reader, mongo_read.indexing(clock))
        finally:
            # Nobody waits for the server to hear that a transaction which only read is over.
            ending = asyncio.create_task(driver.end(session))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def commit(self, unit: Unit) -> tuple[Version, ...]:
        """As Store.commit. A caller that is cancelled does not stop its unit: it may be written all the same."""
        versions: tuple[Version, ...] = await self._writer.submit(unit)
        return versions

    async def rehearse(self, unit: Unit) -> None:
        """As Store.rehearse: the unit is written in a transaction of its own that is not committed."""
        await self._writer.submit(unit, kept=False)

    async def build(self, generation: int, types: frozenset[str], index: Callable[[dict[str, Any]], Indexed]) -> None:
        """As Store.build."""
        while step := await _translated(
            mongo_unit.build_step(self._driver, generation, types, index, mongo_check.CHUNK)
        ):
            await self._writer.submit(partial(mongo_unit.take, step=step))

    async def reindex(
        self,
        index: Callable[[dict[str, Any]], Indexed],
        *,
        progress: Callable[[int], None],
        defined: int | None = None,
    ) -> int:
        """As Store.reindex. Rows are computed beside the writers, for a version's body never changes."""
        done, last = 0, 0
        while rows := await _translated(mongo_check.recomputed(self._driver, index, last)):
            await self._writer.submit(partial(_replace, rows=rows, defined=defined))
            done, last = done + len(rows), rows[-1][0]
            progress(done)
        return done

    async def commits(self, after: int, count: int) -> list[Commit]:
        """As Store.commits."""
        async with self._snapshot(None) as snapshot:
            return await snapshot.commits(after, count)

    async def append(self, commits: Sequence[Commit], index: Callable[[dict[str, Any]], Indexed]) -> None:
        """As Store.append."""
        rows = [(commit, [indexed(index, one.body) for one in commit.versions]) for commit in commits]
        await self._writer.submit(partial(Working.append, commits=rows))

    async def rewrite(
        self,
        eraser: Eraser,
        index: Callable[[dict[str, Any]], Indexed],
        trace: Callable[[Rewritten], Unit] | None,
    ) -> Rewritten:
        """As Store.rewrite. Other writers wait while what was found is changed, not while it is looked for. Old bytes
        remain in the server's log and free space until it writes over them."""
        looked = await _translated(mongo_erase.look(self._driver, eraser))
        if trace is None:
            return looked.rewritten
        rewriting = mongo_erase.Rewriting(eraser, index, trace, looked)
        await self._writer.submit(rewriting)
        return rewriting.found

    async def heads(self) -> tuple[Link, ...]:
        """As Store.heads."""
        return mongo_chain.heads(await _translated(mongo_read.clock(self._driver)))

    async def check(
        self, index: Callable[[dict[str, Any]], Indexed], anchors: Iterable[Link] = ()
    ) -> tuple[dict[str, int], list[str]]:
        """As Store.check."""
        return await _translated(mongo_check.check(self._driver, index, anchors))


async def _replace(working: Working, rows: Sequence[tuple[int, Indexed]], defined: int | None) -> None:
    working.check_defined(defined)
    await working.replace(rows)


async def _translated(work: Awaitable[T]) -> T:
    try:
        return await work
    except PyMongoError as error:
        raise failure(error) from error


class MongoSnapshot:
    """The Snapshot in one reading transaction."""

    def __init__(self, reader: Reader, indexing: Indexing) -> None:
        self.moment = reader.moment
        self._reader = reader
        self._indexing = indexing
        self._one_at_a_time = asyncio.Lock()

    async def read(self, resource_type: str, id: str) -> Version | None:
        """As Snapshot.read."""
        return await self._run(self._reader.read(f"{resource_type}/{id}"))

    async def read_version(self, resource_type: str, id: str, version_id: int) -> Version | None:
        """As Snapshot.read_version."""
        return await self._run(self._reader.read_version(f"{resource_type}/{id}", version_id))

    async def history(
        self,
        resource_type: str | None,
        id: str | None,
        *,
        since: str | None = None,
        cursor: Cursor | None = None,
        count: int = 50,
    ) -> Page:
        """As Snapshot.history."""
        return await self._run(self._reader.history(resource_type, id, since, cursor, count))

    async def search(self, query: Query) -> Page:
        """As Snapshot.search."""
        return await self._run(self._reader.search(query))

    async def include(
        self, versions: Sequence[Version], includes: Sequence[Include], limit: int
    ) -> tuple[tuple[Version, ...], bool]:
        """As Snapshot.include."""
        return await self._run(self._reader.include(versions, includes, limit))

    async def commits(self, after: int, count: int) -> list[Commit]:
        """As Store.commits."""
        return await self._run(self._reader.commits(after, count))

    async def indexing(self) -> Indexing:
        """As Snapshot.indexing."""
        return self._indexing

    async def explain(self, query: Query) -> list[str]:
        """As Snapshot.explain: each criterion, the filter, and the server's plan."""
        return await self._run(self._reader.explain(query))

    async def _run(self, work: Awaitable[T]) -> T:
        async with self._one_at_a_time:
            return await _translated(work)
