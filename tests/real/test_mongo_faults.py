"""A server process whose database is killed, cut off, silent or holds an election, while requests come in over HTTP:
nothing acknowledged is lost, nothing is written twice, and it goes on by itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.http.build import SID, organization
from tests.real.process import Installation
from tests.store import mongodb
from tests.store.election import (
    IN_TRANSACTION,
    INTERRUPTED,
    NOT_WRITABLE,
    RETRYABLE,
    SHUTTING_DOWN,
    STEPPED_DOWN,
    Election,
    Fault,
)

pytestmark = pytest.mark.xdist_group("mongodb processes")
SILENCE = 7
"""Seconds that the database may be silent, where the address does not say otherwise."""


@contextmanager
def beside(proxy: Election) -> Iterator[Callable[..., None]]:
    """Runs it in a thread of its own, for it outlives the loop of each test; gives what calls a method of it there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result()
    try:
        yield loop.call_soon_threadsafe
    finally:
        asyncio.run_coroutine_threadsafe(_ended(proxy), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(proxy: Election) -> None:
    await proxy.__aexit__()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass
class Away:
    """The database of one server process, and what may happen to it."""

    installation: Installation
    server: mongodb.Server
    proxy: Election
    call: Callable[..., None]

    async def killed(self) -> None:
        await asyncio.to_thread(self.server.kill)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(self.server.start)

    async def cut(self) -> None:
        self.call(self.proxy.cut)

    def elected(self, command: str, fate: Any, code: tuple[int, str], times: int = 1) -> Callable[[], Awaitable[None]]:
        async def happen() -> None:
            labels = RETRYABLE if command == "commitTransaction" else IN_TRANSACTION
            fault = self.proxy.meets(Fault(command, fate, code, labels, times))
            deadline = time.monotonic() + mongodb.PATIENCE
            while not fault.happened.is_set():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

        return happen


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    server = mongodb.server()
    server.start()
    proxy = Election(server.port)
    with beside(proxy) as call:
        # A real primary tells its clients at once that it is one again; this one is asked, every half second.
        url = f"{server.url('away', proxy.port)}&heartbeatFrequencyMS=500"
        installation = Installation(tmp_path_factory.mktemp("away"), STORE=url)
        with installation.serving():
            yield Away(installation, server, proxy, call)
    server.stop()


@dataclass
class Sender:
    """Sends one conditional create after the other, again when it was not acknowledged, as any client would."""

    name: str
    http: httpx.AsyncClient
    done: int = 0
    away: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self) -> None:
        while not self.stopped.is_set():
            name = f"{self.name}-{self.done}"
            condition = {"If-None-Exist": f"identifier={SID}/org|{name}"}
            answer = await self.http.post("Organization", json=organization(name), headers=condition)
            if answer.status_code == 503:
                assert answer.headers["Retry-After"]
                assert answer.json()["issue"][0]["code"] in ("no-store", "timeout", "transient")
                self.away += 1
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code in (200, 201), answer.text
            self.done += 1


async def sent_through(senders: list[Sender], faults: list[Callable[[], Awaitable[None]]]) -> None:
    streams = [asyncio.create_task(sender.stream()) for sender in senders]
    for fault in faults:
        await fault()
        marks = [sender.done + 2 for sender in senders]
        deadline = time.monotonic() + mongodb.PATIENCE
        while any(sender.done < mark for sender, mark in zip(senders, marks, strict=True)):
            assert time.monotonic() < deadline, "the writes did not go on"
            assert not any(stream.done() for stream in streams), [s.exception() for s in streams if s.done()]
            await asyncio.sleep(0.02)
    for sender in senders:
        sender.stopped.set()
    await asyncio.gather(*streams)


async def test_each_acknowledged_write_is_there_once_whatever_happened_to_the_database(away: Away) -> None:
    faults = [
        away.killed,
        away.cut,
        away.elected("commitTransaction", "refused", NOT_WRITABLE),
        away.elected("commitTransaction", "unheard", SHUTTING_DOWN, times=2),
        away.elected("commitTransaction", "undone", INTERRUPTED),
        away.elected("bulkWrite", "unheard", STEPPED_DOWN),
        away.killed,
    ]
    async with away.installation.client() as http:
        senders = [Sender(name, http) for name in ("a", "b", "c")]
        await sent_through(senders, faults)
        for sender in senders:
            for number in range(sender.done):
                asked = f"Organization?identifier={SID}/org|{sender.name}-{number}&_summary=count"
                assert (await http.get(asked)).json()["total"] == 1
            # Only the one that was under way at the end may be there as well.
            found = (await http.get(f"Organization?name={sender.name}-&_summary=count")).json()["total"]
            assert found == sender.done
    status, output = await asyncio.to_thread(away.installation.invoke, "check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")


async def test_a_database_that_says_nothing_is_503_in_time_and_then_well_again(away: Away) -> None:
    ready = f"http://127.0.0.1:{away.installation.port}/health/ready"
    async with away.installation.client() as http:
        made = (await http.post("Organization", json=organization("kept"))).json()
        away.call(away.proxy.hold)
        began = time.monotonic()
        answers = await asyncio.gather(
            http.get(f"Organization/{made['id']}"),
            http.get("Organization?name=kept"),
            http.post("Organization", json=organization("unsure")),
            http.get(ready),
        )
        assert [answer.status_code for answer in answers] == [503] * 4
        assert all(answer.headers["Retry-After"] for answer in answers)
        # What a loaded machine adds is in it too.
        assert time.monotonic() - began < 3 * SILENCE
        away.call(away.proxy.let_go)
        deadline = time.monotonic() + mongodb.PATIENCE
        while (await http.get(ready)).status_code == 503:
            assert time.monotonic() < deadline
        assert (await http.get(f"Organization/{made['id']}")).json() == made
        assert (await http.post("Organization", json=organization("again"))).status_code == 201
