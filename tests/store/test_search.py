"""What each kind and operation finds, orders and includes. test_moments.py holds all of them against a plain model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
from server.store.store import Indexed, Store

from .build import both, clause, delete, ids, named, owner, put, refers, rows, status, strings, tasks, tokens

LONG = "helsetjenester i kommunene " * 3


def text(value: str) -> Text:
    return Text(value.casefold(), value)


def span(prefix: Any, low: float, high: float | None = None) -> Span:
    return Span(prefix, low, low if high is None else high)


def amount(prefix: Any, value: float, system: str | None = None, code: str | None = None) -> Quantity:
    return Quantity(span(prefix, value, value + 1 if prefix in ("eq", "ne") else value), system, code)


STORED: dict[Kind, dict[str, tuple[tuple[Any, ...], ...]]] = {
    "string": {
        "aa": (("ås", "Ås"),),
        "long": ((LONG + "a", LONG + "a"),),
        "longer": ((LONG + "b", LONG + "B"), ("as", "As")),
    },
    "token": {
        "draft": (("draft", "urn:s"),),
        "bare": (("draft", ""),),
        "active": (("active", "urn:s"), ("x", "urn:t")),
    },
    "date": {"day": ((10, 11),), "month": ((0, 30),), "next": ((30, 60),), "two": ((10, 11), (90, 91))},
    "number": {"one": ((1.0, 1.0),), "half": ((1.5, 1.5),), "range": ((1.0, 3.0),)},
    "quantity": {"kr": ((5.0, 5.0, "NOK", "urn:c", "kr"),), "eur": ((5.0, 5.0, "EUR", "urn:c", ""),)},
    "uri": {"a": (("http://e/a",),), "ab": (("http://e/a/b",),), "ax": (("http://e/ax",),), "v": (("http://e/a|1",),)},
    "reference": {
        "one": (("Organization/o", ""),),
        "url": (("http://e/a", "1"),),
        "two": (("Task/x", ""), ("Task/y", "")),
    },
}


@pytest.mark.parametrize(
    ("kind", "op", "values", "found"),
    [
        ("string", "match", [text("å")], {"aa"}),
        ("string", "match", [text("Ås"), text("as")], {"aa", "longer"}),
        ("string", "match", [text(LONG[:60])], {"long", "longer"}),
        ("string", "match", [text(LONG + "B")], {"longer"}),
        ("string", "match", [text("")], {"aa", "long", "longer"}),
        ("string", "exact", [text("Ås")], {"aa"}),
        ("string", "exact", [text("ås")], set()),
        ("string", "exact", [text(LONG + "B")], {"longer"}),
        ("string", "contains", [text("kommun")], {"long", "longer"}),
        ("string", "contains", [text("%")], set()),
        ("token", "match", [Token(None, "draft")], {"draft", "bare"}),
        ("token", "match", [Token("urn:s", "draft")], {"draft"}),
        ("token", "match", [Token("", "draft")], {"bare"}),
        ("token", "match", [Token("urn:s", None)], {"draft", "active"}),
        ("token", "match", [Token("urn:t", None), Token("", "draft")], {"active", "bare"}),
        ("token", "match", [Token(None, "DRAFT"), Token("urn:never", "draft")], set()),
        ("date", "match", [span("eq", 0, 30)], {"day", "month", "two"}),
        ("date", "match", [span("eq", 10, 11)], {"day", "two"}),
        ("date", "match", [span("ne", 0, 30)], {"next", "two"}),
        ("date", "match", [span("gt", 0, 30)], {"next", "two"}),
        ("date", "match", [span("lt", 10, 11)], {"month"}),
        ("date", "match", [span("ge", 10, 11)], {"day", "month", "next", "two"}),
        ("date", "match", [span("le", 10, 11)], {"day", "month", "two"}),
        ("date", "match", [span("sa", 0, 30)], {"next", "two"}),
        ("date", "match", [span("eb", 30, 60)], {"day", "month", "two"}),
        ("date", "match", [span("ap", 29, 31)], {"month", "next"}),
        ("number", "match", [span("eq", 0.5, 1.5)], {"one"}),
        ("number", "match", [span("ne", 0.5, 1.5)], {"half", "range"}),
        ("number", "match", [span("gt", 1.5)], {"range"}),
        ("number", "match", [span("ge", 1.5)], {"half", "range"}),
        ("number", "match", [span("lt", 1.5)], {"one", "range"}),
        ("number", "match", [span("le", 1.0)], {"one", "range"}),
        ("number", "match", [span("sa", 1.0)], {"half"}),
        ("number", "match", [span("eb", 1.5)], {"one"}),
        ("number", "match", [span("ap", 1.4, 1.6)], {"half", "range"}),
        ("quantity", "match", [amount("eq", 5)], {"kr", "eur"}),
        ("quantity", "match", [amount("eq", 5, "urn:c", "NOK")], {"kr"}),
        ("quantity", "match", [amount("eq", 5, None, "kr")], {"kr"}),
        ("quantity", "match", [amount("eq", 5, None, "EUR")], {"eur"}),
        ("quantity", "match", [amount("eq", 5, "urn:c", "kr")], set()),
        ("quantity", "match", [amount("gt", 5, None, "kr")], set()),
        ("uri", "match", [Uri("http://e/a")], {"a"}),
        ("uri", "below", [Uri("http://e/a")], {"a", "ab", "v"}),
        ("uri", "below", [Uri("http://e/")], {"a", "ab", "ax", "v"}),
        ("uri", "above", [Uri("http://e/a/b/c")], {"a", "ab"}),
        ("uri", "above", [Uri("http://e/a|1")], {"a", "v"}),
        ("reference", "match", [Reference(("Organization/o",))], {"one"}),
        ("reference", "match", [Reference(("Organization/never", "Task/y"))], {"two"}),
        ("reference", "match", [Reference(("http://e/a",), "1")], {"url"}),
        ("reference", "match", [Reference(("http://e/a",), "2")], set()),
        ("reference", "match", [Reference(("Task/never",))], set()),
    ],
)
async def test_what_a_clause_finds_and_what_its_negation(
    store: Store, kind: Kind, op: str, values: list[Any], found: set[str]
) -> None:
    for id, its in STORED[kind].items():
        await put(store, f"Task/{id}", rows(kind, *its))
    await put(store, "Task/without")
    everyone = {*STORED[kind], "without"}
    asked = clause(kind, *values, op=op)
    assert set(await ids(store, tasks(asked))) == found
    assert set(await ids(store, tasks(replace(asked, negated=True)))) == everyone - found
    assert set(await ids(store, tasks(clause(kind, op="missing")))) == {"without"}
    assert set(await ids(store, tasks(clause(kind, op="missing", negated=True)))) == everyone - {"without"}


async def test_hundreds_of_values_of_one_clause_are_one_search(store: Store) -> None:
    for id in "abc":
        await put(store, f"Task/{id}", tokens(f"code-{id}", system="urn:s"))
    values = tuple(Token("urn:s", f"code-{n}") for n in [*range(2000), "a", "c"])
    assert await ids(store, tasks(Clause("Task.status", "token", "match", values))) == ["c", "a"]


async def test_ids_are_of_the_asked_type(store: Store) -> None:
    for ref in ("Task/a", "Task/b", "Plan/c"):
        await put(store, ref)
    some = Clause("_id", "id", "match", (Token(None, "a"), Token(None, "c"), Token(None, "never")))
    assert await ids(store, tasks(some)) == ["a"]
    assert await ids(store, tasks(replace(some, negated=True))) == ["b"]


async def test_a_composite_is_met_by_one_element(store: Store) -> None:
    def money(kind: str, value: float, n: int) -> Indexed:
        return Indexed(token=(("Plan.cost$1", kind, "", n),), number=(("Plan.cost$2", value, value, n),))

    await put(store, "Plan/right", both(money("capital", 5, 0), money("running", 9, 1)))
    await put(store, "Plan/crossed", both(money("capital", 9, 0), money("running", 5, 1)))
    value = Composite(
        (
            Clause("Plan.cost$1", "token", "match", (Token(None, "capital"),)),
            Clause("Plan.cost$2", "number", "match", (span("lt", 6),)),
        )
    )
    asked = Clause("Plan.cost", "composite", "match", (value,))
    assert await ids(store, Query("Plan", (asked,))) == ["right"]
    assert await ids(store, Query("Plan", (replace(asked, negated=True),))) == ["crossed"]


SORTED: dict[str, Indexed] = {
    "low": both(strings("b"), tokens("b"), rows("date", (1, 2)), rows("number", (1.0, 1.0))),
    "wide": both(strings("a", "c"), tokens("a", "c"), rows("date", (0, 1), (5, 9)), rows("number", (0.0, 9.0))),
    "none": Indexed(),
    "same": both(strings("b"), tokens("b"), rows("date", (1, 2)), rows("number", (1.0, 1.0))),
}
UP, DOWN = ["wide", "same", "low", "none"], ["wide", "same", "low", "none"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ([], ["same", "none", "wide", "low"]),
        ([Sort("Task.name", "string", False)], UP),
        ([Sort("Task.name", "string", True)], DOWN),
        ([Sort("Task.status", "token", False)], UP),
        ([Sort("Task.date", "date", False)], UP),
        ([Sort("Task.date", "date", True)], DOWN),
        ([Sort("Task.number", "number", True)], DOWN),
        ([Sort("Task.never", "string", False)], ["same", "none", "wide", "low"]),
        ([Sort("_id", "id", False)], ["low", "none", "same", "wide"]),
        ([Sort("_id", "id", True)], ["wide", "same", "none", "low"]),
        ([Sort("_lastUpdated", "updated", True)], ["same", "none", "wide", "low"]),
        ([Sort("_lastUpdated", "updated", False)], ["low", "wide", "none", "same"]),
        ([Sort("Task.name", "string", True), Sort("_id", "id", False)], ["wide", "low", "same", "none"]),
        ([Sort("Task.name", "string", False), Sort("_id", "id", True)], ["wide", "same", "low", "none"]),
    ],
)
async def test_order_with_missing_values_last_and_pages_from_every_position(
    store: Store, sort: list[Sort], order: list[str], count: int
) -> None:
    for id, indexed in SORTED.items():
        await put(store, f"Task/{id}", indexed)
    query = tasks(sort=tuple(sort), count=count)
    found: list[str] = []
    async with store.snapshot() as snapshot:
        while True:
            page = await snapshot.search(query)
            found += [version.id for version in page.versions]
            if page.next is None:
                break
            assert (len(page.next.keys), page.next.ordinal) == (len(sort), page.versions[-1].ordinal)
            query = replace(query, cursor=page.next)
    assert found == order


@pytest.mark.parametrize(
    ("count", "total", "known"),
    [(0, "none", 3), (1, "none", None), (1, "accurate", 3), (1, "estimate", 3), (3, "none", 3)],
)
async def test_the_total_is_given_when_asked_for_or_known_for_free(
    store: Store, count: int, total: Any, known: int | None
) -> None:
    for id in "abc":
        await put(store, f"Task/{id}", refers("Organization/o"))
    async with store.snapshot() as snapshot:
        page = await snapshot.search(tasks(count=count, total=total))
    assert (len(page.versions), page.total) == (count, known)


async def _portfolio(store: Store) -> None:
    """Tasks t1, t2 of initiative p, itself of organization o; t3 of q, which names p's canonical in version 1."""
    await put(store, "Organization/o", strings("Helse Nord", key="Organization.name"))
    await put(store, "Organization/other", strings("Helse Vest", key="Organization.name"))
    url = Indexed(uri=(("Plan.url", "http://e/p", 0),), token=(("Plan.version", "1", "", 0),))
    await put(
        store, "Plan/p", both(url, refers("Organization/o", key="Plan.owner"), tokens("active", key="Plan.status"))
    )
    await put(store, "Plan/q", refers("http://e/p", key="Plan.after", version="1"))
    await put(store, "Plan/r", refers("http://e/p", key="Plan.after", version="2"))
    await put(store, "Plan/s", refers("http://e/p", key="Plan.after"))
    await put(store, "Task/t1", both(refers("Plan/p", key="Task.based-on"), tokens("draft")))
    await put(store, "Task/t2", both(refers("Plan/p", key="Task.based-on"), tokens("done")))
    await put(store, "Task/t3", both(refers("Plan/q", key="Task.based-on"), tokens("draft")))


