"""The record's chain, and what a rewriting leaves, in every store. store.py has the promise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from server.store.chain import GENESIS, Link, linked
from server.store.mongo import MongoStore
from server.store.mongo_schema import STATE, VERSIONS
from server.store.store import Conflict, Rewritten, Store, Unit, Version

from . import mongodb
from .build import deletion, ids, index, named, put, refers, strings, tasks, unit, write
from .kinds import DATABASE, opened

NAME = "Kåre"


async def recorded(store: Store, id: str) -> tuple[Version, ...]:
    """A unit with two records; the first place is the Task's."""
    return await store.commit(unit(write("Task", id), write("Provenance", id), write("AuditEvent", id)))


async def faults(store: Store, *anchors: Link) -> list[str]:
    return (await store.check(index, anchors))[1]


async def test_each_unit_with_records_adds_one_link_whichever_process_writes_it(stores: tuple[Store, Store]) -> None:
    assert await stores[0].heads() == ()
    digest = GENESIS
    for number in range(4):
        versions = await recorded(stores[number % 2], str(number))
        digest = linked(digest, versions[1:])
        await put(stores[0], f"Task/between-{number}")
        link = Link("", versions[0].sequence, digest.hex())
        assert await stores[0].heads() == await stores[1].heads() == (link,)
    counts, found = await stores[1].check(index, [link])
    assert (counts["links of the record"], counts["records"], found) == (4, 8, [])


async def test_the_chain_holds_when_processes_write_at_once_and_some_are_refused(stores: tuple[Store, Store]) -> None:
    """Each resource is created by one of four that try, in batches that mix units with records and without."""

    def unit_of(number: int, writer: int) -> Unit:
        records = [write("AuditEvent", f"{number}-{writer}")] if number % 3 else []
        return unit(write("Task", str(number)), *records)

    tried = [(number, writer) for number in range(12) for writer in range(4)]
    commits = (stores[writer % 2].commit(unit_of(number, writer)) for number, writer in tried)
    results = await asyncio.gather(*commits, return_exceptions=True)
    written = [one for one in results if isinstance(one, tuple)]
    assert sorted(versions[0].id for versions in written) == sorted(map(str, range(12)))
    assert all(isinstance(one, tuple | Conflict) for one in results)
    counts, found = await stores[0].check(index, await stores[1].heads())
    assert (counts["links of the record"], counts["records"], found) == (8, 8, [])


async def test_what_is_not_written_adds_no_link(store: Store) -> None:
    await recorded(store, "a")
    heads = await store.heads()
    await store.rehearse(unit(write("AuditEvent", "e")))
    with pytest.raises(Conflict):
        await store.commit(unit(write("AuditEvent", "e"), alive=frozenset({("Task", "none")})))
    assert await store.heads() == heads
    await recorded(store, "b")
    assert await faults(store, *heads) == []


@pytest.mark.parametrize("anchor", [Link("", 1, "ab" * 32), Link("", 7, "ab" * 32), Link("other", 1, "")])
async def test_an_anchor_that_is_not_on_the_chain_is_named(store: Store, anchor: Link) -> None:
    await recorded(store, "a")
    (fault,) = await faults(store, anchor)
    assert str(anchor) in fault


@pytest.mark.parametrize("kind_of_source", ["Provenance", "AuditEvent", "Bundle"])
async def test_records_and_bundles_hold_back_no_deletion(store: Store, kind_of_source: str) -> None:
    await put(store, "Task/a")
    await put(store, f"{kind_of_source}/x", refers("Task/a", "Task/never"))
    more = write(kind_of_source, "y", 1, refers("Task/a"))
    await store.commit(unit(deletion("Task", "a", 2), more, unreferenced=frozenset({("Task", "a")})))
    assert await faults(store) == []


class Eraser:
    """Of one word."""

    def body(self, body: bytes) -> bytes | None:
        changed = json.dumps(json.loads(body), ensure_ascii=False).encode()
        changed = changed.replace(NAME.encode(), b"[...]").replace(NAME.casefold().encode(), b"[...]")
        return changed if changed != json.dumps(json.loads(body), ensure_ascii=False).encode() else None

    def text(self, text: str) -> str:
        return text.replace(NAME, "[...]")


def trace(rewritten: Rewritten) -> Unit:
    return unit(write("AuditEvent", "trace", text=f"{len(rewritten.versions)} versions"))


async def holding(store: Store) -> None:
    """Three versions and a record that hold the name, two that do not."""
    await put(store, "Task/a", strings(NAME), NAME)
    await put(store, "Task/a", strings("Anne"))
    await put(store, "Task/b", strings(NAME), NAME)
    await store.commit(unit(write("Task", "c", 1, strings("Anne", NAME)), write("AuditEvent", "e", text=NAME)))


async def bodies(store: Store) -> list[bytes]:
    async with store.snapshot() as snapshot:
        return [one.body or b"" for one in (await snapshot.history(None, None, count=100)).versions]


