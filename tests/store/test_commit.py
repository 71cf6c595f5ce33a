"""Units: all or nothing, decided upon what still holds, durable in any order of arrival."""

from __future__ import annotations

import asyncio

import pytest

from server.search.query import Chain, Clause, Query, Span, Token
from server.store.store import Conflict, Indexed, Ref, Store, Unit, Write

from .build import delete, deletion, ids, named, put, refers, strings, tasks, tokens, unit, write


def identified(value: str) -> Query:
    return tasks(Clause("Task.identifier", "token", "match", (Token("urn:id", value),)))


async def conflict(store: Store, refused: Unit) -> tuple[str, tuple[Ref, ...]]:
    before = await store.moment()
    with pytest.raises(Conflict) as caught:
        await store.commit(refused)
    assert await store.moment() == before
    return caught.value.kind, caught.value.refs


async def test_of_200_parallel_conditional_creates_one_is_written(stores: tuple[Store, Store]) -> None:
    def create(n: int) -> Unit:
        indexed = tokens("T-1", key="Task.identifier", system="urn:id")
        return unit(write("Task", f"t{n}", 1, indexed), found=((identified("T-1"), frozenset()),))

    results = await asyncio.gather(*(stores[n % 2].commit(create(n)) for n in range(200)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 199
    assert all(isinstance(error, Conflict) and error.kind == "stale" for error in refused)
    assert len(await ids(stores[0], identified("T-1"))) == 1
    assert (await stores[0].moment()).sequence == 1


ONE = identified("T-1")
NONE_OF_IT = tasks(Clause("Task.identifier", "token", "missing", ()))
OF_ACTOR = tasks(Chain("Task.owner", "Organization", False, named("Helse", key="Organization.name")))
JUST_NOW = tasks(Clause("Task._lastUpdated", "date", "match", (Span("gt", 0, 0),)))


def with_identifier(value: str) -> Indexed:
    return tokens(value, key="Task.identifier", system="urn:id")


@pytest.mark.parametrize(
    ("before", "query", "found"),
    [
        ([write("Task", "new", 1, with_identifier("T-1"))], ONE, {"new", "old"}),
        ([write("Task", "new", 1, with_identifier("T-2"))], ONE, {"old"}),
        ([write("Organization", "new", 1, with_identifier("T-1"))], ONE, {"old"}),
        ([write("Task", "old", 2, with_identifier("T-2"))], ONE, set()),
        ([write("Task", "old", 2, with_identifier("T-1"))], ONE, {"old"}),
        ([deletion("Task", "old", 2)], ONE, set()),
        ([write("Task", "new", 1, with_identifier("T-2"))], NONE_OF_IT, set()),
        ([write("Task", "new")], NONE_OF_IT, {"new"}),
        ([write("Task", "new")], tasks(Clause("_id", "id", "match", (Token(None, "new"),))), {"new"}),
        ([write("Task", "new", 1, refers("Organization/h"))], OF_ACTOR, {"new"}),
        ([write("Organization", "h", 2, strings("Helse", key="Organization.name"))], OF_ACTOR, set()),
        ([write("Task", "new")], JUST_NOW, {"new", "old"}),
    ],
    ids=lambda value: "+".join(f"{w.resource_type}/{w.id}" for w in value) if isinstance(value, list) else None,
)
async def test_a_condition_sees_what_an_earlier_unit_of_the_batch_changed(
    store: Store, before: list[Write], query: Query, found: set[str]
) -> None:
    await put(store, "Task/old", with_identifier("T-1"))
    await put(store, "Organization/h", strings("Helse", key="Organization.name"))
    # The first keeps the writer busy, so that the others come together; what they answer does not depend on it.
    busy = store.commit(unit(*(write("Basic", str(n)) for n in range(300))))
    refused = store.commit(unit(write("Task", "refused", 1, with_identifier("T-1")), alive={("Task", "never")}))
    right = unit(found=((query, frozenset(found)),))
    wrong = unit(found=((query, frozenset({"other"})),))
    results = await asyncio.gather(
        busy, refused, store.commit(unit(*before)), store.commit(right), store.commit(wrong), return_exceptions=True
    )
    assert [result.kind if isinstance(result, Conflict) else "" for result in results] == [
        "",
        "absent",
        "",
        "",
        "stale",
    ]


@pytest.mark.parametrize(
    ("expected", "kept"),
    [(set(), False), ({"a"}, False), ({"a", "b"}, True), ({"x", "y"}, True)],  # several: whichever two
)
async def test_a_query_that_found_several_must_still_find_several(store: Store, expected: set[str], kept: bool) -> None:
    for id in "abc":
        await put(store, f"Task/{id}", tokens("T-1", key="Task.identifier", system="urn:id"))
    wanted = unit(write("Task", "new"), found=((identified("T-1"), frozenset(expected)),))
    if kept:
        await store.commit(wanted)
    else:
        assert (await conflict(store, wanted))[0] == "stale"


async def test_a_query_that_found_one_must_find_that_one_and_not_the_units_own(store: Store) -> None:
    await put(store, "Task/a", tokens("T-1", key="Task.identifier", system="urn:id"))
    other = unit(write("Task", "b"), found=((identified("T-1"), frozenset({"b"})),))
    assert (await conflict(store, other))[0] == "stale"
    own = write("Task", "b", 1, tokens("T-2", key="Task.identifier", system="urn:id"))
    found = ((identified("T-1"), frozenset({"a"})), (identified("T-2"), frozenset[str]()))
    await store.commit(unit(own, found=found))


@pytest.mark.parametrize(("known", "said"), [(0, 1), (1, 0), (1, 2), (2, 1), (3, 2)])
async def test_a_unit_built_upon_another_version_is_stale(store: Store, known: int, said: int) -> None:
    for _ in range(min(known, 2)):
        await put(store, "Task/a")
    if known == 3:
        await delete(store, "Task/a")
    assert await conflict(store, Unit((write("Task", "b"),), {("Task", "b"): 0, ("Task", "a"): said})) == (
        "stale",
        (("Task", "a"),),
    )


async def test_of_parallel_updates_upon_one_version_one_is_written(stores: tuple[Store, Store]) -> None:
    await put(stores[0], "Task/a")
    update = unit(write("Task", "a", 2))
    results = await asyncio.gather(*(stores[n % 2].commit(update) for n in range(40)), return_exceptions=True)
    assert sum(not isinstance(result, Conflict) for result in results) == 1
    current = await stores[1].current("Task", "a")
    assert current is not None
    assert current.version_id == 2


async def test_what_must_be_alive_may_be_written_by_the_unit_itself(store: Store) -> None:
    await put(store, "Organization/gone")
    await delete(store, "Organization/gone")
    alive = frozenset({("Organization", "gone"), ("Organization", "never"), ("Organization", "new")})
    refused = unit(write("Task", "a"), write("Organization", "new"), alive=alive)
    assert await conflict(store, refused) == ("absent", (("Organization", "gone"), ("Organization", "never")))
    accepted = unit(write("Task", "a"), write("Organization", "new"), alive=frozenset({("Organization", "new")}))
    assert len(await store.commit(accepted)) == 2


@pytest.mark.parametrize("key", ["Task.owner", ""])
async def test_what_is_pointed_to_is_not_deleted(store: Store, key: str) -> None:
    await put(store, "Organization/o")
    await put(store, "Task/a", refers("Organization/o", key=key))
    gone = deletion("Organization", "o", 2)
    unreferenced = frozenset({("Organization", "o")})
    assert await conflict(store, unit(gone, unreferenced=unreferenced)) == ("referenced", (("Task", "a"),))
    await store.commit(unit(gone, write("Task", "a", 2), unreferenced=unreferenced))


async def test_past_references_and_those_of_the_deleted_hold_nothing_back(store: Store) -> None:
    await put(store, "Organization/o")
    await put(store, "Task/a", refers("Organization/o"))
    await put(store, "Task/a")
    await put(store, "Task/b", refers("Organization/o"))
    both = unit(deletion("Organization", "o", 2), deletion("Task", "b", 2), unreferenced={("Organization", "o")})
    assert len(await store.commit(both)) == 2


async def test_at_most_ten_referrers_are_named(store: Store) -> None:
    await put(store, "Organization/o")
    await store.commit(unit(*(write("Task", str(n), 1, refers("Organization/o")) for n in range(15))))
    kind, refs = await conflict(store, unit(deletion("Organization", "o", 2), unreferenced={("Organization", "o")}))
    assert (kind, len(set(refs))) == ("referenced", 10)


async def test_a_unit_that_conflicts_leaves_nothing_of_itself(store: Store) -> None:
    mixed = unit(write("Task", "a", 1, tokens("new", system="urn:new")), alive={("Organization", "never")})
    await conflict(store, mixed)
    assert await store.current("Task", "a") is None
    assert await ids(store, tasks()) == []
    # The code system that the refused unit had interned must not lead the next one astray.
    await put(store, "Task/b", tokens("x", system="urn:other"))
    await put(store, "Task/c", tokens("x", system="urn:new"))
    clause = Clause("Task.status", "token", "match", (Token("urn:new", "x"),))
    assert await ids(store, tasks(clause)) == ["c"]


@pytest.mark.parametrize(
    "wrong",
    [
        Unit((write("Task", "wrong", 1),), {}),
        Unit((write("Task", "wrong", 3),), {("Task", "wrong"): 0}),
        Unit((write("Task", "wrong", 1, tokens("\ud800")),), {("Task", "wrong"): 0}),
    ],
    ids=["not in unchanged", "number does not follow", "no text that UTF-8 can hold"],
)
async def test_one_failing_unit_among_many_fails_alone(store: Store, wrong: Unit) -> None:
    good = [store.commit(unit(write("Task", str(n), 1, tokens("draft")))) for n in range(100)]
    good.insert(50, store.commit(wrong))
    results = await asyncio.gather(*good, return_exceptions=True)
    assert [place for place, result in enumerate(results) if isinstance(result, BaseException)] == [50]
    assert isinstance(results[50], ValueError)
    async with store.snapshot() as snapshot:
        assert (await snapshot.search(tasks(count=0))).total == 100
    assert (await store.moment()).sequence == 100


async def test_a_cancelled_caller_stops_neither_its_unit_nor_the_others(store: Store) -> None:
    waiting = [asyncio.create_task(store.commit(unit(write("Task", str(n))))) for n in range(20)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert not any(isinstance(result, BaseException) for result in results[1::2])
    await put(store, "Task/last")
    async with store.snapshot() as snapshot:
        assert (await snapshot.search(tasks(count=0))).total == 21


async def test_a_unit_without_writes_takes_a_sequence_and_checks_all_the_same(store: Store) -> None:
    assert await store.commit(Unit((), {("Task", "a"): 0})) == ()
    assert (await store.moment()).sequence == 1
    assert (await conflict(store, Unit((), {("Task", "a"): 1})))[0] == "stale"
