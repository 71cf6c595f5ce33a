"""Facts of the SQLite store alone: its file, its plans, its limits, and what `check` finds in a damaged one."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.search.query import AnyOf, Chain, Criterion, Query, Sort
from server.store.sqlite import SqliteStore
from server.store.store import Store, Unavailable

from .build import (
    both,
    delete,
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


@pytest_asyncio.fixture
async def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "to be made" / "store.db"


@pytest_asyncio.fixture
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, time_limit=0.2, patience=0.3, readers=2)
    await store.open()
    yield store
    await store.close()


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def test_the_log_is_written_ahead_and_synced_at_every_commit(opened: SqliteStore) -> None:
    working = opened._working
    assert working is not None
    assert (pragma(working.connection, "journal_mode"), pragma(working.connection, "synchronous")) == ("wal", 2)


@pytest.mark.parametrize(
    ("condition", "waits"), [(status("draft"), True), (Chain("Task.owner", "Task", False, status("draft")), False)]
)
async def test_a_condition_writes_what_waits_only_when_it_leads_elsewhere(
    opened: SqliteStore, condition: Criterion, waits: bool
) -> None:
    working = opened._working
    assert working is not None
    conditioned = unit(write("Task", "b"), found=((tasks(condition), frozenset()),))
    working.connection.execute("BEGIN IMMEDIATE")
    working.began([conditioned])
    for one in (unit(write("Task", "a", 1, tokens("active"))), conditioned):
        working.write(one)
        working.kept()
    written = working.connection.execute("SELECT count(*) FROM version").fetchone()
    working.connection.execute("ROLLBACK")
    working.abandoned()
    assert written == ((0,) if waits else (1,))


async def test_a_schema_of_a_newer_program_is_refused(opened: SqliteStore, path: Path) -> None:
    await opened.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unavailable, match="schema version 99"):
        await SqliteStore(path).open()


async def test_what_was_written_is_there_after_opening_anew(opened: SqliteStore, path: Path) -> None:
    version = await put(opened, "Task/a", tokens("draft"))
    await opened.close()
    again = SqliteStore(path)
    await again.open()
    assert await again.current("Task", "a") == version
    assert await ids(again, tasks(status("draft"))) == ["a"]
    await again.close()


async def test_a_clock_that_goes_back_does_not_take_the_instants_with_it(path: Path) -> None:
    clock = iter(range(2_000_000_000_000_000, 1_000_000_000_000_000, -1_000_000))
    store = SqliteStore(path, now=lambda: next(clock))
    await store.open()
    instants = [(await put(store, f"Task/{n}")).last_updated for n in range(5)]
    assert instants == sorted(set(instants))
    await store.close()


async def test_a_clock_that_goes_back_after_a_moment_was_answered_writes_nothing_before_it(path: Path) -> None:
    clock = [2_000_000_000_000_000]
    store = SqliteStore(path, now=lambda: clock[0])
    await store.open()
    await put(store, "Task/a")
    clock[0] += 5_000_000
    answered = await store.moment("2033-05-18T03:33:21.000000Z")
    clock[0] -= 4_500_000  # Half a second before the instant that was asked for.
    await put(store, "Task/b")
    assert await store.moment("2033-05-18T03:33:21.000000Z") == answered
    await store.close()


# Some resource must have a name, or it would be known at once that none has this one.
NAMED = write("Basic", "named", 1, strings("y"))
# No index finds the second part, so that the first is looked up anew from each version, 600 x 300 x 300 times.
SLOW = AnyOf(
    (
        Chain("Task.owner", "Task", False, Chain("Task.owner", "Task", False, named("x", "contains"))),
        named("x", "contains"),
    )
)


async def test_a_search_beyond_the_time_limit_is_too_costly_and_holds_nothing_up(opened: SqliteStore) -> None:
    many = [write("Task", str(n), 1, refers(*(f"Task/{m}" for m in range(0, 600, 2)))) for n in range(600)]
    await opened.commit(unit(*many, NAMED))
    both_ways = asyncio.gather(ids(opened, tasks(SLOW)), put(opened, "Task/new"), return_exceptions=True)
    costly, written = await both_ways
    assert isinstance(costly, Unavailable)
    assert costly.too_costly
    assert not isinstance(written, BaseException)
    assert await ids(opened, tasks(owner("Task/0"), count=1)) == ["599"]


async def test_a_cancelled_search_gives_its_connection_back(opened: SqliteStore) -> None:
    others = refers(*(f"Task/{m}" for m in range(300)))
    await opened.commit(unit(*(write("Task", str(n), 1, others) for n in range(400)), NAMED))
    for _ in range(4):
        searching = asyncio.create_task(ids(opened, tasks(SLOW)))
        await asyncio.sleep(0.02)
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching
    assert await ids(opened, tasks(owner("Task/0"), count=1)) == ["399"]


async def test_readers_that_find_no_place_in_time_are_told(opened: SqliteStore) -> None:
    async with opened.snapshot(), opened.snapshot():
        with pytest.raises(Unavailable, match="readers"):
            async with opened.snapshot():
                pass
    assert await ids(opened, tasks()) == []


async def test_a_lock_held_by_another_process_makes_writers_unavailable_for_that_long(
    opened: SqliteStore, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="SQLITE_BUSY") as caught:
        await put(opened, "Task/a")
    assert not caught.value.uncertain
    other.execute("ROLLBACK")
    other.close()
    assert (await put(opened, "Task/a")).ordinal == 1 << 16


async def test_a_full_disk_is_unavailable_and_loses_nothing(opened: SqliteStore) -> None:
    await put(opened, "Task/a", tokens("draft"))
    working = opened._working
    assert working is not None
    working.connection.execute(f"PRAGMA max_page_count = {pragma(working.connection, 'page_count')}")
    with pytest.raises(Unavailable, match="full") as caught:
        await put(opened, "Task/b", tokens("draft"), "x" * 200_000)
    assert not caught.value.uncertain
    working.connection.execute("PRAGMA max_page_count = 1000000")
    await put(opened, "Task/c", tokens("draft"))
    assert await ids(opened, tasks(status("draft"))) == ["c", "a"]
    assert (await opened.check(index))[1] == []


@pytest.mark.parametrize(
    "query",
    [
        tasks(status("draft")),
        tasks(status("draft", "active"), named("a")),
        tasks(owner("Organization/o"), status("draft", negated=True)),
        tasks(status("draft"), sort=(Sort("Task.name", "string", False),)),
        tasks(Chain("Task.owner", "Organization", False, owner("Organization/p", key="Organization.partof"))),
    ],
    ids=["token", "tokens and text", "reference", "sorted", "chain"],
)
async def test_no_search_scans_a_table(opened: SqliteStore, query: Query) -> None:
    await put(opened, "Task/a", both(tokens("draft"), strings("a"), refers("Organization/o")))
    async with opened.snapshot() as snapshot:
        plan = [line for line in await snapshot.explain(query) if line.startswith(("SCAN", "SEARCH"))]
    assert plan
    assert {line for line in plan if line.startswith("SCAN")} <= {
        "SCAN k",
        "SCAN i",
        "SCAN m",
    }  # The matches found so far.


_WRITING = """
import asyncio, sys
from server.store.sqlite import SqliteStore
from tests.store.build import put, tokens
async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    for n in range(60):
        await put(store, f"Task/{sys.argv[2]}{n}", tokens(f"code{n}", system=f"urn:{n}"))
    await store.close()