ACTIVE = Clause("Plan.status", "token", "match", (Token(None, "active"),))
NORD = Clause("Organization.name", "string", "match", (text("helse nord"),))


@pytest.mark.parametrize(
    ("resource_type", "criterion", "found"),
    [
        ("Task", Chain("Task.based-on", "Plan", False, ACTIVE), ["t2", "t1"]),
        ("Task", Chain("Task.based-on", "Organization", False, NORD), []),
        ("Task", Chain("Task.based-on", "Plan", False, replace(ACTIVE, negated=True)), ["t3"]),
        ("Task", Chain("Task.based-on", "Plan", False, Chain("Plan.owner", "Organization", False, NORD)), ["t2", "t1"]),
        ("Plan", Chain("Plan.after", "Plan", True, ACTIVE), ["s", "q"]),
        ("Task", Chain("Task.based-on", "Plan", False, Chain("Plan.after", "Plan", True, ACTIVE)), ["t3"]),
        ("Plan", Has("Task", "Task.based-on", False, status("draft")), ["q", "p"]),
        ("Plan", Has("Task", "Task.based-on", False, status("done")), ["p"]),
        ("Plan", Has("Plan", "Plan.after", True, Clause("_id", "id", "match", (Token(None, "s"),))), ["p"]),
        ("Plan", Has("Plan", "Plan.after", True, Clause("_id", "id", "match", (Token(None, "r"),))), []),
        ("Organization", Has("Plan", "Plan.owner", False, Has("Task", "Task.based-on", False, status("done"))), ["o"]),
        ("Task", AnyOf((status("done"), owner("Plan/q", key="Task.based-on"))), ["t3", "t2"]),
        ("Task", AnyOf((status("done"), Chain("Task.based-on", "Plan", False, ACTIVE))), ["t2", "t1"]),
        ("Task", AllOf((status("done"), Chain("Task.based-on", "Plan", False, ACTIVE))), ["t2"]),
        ("Task", AnyOf((AllOf((status("done"), status("draft"))), owner("Plan/q", key="Task.based-on"))), ["t3"]),
        ("Plan", Has("Task", "Task.based-on", False, AllOf((status("draft"), status("done")))), []),
    ],
)  # fmt: skip
async def test_chains_and_has(store: Store, resource_type: str, criterion: Criterion, found: list[str]) -> None:
    await _portfolio(store)
    assert await ids(store, Query(resource_type, (criterion,))) == found


