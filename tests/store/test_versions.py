"""Versions, moments and history."""

from __future__ import annotations

import asyncio
import json

import pytest

from server.search.query import Clause, Cursor
from server.store.store import Moment, Page, Snapshot, Store, Unavailable, Version

from .build import delete, deletion, ids, put, status, tasks, tokens, unit, write


def brief(page: Page) -> list[str]:
    return [f"{version.resource_type}/{version.id}/{version.version_id}" for version in page.versions]


async def test_an_empty_store_is_at_moment_zero_and_finds_nothing(store: Store) -> None:
    assert await store.moment() == Moment(0, "1970-01-01T00:00:00.000000Z")
    assert await store.current("Task", "a") is None
    async with store.snapshot() as snapshot:
        assert await snapshot.read("Task", "a") is None
        assert await snapshot.read_version("Task", "a", 1) is None
        assert await snapshot.history(None, None) == Page((), None, 0)
        assert await snapshot.search(tasks()) == Page((), None, 0)


async def test_a_commit_puts_version_and_instant_into_the_body(store: Store) -> None:
    first, second = await put(store, "Task/a"), await put(store, "Task/a")
    assert (first.version_id, second.version_id) == (1, 2)
    for version in (first, second):
        meta = json.loads(version.body or b"")["meta"]
        assert meta == {"versionId": str(version.version_id), "lastUpdated": version.last_updated}
    assert await store.current("Task", "a") == second


async def test_ordinals_are_the_sequence_and_the_place_in_the_unit(store: Store) -> None:
    versions = await store.commit(unit(*(write("Task", id) for id in "abc")))
    assert [version.ordinal for version in versions] == [1 << 16, (1 << 16) + 1, (1 << 16) + 2]
    assert {version.last_updated for version in versions} == {(await store.moment()).instant}
    assert (await store.moment()).sequence == 1


async def test_instants_grow_even_within_a_microsecond(store: Store) -> None:
    versions = await asyncio.gather(*(put(store, f"Task/{n}") for n in range(50)))
    ordered = sorted(versions, key=lambda version: version.ordinal)
    assert len({version.last_updated for version in versions}) == 50
    assert ordered == sorted(versions, key=lambda version: version.last_updated)


async def test_a_deletion_is_a_version_without_a_body_that_no_search_finds(store: Store) -> None:
    await put(store, "Task/a", tokens("draft"))
    gone = await delete(store, "Task/a")
    assert (gone.deleted, gone.version_id, gone.method) == (True, 2, "DELETE")
    assert await store.current("Task", "a") == gone
    assert await ids(store, tasks()) == []
    assert await ids(store, tasks(status("draft", negated=True))) == []
    again = await put(store, "Task/a", tokens("draft"))
    assert again.version_id == 3
    assert await ids(store, tasks(status("draft"))) == ["a"]


async def test_each_version_is_current_from_its_own_sequence_to_the_next(store: Store) -> None:
    written: list[Version] = [await put(store, "Task/a"), await put(store, "Task/a"), await delete(store, "Task/a")]
    for at in range(1, 4):
        async with store.snapshot(Moment(at, written[at - 1].last_updated)) as snapshot:
            assert await snapshot.read("Task", "a") == written[at - 1]
            seen = [await snapshot.read_version("Task", "a", number) for number in (1, 2, 3)]
            assert seen == [version if version.version_id <= at else None for version in written]


@pytest.mark.parametrize("version_id", [0, -1, 4, 2**63, 10**30])
async def test_a_version_that_was_never_written_is_none(store: Store, version_id: int) -> None:
    await put(store, "Task/a")
    async with store.snapshot() as snapshot:
        assert await snapshot.read_version("Task", "a", version_id) is None


async def _five(store: Store) -> list[Version]:
    """Task/a 1, Plan/a 1, Task/b 1, Task/a 2, and its deletion."""
    return [
        await put(store, "Task/a"),
        await put(store, "Plan/a"),
        await put(store, "Task/b"),
        await put(store, "Task/a"),
        await delete(store, "Task/a"),
    ]


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ((None, None), ["Task/a/3", "Task/a/2", "Task/b/1", "Plan/a/1", "Task/a/1"]),
        (("Task", None), ["Task/a/3", "Task/a/2", "Task/b/1", "Task/a/1"]),
        (("Task", "a"), ["Task/a/3", "Task/a/2", "Task/a/1"]),
        (("Plan", "b"), []),
        (("Never", None), []),
    ],
)
async def test_history_is_newest_first_and_pages_hold_all_of_it(
    store: Store, scope: tuple[str | None, str | None], found: list[str]
) -> None:
    await _five(store)
    async with store.snapshot() as snapshot:
        whole = await snapshot.history(*scope)
        assert (brief(whole), whole.next, whole.total) == (found, None, len(found))
        for count in (1, 2, 3):
            assert await _pages(snapshot, scope, count) == found


async def _pages(snapshot: Snapshot, scope: tuple[str | None, str | None], count: int) -> list[str]:
    found: list[str] = []
    cursor: Cursor | None = None
    while True:
        page = await snapshot.history(*scope, cursor=cursor, count=count)
        found += brief(page)
        if page.next is None:
            return found
        assert (page.next.keys, len(page.versions)) == ((), count)
        cursor = page.next


