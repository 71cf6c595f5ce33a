"""Facts of the MongoDB store alone: its indexes and limits, and what `check` finds in a damaged one. Its round trips
are in test_mongo_trips.py."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest
import pytest_asyncio

from server.search.query import Chain
from server.store.instants import instant_text, microseconds
from server.store.mongo import MongoStore
from server.store.mongo_schema import CLOCK, OPEN, STATE, VERSIONS
from server.store.mongo_unit import LARGEST
from server.store.store import Conflict, Unavailable, Unit

from . import mongodb
from .build import (
    both,
    ids,
    index,
    named,
    owner,
    put,
    refers,
    rows,
    status,
    strings,
    tasks,
    tokens,
    unit,
    write,
)
from .kinds import DATABASE


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest_asyncio.fixture
async def opened(driver: Any) -> AsyncIterator[MongoStore]:
    store = MongoStore(mongodb.emptied(DATABASE), driver=driver, patience=2)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def raw() -> Any:
    """The database, past the store."""
    client = mongodb.shared().client()
    yield client[DATABASE]
    client.close()


async def test_the_unique_index_decides_who_creates_a_resource(opened: MongoStore, raw: Any) -> None:
    """A new resource is not looked up: what stands in another process's name is met by the index, and then told."""
    await put(opened, "Task/a")
    with pytest.raises(Conflict) as caught:
        await opened.commit(unit(write("Task", "a")))
    assert (caught.value.kind, caught.value.refs) == ("stale", (("Task", "a"),))
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        raw[VERSIONS].insert_one({"_id": 1, "ref": "Task/a", "version": 9, "until": OPEN})


async def test_a_server_that_stands_alone_is_refused_with_the_remedy(
    opened: MongoStore, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alone(_: object) -> dict[str, Any]:
        return {"isWritablePrimary": True}

    monkeypatch.setattr("server.store.mongo_driver.Driver.hello", alone)
    with pytest.raises(Unavailable, match=r"rs\.initiate"):
        await MongoStore(mongodb.shared().url(DATABASE), driver=driver).open()


async def test_a_schema_of_a_newer_program_is_refused(opened: MongoStore, driver: Any, raw: Any) -> None:
    raw[STATE].update_one({"_id": "schema"}, {"$set": {"version": 99}})
    with pytest.raises(Unavailable, match="schema version 99"):
        await MongoStore(mongodb.shared().url(DATABASE), driver=driver).open()


async def test_a_store_is_there_once_it_was_opened(driver: Any) -> None:
    store = MongoStore(mongodb.emptied(DATABASE), driver=driver)
    assert not await store.exists()
    await store.open()
    assert await store.exists()
    await store.close()


async def test_no_server_is_unavailable_within_the_time_that_the_address_or_the_store_gives(driver: Any) -> None:
    """Its own limit goes before the driver's `serverSelectionTimeoutMS`, which would not count the rest."""
    url = f"mongodb://127.0.0.1:{mongodb.free_port()}/x"
    for store in (MongoStore(f"{url}?timeoutMS=300", driver=driver), MongoStore(url, driver=driver, time_limit=0.1)):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="No MongoDB server"):
            await store.open()
        assert time.monotonic() - began < 4


async def test_what_was_answered_as_past_is_never_written_to_by_a_machine_whose_clock_is_behind(
    opened: MongoStore, driver: Any
) -> None:
    await put(opened, "Task/a")
    now = instant_text(microseconds((await opened.moment()).instant) + 3)
    answered = await opened.moment(now)
    behind = MongoStore(mongodb.shared().url(DATABASE), driver=driver, now=lambda: 1_000_000)
    await behind.open()
    written = await put(behind, "Task/b")
    await behind.close()
    assert written.last_updated > now
    assert await opened.moment(now) == answered