async def test_chains_end_at_the_deleted(store: Store) -> None:
    await _portfolio(store)
    await delete(store, "Plan/p")
    assert await ids(store, tasks(Chain("Task.based-on", "Plan", False, replace(ACTIVE, negated=True)))) == ["t3"]


def include(key: str, target: str = "", *, iterate: bool = False, canonical: bool = False) -> Include:
    return Include(key.partition(".")[0], (key,), target, False, iterate, frozenset({key} if canonical else ()))


def revinclude(key: str, target: str = "", *, iterate: bool = False, canonical: bool = False) -> Include:
    return replace(include(key, target, iterate=iterate, canonical=canonical), reverse=True)


EVERYTHING = [
    revinclude("Plan.owner"),
    revinclude("Task.based-on", iterate=True),
    revinclude("Plan.after", iterate=True, canonical=True),
]


@pytest.mark.parametrize(
    ("start", "includes", "found"),
    [
        ("Task/t1", [include("Task.based-on")], ["p"]),
        ("Task/t1", [include("Task.based-on", "Organization")], []),
        ("Task/t1", [include("Task.based-on"), include("Plan.owner")], ["p"]),
        ("Task/t1", [include("Task.based-on"), include("Plan.owner", iterate=True)], ["p", "o"]),
        ("Plan/p", [revinclude("Task.based-on")], ["t1", "t2"]),
        ("Plan/p", [revinclude("Task.based-on", "Organization")], []),
        ("Plan/q", [include("Plan.after", canonical=True)], ["p"]),
        ("Plan/q", [include("Plan.after", "Plan", canonical=True)], ["p"]),
        ("Plan/q", [include("Plan.after", "Task", canonical=True)], []),
        ("Plan/r", [include("Plan.after", canonical=True)], []),
        ("Plan/p", [revinclude("Plan.after", canonical=True)], ["q", "s"]),
        ("Organization/o", EVERYTHING, ["p", "t1", "t2", "q", "s", "t3"]),
        ("Task/t1", [include("Task.based-on"), revinclude("Task.based-on", iterate=True)], ["p", "t2"]),
    ],
)  # fmt: skip
async def test_includes(store: Store, start: str, includes: list[Include], found: list[str]) -> None:
    await _portfolio(store)
    resource_type, _, id = start.partition("/")
    async with store.snapshot() as snapshot:
        match = await snapshot.read(resource_type, id)
        assert match is not None
        added, reached = await snapshot.include([match], includes, 50)
        assert ([version.id for version in added], reached) == (found, False)
        for limit in range(1, len(found)):
            some, reached = await snapshot.include([match], includes, limit)
            assert ([version.id for version in some], reached) == (found[:limit], True)


