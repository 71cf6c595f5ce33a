"""What the MongoDB store costs in round trips, counted by the drivers, for its operations and for whole requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pymongo.monitoring import CommandListener

from server.app import create_app
from server.auth.tokens import Tokens
from server.search.query import Chain, Sort
from server.settings import read_settings
from server.store.mongo import MongoStore
from server.store.store import Conflict, Unit
from tests.http.build import FHIR, SID, organization, task

from . import mongodb
from .build import (
    both,
    delete,
    deletion,
    index,
    named,
    put,
    refers,
    status,
    strings,
    tasks,
    tokens,
    unit,
    write,
)
from .kinds import DATABASE

CREATE = ["findAndModify", "insert", "commitTransaction"]
RECORDED = ["findAndModify", "bulkWrite", "commitTransaction"]
"""From MongoDB 8.0 on."""


class Counted(CommandListener):
    """The commands that were sent, by name; each is a round trip. Those that end a reading transaction are apart:
    nobody waits for them."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def started(self, event: Any) -> None:
        if event.command_name not in ("hello", "abortTransaction", "endSessions"):
            self.sent.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...

    def taken(self) -> list[str]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest_asyncio.fixture
async def opened(driver: Any, counted: Counted) -> AsyncIterator[MongoStore]:
    store = MongoStore(mongodb.emptied(DATABASE), driver=driver, patience=2, event_listeners=[counted])
    await store.open()
    counted.taken()
    yield store
    await store.close()


async def test_what_each_operation_costs_in_round_trips(opened: MongoStore, counted: Counted) -> None:
    await put(opened, "Organization/o")
    await put(opened, "AuditEvent/first")
    counted.taken()
    await opened.commit(unit(write("Task", "a", 1, both(tokens("draft"), strings("Å"))), write("Task", "c")))
    assert counted.taken() == CREATE
    await opened.commit(unit(write("Provenance", "p"), write("AuditEvent", "e")))
    assert counted.taken() == RECORDED
    await opened.current("Task", "a")
    assert counted.taken() == ["find"]
    async with opened.snapshot() as snapshot:
        await snapshot.read("Task", "a")
        assert counted.taken() == ["find", "find"]
        await snapshot.search(tasks(status("draft"), count=20))
        assert counted.taken() == ["find"]
        await snapshot.indexing()
        assert counted.taken() == []
        await snapshot.search(tasks(Chain("Task.owner", "Organization", False, named("x")), count=20))
        assert counted.taken() == ["aggregate", "find"]
        await snapshot.search(tasks(sort=(Sort("_id", "id", False),)))
        assert counted.taken() == ["aggregate", "find"]
    await opened.commit(upon("b", "Organization/o"))
    assert counted.taken() == CREATE
    # What stands is looked up first, and ended with the same command that writes what follows it.
    await opened.commit(unit(write("Task", "a", 2), write("AuditEvent", "of-a")))
    assert counted.taken() == ["findAndModify", "find", "bulkWrite", "commitTransaction"]
    # The condition is asked once more where it decides.
    await opened.commit(
        unit(write("Task", "d"), write("AuditEvent", "of-d"), found=((tasks(named("d")), frozenset()),))
    )
    assert counted.taken() == ["findAndModify", "find", "bulkWrite", "commitTransaction"]


async def test_records_cost_the_same_whichever_process_wrote_the_link_before(
    opened: MongoStore, driver: Any, counted: Counted
) -> None:
    other = MongoStore(mongodb.shared().url(DATABASE), driver=driver)
    await other.open()
    for number in range(6):
        store = (opened, other)[number % 2]
        await store.commit(unit(write("Task", str(number)), write("AuditEvent", str(number))))
        assert counted.taken() == (RECORDED if store is opened else [])
    counts, faults = await other.check(index)
    assert (counts["links of the record"], faults) == (6, [])
    await other.close()


