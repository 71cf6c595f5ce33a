"""A server killed in the middle of writing: what it acknowledged is there, and nothing is there by half.

A kill shows that no transaction is torn and none was acknowledged before it was committed. That it would
outlive the machine too is the log's doing (WAL, synchronous = FULL), which is asserted besides.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
from dataclasses import dataclass, field
from typing import Any

import httpx

from server.app import engine_of, store_of
from server.store.sqlite import SqliteStore
from tests.http.build import SID, bundle, entry, organization, plan, task
from tests.portfolio.registry import of_mode
from tests.real.process import Installation, stop

ROUNDS = 20
WRITERS = 4


@dataclass
class Writer:
    """Sends transaction after transaction, numbered from 1; after a crash it repeats the one without an answer."""

    name: str
    acknowledged: int = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, client: httpx.AsyncClient) -> None:
        """Until the server is gone."""
        while True:
            try:
                answer = await client.post("", json=self._transaction(self.acknowledged + 1))
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            self.acknowledged += 1
            self.answered.set()

    def _transaction(self, number: int) -> dict[str, Any]:
        """The writer's own organisation brought to this number, and a new initiative with its task."""
        name, plan_url = f"{self.name}-{number}", "urn:uuid:0c7e3f5c-6d43-4b2e-9a5b-0f6f0d1f5a11"
        own = {**organization(self.name), "name": name}
        done = task(name, basedOn=[{"reference": plan_url}])
        return bundle(
            entry("PUT", f"Organization?identifier={SID}/org|{self.name}", own),
            entry("PUT", f"PlanDefinition?identifier={SID}/plan|{name}", plan(name), fullUrl=plan_url),
            entry("POST", "Task", done, ifNoneExist=f"identifier={SID}/task|{name}"),
        )


async def everything(client: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    """All resources of a type, over all pages."""
    found: list[dict[str, Any]] = []
    url: str | None = f"{kind}?_count=500"
    while url:
        page = (await client.get(url)).raise_for_status().json()
        found += of_mode(page, "match")
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


async def assert_whole(client: httpx.AsyncClient, writers: list[Writer]) -> None:
    plans = await everything(client, "PlanDefinition")
    tasks = await everything(client, "Task")
    own = {one["identifier"][0]["value"]: one["name"] for one in await everything(client, "Organization")}
    numbers = {one["id"]: one["name"] for one in plans}
    assert sorted(numbers.values()) == sorted(one["code"]["text"] for one in tasks)
    assert all(numbers[one["basedOn"][0]["reference"].split("/")[1]] == one["code"]["text"] for one in tasks)
    for writer in writers:
        mine = {int(name.rpartition("-")[2]) for name in numbers.values() if name.startswith(f"{writer.name}-")}
        # One transaction may have been committed without its answer reaching the writer.
        assert mine == set(range(1, len(mine) + 1))
        assert writer.acknowledged <= len(mine) <= writer.acknowledged + 1
        assert own.get(writer.name) == (f"{writer.name}-{len(mine)}" if mine else None)
    assert len(plans) == len(set(numbers.values()))


async def faults(installation: Installation) -> list[str]:
    """What `python -m server check` finds, found beside the running server."""
    store = store_of(installation.settings)
    await store.open()
    try:
        _, found = await store.check(engine_of(installation.settings, store).indexer.indexed)
    finally:
        await store.close()
    return found


async def killed_while_writing(
    process: subprocess.Popen[str], client: httpx.AsyncClient, writers: list[Writer], after: float
) -> None:
    for writer in writers:
        writer.answered.clear()
    streams = [asyncio.create_task(writer.stream(client)) for writer in writers]
    before = sum(writer.acknowledged for writer in writers)
    await asyncio.wait_for(writers[0].answered.wait(), 10)
    await asyncio.sleep(after)
    process.kill()
    await asyncio.gather(*streams)
    process.communicate()
    assert sum(writer.acknowledged for writer in writers) > before


async def test_kills_lose_nothing_and_leave_nothing_by_half(installation: Installation) -> None:
    chance = random.Random(2021)
    writers = [Writer(f"writer{number}") for number in range(WRITERS)]
    process = installation.serve()
    try:
        for round in range(ROUNDS):
            async with installation.client() as client:
                await killed_while_writing(process, client, writers, chance.uniform(0, 0.15))
            process = installation.serve()
            async with installation.client() as client:
                await assert_whole(client, writers)
            if round % 7 == 0:  # it looks at every version ever written
                assert await faults(installation) == []
    finally:
        stop(process)
    status, output = installation.run("check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")
    assert all(writer.acknowledged > ROUNDS for writer in writers)


async def test_commits_are_synced_to_a_write_ahead_log(installation: Installation) -> None:
    store = SqliteStore(installation.database)
    await store.open()
    try:
        (synchronous,) = await store._writer.submit(
            lambda working: working.connection.execute("PRAGMA synchronous").fetchone()
        )
    finally:
        await store.close()
    assert synchronous == 2  # FULL
    connection = sqlite3.connect(installation.database)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
