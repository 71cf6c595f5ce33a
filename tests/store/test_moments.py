"""Random writes and queries against the plain model: every moment answers for ever what it answered when it was new."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Has,
    Include,
    Kind,
    Quantity,
    Query,
    Reference,
    Sort,
    Span,
    Text,
    Token,
    Uri,
)
from server.store.store import Indexed, Moment, Snapshot, Store, Unit

from .build import deletion, index, unit, write
from .kinds import REAL, described, opened, over
from .model import Model

TYPES = ["Task", "Plan"]
IDS = ["a", "b", "c", "d"]
TEXTS = ["", "a", "ab", "abc", "åb", "x" * 47, "x" * 48 + "a", "x" * 48 + "b", "\U0010ffff", "\ud7ffz"]
CODES, SYSTEMS = ["draft", "active", "1"], ["", "urn:s", "urn:t"]
URIS = ["http://e/a", "http://e/a/b", "http://e/ab", "http://e/", "http://e/a|1"]
TARGETS = [f"{resource_type}/{id}" for resource_type in TYPES for id in [*IDS, "never"]]
NUMBERS = [0.0, 1.0, 1.5, 2.0]
PREFIXES = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
KINDS: list[Kind] = ["string", "token", "date", "number", "quantity", "uri", "reference"]

one_of = st.sampled_from
bounds = st.lists(one_of([0, 1, 2, 3, 10]), min_size=2, max_size=2).map(sorted)
points = st.one_of(one_of(NUMBERS).map(lambda x: [x, x]), st.lists(one_of(NUMBERS), min_size=2, max_size=2).map(sorted))
ordinals = st.integers(0, 1)


def some(values: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=most, unique=True).map(tuple)


@st.composite
def rows(draw: st.DrawFn, resource_type: str) -> Indexed:
    keys = one_of([f"{resource_type}.{code}" for code in ("p", "q", "p")])
    quantity = st.tuples(keys, points, one_of(CODES), one_of(SYSTEMS), one_of(["", "draft", "kr"]), ordinals)
    local = st.tuples(
        one_of([f"{resource_type}.p", f"{resource_type}.q", ""]), one_of(TARGETS), st.just(""), st.just(0)
    )
    canonical = st.tuples(st.just(f"{resource_type}.c"), one_of(URIS), one_of(["", "1", "2"]), st.just(0))
    versions = st.tuples(st.just(f"{resource_type}.version"), one_of(["1", "2"]), st.just(""), st.just(0))
    url = st.tuples(st.just(f"{resource_type}.url"), one_of(URIS), st.just(0))
    return Indexed(
        string=tuple((k, t.casefold(), t, n) for k, t, n in draw(some(st.tuples(keys, one_of(TEXTS), ordinals)))),
        token=draw(some(st.tuples(keys, one_of(CODES), one_of(SYSTEMS), ordinals), 3)) + draw(some(versions, 1)),
        date=tuple((k, low, high + 1, n) for k, (low, high), n in draw(some(_hashable(keys, bounds)))),
        number=tuple((k, low, high, n) for k, (low, high), n in draw(some(_hashable(keys, points)))),
        quantity=tuple((k, *span, c, s, u, n) for k, span, c, s, u, n in draw(st.lists(quantity, max_size=1))),
        uri=draw(some(st.tuples(keys, one_of(URIS), st.just(0)))) + draw(some(url, 1)),
        reference=draw(some(local, 3)) + draw(some(canonical, 1)),
    )


def _hashable(keys: Any, spans: Any) -> Any:
    return st.tuples(keys, spans.map(tuple), ordinals)


@st.composite
def clauses(draw: st.DrawFn, resource_type: str, plain: bool = False) -> Clause:
    kind = draw(one_of(KINDS))
    key = f"{resource_type}.{draw(one_of(['p', 'q']))}"
    negated = not plain and draw(st.booleans())
    if not plain and draw(one_of([False] * 5 + [True])):
        return Clause(key, kind, "missing", (), negated)
    op: Any = "match"
    if kind == "string":
        op = draw(one_of(["match", "exact", "contains"]))
    elif kind == "uri":
        op = draw(one_of(["match", "below", "above"]))
    elif kind == "reference" and draw(st.booleans()):
        key = f"{resource_type}.c"
    values = draw(st.lists(VALUES[kind], min_size=1, max_size=2))
    return Clause(key, kind, op, tuple(values), negated)


dates = st.builds(lambda p, b: Span(p, b[0], b[1]), one_of(PREFIXES), bounds)


def _number(prefix: Any, span: list[float]) -> Span:
    return Span(prefix, *span) if prefix in ("eq", "ne", "ap") else Span(prefix, span[0], span[0])


numbers = st.builds(_number, one_of(PREFIXES), points)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "string": one_of(TEXTS).map(lambda text: Text(text.casefold(), text)),
    "token": st.one_of(
        st.builds(Token, one_of([None, *SYSTEMS, "urn:never"]), one_of([*CODES, "never"])),
        st.builds(Token, one_of(SYSTEMS), st.none()),
    ),
    "date": dates,
    "number": numbers,
    "quantity": st.builds(Quantity, numbers, one_of([None, *SYSTEMS]), one_of([None, *CODES, "kr"])),
    "uri": st.builds(Uri, one_of(URIS)),
    "reference": st.builds(
        Reference, st.lists(one_of(TARGETS + URIS), min_size=1, max_size=2).map(tuple), one_of([None, None, "1"])
    ),
}


def composites(resource_type: str) -> st.SearchStrategy[Clause]:
    value = st.tuples(clauses(resource_type, True), clauses(resource_type, True)).map(Composite)
    values = st.lists(value, min_size=1, max_size=2).map(tuple)
    return st.builds(
        Clause, st.just(f"{resource_type}.k"), st.just("composite"), st.just("match"), values, st.booleans()
    )


def identified(resource_type: str) -> st.SearchStrategy[Clause]:
    values = st.lists(one_of([*IDS, "never"]).map(lambda id: Token(None, id)), min_size=1, max_size=2).map(tuple)
    return st.builds(Clause, st.just("_id"), st.just("id"), st.just("match"), values, st.booleans())


@st.composite
def criteria(draw: st.DrawFn, resource_type: str, depth: int = 2) -> Criterion:
    form = draw(one_of(["clause", "clause", "composite", "id", *(["chain", "has", "any", "all"] if depth else [])]))
    if form == "composite":
        return draw(composites(resource_type))
    if form == "id":
        return draw(identified(resource_type))
    if form in ("any", "all"):
        parts = tuple(draw(criteria(resource_type, depth - 1)) for _ in range(2))
        return AnyOf(parts) if form == "any" else AllOf(parts)
    if form == "clause":
        return draw(clauses(resource_type))
    other, code = draw(one_of(TYPES)), draw(one_of("pqc"))
    inner = draw(criteria(other, depth - 1))
    if form == "chain":
        return Chain(f"{resource_type}.{code}", other, code == "c", inner)
    return Has(other, f"{other}.{code}", code == "c", inner)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    resource_type = draw(one_of(TYPES))
    sorts = st.one_of(
        st.builds(Sort, one_of([f"{resource_type}.p", f"{resource_type}.q"]), one_of(KINDS), st.booleans()),
        st.builds(Sort, st.just("_id"), st.just("id"), st.booleans()),
        st.builds(Sort, st.just("_lastUpdated"), st.just("updated"), st.booleans()),
    )
    found = tuple(draw(st.lists(criteria(resource_type), max_size=3)))
    sort = tuple(draw(st.lists(sorts, max_size=2)))
    return Query(resource_type, found, sort, draw(st.integers(1, 3)), draw(one_of(["none", "accurate"])))


@st.composite
def includes(draw: st.DrawFn) -> Include:
    source, target = draw(one_of(TYPES)), draw(one_of(["", *TYPES]))
    keys = tuple(f"{source}.{code}" for code in draw(st.lists(one_of("pqc"), min_size=1, unique=True)))
    return Include(source, keys, target, draw(st.booleans()), draw(st.booleans()), frozenset({f"{source}.c"}))


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, str, Indexed | None]]:
    """What one unit writes: resources with their rows, None for a deletion."""
    refs = draw(st.lists(st.tuples(one_of(TYPES), one_of(IDS)), min_size=1, max_size=3, unique=True))
    return [(kind, id, draw(st.one_of(rows(kind), rows(kind), rows(kind), st.none()))) for kind, id in refs]


def as_unit(model: Model, step: list[tuple[str, str, Indexed | None]]) -> Unit:
    newest = {(version.resource_type, version.id): version.version_id for version, _ in model.written}
    writes = []
    for resource_type, id, indexed in step:
        following = newest.get((resource_type, id), 0) + 1
        if indexed is None:
            writes.append(deletion(resource_type, id, following))
        else:
            writes.append(write(resource_type, id, following, indexed))
    return unit(*writes)


async def paged(snapshot: Snapshot, query: Query) -> list[int]:
    """The ordinals of all pages; the totals must say the same."""
    found: list[int] = []
    totals: set[int | None] = set()
    cursor = None
    for _ in itertools.count():
        page = await snapshot.search(replace(query, cursor=cursor))
        assert len(page.versions) <= query.count
        found += [version.ordinal for version in page.versions]
        totals.add(page.total)
        cursor = page.next
        if cursor is None:
            break
    assert totals <= {None, len(found)}
    if query.total == "accurate" or len(found) <= query.count:
        assert totals == {len(found)}
    return found


async def agree(snapshot: Snapshot, model: Model, query: Query, adding: list[Include]) -> None:
    expected = model.at(snapshot.moment.sequence)
    assert await paged(snapshot, query) == expected.matches(query)
    page = await snapshot.search(query)
    added, reached = await snapshot.include(page.versions, adding, 100)
    wanted = expected.include([version.ordinal for version in page.versions], adding)
    assert ({version.ordinal for version in added}, len(added), reached) == (wanted, len(wanted), False)
    for limit in range(1, len(wanted)):
        assert await snapshot.include(page.versions, adding, limit) == (added[:limit], True)
    counted = await snapshot.search(replace(query, count=0))
    assert (counted.versions, counted.total) == ((), len(expected.matches(query)))


async def write_all(store: Store, model: Model, units: list[Any]) -> list[Moment]:
    moments = [await store.moment()]
    for step in units:
        versions = await store.commit(as_unit(model, step))
        model.written += [
            (version, indexed or Indexed()) for version, (_, _, indexed) in zip(versions, step, strict=True)
        ]
        moments.append(await store.moment())
    return moments


def in_new_store(kind: str, folder: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(kind, folder) as (store,):
            await work(store)

    asyncio.run(run())


def asked_at_some_moment() -> st.SearchStrategy[list[Any]]:
    """(which moment, what, includes)"""
    one = st.tuples(st.integers(0, 100), queries(), st.lists(includes(), max_size=2))
    return st.lists(one, min_size=6, max_size=10)


def hold_against_the_model(kind: str, folder: Path, examples: int, **more: Any) -> None:
    """Some ten operations and searches in each example."""

    @settings(max_examples=examples, deadline=None, **more)
    @given(st.lists(steps(), min_size=1, max_size=6), asked_at_some_moment())
    def hold(units: list[Any], asked: list[tuple[int, Query, list[Include]]]) -> None:
        async def work(store: Store) -> None:
            model = Model()
            moments = await write_all(store, model, units)
            for place, query, adding in asked:
                async with store.snapshot(moments[place % len(moments)]) as snapshot:
                    await agree(snapshot, model, query, adding)
            _, faults = await store.check(index)
            # These units ask for no referential integrity: references without a target are the only faults.
            assert [fault for fault in faults if "points to" not in fault] == []

        in_new_store(kind, folder, work)

    hold()


@pytest.mark.parametrize(("kind", "examples"), over([("sqlite", 60), ("motor", 20), ("pymongo", 20)]))
def test_every_moment_answers_as_the_plain_model_does(
    kind: str, examples: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("store", described(kind))
    hold_against_the_model(kind, tmp_path, examples)


@pytest.mark.long
@pytest.mark.parametrize("kind", REAL)
def test_so_do_thousands_of_other_operations(kind: str, tmp_path: Path) -> None:
    hold_against_the_model(kind, tmp_path, 500, database=None)
