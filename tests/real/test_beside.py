"""Other processes on the file of a running server: a load, a rebuild of the indexes, and many clients at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.http.build import FHIR, SID, bundle, entry, organization, task
from tests.portfolio.sheets import REPORT, C
from tests.real.process import Installation
from tests.real.test_kill import everything

LOADED = {"Organization": 25, "PlanDefinition": 40, "Task": 430}


async def command(installation: Installation, *arguments: str) -> str:
    """Runs it beside the server; its output, once it ended well."""
    status, output = await asyncio.to_thread(installation.run, *arguments)
    assert status == 0, output
    return output


class Writers:
    """Writes one task after another, and brings a counter forward, until it is told to stop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.names: list[str] = []
        self.stopped = asyncio.Event()

    async def stream(self, writer: str) -> None:
        number = 0
        while not self.stopped.is_set():
            number += 1
            name = f"{writer}-{number}"
            counter = {**organization(writer), "name": str(number)}
            answer = await self.client.post(
                "",
                json=bundle(
                    entry("POST", "Task", task(name, status="on-hold")),
                    entry("PUT", f"Organization?identifier={SID}/org|{writer}", counter),
                ),
            )
            assert answer.status_code == 200, answer.text
            self.names.append(name)
            # Enough to be in the way of the others; more would only make the test long.
            await asyncio.sleep(0.02)


class Watcher:
    """Searches again and again for what stands; remembers what it did not find."""

    def __init__(self, client: httpx.AsyncClient, expected: dict[str, int]) -> None:
        self.client = client
        self.expected = expected
        self.missed: list[str] = []
        self.searches = 0

    async def watch(self) -> None:
        while True:
            for search, total in self.expected.items():
                found = (await self.client.get(search)).raise_for_status().json()["total"]
                self.searches += 1
                if found != total:
                    self.missed.append(f"{search}: {found} of {total}")
                await asyncio.sleep(0.02)


async def stopped(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_load_and_a_reindex_beside_a_server_that_writes(installation: Installation) -> None:
    with installation.serving():
        async with installation.client() as client:
            writers = Writers(client)
            streams = [asyncio.create_task(writers.stream(f"w{number}")) for number in range(3)]
            output = await command(installation, "load", "--quiet", str(REPORT))
            assert "430 Task: created" in output
            watcher = Watcher(
                client,
                {
                    "Task?code=leveranse&_summary=count": 243,
                    "Task?code=avhengighet&criticality=hoy&_summary=count": 66,
                    "PlanDefinition?context=samstyre&owner:Organization.name:contains=e&_summary=count": 11,
                    f"PlanDefinition?_has:Task:based-on:group-identifier={C}/sid/runde|2021-11&_summary=count": 40,
                },
            )
            watching = asyncio.create_task(watcher.watch())
            assert "versions reindexed" in await command(installation, "reindex")
            await stopped(watching)
            assert "430 Task: unchanged" in await command(installation, "load", "--quiet", str(REPORT))
            writers.stopped.set()
            await asyncio.gather(*streams)

            assert watcher.missed == []
            assert watcher.searches > 20
            assert len(writers.names) > 50
            written = await everything(client, "Task")
            own = [one["code"]["text"] for one in written if one["status"] == "on-hold"]
            assert sorted(own) == sorted(writers.names)
            assert len(written) - len(own) == LOADED["Task"]
            counters = [one for one in await everything(client, "Organization") if one["name"].isdigit()]
            last = {name: str(sum(n.startswith(f"{name}-") for n in writers.names)) for name in ("w0", "w1", "w2")}
            assert {one["identifier"][0]["value"]: one["name"] for one in counters} == last
            assert {one["meta"]["versionId"] for one in counters} == set(last.values())
    assert (await command(installation, "check")).splitlines()[-1] == "No faults."


@pytest.mark.parametrize("by", ["If-None-Exist", "PUT", "transaction"])
async def test_two_hundred_create_one_identifier_at_once_and_leave_one(served: Installation, by: str) -> None:
    condition = f"identifier={SID}/org|{by}"
    sent = organization(by)

    async def create(client: httpx.AsyncClient, number: int) -> httpx.Response:
        if by == "PUT":
            return await client.put(f"Organization?{condition}", json={**sent, "alias": [str(number)]})
        if by == "transaction":
            return await client.post(
                "",
                json=bundle(
                    entry("POST", "Organization", sent, ifNoneExist=condition),
                    entry("POST", "Task", task(f"{number}", owner={"reference": f"Organization?{condition}"})),
                ),
            )
        return await client.post("Organization", json=sent, headers={**FHIR, "If-None-Exist": condition})

    async with served.client() as client:
        # 200 connections of their own first, so that the writes do start together.
        await asyncio.gather(*(client.get("Organization?_summary=count") for _ in range(200)))
        answers = await asyncio.gather(*(create(client, number) for number in range(200)))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {200, 201}, next(a.text for a in answers if a.status_code not in (200, 201))
        (left,) = [one for one in await everything(client, "Organization") if one["name"] == by]
        if by == "transaction":
            owned = (await client.get(f"Task?owner=Organization/{left['id']}&_summary=count")).json()["total"]
            assert owned == 200
        else:
            assert statuses.count(201) == 1
        assert left["meta"]["versionId"] == ("200" if by == "PUT" else "1")