async def test_iterating_includes_end_in_a_circle(store: Store) -> None:
    for id, to in (("a", "b"), ("b", "c"), ("c", "a")):
        await put(store, f"Task/{id}", refers(f"Task/{to}"))
    async with store.snapshot() as snapshot:
        page = await snapshot.search(tasks(Clause("_id", "id", "match", (Token(None, "a"),))))
        added, _ = await snapshot.include(page.versions, [include("Task.owner", iterate=True)], 50)
    assert [version.id for version in added] == ["b", "c"]


async def test_broad_searches_are_the_same_in_every_form(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More candidates than SQLite gathers: streamed from one value, from the type, and all of them for a sort."""
    from server.store import sqlite_search

    from .build import unit, write

    monkeypatch.setattr(sqlite_search, "FEW", 40)
    monkeypatch.setattr(sqlite_search, "SAMPLE", 8)

    def indexed(n: int) -> Indexed:
        return both(tokens("even" if n % 2 == 0 else "odd", "any"), strings(f"{n:03}"))

    await store.commit(unit(*(write("Task", str(n), 1, indexed(n)) for n in range(120))))
    even = [str(n) for n in reversed(range(0, 120, 2))]
    assert await ids(store, tasks(status("even"), count=300)) == even
    assert await ids(store, tasks(status("any"), status("even"), count=300)) == even
    assert await ids(store, tasks(status("even", "never"), count=300)) == even
    assert await ids(store, tasks(status("odd", negated=True), count=300)) == even
    by_name = tasks(status("even"), count=300, sort=(Sort("Task.name", "string", False),))
    assert await ids(store, by_name) == even[::-1]
    assert await ids(store, tasks(status("even"), named("02"))) == ["28", "26", "24", "22", "20"]
    async with store.snapshot() as snapshot:
        assert (await snapshot.search(tasks(status("even"), count=2, total="accurate"))).total == 60


async def test_explain_has_a_line_for_each_criterion_and_the_engines_plan(store: Store) -> None:
    await put(store, "Task/a", tokens("draft"))
    async with store.snapshot() as snapshot:
        lines = await snapshot.explain(tasks(status("draft"), named("a", "contains")))
    assert "drives" in lines[0]
    assert "checked" in lines[1]
    assert len(lines) > 2
