"""SqliteStore: one file in write-ahead mode, readers of snapshots, one writing thread. store.py has the promise.

Reads run right on the event loop, where an indexed look-up takes microseconds, for 5 ms at most; what takes
longer is broken off and done again in a small pool of threads, which costs ten times a look-up in hand-over
and so is not where reads begin.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from server.search.query import Cursor, Include, Query
from server.store import instants, sqlite_build, sqlite_chain, sqlite_check, sqlite_erase
from server.store.bodies import indexed
from server.store.chain import Link
from server.store.instants import microseconds
from server.store.sqlite_read import KnownNames, Reader, commits, current, newest
from server.store.sqlite_schema import connect, failure, interrupted, prepare, unavailable
from server.store.sqlite_unit import Rehearsed, Working
from server.store.sqlite_writer import Writer
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

ON_LOOP = 0.005
"""Seconds that a read may hold the event loop."""
# Seconds that Python lets one thread run while another waits. The writer gives up the interpreter at every row that
# it writes; with the default of 5 ms a busy loop made it wait so long that 64 writers got a third of this done.
_SWITCH = 0.001

_STEPS_BETWEEN_LOOKS = 2_000
_WRITER_CACHE_KIB, _READER_CACHE_KIB = 65_536, 8_192


class SqliteStore:
    """The Store kept in the file at `path`, whose folder is made when missing. Several processes may share it.

    `time_limit`: seconds that one search may take. `patience`: seconds to wait for a reader's turn or another
    process's lock. `readers`: snapshots open at once. `now`: the clock, microseconds since 1970.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        time_limit: float = 5.0,
        patience: float = 5.0,
        readers: int = 16,
        now: Callable[[], int] = instants.now,
    ) -> None:
        self.path = Path(path)
        self._time_limit = time_limit
        self._patience = patience
        self._now = now
        self._turns = asyncio.Semaphore(readers)
        self._readers: list[_Timed] = []
        self._names: dict[str, int] = {}
        self._point: sqlite3.Connection | None = None
        self._writing: Writer[Working] | None = None
        self._working: Working | None = None
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="sqlite-reader")

    async def exists(self) -> bool:
        """As Store.exists."""
        return self.path.is_file()

    async def open(self) -> None:
        """As Store.open."""
        sys.setswitchinterval(_SWITCH)
        try:
            await asyncio.to_thread(self._open)
        except sqlite3.Error as error:
            raise unavailable(error) from error
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror}") from error

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(self.path, patience=self._patience, cache_kib=_WRITER_CACHE_KIB)
        try:
            prepare(connection, self._patience)
            self._point = self._connect_reader()
        except BaseException:
            connection.close()
            raise
        self._working = Working(connection, self._now, self._time_limit)
        self._writing = Writer(self._working)
        self._writing.start()

    def _connect_reader(self) -> sqlite3.Connection:
        return connect(self.path, patience=self._patience, cache_kib=_READER_CACHE_KIB, read_only=True)

    async def close(self) -> None:
        """As Store.close."""
        if self._writing is not None:
            await self._writing.stop()
        await asyncio.to_thread(self._threads.shutdown)
        connections = [timed.connection for timed in self._readers]
        if self._point is not None:
            connections.append(self._point)
        if self._working is not None:
            connections.append(self._working.connection)
        self._point = self._working = self._writing = None
        self._readers = []
        for connection in connections:
            connection.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._point is None:
            raise Unavailable("The store is not open.")
        return self._point

    @property
    def _writer(self) -> Writer[Working]:
        if self._writing is None:
            raise Unavailable("The store is not open.")
        return self._writing

    async def current(self, resource_type: str, id: str) -> Version | None:
        """As Store.current."""
        try:
            return current(self._connection, f"{resource_type}/{id}")
        except sqlite3.Error as error:
            raise failure(error) from error

    async def moment(self, instant: str | None = None) -> Moment:
        """As Store.moment. An instant later than the newest commit passes the writer, and so the lock that every
        process writes under: nobody is then on the way to committing at or before it."""
        try:
            latest = newest(self._connection)
            if instant is None:
                return latest
            wanted = microseconds(instant)
            if wanted <= microseconds(latest.instant):
                return newest(self._connection, wanted)
            if wanted > self._now():
                raise ValueError(f"{instant} is in the future.")
        except sqlite3.Error as error:
            raise failure(error) from error
        return await self._writer.submit(lambda working: working.settled(wanted))

    def snapshot(self, at: Moment | None = None) -> AbstractAsyncContextManager[SqliteSnapshot]:
        """As Store.snapshot. Unavailable when no reader is free within the patience."""
        return self._snapshot(at)

    @asynccontextmanager
    async def _snapshot(self, at: Moment | None) -> AsyncIterator[SqliteSnapshot]:
        timed = await self._take()
        snapshot: SqliteSnapshot | None = None
        try:
            snapshot = self._begin(timed, at)
            yield snapshot
        except sqlite3.Error as error:
            raise failure(error) from error
        finally:
            busy = snapshot.busy if snapshot else None
            if busy is None or busy.done():
                self._give_back(timed)
            else:
                # The caller was cancelled while a thread still reads: break that off, then take it back.
                timed.stop()
                busy.add_done_callback(partial(self._broken_off, timed))

    def _begin(self, timed: _Timed, at: Moment | None) -> SqliteSnapshot:
        connection = timed.connection
        timed.allow(self._time_limit)
        connection.execute("BEGIN")
        latest = newest(connection)
        moment = at or latest
        # A moment beyond the newest would be another store's; within this one it can only be the present.
        present = moment.sequence >= latest.sequence
        reader = Reader(connection, KnownNames(connection, self._names), moment, present)
        return SqliteSnapshot(reader, timed, self._threads, self._time_limit)

    async def _take(self) -> _Timed:
        if self._point is None:
            raise Unavailable("The store is not open.")
        if self._turns.locked():
            try:
                await asyncio.wait_for(self._turns.acquire(), self._patience)
            except TimeoutError:
                raise Unavailable(f"All readers were taken for {self._patience:g} s.") from None
        else:
            await self._turns.acquire()
        try:
            return self._readers.pop() if self._readers else _Timed(self._connect_reader())
        except sqlite3.Error as error:
            self._turns.release()
            raise failure(error) from error

    def _give_back(self, timed: _Timed) -> None:
        try:
            if timed.connection.in_transaction:
                timed.connection.execute("ROLLBACK")
        except sqlite3.Error:
            timed.connection.close()
        else:
            if self._point is None:
                timed.connection.close()
            else:
                self._readers.append(timed)
        finally:
            self._turns.release()

    def _broken_off(self, timed: _Timed, read: asyncio.Future[Any]) -> None:
        if not read.cancelled():
            read.exception()  # Looked at, or asyncio would report that nobody did.
        self._give_back(timed)

    async def commit(self, unit: Unit) -> tuple[Version, ...]:
        """As Store.commit. A caller that is cancelled does not stop its unit: it may be written all the same."""
        return await self._writer.submit(lambda working: working.write(unit), unit)

    async def rehearse(self, unit: Unit) -> None:
        """As Store.rehearse: the unit is written and, as a job that raises, undone."""
        with suppress(Rehearsed):
            await self._writer.submit(lambda working: working.rehearse(unit), unit)

    async def build(self, generation: int, types: frozenset[str], index: Callable[[dict[str, Any]], Indexed]) -> None:
        """As Store.build: steps of 200 versions, computed beside the writers and written between them."""
        names = json.dumps(sorted(types))
        while True:
            async with self._snapshot(None) as snapshot:
                step = await snapshot.beside(lambda connection: sqlite_build.step(connection, generation, names, index))
            if step is None:
                return
            await self._writer.submit(partial(Working.build, step=step))

    async def reindex(
        self,
        index: Callable[[dict[str, Any]], Indexed],
        *,
        progress: Callable[[int], None],
        defined: int | None = None,
    ) -> int:
        """As Store.reindex. Rows are computed beside the writers, for a version's body never changes, and
        replaced in short write transactions."""
        done, last = 0, 0
        while rows := await self._recomputed(index, last):
            await self._writer.submit(partial(Working.reindex, replacements=rows, defined=defined))
            done, last = done + len(rows), rows[-1][0]
            progress(done)
        return done

    async def _recomputed(self, index: Callable[[dict[str, Any]], Indexed], after: int) -> list[tuple[int, Indexed]]:
        async with self._snapshot(None) as snapshot:
            return await snapshot.beside(lambda connection: sqlite_check.recomputed(connection, index, after))

    async def commits(self, after: int, count: int) -> list[Commit]:
        """As Store.commits."""
        async with self._snapshot(None) as snapshot:
            return await snapshot.beside(lambda connection: commits(connection, after, count))

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
        """As Store.rewrite. Other writers wait while every body is looked at, and while the file is built anew."""
        if trace is None:
            async with self._snapshot(None) as snapshot:
                return (await snapshot.beside(lambda connection: sqlite_erase.found(connection, eraser)))[0]
        rewriting = partial(Working.rewrite, eraser=eraser, index=index, trace=trace)
        found = await self._writer.submit(rewriting)
        await asyncio.to_thread(sqlite_erase.purge, self.path, self._patience)
        return found

    async def heads(self) -> tuple[Link, ...]:
        """As Store.heads."""
        try:
            return sqlite_chain.heads(self._connection)
        except sqlite3.Error as error:
            raise failure(error) from error

    async def check(
        self, index: Callable[[dict[str, Any]], Indexed], anchors: Iterable[Link] = ()
    ) -> tuple[dict[str, int], list[str]]:
        """As Store.check: the whole of one snapshot, in a thread."""
        async with self._snapshot(None) as snapshot:
            return await snapshot.beside(lambda connection: sqlite_check.check(connection, index, anchors))


