"""MongoDB's store while its server is killed, cut off, silent or steps down: nothing acknowledged is lost, nothing is
written twice, and it goes on by itself."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymongo
import pytest
import pytest_asyncio
from pymongo.errors import PyMongoError

from server.store.mongo import MongoStore
from server.store.store import Conflict, Unavailable

from . import mongodb
from .build import deletion, ids, index, put, status, tasks, tokens, unit, write
from .election import (
    IN_TRANSACTION,
    INTERRUPTED,
    NOT_WRITABLE,
    RETRYABLE,
    SHUTTING_DOWN,
    STEPPED_DOWN,
    Election,
    Fault,
    Unmajored,
)
from .kinds import over
from .proxy import Proxy

pytestmark = pytest.mark.xdist_group("mongodb faults")


_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[mongodb.Server]:
    """One that may be killed."""
    made = mongodb.server()
    made.start()
    yield made
    made.stop()


@asynccontextmanager
async def reached(server: mongodb.Server, proxy: Proxy, driver: Any) -> AsyncIterator[MongoStore]:
    """A store that reaches its server through a proxy, and is quick to give up."""
    url = server.url(f"faults_{next(_numbers)}", proxy.port)
    store = MongoStore(url, driver=driver, time_limit=0.5, patience=2, heartbeatFrequencyMS=500)
    await store.open()
    yield store
    await store.close()


@pytest.fixture(params=over(["motor", "pymongo"]))
def driver(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest_asyncio.fixture
async def far(driver: Any, server: mongodb.Server) -> AsyncIterator[tuple[MongoStore, Proxy]]:
    async with Proxy(server.port) as proxy, reached(server, proxy, driver) as store:
        yield store, proxy


@pytest_asyncio.fixture
async def elective(driver: Any, server: mongodb.Server) -> AsyncIterator[tuple[MongoStore, Election]]:
    async with Election(server.port) as proxy, reached(server, proxy, driver) as store:
        yield store, proxy


@dataclass
class Writer:
    """Creates one resource after the other and brings a counter forward, with a record, each by one unit; what was
    not acknowledged is sent again as it was, as any client would."""

    name: str
    store: MongoStore
    done: int = 0
    refusals: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self) -> None:
        while not self.stopped.is_set():
            number = self.done + 1
            id = f"{self.name}-{number}"
            made = write("Task", id, 1, tokens(self.name)), write("AuditEvent", id)
            try:
                await self.store.commit(unit(*made, write("Counter", self.name, number)))
            except Unavailable:
                self.refusals += 1
                await asyncio.sleep(0.02)
                continue
            except Conflict:
                # Only after a commit whose end was not heard: then it is this writer's own that stands.
                assert self.refusals
            self.done = number


async def written_through(store: MongoStore, fault: Any, times: int) -> list[Writer]:
    """Writers that go on while `fault` happens so many times, each time until all have written again."""
    writers = [Writer(f"w{number}", store) for number in range(3)]
    streams = [asyncio.create_task(writer.stream()) for writer in writers]
    for _ in range(times):
        await fault()
        marks = [writer.done + 2 for writer in writers]
        deadline = time.monotonic() + mongodb.PATIENCE
        while any(writer.done < mark for writer, mark in zip(writers, marks, strict=True)):
            assert time.monotonic() < deadline, "the writers did not go on"
            assert not any(stream.done() for stream in streams), [s.exception() for s in streams if s.done()]
            await asyncio.sleep(0.01)
    for writer in writers:
        writer.stopped.set()
    await asyncio.gather(*streams)
    return writers


async def assert_whole(store: MongoStore, writers: list[Writer]) -> None:
    for writer in writers:
        found = await ids(store, tasks(status(writer.name), count=5000))
        assert found == [f"{writer.name}-{number}" for number in range(writer.done, 0, -1)]
        counter = await store.current("Counter", writer.name)
        assert counter is not None
        assert counter.version_id == writer.done
    counts, faults = await store.check(index)
    assert faults == []
    done = sum(writer.done for writer in writers)
    assert (counts["versions"], counts["commits"], counts["links of the record"]) == (3 * done, done, done)


async def test_a_server_killed_and_started_again_in_a_stream_of_writes(
    far: tuple[MongoStore, Proxy], server: mongodb.Server
) -> None:
    async def killed() -> None:
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)

    await assert_whole(far[0], await written_through(far[0], killed, 3))


async def test_connections_cut_in_a_stream_of_writes(far: tuple[MongoStore, Proxy]) -> None:
    store, proxy = far

    async def cut() -> None:
        await asyncio.sleep(0.03)
        proxy.cut()

    await assert_whole(store, await written_through(store, cut, 12))


async def test_a_primary_that_steps_down_in_a_stream_of_writes(
    far: tuple[MongoStore, Proxy], server: mongodb.Server
) -> None:
    client: Any = pymongo.MongoClient(server.url("admin"))

    def stepped() -> None:
        # The server closes this connection too.
        with suppress(PyMongoError):
            client.admin.command("replSetStepDown", 1, force=True)

    async def down() -> None:
        await asyncio.to_thread(stepped)

    await assert_whole(far[0], await written_through(far[0], down, 2))
    client.close()


ELECTIONS = [
    # In the midst of a transaction: nothing of it was written.
    lambda: Fault("findAndModify", "refused", NOT_WRITABLE, IN_TRANSACTION),
    lambda: Fault("find", "refused", STEPPED_DOWN, IN_TRANSACTION),
    lambda: Fault("bulkWrite", "refused", INTERRUPTED, IN_TRANSACTION),
    # At its end: the commit did not come, came and was not answered (once; again when the driver asked), or was undone.
    lambda: Fault("commitTransaction", "refused", NOT_WRITABLE, RETRYABLE),
    lambda: Fault("commitTransaction", "unheard", STEPPED_DOWN, RETRYABLE),
    lambda: Fault("commitTransaction", "unheard", SHUTTING_DOWN, RETRYABLE, times=2),
    lambda: Fault("commitTransaction", "undone", INTERRUPTED, RETRYABLE),
    # Carried out, but whether a majority has it is not known.
    lambda: Unmajored("commitTransaction", "unheard", (64, "WriteConcernTimeout")),
]


async def test_what_a_client_sees_of_elections_in_a_stream_of_writes(elective: tuple[MongoStore, Election]) -> None:
    store, proxy = elective
    faults = iter([made() for made in ELECTIONS])

    async def elected() -> None:
        async with asyncio.timeout(mongodb.PATIENCE):
            await proxy.meets(next(faults)).happened.wait()

    await assert_whole(store, await written_through(store, elected, len(ELECTIONS)))
    assert next(faults, None) is None


async def test_a_server_in_the_midst_of_an_upgrade_takes_the_commands_that_it_knows(
    elective: tuple[MongoStore, Election],
) -> None:
    """Of 8.0 by its wire version, and still working as its predecessor, which has no bulkWrite."""
    store, proxy = elective
    refused = proxy.meets(Fault("bulkWrite", "refused", (115, "CommandNotSupported")))
    await store.commit(unit(write("Task", "a"), write("AuditEvent", "of-a")))
    assert refused.happened.is_set()
    never = proxy.meets(Fault("bulkWrite", "refused", (115, "CommandNotSupported")))
    await store.commit(unit(write("Task", "a", 2), write("AuditEvent", "of-a-again")))
    assert not never.happened.is_set()
    counts, faults = await store.check(index)
    assert (counts["links of the record"], faults) == (2, [])


async def test_a_silent_server_is_unavailable_in_time_and_then_answers_again(far: tuple[MongoStore, Proxy]) -> None:
    store, proxy = far
    await put(store, "Task/a", tokens("x"))
    proxy.hold()
    began = time.monotonic()
    results = await asyncio.gather(
        store.current("Task", "a"),
        store.moment(),
        ids(store, tasks(status("x"))),
        store.commit(unit(deletion("Task", "a", 2))),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Unavailable] * 4, results
    # The time limit and the grace of the reads, the patience and one more try of the write, and what a loaded
    # machine adds.
    assert time.monotonic() - began < 15
    proxy.let_go()
    proxy.cut()
    deadline = time.monotonic() + mongodb.PATIENCE
    while True:
        try:
            found = await store.current("Task", "a")
            break
        except Unavailable:
            assert time.monotonic() < deadline
    assert found is not None
    with suppress(Conflict):  # Its own first attempt may have been committed.
        await store.commit(unit(deletion("Task", "a", 2)))
    assert (await store.current("Task", "a")).version_id == 2  # type: ignore[union-attr]
    assert (await store.check(index))[1] == []
