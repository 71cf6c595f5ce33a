"""What may happen to the database of a server process, and clients that go on writing over HTTP meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.http.build import SID, organization
from tests.store import mongodb
from tests.store.election import (
    IN_TRANSACTION,
    RETRYABLE,
    Election,
    Fault,
)


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
    """A database, and what stands between it and one server process; `call` calls a method of that in its thread."""

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