REQUESTS: list[tuple[str, str, dict[str, Any] | None, dict[str, str], int, list[str]]] = [
    ("POST", "Task", task("a"), {}, 201, RECORDED),
    ("GET", "Organization/{id}", None, {}, 200, ["find"]),
    # The moment and the condition, then the unit: the condition once more.
    ("POST", "Task", task("b"), {"If-None-Exist": f"identifier={SID}/task|b"}, 201,
     ["find", "find", "findAndModify", "find", "bulkWrite", "commitTransaction"]),
    ("POST", "Task", task("b"), {"If-None-Exist": f"identifier={SID}/task|b"}, 200, ["find", "find", "find"]),
    ("GET", "Task?identifier=b", None, {}, 200, ["find", "find"]),
]  # fmt: skip


async def test_what_whole_requests_cost_their_records_included(driver: Any, counted: Counted, tmp_path: Path) -> None:
    url = mongodb.emptied(f"{DATABASE}_trips")
    settings = read_settings(store=url, keys=tmp_path, base_url="http://r.example/fhir", profiles="off", _env_file=None)
    app = create_app(settings, MongoStore(url, driver=driver, event_listeners=[counted]))
    token = Tokens.of(settings.keys, settings.base).issue("secretariat", "", timedelta(hours=1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"{settings.base}/",
            headers={"Authorization": f"Bearer {token}", **FHIR},
        ) as client,
    ):
        owner = (await client.post("Organization", json=organization("o"))).json()
        # The first write after that looks for the caller's own organisation, as what is put on record names it.
        await client.post("Task", json=task("first", owner={"reference": f"Organization/{owner['id']}"}))
        for method, path, body, headers, expected, commands in REQUESTS:
            counted.taken()
            answer = await client.request(method, path.format(id=owner["id"]), json=body, headers=headers)
            assert (answer.status_code, counted.taken()) == (expected, commands), (method, path)
        found = (await client.get("AuditEvent?_summary=count")).json()["total"]
        assert found >= 3


async def test_a_server_older_than_8_0_takes_a_command_for_each_collection_and_kind_of_write(
    driver: Any, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.mongo_driver._BULK_WRITE", 99)
    store = MongoStore(mongodb.emptied(DATABASE), driver=driver, event_listeners=[counted])
    await store.open()
    counted.taken()
    await store.commit(unit(write("Task", "a")))
    assert counted.taken() == CREATE
    await store.commit(unit(write("Task", "b"), write("AuditEvent", "of-b")))
    assert counted.taken() == ["findAndModify", "insert", "update", "commitTransaction"]
    await store.commit(unit(write("Task", "a", 2), write("AuditEvent", "of-a")))
    assert counted.taken() == ["findAndModify", "find", "update", "insert", "update", "commitTransaction"]
    assert (await store.check(index))[1] == []
    await store.close()


def upon(id: str, ref: str) -> Unit:
    """Creates a Task that points there."""
    kind, _, target = ref.partition("/")
    return unit(write("Task", id, 1, refers(ref)), alive=frozenset({(kind, target)}))


async def test_what_is_pointed_to_is_looked_up_once_until_anything_is_deleted_anywhere(
    opened: MongoStore, driver: Any, counted: Counted
) -> None:
    other = MongoStore(mongodb.shared().url(DATABASE), driver=driver)
    await other.open()
    for ref in ("Organization/o", "Organization/gone", "Organization/away"):
        await put(other, ref)
    looked = ["findAndModify", "find", "insert", "commitTransaction"]
    for id, commands in (("a", looked), ("b", CREATE)):
        await opened.commit(upon(id, "Organization/o"))
        assert counted.taken() == commands
    await opened.commit(upon("c", "Organization/gone"))
    await delete(other, "Organization/away")
    counted.taken()
    await opened.commit(upon("d", "Organization/o"))
    assert counted.taken() == looked
    await delete(other, "Organization/gone")
    with pytest.raises(Conflict) as caught:
        await opened.commit(upon("e", "Organization/gone"))
    assert (caught.value.kind, caught.value.refs) == ("absent", (("Organization", "gone"),))
    together = [opened.commit(unit(deletion("Organization", "o", 2))), opened.commit(upon("f", "Organization/o"))]
    _, refused = await asyncio.gather(*together, return_exceptions=True)
    assert isinstance(refused, Conflict)
    await other.close()


async def test_units_that_wait_together_share_their_round_trips(opened: MongoStore, counted: Counted) -> None:
    await asyncio.gather(*(opened.commit(unit(write("Task", str(n)))) for n in range(65)))
    assert counted.taken() == [*CREATE, *CREATE]
