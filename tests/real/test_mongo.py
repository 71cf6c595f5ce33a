"""Two server processes on one MongoDB, as a national installation has them; also while the database is killed, cut off,
silent, or answers as in an election: nothing acknowledged is lost, nothing is written twice, all goes on by itself."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.build import FHIR, SID, organization
from tests.real.away import Away, Sender, beside, sent_through
from tests.real.process import Installation
from tests.real.test_kill import everything
from tests.store import mongodb
from tests.store.election import INTERRUPTED, NOT_WRITABLE, SHUTTING_DOWN, STEPPED_DOWN, Election

pytestmark = pytest.mark.xdist_group("mongodb processes")


@pytest.fixture(scope="module")
def server() -> Iterator[mongodb.Server]:
    made = mongodb.server()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def away(server: mongodb.Server) -> Iterator[Away]:
    """What the first of the pair reaches the database through."""
    proxy = Election(server.port)
    with beside(proxy) as call:
        yield Away(server, proxy, call)


@pytest.fixture(scope="module")
def pair(server: mongodb.Server, away: Away, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Installation]]:
    """One over each driver, with the same keys; a token of one holds at the other, for they have one public base."""
    folder = tmp_path_factory.mktemp("pair")
    base = "http://registry.example/fhir"
    # A real primary tells its clients at once that it is one again; this one is asked, every half second.
    far = f"{server.url('pair', away.proxy.port)}&heartbeatFrequencyMS=500"
    both = [
        Installation(folder, STORE=url, MONGO_DRIVER=driver, BASE_URL=base)
        for url, driver in ((far, "motor"), (server.url("pair"), "pymongo"))
    ]
    with both[0].serving(), both[1].serving():
        yield both


def client(one: Installation) -> httpx.AsyncClient:
    from datetime import timedelta

    from server.auth.tokens import Tokens

    token = Tokens.of(one.settings.keys, one.options["BASE_URL"]).issue("secretariat", "", timedelta(hours=1))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"Authorization": f"Bearer {token}", **FHIR}
    return httpx.AsyncClient(base_url=f"{one.base}/", headers=headers, timeout=60, limits=limits)


async def test_two_hundred_conditional_creates_through_two_processes_leave_one(pair: list[Installation]) -> None:
    condition = {"If-None-Exist": f"identifier={SID}/org|one"}
    async with client(pair[0]) as first, client(pair[1]) as second:
        sent = [
            (first, second)[n % 2].post("Organization", json=organization("one"), headers=condition) for n in range(200)
        ]
        answers = await asyncio.gather(*sent)
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {200, 201}, next(a.text for a in answers if a.status_code not in (200, 201))
        assert statuses.count(201) == 1
        for side in (first, second):
            assert len([one for one in await everything(side, "Organization") if one["name"] == "one"]) == 1


async def test_what_one_process_wrote_the_other_reads_at_once(pair: list[Installation]) -> None:
    async with client(pair[0]) as first, client(pair[1]) as second:
        for number in range(10):
            writer, reader = (first, second) if number % 2 else (second, first)
            name = f"there {number}"
            made = (await writer.post("Organization", json=organization(name))).json()
            assert (await reader.get(f"Organization/{made['id']}")).json() == made
            found = (await reader.get(f"Organization?name={name}&_summary=count")).json()
            assert found["total"] == 1


async def test_while_the_database_is_away_all_is_503_and_then_well_again(
    pair: list[Installation], server: mongodb.Server
) -> None:
    async with client(pair[0]) as http:
        made = (await http.post("Organization", json=organization("kept"))).json()
        server.kill()
        began = time.monotonic()
        answers = await asyncio.gather(
            http.get(f"Organization/{made['id']}"),
            http.get("Organization?name=kept"),
            http.post("Organization", json=organization("lost")),
            http.get(f"http://127.0.0.1:{pair[0].port}/health/ready"),
        )
        assert [answer.status_code for answer in answers] == [503] * 4
        assert all(answer.headers["Retry-After"] for answer in answers)
        assert answers[0].json()["issue"][0]["code"] == "no-store"
        assert time.monotonic() - began < 20
        assert (await http.get(f"http://127.0.0.1:{pair[0].port}/health/live")).status_code == 200
        server.start()
        deadline = time.monotonic() + mongodb.PATIENCE
        while (await http.get(f"Organization/{made['id']}")).status_code == 503:
            assert time.monotonic() < deadline
        assert (await http.get(f"Organization/{made['id']}")).json() == made
        assert (await http.post("Organization", json=organization("again"))).status_code == 201


async def test_each_acknowledged_write_is_there_once_whatever_happens_to_the_database(
    pair: list[Installation], away: Away
) -> None:
    faults = [
        away.killed,
        away.cut,
        away.elected("bulkWrite", "unheard", STEPPED_DOWN),
        away.elected("commitTransaction", "refused", NOT_WRITABLE),
        away.elected("commitTransaction", "unheard", SHUTTING_DOWN, times=2),
        away.elected("commitTransaction", "undone", INTERRUPTED),
    ]
    async with client(pair[0]) as http, client(pair[1]) as other:
        senders = [Sender(name, http) for name in ("first", "second", "third")]
        await sent_through(senders, faults)
        found = Counter(one["name"] for one in await everything(other, "Organization"))
        for sender in senders:
            there = {name: count for name, count in found.items() if name.startswith(f"{sender.name}-")}
            assert there == {f"{sender.name}-{number}": 1 for number in range(sender.done)}


async def test_a_database_that_says_nothing_is_503_in_time_and_then_well_again(
    pair: list[Installation], away: Away
) -> None:
    ready = f"http://127.0.0.1:{pair[0].port}/health/ready"
    async with client(pair[0]) as http:
        made = (await http.post("Organization", json=organization("heard"))).json()
        away.call(away.proxy.hold)
        began = time.monotonic()
        answers = await asyncio.gather(
            http.get(f"Organization/{made['id']}"),
            http.get("Organization?name=heard"),
            http.post("Organization", json=organization("unsure")),
            http.get(ready),
        )
        assert [answer.status_code for answer in answers] == [503] * 4
        assert all(answer.headers["Retry-After"] for answer in answers)
        # Seven seconds of silence, and what a loaded machine adds.
        assert time.monotonic() - began < 20
        away.call(away.proxy.let_go)
        deadline = time.monotonic() + mongodb.PATIENCE
        while (await http.get(ready)).status_code == 503:
            assert time.monotonic() < deadline
        assert (await http.get(f"Organization/{made['id']}")).json() == made
        assert (await http.post("Organization", json=organization("again heard"))).status_code == 201


def test_a_command_finds_no_fault_and_a_mistyped_database_none_at_all(
    pair: list[Installation], server: mongodb.Server, tmp_path: Path
) -> None:
    status, output = pair[0].invoke("check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")
    status, output = Installation(tmp_path, STORE=server.url("portfolo")).invoke("check")
    assert status == 2
    assert "no such file or database" in output
