"""The index of a SearchParameter that is defined while the store is in use; and units that are only rehearsed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.search.query import Clause, Token
from server.store.store import Conflict, Indexed, Indexing, Store, Version

from .build import delete, ids, index, put, tasks, tokens, unit, write

PARAMETER = "SearchParameter/colour"


def key(generation: int) -> str:
    return f"Task.colour#{generation}"


def coloured(generation: int, code: str) -> Clause:
    return Clause(key(generation), "token", "match", (Token(None, code),))


def rows_of(generation: int) -> Any:
    """Only those of the new parameter: the resource's text is its colour."""

    def colours(resource: dict[str, Any]) -> Indexed:
        return Indexed(token=((key(generation), resource["text"], "", 0),))

    return colours


async def found(store: Store, generation: int, code: str, at: Version | None = None) -> list[str]:
    moment = await store.moment(at.last_updated) if at else None
    async with store.snapshot(moment) as snapshot:
        page = await snapshot.search(tasks(coloured(generation, code)))
        return [version.id for version in page.versions]


async def indexing(store: Store) -> Indexing:
    async with store.snapshot() as snapshot:
        return await snapshot.indexing()


async def test_without_a_parameter_nothing_is_being_built(store: Store) -> None:
    assert await indexing(store) == Indexing(0, {})
    await put(store, "Task/a")
    assert await indexing(store) == Indexing(0, {})


async def test_a_build_adds_the_rows_of_all_versions_there_are_to_those_they_have(store: Store) -> None:
    for id in "ab":
        await put(store, f"Task/{id}", tokens("x"), "red")
    past = await put(store, "Task/a", tokens("x"), "blue")
    await put(store, "Plan/p", text="blue")
    await delete(store, "Task/b")
    newest = (await put(store, PARAMETER)).ordinal
    assert (await indexing(store)).newest == newest
    await store.build(newest, frozenset({"Task"}), rows_of(newest))
    assert await indexing(store) == Indexing(newest, {newest: 1.0})
    assert await found(store, newest, "blue") == ["a"]
    assert await found(store, newest, "red") == []
    assert await found(store, newest, "red", past) == ["b"]
    assert await ids(store, tasks(Clause("Task.status", "token", "match", (Token(None, "x"),)))) == ["a"]

    def both_ways(resource: dict[str, Any]) -> Indexed:
        its = index(resource)
        more = rows_of(newest)(resource).token if resource["resourceType"] == "Task" else ()
        return Indexed(token=its.token + more)

    assert (await store.check(both_ways))[1] == []


async def test_a_build_that_broke_off_goes_on_where_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from server.store import mongo_check, sqlite_build

    monkeypatch.setattr(sqlite_build, "CHUNK", 10)
    monkeypatch.setattr(mongo_check, "CHUNK", 10)
    await store.commit(unit(*(write("Task", str(n), text="red") for n in range(25))))
    newest = (await put(store, PARAMETER)).ordinal
    seen: list[str] = []

    def breaking(resource: dict[str, Any]) -> Indexed:
        seen.append(resource["id"])
        if len(seen) == 15:
            raise KeyError("stopped")
        return rows_of(newest)(resource)  # type: ignore[no-any-return]

    with pytest.raises(KeyError):
        await store.build(newest, frozenset({"Task"}), breaking)
    assert 0 < (await indexing(store)).shares[newest] < 1
    first = len(seen)
    await store.build(newest, frozenset({"Task"}), breaking)
    assert first + 15 == len(seen)
    assert len(await found(store, newest, "red")) == 25


async def test_two_processes_may_build_the_same(stores: tuple[Store, Store]) -> None:
    await stores[0].commit(unit(*(write("Task", str(n), text="red") for n in range(250))))
    newest = (await put(stores[0], PARAMETER)).ordinal
    await asyncio.gather(*(store.build(newest, frozenset({"Task"}), rows_of(newest)) for store in stores))
    assert (await indexing(stores[1])).shares == {newest: 1.0}
    async with stores[0].snapshot() as snapshot:
        assert (await snapshot.search(tasks(coloured(newest, "red"), count=0))).total == 250


async def test_rows_made_by_definitions_that_are_no_longer_the_newest_are_refused(stores: tuple[Store, Store]) -> None:
    await stores[0].commit(unit(write("Task", "a"), defined=0))
    newest = (await put(stores[0], PARAMETER)).ordinal
    for store in stores:
        with pytest.raises(Conflict) as caught:
            await store.commit(unit(write("Task", "b"), defined=0))
        assert caught.value.kind == "stale"
    await stores[1].commit(unit(write("Task", "b"), defined=newest))
    with pytest.raises(Conflict):
        await stores[1].reindex(index, progress=lambda _: None, defined=0)


async def test_a_unit_that_is_rehearsed_leaves_no_trace(store: Store) -> None:
    await put(store, "Task/a", tokens("x"))
    before = await store.moment()
    await store.rehearse(unit(write("Task", "a", 2, tokens("y")), write("Task", "b")))
    with pytest.raises(Conflict) as caught:
        await store.rehearse(unit(write("Task", "c"), alive=frozenset({("Task", "never")})))
    assert (caught.value.kind, caught.value.refs) == ("absent", (("Task", "never"),))
    assert await store.moment() == before
    assert await ids(store, tasks()) == ["a"]
    written = await put(store, "Task/b")
    assert written.sequence == before.sequence + 1
    assert (await store.check(index))[1] == []
