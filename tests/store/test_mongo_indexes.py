"""Each selective criterion compiles to a filter that bounds the leading members of an index that is declared.

Which index a server takes is its own choice, and SecantusDB does not say: what is held here is that there is one to
take, whatever the criterion. Each branch of an $or needs it; what stands in $nor or $expr bounds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Has,
    Kind,
    Quantity,
    Query,
    Reference,
    Span,
    Text,
    Token,
    Uri,
    Value,
)
from server.store import mongo_search
from server.store.mongo_schema import indexes
from server.store.mongo_search import Standing, index_of

from .test_moments import clauses

DECLARED = {
    # The order of writing ends most of them, and is bounded in a search of the past.
    index.document["name"]: [key for key in index.document["key"] if key != "_id"]
    for index in indexes()
}
_ROW = "$elemMatch"
LINKS = frozenset({("Organization/a", ""), ("http://e/a", "1"), ("http://e/b", "")})


Members = list[tuple[str, Any]]


def _flat(filter: Mapping[str, Any]) -> tuple[Members, list[list[Any]]]:
    """The members of a conjunction, those of an $and within it too, and its $ors."""
    members = [(name, value) for name, value in filter.items() if not name.startswith("$")]
    ors = [filter["$or"]] if "$or" in filter else []
    for part in filter.get("$and", ()):
        more, further = _flat(part)
        members, ors = members + more, ors + further
    return members, ors


def _bound(members: Members) -> frozenset[str]:
    """Those that a value or a range is given for."""
    ranges = {"$in", "$gte", "$gt", "$lt", "$lte"}
    return frozenset(name for name, wanted in members if not isinstance(wanted, dict) or wanted.keys() & ranges)


def led(filter: Mapping[str, Any], keys: list[str], outside: frozenset[str] = frozenset()) -> int:
    """How many leading members of the index are bounded. Of an $or the worst branch counts; the members of a row are
    bounded together, in one $elemMatch."""
    members, ors = _flat(filter)
    shared = outside | _bound(members)
    rows = [(name, _flat(value[_ROW])[0]) for name, value in members if isinstance(value, dict) and _ROW in value]
    bounded = [shared, *(shared | {f"{name}.{member}" for member in _bound(row)} for name, row in rows)]
    found = [next((place for place, key in enumerate(keys) if key not in one), len(keys)) for one in bounded]
    return max([*found, *(min(led(branch, keys, shared) for branch in branches) for branches in ors)])


def compiled(criterion: Criterion, standing: Standing) -> dict[str, Any]:
    answers = dict.fromkeys(mongo_search.questions((criterion,)), LINKS)
    return mongo_search.matches(Query("Task", (criterion,)), standing, answers)


def clause(kind: Kind, *values: Value, op: Any = "match", key: str = "Task.p") -> Clause:
    return Clause(key, kind, op, values)


def spans(kind: Kind, *prefixes: Any) -> list[Clause]:
    return [clause(kind, Span(prefix, 1, 2)) for prefix in prefixes]


TOKEN, TEXT = Token("urn:s", "draft"), Text("ås", "Ås")
OWNER = clause("reference", Reference(("Organization/a",)))
# The index, and how many of its members are bounded: state, key and value, in the order that it has them.
BY_VALUE: list[tuple[str, Criterion]] = [
    ("string_rows", clause("string", TEXT)),
    ("string_rows", clause("string", TEXT, op="exact")),
    ("string_rows", clause("string", Text("x" * 60, "x" * 60))),
    ("string_rows", clause("string", TEXT, Text("b", "b"))),
    ("token_rows", clause("token", TOKEN)),
    ("token_rows", clause("token", Token(None, "draft"))),
    ("token_rows", clause("token", TOKEN, Token("urn:t", "active"), Token(None, "x"))),
    *(("date_rows", one) for one in spans("date", "eq", "lt", "le", "sa", "eb", "ap")),
    *(("number_rows", one) for one in spans("number", "eq", "lt", "le", "sa", "eb", "ap")),
    ("quantity_rows", clause("quantity", Quantity(Span("lt", 1, 1), "urn:s", "NOK"))),
    *(("uri_rows", clause("uri", Uri("http://e/a"), Uri("http://e/b/"), op=op)) for op in ("match", "above", "below")),
    ("reference_rows", OWNER),
    ("reference_rows", clause("reference", Reference(("http://e/a",), "1"), Reference(("http://e/b",)))),
    ("reference_rows", Chain("Task.owner", "Organization", False, clause("token", TOKEN))),
    ("reference_rows", Chain("Task.c", "PlanDefinition", True, clause("token", TOKEN))),
    ("uri_rows", Has("Task", "Task.c", True, clause("token", TOKEN))),
    ("token_rows", AllOf((clause("string", TEXT, op="contains"), clause("token", TOKEN)))),
    ("token_rows", clause("composite", Composite((clause("token", TOKEN), spans("date", "gt")[0])))),
    ("updated", clause("date", Span("ge", 1, 2), key="Task._lastUpdated")),
]  # fmt: skip
# What has no bound on its low end, or names no code: the index gives the rows of the key, and each is looked at.
BY_KEY: list[tuple[str, Criterion]] = [
    *(("date_rows", one) for one in spans("date", "ne", "gt", "ge")),
    *(("number_rows", one) for one in spans("number", "ne", "gt", "ge")),
    ("token_rows", clause("token", Token("urn:s", None))),
    ("token_rows", clause("token", TOKEN, Token("urn:t", None))),
]
BY_REF: list[tuple[str, Criterion]] = [
    ("numbered", clause("id", Token(None, "a"), Token(None, "b"))),
    ("numbered", Has("Task", "Task.p", False, clause("token", TOKEN))),
]


@pytest.mark.parametrize("standing", [Standing(), Standing(7)], ids=["present", "past"])
@pytest.mark.parametrize(
    ("name", "criterion", "members"),
    [(*one, members) for some, members in ((BY_VALUE, 3), (BY_KEY, 2), (BY_REF, 1)) for one in some],
)
def test_a_criterion_bounds_its_index_up_to_the_value(
    name: str, criterion: Criterion, members: int, standing: Standing
) -> None:
    assert index_of(criterion) == name
    assert led(compiled(criterion, standing), DECLARED[name]) == members


@pytest.mark.parametrize(
    "criterion",
    [
        clause("string", TEXT, op="contains"),
        clause("token", op="missing"),
        Clause("Task.p", "token", "match", (TOKEN,), negated=True),
        AnyOf((clause("token", TOKEN), clause("string", TEXT, op="contains"))),
    ],
)
def test_what_can_only_be_checked_on_each_says_so(criterion: Criterion) -> None:
    assert index_of(criterion) is None


@settings(max_examples=200, deadline=None)
@given(clauses("Task"))
def test_whatever_is_asked_has_the_index_that_the_plan_names(clause: Clause) -> None:
    name = index_of(clause)
    assert name is None or led(compiled(clause, Standing()), DECLARED[name]) >= 2
