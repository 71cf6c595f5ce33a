"""The one thread that writes: jobs in the order of their coming, many to a commit, each all or nothing."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from server.store.sqlite_schema import unavailable
from server.store.store import Unavailable, Unit

T = TypeVar("T")

BATCH = 64
GATHER = 0.005
"""Seconds to wait for more jobs, only when the last batch had company: batches of 30 instead of 3, and no delay
for a lone writer."""

# After these a commit is known not to have happened. After others, a failed fsync say, the log may still hold it.
_NOT_COMMITTED = frozenset(("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_READONLY", "SQLITE_LOCKED"))


class Working(Protocol):
    """What jobs work on, and what it remembers between them; it must forget what is rolled back."""

    connection: sqlite3.Connection

    def began(self, units: Iterable[Unit]) -> None:
        """A transaction has begun, in which these units will be written."""
        ...

    def kept(self) -> None:
        """The job is done; what it wrote is part of the transaction."""
        ...

    def undone(self) -> None:
        """The job failed; what it wrote is to be taken back, and only that."""
        ...

    def committing(self) -> None:
        """The transaction is about to be committed; what waits is to be written."""
        ...

    def committed(self) -> None: ...

    def abandoned(self) -> None:
        """The whole transaction was rolled back."""
        ...


W = TypeVar("W", bound=Working)


@dataclass(slots=True)
class _Job:
    work: Callable[[Any], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    unit: Unit | None = None
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """In the loop's thread. A caller that went away has cancelled its future; its job was done all the same."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer(Generic[W]):
    """Runs jobs on `working` in a thread of its own. A job that raises is undone alone and its caller gets what it
    raised; SQLite's errors come as Unavailable. A job's result is given out after the COMMIT that holds it."""

    def __init__(self, working: W) -> None:
        self._working = working
        self._connection = working.connection
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._closed = False
        self._company = 1

    def start(self) -> None:
        self._thread.start()

    def submit(self, work: Callable[[W], T], unit: Unit | None = None) -> asyncio.Future[T]:
        """To be awaited; the job runs whether or not anyone still does. `unit`: what it writes, if it is one."""
        if self._closed:
            raise Unavailable("The store is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, loop, future, unit))
        return future

    async def stop(self) -> None:
        """After all jobs submitted so far."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._gather()
            if not batch:
                continue
            try:
                self._commit(batch)
            except BaseException as error:  # The thread outlives anything; otherwise every later writer would hang.
                self._abandon(batch, error)
            self._company = len(batch)
            _give_out(batch)

    def _gather(self) -> tuple[list[_Job], bool]:
        """The next batch, and whether it is the last."""
        batch: list[_Job] = []
        deadline = 0.0
        while len(batch) < BATCH:
            try:
                job = self._next(batch, deadline)
            except queue.Empty:
                break
            if job is None:
                return batch, True
            if not batch:
                deadline = time.monotonic() + GATHER
            batch.append(job)
        return batch, False

    def _next(self, batch: list[_Job], deadline: float) -> _Job | None:
        if not batch:
            return self._queue.get()
        if len(batch) < self._company and (wait := deadline - time.monotonic()) > 0:
            return self._queue.get(timeout=wait)
        return self._queue.get_nowait()

    def _commit(self, batch: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._abandon(batch, unavailable(error))
            return
        self._working.began([job.unit for job in batch if job.unit is not None])
        for job in batch:
            self._attempt(job)
            if not self._connection.in_transaction:
                # SQLite itself rolled everything back, for want of disk or memory.
                self._abandon(batch, job.error or Unavailable("SQLite rolled the transaction back."))
                return
        try:
            self._working.committing()
        except Exception:
            if len(batch) > 1:
                self._one_by_one(batch)
                return
            raise
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            known = getattr(error, "sqlite_errorname", "") in _NOT_COMMITTED
            self._abandon(batch, Unavailable(str(unavailable(error)), uncertain=not known))
            return
        self._working.committed()

    def _one_by_one(self, batch: list[_Job]) -> None:
        """What waited for the end of the batch could not be written: only the job that it belongs to shall fail."""
        self._connection.execute("ROLLBACK")
        self._working.abandoned()
        for job in batch:
            job.result = job.error = None
            try:
                self._commit([job])
            except Exception as error:
                self._abandon([job], error)

    def _attempt(self, job: _Job) -> None:
        try:
            job.result = job.work(self._working)
            self._working.kept()
        except Exception as error:
            job.error = unavailable(error) if isinstance(error, sqlite3.Error) else error
            self._working.undone()

    def _abandon(self, batch: list[_Job], error: BaseException) -> None:
        with suppress(sqlite3.Error):  # If even this fails, the next BEGIN says so to its callers.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._working.abandoned()
        for job in batch:
            job.error = job.error or (unavailable(error) if isinstance(error, sqlite3.Error) else error)


def _give_out(batch: list[_Job]) -> None:
    """One wake-up for each event loop, whatever the size of the batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, jobs)
        except RuntimeError:
            continue  # That loop is closed: nobody waits any more.


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()