asyncio.run(main())
"""


async def test_two_processes_write_one_file(opened: SqliteStore, path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _WRITING, str(path)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    running = [await asyncio.create_subprocess_exec(*command, name, cwd=root, env=environment) for name in "xy"]
    here = asyncio.gather(*(put(opened, f"Task/z{n}", tokens(f"code{n}", system=f"urn:{n}")) for n in range(60)))
    ended = [await asyncio.wait_for(process.wait(), 30) for process in running]
    await here
    assert ended == [0, 0]
    for n in range(0, 60, 7):
        assert sorted(await ids(opened, tasks(status(f"code{n}")))) == [f"x{n}", f"y{n}", f"z{n}"]
    assert (await opened.moment()).sequence == 180
    counts, faults = await opened.check(index)
    assert (counts["current"], counts["commits"], faults) == (180, 180, [])


async def _varied(store: Store) -> None:
    everything = both(
        strings("Ås"), tokens("draft", system="urn:s"), rows("date", (1, 2)), rows("number", (1.0, 2.0)),
        rows("quantity", (1.0, 1.0, "NOK", "urn:c", "kr")), rows("uri", ("http://e",)), refers("Task/b"),
    )  # fmt: skip
    await put(store, "Task/b")
    await put(store, "Task/a", everything)
    await put(store, "Task/a", everything)
    await put(store, "Task/a", everything)
    await delete(store, "Task/b")
    await put(store, "Task/b")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (None, None),
        ("DELETE FROM token WHERE key > 0", "Task/a version 3: token row is missing"),
        ("DELETE FROM token WHERE key < 0", "Task/a version 1: token row is missing"),
        ("UPDATE token SET key = -key WHERE key > 0", "Task/a version 3: token row is missing"),
        ("UPDATE string SET exact = 'As' WHERE key > 0", "Task/a version 3: string row too many"),
        ("UPDATE quantity SET high = 7 WHERE key > 0", "Task/a version 3: quantity row too many"),
        ("INSERT INTO token SELECT key, 'more', vid, system, n FROM token", "Task/a version 2: token row too many"),
        ("INSERT INTO uri VALUES (1, 'http://e', 77, 0)", "uri rows of 77: belong to no version"),
        ("UPDATE reference SET target = 99 WHERE key > 0", "their target 99 is unknown"),
        ("UPDATE version SET ended = NULL WHERE version_id = 1", "Task/a version 1: does not end"),
        ("UPDATE version SET ended = ended + 1 WHERE version_id = 1", "Task/a version 1: does not end"),
        ("UPDATE version SET instant = instant + 1 WHERE version_id = 2", "Task/a version 2: its instant"),
        ("DELETE FROM version WHERE version_id = 2", "Task/a version 3: a version before it is missing"),
        ("UPDATE resource SET vid = (SELECT min(vid) FROM version)", "Task/a: its newest version is not"),
        ("UPDATE resource SET deleted = 1", "Task/a: its newest version is not"),
        ("UPDATE resource SET deleted = 1 WHERE ref = 'Task/b'", "Task/a: points to Task/b, which is not there"),
        ("DELETE FROM content WHERE vid = (SELECT max(vid) FROM version)", "Task/b version 3: its body is missing"),
        ("UPDATE content SET body = '{'", "its body cannot be indexed"),
        ("INSERT INTO content VALUES (77, '{}')", "body 77: belongs to no version"),
        ("UPDATE version SET type = 999", "Task/a version 1: its type is not"),
        ("UPDATE version SET rid = 99 WHERE version_id = 1", "belongs to no resource"),
        ("UPDATE clock SET instant = instant - 3600000000 WHERE sequence = 3", "commit 3: its instant is not after"),
        ("DELETE FROM clock WHERE sequence = 2", "commit 3: the one before is missing"),
    ],
)
async def test_check_finds_each_fault(opened: SqliteStore, path: Path, damage: str | None, said: str | None) -> None:
    await _varied(opened)
    if damage is None:
        counts, faults = await opened.check(index)
        assert faults == []
        wanted = {"commits": 6, "versions": 6, "resources": 2, "current": 2, "deleted": 0, "token rows": 3}
        assert counts | wanted == counts
        return
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TRIGGER version_ends")
    connection.execute(damage)
    connection.close()
    _, faults = await opened.check(index)
    assert [fault for fault in faults if said and said in fault], json.dumps(faults, indent=1)