async def test_history_since_holds_what_was_written_at_or_after(store: Store) -> None:
    written = await _five(store)
    async with store.snapshot() as snapshot:
        for place, version in enumerate(written):
            page = await snapshot.history(None, None, since=version.last_updated)
            assert (page.versions, page.total) == (tuple(reversed(written[place:])), 5 - place)
        assert (await snapshot.history(None, None, since="2999-01-01T00:00:00.000000Z")).total == 0
        assert await snapshot.history(None, None, count=0) == Page((), None, 5)


async def test_history_of_a_past_moment_ends_there(store: Store) -> None:
    written = await _five(store)
    async with store.snapshot(Moment(3, written[2].last_updated)) as snapshot:
        assert brief(await snapshot.history(None, None)) == ["Task/b/1", "Plan/a/1", "Task/a/1"]
        assert (await snapshot.history("Task", "a")).total == 1


async def test_a_moment_is_the_newest_at_or_before_an_instant(store: Store) -> None:
    first, second = await put(store, "Task/a"), await put(store, "Task/b")
    assert await store.moment(first.last_updated) == Moment(1, first.last_updated)
    assert await store.moment(second.last_updated) == Moment(2, second.last_updated)
    assert (await store.moment("1999-12-31T23:59:59.000000Z")).sequence == 0
    with pytest.raises(ValueError, match="future"):
        await store.moment("2999-01-01T00:00:00.000000Z")


async def test_no_commit_is_ever_at_or_before_an_instant_once_answered(stores: tuple[Store, Store]) -> None:
    answered: dict[str, Moment] = {}

    async def ask() -> None:
        for _ in range(40):
            now = _now_text()
            answered[now] = await stores[1].moment(now)
            await asyncio.sleep(0)

    writes = [put(stores[place % 2], f"Task/{place}") for place in range(80)]
    await asyncio.gather(ask(), *writes)
    assert len({moment.sequence for moment in answered.values()}) > 1
    for instant, moment in answered.items():
        assert await stores[0].moment(instant) == moment


def _now_text() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def test_a_snapshot_does_not_see_what_is_written_after_it(store: Store) -> None:
    await put(store, "Task/a", tokens("draft"))
    async with store.snapshot() as snapshot:
        await put(store, "Task/a", tokens("active"))
        await put(store, "Task/b", tokens("draft"))
        page = await snapshot.search(tasks(status("draft")))
        assert [(version.id, version.version_id) for version in page.versions] == [("a", 1)]
        assert (await snapshot.history(None, None)).total == 1
        assert await snapshot.read("Task", "b") is None


async def test_pages_of_one_moment_never_repeat_or_skip_while_others_write(store: Store) -> None:
    for n in range(12):
        await put(store, f"Task/{n}", tokens("draft"))
    moment = await store.moment()
    seen: list[str] = []
    cursor: Cursor | None = None
    while True:
        async with store.snapshot(moment) as snapshot:
            page = await snapshot.search(tasks(status("draft"), count=5, cursor=cursor))
        seen += [version.id for version in page.versions]
        cursor = page.next
        if cursor is None:
            break
        await put(store, f"Task/new{len(seen)}", tokens("draft"))
        await put(store, f"Task/{len(seen)}", tokens("active"))
        await delete(store, f"Task/{11 - len(seen)}")
    assert seen == [str(n) for n in reversed(range(12))]


async def test_readers_beyond_the_limit_wait_and_cancelled_ones_give_their_place_back(store: Store) -> None:
    await put(store, "Task/a")

    async def read() -> None:
        async with store.snapshot() as snapshot:
            await asyncio.sleep(0.001)
            assert await snapshot.read("Task", "a")

    cancelled = [asyncio.create_task(read()) for _ in range(40)]
    await asyncio.sleep(0)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
    await asyncio.wait_for(asyncio.gather(*(read() for _ in range(100))), 5)


async def test_a_closed_store_is_unavailable(store: Store) -> None:
    await store.close()
    with pytest.raises(Unavailable):
        await store.current("Task", "a")
    with pytest.raises(Unavailable):
        await store.commit(unit(deletion("Task", "a", 1)))
    with pytest.raises(Unavailable):
        async with store.snapshot():
            pass


async def test_last_updated_is_searched_as_an_interval_of_a_microsecond(store: Store) -> None:
    from server.search.query import Span
    from server.store.instants import microseconds

    instants = [microseconds((await put(store, f"Task/{id}")).last_updated) for id in "abc"]
    middle = instants[1]
    expected = {"eq": "b", "ne": "ca", "gt": "c", "ge": "cb", "lt": "a", "le": "ba", "sa": "c", "eb": "a", "ap": "b"}
    for prefix, found in expected.items():
        span = Span(prefix, middle, middle + 1)  # type: ignore[arg-type]
        clause = Clause("Task._lastUpdated", "date", "match", (span,))
        assert await ids(store, tasks(clause)) == list(found), prefix