async def test_a_rewriting_reaches_every_version_and_its_rows_and_no_record(stores: tuple[Store, Store]) -> None:
    store = stores[0]
    await holding(store)
    before, heads = await store.moment(), await store.heads()
    found = await stores[1].rewrite(Eraser(), index, trace)
    assert found.versions == (("Task", "a", 1), ("Task", "b", 1), ("Task", "c", 1))
    assert found.kept == (("AuditEvent", "e"),)
    assert found.remains is isinstance(store, MongoStore)
    held = [one for one in map(json.loads, await bodies(store)) if NAME in json.dumps(one, ensure_ascii=False)]
    assert [one["id"] for one in held] == ["e"]
    assert await ids(store, tasks(named(NAME))) == []
    assert await ids(store, tasks(named("anne"))) == ["c", "a"]
    async with store.snapshot(before) as snapshot:
        assert (await snapshot.search(tasks(named(NAME)))).versions == ()
    # One unit, with its own instant, and all versions where they were.
    now = await store.moment()
    assert now.sequence == before.sequence + 1
    assert now.instant > before.instant
    written = await store.current("AuditEvent", "trace")
    assert written is not None
    assert b"3 versions" in (written.body or b"")
    assert await faults(store, *heads) == []


async def test_no_other_writer_comes_between_a_rewriting_and_its_trace(stores: tuple[Store, Store]) -> None:
    await holding(stores[0])
    writing = asyncio.gather(*(put(stores[n % 2], f"Task/{n}", strings(NAME), NAME) for n in range(30)))
    await stores[1].rewrite(Eraser(), index, trace)
    await writing
    told = await stores[0].current("AuditEvent", "trace")
    assert told is not None
    async with stores[0].snapshot() as snapshot:
        versions = (await snapshot.history("Task", None, count=100)).versions
    held = [one.sequence for one in versions if NAME in json.dumps(json.loads(one.body or b"{}"), ensure_ascii=False)]
    assert all(sequence > told.sequence for sequence in held)
    assert await faults(stores[0]) == []


async def test_a_rewriting_done_again_finds_nothing(store: Store) -> None:
    await holding(store)
    await store.rewrite(Eraser(), index, trace)
    again = await store.rewrite(Eraser(), index, lambda _: Unit((), {}))
    assert (again.versions, again.remains) == ((), False)


async def test_a_rewriting_without_trace_only_tells(store: Store) -> None:
    await holding(store)
    before = await store.moment(), await bodies(store)
    assert len((await store.rewrite(Eraser(), index, None)).versions) == 3
    assert (await store.moment(), await bodies(store)) == before


async def test_a_rewriting_whose_trace_is_refused_changes_nothing(store: Store) -> None:
    await holding(store)
    before = await bodies(store)
    with pytest.raises(Conflict):
        await store.rewrite(Eraser(), index, lambda _: unit(write("AuditEvent", "e", 1)))
    assert await bodies(store) == before
    assert await ids(store, tasks(named(NAME))) == ["c", "b"]


Edit = Callable[[Any, int], Any]
EDITS: dict[str, tuple[Edit, str]] = {
    "a record's body": (
        lambda db, third: db[VERSIONS].update_one({"_id": third}, {"$set": {"body": b"{}"}}),
        "broken at commit 3",
    ),
    "a record is gone": (lambda db, third: db[VERSIONS].delete_one({"_id": third + 1}), "broken at commit 3"),
    "the records of the newest commit are gone": (
        lambda db, third: db[VERSIONS].delete_many({"_id": {"$in": [third + (1 << 16), third + (1 << 16) + 1]}}),
        "broken at commit 4: its records are gone",
    ),
    "a link is gone": (
        lambda db, third: db[VERSIONS].update_one({"_id": third}, {"$unset": {"link": ""}}),
        "broken at commit 3",
    ),
    "a link is another": (
        lambda db, third: db[VERSIONS].update_one({"_id": third}, {"$set": {"link": bytes(32)}}),
        "broken at commit 3",
    ),
    "a link stands on what is no record": (
        lambda db, third: db[VERSIONS].update_one({"_id": third - 1}, {"$set": {"link": bytes(32)}}),
        "broken at commit 3: its records are gone",
    ),
    "a whole unit is cut out": (
        lambda db, third: db[VERSIONS].delete_many({"_id": {"$gte": third - 1, "$lte": third + 1}}),
        "broken at commit 4",
    ),
    "the clock names another end": (
        lambda db, _: db[STATE].update_one({"_id": "clock"}, {"$set": {"head.digest": bytes(32)}}),
        "broken at commit 4",
    ),
}


@pytest.mark.parametrize(("edit", "fault"), EDITS.values(), ids=EDITS)
async def test_an_edited_database_shows_where(edit: Edit, fault: str, tmp_path: Any) -> None:
    async with opened("motor", tmp_path) as (store,):
        for number in range(4):
            await recorded(store, str(number))
        client = mongodb.shared().client()
        edit(client[DATABASE], (3 << 16) + 1)
        client.close()
        found = [one for one in await faults(store) if one.startswith("record: ")]
        assert any(fault in one for one in found), found
