"""What meets a criterion, row by row: the words of query.py as tables. R4 search.html."""

from __future__ import annotations

from typing import Any

import pytest

from server.search.match import matches
from server.search.query import AnyOf, Chain, Clause, Composite, Has, Quantity, Reference, Span, Text, Token, Uri
from server.store.store import Indexed

ROWS = Indexed(
    string=(("T.name", "møte i as", "Møte i Ås", 0),),
    token=(("T.status", "active", "urn:s", 0), ("T.code", "plain", "", 0), ("T.part$1", "a", "", 0),
           ("T.part$1", "b", "", 1)),
    date=(("T.date", 100, 200, 0), ("T.part$0", 10, 20, 0), ("T.part$0", 30, 40, 1)),
    number=(("T.score", 5.0, 5.0, 0),),
    quantity=(("T.size", 5.0, 5.0, "mg", "urn:ucum", "milligram", 0),),
    uri=(("T.url", "http://x.no/a/b|1", 0),),
    reference=(("T.owner", "Organization/1", "", 0), ("T.of", "http://x.no/m", "2", 0)),
)  # fmt: skip


def found(key: str, kind: Any, op: Any, *values: Any, negated: bool = False) -> bool:
    return matches(Clause(key, kind, op, values, negated), "T", "1", ROWS)


@pytest.mark.parametrize(
    ("op", "asked", "met"),
    [
        ("match", Text("møte", "Møte"), True),
        ("match", Text("i as", "i Ås"), False),
        ("contains", Text("i as", "i Ås"), True),
        ("contains", Text("bodø", "Bodø"), False),
        ("exact", Text("møte i as", "Møte i Ås"), True),
        ("exact", Text("møte i as", "møte i as"), False),
    ],
)
def test_strings(op: str, asked: Text, met: bool) -> None:
    assert found("T.name", "string", op, asked) is met


@pytest.mark.parametrize(
    ("key", "asked", "met"),
    [
        ("T.status", Token(None, "active"), True),
        ("T.status", Token("urn:s", "active"), True),
        ("T.status", Token("urn:s", None), True),
        ("T.status", Token("urn:other", None), False),
        ("T.status", Token("", "active"), False),
        ("T.status", Token("urn:s", "Active"), False),
        ("T.code", Token("", "plain"), True),
        ("T.code", Token(None, "plain"), True),
        ("T.code", Token("urn:s", "plain"), False),
    ],
)
def test_tokens(key: str, asked: Token, met: bool) -> None:
    assert found(key, "token", "match", asked) is met


PREFIXES: Any = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


# The stored interval is [100, 200). One row per place of the asked one: the prefixes that it meets.
@pytest.mark.parametrize(
    ("low", "high", "met"),
    [
        (100, 200, {"eq", "ge", "le", "ap"}),
        (50, 250, {"eq", "ge", "le", "ap"}),
        (120, 150, {"ne", "gt", "lt", "ge", "le", "ap"}),
        (50, 150, {"ne", "gt", "ge", "ap"}),
        (150, 250, {"ne", "lt", "le", "ap"}),
        (50, 100, {"ne", "gt", "ge", "sa"}),
        (200, 250, {"ne", "lt", "le", "eb"}),
    ],
)
def test_dates_by_prefix(low: int, high: int, met: set[str]) -> None:
    assert {p for p in PREFIXES if found("T.date", "date", "match", Span(p, low, high))} == met


# The stored point is 5. gt, lt, ge, le, sa and eb are asked with the value itself …
@pytest.mark.parametrize(
    ("asked", "met"),
    [(4, {"gt", "ge", "sa"}), (5, {"ge", "le"}), (6, {"lt", "le", "eb"})],
)
def test_numbers_by_comparing_prefix(asked: float, met: set[str]) -> None:
    prefixes: Any = ("gt", "lt", "ge", "le", "sa", "eb")
    assert {p for p in prefixes if found("T.score", "number", "match", Span(p, asked, asked))} == met


