"""The one task of a process that writes: jobs in the order of their coming, many units to a transaction."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from server.store.mongo_driver import Driver, DuplicateKeyError, PyMongoError, Session, failure, refused, transient
from server.store.mongo_schema import STATE
from server.store.mongo_unit import Working
from server.store.store import Unavailable, Unit, Version

BATCH = 64
_PAUSE = 0.002
"""Seconds before a transaction that lost a race is tried anew, at first; more each time, and never the same."""
_LONGEST_PAUSE = 0.016
_BETWEEN, _LONGEST_BETWEEN = 0.03, 0.5
"""Seconds that a process leaves the clock alone after a transaction, when another has asked for its turn: as long as
the transaction itself took, within these bounds, for a loaded machine is slow to take the turn too."""
_PATIENT = 3
"""Races that a process loses before it asks: who writes all the time would otherwise win them all."""

_MOST_KNOWN = 100_000

Work = Callable[[Working], Awaitable[tuple[Version, ...] | None]]
"""What it gives is what it has written, if anything."""
Results = Sequence[tuple[Version, ...] | BaseException]


@dataclass(slots=True)
class _Job:
    """A unit, or work that has a transaction of its own."""

    work: Unit | Work
    kept: bool = True
    future: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, result: Any) -> None:
        """A caller that went away has cancelled its future; its job was done all the same."""
        if self.future.done():
            return
        if isinstance(result, BaseException):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class Writer:
    """`now`, `time_limit` and `patience` as in MongoStore."""

    def __init__(self, driver: Driver, now: Callable[[], int], time_limit: float, patience: float) -> None:
        self._driver = driver
        self._now = now
        self._time_limit = time_limit
        self._patience = patience
        self._jobs: list[_Job] = []
        self._waiting = asyncio.Event()
        self._closed = False
        self.leave = False
        self.known: dict[str, int] = {}
        self._task = asyncio.create_task(self._run())

    def submit(self, work: Unit | Work, *, kept: bool = True) -> asyncio.Future[Any]:
        """To be awaited; the job runs whether or not anyone still does. A unit gives its versions; with `kept` False
        it is written and rolled back."""
        if self._closed:
            raise Unavailable("The store is closed.")
        job = _Job(work, kept)
        self._jobs.append(job)
        self._waiting.set()
        return job.future

    async def stop(self) -> None:
        """After all jobs submitted so far."""
        self._closed = True
        self._waiting.set()
        await self._task

    async def _run(self) -> None:
        while True:
            while not self._jobs:
                if self._closed:
                    return
                self._waiting.clear()
                await self._waiting.wait()
            batch = self._next()
            began = time.monotonic()
            try:
                await self._write(batch)
            except BaseException as error:  # Whoever waits is told; the task outlives everything but its own end.
                for job in batch:
                    job.settle(_told(error))
                if not isinstance(error, Exception):
                    raise
            if self.leave:
                took = time.monotonic() - began
                await asyncio.sleep(min(max(took, _BETWEEN), _LONGEST_BETWEEN))

    def _next(self) -> list[_Job]:
        """Units that wait together; of anything else one alone."""
        count = 0
        for job in self._jobs[:BATCH]:
            if not (job.kept and isinstance(job.work, Unit)):
                break
            count += 1
        batch, self._jobs = self._jobs[: count or 1], self._jobs[count or 1 :]
        return batch

    async def _write(self, batch: list[_Job]) -> None:
        try:
            results = await _Attempts(self, batch).result()
        except PyMongoError:
            if len(batch) == 1:
                raise
            # What the server refuses belongs to one unit; the others shall not fail with it.
            for job in batch:
                try:
                    await self._write([job])
                except Exception as error:
                    job.settle(_told(error))
            return
        for job, result in zip(batch, results, strict=True):
            job.settle(result)

    def working(self, session: Session, careful: bool) -> Working:
        if len(self.known) > _MOST_KNOWN:
            self.known.clear()
        return Working(self._driver, session, self._now, self._time_limit, careful, self.known)

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def patience(self) -> float:
        return self._patience


def _told(error: BaseException) -> BaseException:
    return failure(error) if isinstance(error, PyMongoError) else error


class _Attempts:
    """One batch, tried until it is written, refused, or the patience is over."""

    def __init__(self, writer: Writer, batch: list[_Job]) -> None:
        self._writer = writer
        self._driver = writer.driver
        self._batch = batch
        self._deadline = time.monotonic() + writer.patience
        self._pause = _PAUSE
        self._careful = False
        self._lost = 0
        # Results of a transaction whose commit was not answered: it may have happened.
        self._claimed: Results | None = None

    async def result(self) -> Results:
        """What each job gets. PyMongoError for what the server does not take; Unavailable when time is over."""
        while True:
            try:
                return await self._once()
            except DuplicateKeyError:
                if self._careful:
                    raise
                self._careful = True
            except PyMongoError as error:
                if not transient(error):
                    raise
                await self._again(error)

    async def _again(self, error: PyMongoError) -> None:
        if time.monotonic() + self._pause > self._deadline:
            told = failure(error)
            raise Unavailable(str(told), uncertain=self._claimed is not None) from error
        self._lost += 1
        if self._lost % _PATIENT == 0:
            # Outside of a transaction it waits in the server for the one that holds the clock, and is not refused.
            with suppress(PyMongoError):
                await self._driver.changed(STATE, "clock", {"$set": {"asked": True}})
                return
        await asyncio.sleep(self._pause * (0.5 + random.random()))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _once(self) -> Results:
        session = await self._driver.begin()
        try:
            working = self._writer.working(session, self._careful)
            units = [job.work for job in self._batch if isinstance(job.work, Unit)]
            await working.began(units)
            self._writer.leave = bool(working.clock["yields"])
            if self._claimed is not None and (versions := _any_version(self._claimed)):
                if await working.holds(versions):
                    # It may be seen before a majority has it, and an election could still take it back: it is
                    # acknowledged once a transaction that came after it is durable.
                    await working.left()
                    await self._commit(session, self._claimed)
                    return self._claimed
                self._claimed = None
            results = [await self._done(job, working) for job in self._batch]
            done = [job for job, one in zip(self._batch, results, strict=True) if not isinstance(one, BaseException)]
            if done:
                await working.finished()
            if any(job.kept for job in done):
                await self._commit(session, results)
                written = [one for result in results if isinstance(result, tuple) for one in result]
                self._writer.known |= {f"{one.resource_type}/{one.id}": one.sequence for one in written if one.body}
            return results
        finally:
            # Also when this task is cancelled: a transaction left open holds everybody's clock for a minute.
            await asyncio.shield(self._driver.end(session))

    async def _done(self, job: _Job, working: Working) -> tuple[Version, ...] | BaseException:
        try:
            if isinstance(job.work, Unit):
                return await working.write(job.work)
            return await job.work(working) or ()
        except PyMongoError:
            raise
        except Exception as error:
            return error

    async def _commit(self, session: Session, results: Results) -> None:
        try:
            await self._driver.commit(session)
        except PyMongoError as error:
            if refused(error):
                raise
            # A server that was started anew may call a transaction unknown that it did commit: the next attempt looks.
            self._claimed = results
            raise _Unheard(error) from error


class _Unheard(PyMongoError):
    """A commit's end is not known, for the reason within: to be tried anew."""

    def __init__(self, error: PyMongoError) -> None:
        super().__init__(str(error), ["TransientTransactionError"])


def _any_version(results: Results) -> Sequence[Version]:
    """The versions of one unit; a unit that wrote nothing has none, and may be done twice without a trace."""
    with suppress(StopIteration):
        return next(result for result in results if isinstance(result, tuple) and result)
    return ()