class _Timed:
    """A connection whose statements are broken off when their time is up.

    The handler looks at the clock: SQLite counts the steps between two calls over all runs of a statement that is
    kept prepared, so that their number says nothing about one run."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._deadline = 0.0
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS_BETWEEN_LOOKS)

    def allow(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def stop(self) -> None:
        """Whatever runs now or next."""
        self._deadline = 0.0


class SqliteSnapshot:
    """The Snapshot on one reader connection in a read transaction."""

    def __init__(self, reader: Reader, timed: _Timed, threads: ThreadPoolExecutor, time_limit: float) -> None:
        self.moment = reader.moment
        self._timed = timed
        self.busy: asyncio.Future[Any] | None = None
        self._reader = reader
        self._threads = threads
        self._time_limit = time_limit
        self._one_at_a_time = asyncio.Lock()

    async def read(self, resource_type: str, id: str) -> Version | None:
        """As Snapshot.read."""
        return await self._run(lambda: self._reader.read(f"{resource_type}/{id}"))

    async def read_version(self, resource_type: str, id: str, version_id: int) -> Version | None:
        """As Snapshot.read_version."""
        return await self._run(lambda: self._reader.read_version(f"{resource_type}/{id}", version_id))

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
        return await self._run(lambda: self._reader.history(resource_type, id, since, cursor, count))

    async def search(self, query: Query) -> Page:
        """As Snapshot.search."""
        return await self._run(lambda: self._reader.search(query))

    async def include(
        self, versions: Sequence[Version], includes: Sequence[Include], limit: int
    ) -> tuple[tuple[Version, ...], bool]:
        """As Snapshot.include."""
        return await self._run(lambda: self._reader.include(versions, includes, limit))

    async def indexing(self) -> Indexing:
        """As Snapshot.indexing."""
        return await self._run(lambda: sqlite_build.indexing(self._reader.connection))

    async def explain(self, query: Query) -> list[str]:
        """As Snapshot.explain: the criteria, the statement, and SQLite's EXPLAIN QUERY PLAN."""
        return await self._run(lambda: self._reader.explain(query))

    async def _run(self, work: Callable[[], T]) -> T:
        async with self._one_at_a_time:
            self._timed.allow(ON_LOOP)
            try:
                return work()
            except sqlite3.Error as error:
                if not interrupted(error):
                    raise failure(error) from error
            return await self._in_thread(work, self._time_limit)

    async def beside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Long work on the snapshot's connection, in a thread and without a limit."""
        async with self._one_at_a_time:
            return await self._in_thread(lambda: work(self._reader.connection), float("inf"))

    async def _in_thread(self, work: Callable[[], T], limit: float) -> T:
        self._timed.allow(limit)
        self.busy = asyncio.get_running_loop().run_in_executor(self._threads, _translated, work, limit)
        return await asyncio.shield(self.busy)


def _translated(work: Callable[[], T], limit: float) -> T:
    try:
        return work()
    except sqlite3.Error as error:
        if interrupted(error):
            raise Unavailable(f"Not done within {limit:g} s.", too_costly=True) from error
        raise failure(error) from error