# … and eq, ne and ap with what would be rounded to it.
@pytest.mark.parametrize(
    ("low", "high", "met"),
    [
        (4.5, 5.5, {"eq", "ap"}),
        (5, 6, {"eq", "ap"}),
        (4, 5, {"ne", "ap"}),
        (5.5, 6.5, {"ne"}),
        (3.5, 4.5, {"ne"}),
    ],
)
def test_numbers_by_implicit_precision(low: float, high: float, met: set[str]) -> None:
    assert {
        p for p in (PREFIXES[0], PREFIXES[1], PREFIXES[-1]) if found("T.score", "number", "match", Span(p, low, high))
    } == met


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        (Quantity(Span("gt", 4, 4), None, None), True),
        (Quantity(Span("gt", 5, 5), None, None), False),
        (Quantity(Span("gt", 4, 4), None, "mg"), True),
        (Quantity(Span("gt", 4, 4), None, "milligram"), True),
        (Quantity(Span("gt", 4, 4), None, "kg"), False),
        (Quantity(Span("gt", 4, 4), "urn:ucum", "mg"), True),
        (Quantity(Span("gt", 4, 4), "urn:ucum", "milligram"), False),
        (Quantity(Span("gt", 4, 4), "urn:other", "mg"), False),
        (Quantity(Span("gt", 4, 4), "urn:ucum", None), True),
    ],
)
def test_quantities(asked: Quantity, met: bool) -> None:
    assert found("T.size", "quantity", "match", asked) is met


@pytest.mark.parametrize(
    ("op", "asked", "met"),
    [
        ("match", "http://x.no/a/b|1", True),
        ("match", "http://x.no/a", False),
        ("below", "http://x.no/a", True),
        ("below", "http://x.no/a/", True),
        ("below", "http://x.no/a/b", True),
        ("below", "http://x.no/a/b|1", True),
        ("below", "http://x.n", False),
        ("above", "http://x.no/a/b|1/c", True),
        ("above", "http://x.no/a", False),
    ],
)
def test_uris(op: str, asked: str, met: bool) -> None:
    assert found("T.url", "uri", op, Uri(asked)) is met


@pytest.mark.parametrize(
    ("key", "asked", "met"),
    [
        ("T.owner", Reference(("Organization/1",)), True),
        ("T.owner", Reference(("Device/1", "Organization/1")), True),
        ("T.owner", Reference(("Organization/2",)), False),
        ("T.of", Reference(("http://x.no/m",)), True),
        ("T.of", Reference(("http://x.no/m",), "2"), True),
        ("T.of", Reference(("http://x.no/m",), "1"), False),
    ],
)
def test_references(key: str, asked: Reference, met: bool) -> None:
    assert found(key, "reference", "match", asked) is met


@pytest.mark.parametrize(("id", "met"), [("1", True), ("2", False)])
def test_ids(id: str, met: bool) -> None:
    assert found("_id", "id", "match", Token(None, id)) is met
    assert found("_id", "id", "match", Token(None, id), negated=True) is not met


def part(code: str, low: int, high: int) -> Composite:
    date = Clause("T.part$0", "date", "match", (Span("eq", low, high),))
    return Composite((date, Clause("T.part$1", "token", "match", (Token(None, code),))))


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        ((part("a", 10, 20),), True),
        ((part("b", 30, 40),), True),
        ((part("a", 30, 40),), False),  # both are there, but not of one element
        ((part("a", 30, 40), part("b", 30, 40)), True),
    ],
)
def test_the_parts_of_a_composite_are_of_one_element(asked: tuple[Composite, ...], met: bool) -> None:
    assert found("T.part", "composite", "match", *asked) is met


@pytest.mark.parametrize(
    ("key", "kind", "missing"),
    [
        ("T.status", "token", False),
        ("T.nothing", "token", True),
        ("T.status", "string", True),
        ("T.part$0", "composite", False),
        ("T.nothing$0", "composite", True),
    ],
)
def test_missing(key: str, kind: str, missing: bool) -> None:
    assert found(key, kind, "missing") is missing
    assert found(key, kind, "missing", negated=True) is not missing


def test_any_value_is_enough_and_negated_none_may_meet() -> None:
    either = (Token(None, "draft"), Token(None, "active"))
    assert found("T.status", "token", "match", *either)
    assert not found("T.status", "token", "match", *either, negated=True)
    assert found("T.nothing", "token", "match", *either, negated=True)


def test_any_of_several_criteria() -> None:
    never = Clause("T.status", "token", "match", (Token(None, "draft"),))
    holds = Clause("T.code", "token", "match", (Token(None, "plain"),))
    assert matches(AnyOf((never, holds)), "T", "1", ROWS)
    assert not matches(AnyOf((never, never)), "T", "1", ROWS)


@pytest.mark.parametrize("make", [Chain, Has])
def test_what_leads_to_other_resources_is_refused(make: Any) -> None:
    inner = Clause("T.status", "token", "match", (Token(None, "active"),))
    criterion = Chain("T.owner", "T", False, inner) if make is Chain else Has("T", "T.owner", False, inner)
    with pytest.raises(ValueError, match=r"T\.owner leads to other resources"):
        matches(criterion, "T", "1", ROWS)