async def test_what_no_document_holds_is_refused_alone(opened: MongoStore) -> None:
    large = opened.commit(unit(write("Task", "large", 1, strings("x" * (LARGEST // 2)))))
    others = [opened.commit(unit(write("Task", str(n)))) for n in range(3)]
    refused, *written = await asyncio.gather(large, *others, return_exceptions=True)
    assert isinstance(refused, Unavailable)
    assert refused.too_costly
    assert all(isinstance(versions, tuple) for versions in written)
    assert (await opened.moment()).sequence == 3


async def test_a_body_larger_than_a_document_is_kept_as_it_was_sent(opened: MongoStore) -> None:
    """As that of an edition of 1 000 initiatives: read, searched, indexed anew and checked like any other."""
    long = " ".join(f"tiltak {n}" for n in range(2_000_000))
    assert len(long) > 1.5 * LARGEST
    (written,) = await opened.commit(unit(write("Task", "large", 1, tokens("x"), text=long)))
    async with opened.snapshot() as snapshot:
        read = await snapshot.read("Task", "large")
    assert read is not None
    assert read.body == written.body
    assert await ids(opened, tasks(status("x"))) == ["large"]
    assert (await opened.check(index))[1] == []


async def test_a_unit_larger_than_a_document_is_one_commit(opened: MongoStore) -> None:
    written = await opened.commit(unit(*(write("Task", str(n), 1, text="x" * 3_000_000) for n in range(8))))
    assert len({version.sequence for version in written}) == 1
    assert len(await ids(opened, tasks())) == 8


async def test_two_drivers_share_one_database(opened: MongoStore, driver: Any) -> None:
    other = MongoStore(mongodb.shared().url(DATABASE), driver="pymongo" if driver == "motor" else "motor")
    await other.open()
    await asyncio.gather(
        *(put(store, f"Task/{n}", tokens("x")) for n in range(20) for store in [(opened, other)[n % 2]])
    )
    assert sorted(await ids(other, tasks(status("x"))), key=int) == [str(n) for n in range(20)]
    assert (await opened.check(index))[1] == []
    await other.close()


async def test_a_commit_that_was_not_answered_is_looked_for_and_not_done_twice(
    opened: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found may not be a majority's yet: it is acknowledged after a commit that was answered."""
    from server.store.mongo_driver import Driver

    real, answered = Driver.commit, iter((False, False, True))

    async def commit(self: Driver, session: Any) -> None:
        await real(self, session)
        if not next(answered):
            raise pymongo.errors.AutoReconnect("the answer was lost")

    monkeypatch.setattr(Driver, "commit", commit)
    versions = await opened.commit(unit(write("Task", "a"), write("Task", "b")))
    assert [version.ordinal for version in versions] == [1 << 16, (1 << 16) + 1]
    assert next(answered, "all three") == "all three"
    assert await opened.current("Task", "b") == versions[1]
    assert (await opened.moment()).sequence == 1
    assert (await opened.check(index))[1] == []


async def test_a_commit_that_is_never_answered_is_uncertain(
    opened: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def commit(self: object, session: Any) -> None:
        raise pymongo.errors.AutoReconnect("no answer")

    monkeypatch.setattr("server.store.mongo_driver.Driver.commit", commit)
    with pytest.raises(Unavailable) as caught:
        await opened.commit(unit(write("Task", "a")))
    assert caught.value.uncertain


EXPLAINED = [
    (tasks(status("draft")), {"token_rows"}),
    (tasks(status("draft", "active"), named("a")), {"token_rows", "string_rows"}),
    (tasks(owner("Organization/o"), status("draft", negated=True)), {"reference_rows"}),
    (tasks(Chain("Task.owner", "Organization", False, named("x"))), {"reference_rows"}),
]


@pytest.mark.parametrize(("query", "some"), EXPLAINED)
async def test_each_selective_criterion_names_its_index(opened: MongoStore, query: Any, some: set[str]) -> None:
    await put(opened, "Task/a", both(tokens("draft"), strings("a"), refers("Organization/o")))
    async with opened.snapshot() as snapshot:
        lines = await snapshot.explain(query)
    assert any(f"drives by index {name}" in line for name in some for line in lines), lines
    assert "nReturned" in lines[-1]


async def test_the_server_itself_chooses_an_index(opened: MongoStore, raw: Any) -> None:
    if "mongod" not in mongodb.shared().name.lower():
        pytest.skip(f"{mongodb.shared().name} does not tell which index it takes")
    await opened.commit(unit(*(write("Task", str(n), 1, tokens(f"code{n}")) for n in range(500))))
    for query, some in EXPLAINED:
        async with opened.snapshot() as snapshot:
            lines = await snapshot.explain(query)
        assert not any(line.startswith("COLLSCAN") for line in lines), lines
        assert any(f"by index {name}" in line for name in some for line in lines[len(query.criteria) :]), lines


def _varied() -> list[Unit]:
    everything = both(
        strings("Ås"), tokens("draft", system="urn:s"), rows("date", (1, 2)), rows("number", (1.0, 2.0)),
        rows("quantity", (1.0, 1.0, "NOK", "urn:c", "kr")), rows("uri", ("http://e",)), refers("Task/b"),
    )  # fmt: skip
    return [unit(write("Task", "b")), *(unit(write("Task", "a", number, everything)) for number in (1, 2, 3))]


LAST = {"ref": "Task/a", "until": OPEN}
FIRST = {"ref": "Task/a", "version": 1}


@pytest.mark.parametrize(
    ("filter", "change", "said"),
    [
        (LAST, {"$unset": {"token": ""}}, "Task/a version 3: token row is missing"),
        (FIRST, {"$unset": {"token": ""}}, "Task/a version 1: token row is missing"),
        (LAST, {"$set": {"string.0.exact": "As"}}, "Task/a version 3: string row too many"),
        (LAST, {"$set": {"string.0.prefix": "a"}}, "string row with another prefix"),
        (LAST, {"$set": {"quantity.0.high": 7.0}}, "Task/a version 3: quantity row too many"),
        (LAST, {"$push": {"uri": {"key": "x", "value": "y", "n": 0}}}, "Task/a version 3: uri row too many"),
        (FIRST, {"$set": {"until": 4}}, "Task/a version 1: does not end"),
        (FIRST, {"$set": {"state": "now"}}, "Task/a version 1: its state is now"),
        (FIRST, {"$set": {"at": 5}}, "commit 2: its instant is not after"),
        (FIRST, {"$set": {"type": "Plan"}}, "Task/a version 1: its type"),
        (LAST, {"$unset": {"body": ""}}, "Task/a version 3: its body is missing"),
        (LAST, {"$set": {"body": b"{"}}, "its body cannot be indexed"),
        ({"ref": "Task/a", "version": 2}, None, "Task/a version 3: a version before it is missing"),
        ({"ref": "Task/a", "version": 2}, None, "commit 4: the one before is missing"),
        ({"ref": "Task/b"}, None, "Task/a: points to Task/b, which is not there"),
    ],
)
async def test_check_finds_each_fault(opened: MongoStore, raw: Any, filter: Any, change: Any, said: str) -> None:
    for one in _varied():
        await opened.commit(one)
    assert (await opened.check(index))[1] == []
    if change is None:
        raw[VERSIONS].delete_one(filter)
    else:
        raw[VERSIONS].update_one(filter, change)
    _, faults = await opened.check(index)
    assert [fault for fault in faults if said in fault], json.dumps(faults, indent=1)


async def test_a_lost_clock_is_said_and_not_begun_anew(opened: MongoStore, driver: Any, raw: Any) -> None:
    await put(opened, "Task/a")
    raw[STATE].delete_one({"_id": "clock"})
    with pytest.raises(Unavailable, match="clock"):
        await put(opened, "Task/b")
    with pytest.raises(Unavailable, match="lost the document of its clock"):
        await MongoStore(mongodb.shared().url(DATABASE), driver=driver).open()
    raw[STATE].insert_one(dict(CLOCK))
    assert "the clock says commit 0, the newest is 1" in (await opened.check(index))[1]
