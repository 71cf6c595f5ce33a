"""Golden files: what each store makes of the same queries. scripts/golden --update rewrites them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from server.search.query import (
    AnyOf,
    Chain,
    Clause,
    Composite,
    Cursor,
    Has,
    Quantity,
    Query,
    Reference,
    Sort,
    Span,
    Text,
    Token,
    Uri,
)
from server.store import mongo_search, sqlite_search
from server.store.mongo_search import Links, Standing
from server.store.sqlite_criteria import Criteria
from server.store.terms import newest_first
from tests.mappings.test_golden import as_agreed

from .build import named, owner, status, tasks

GOLDEN = Path(__file__).parent / "golden"
NORD = Clause("Organization.name", "string", "match", (Text("helse nord", "Helse Nord"),))
DUE = Clause("Task.due", "date", "match", (Span("lt", 1_638_226_800_000_000, 1_638_313_200_000_000),))
LINE = Composite(
    (
        Clause("Plan.finance$1", "token", "match", (Token(None, "drift"),)),
        Clause("Plan.finance$2", "date", "match", (Span("ge", 10, 20),)),
    )
)

QUERIES = {
    "status": tasks(status("draft", "active")),
    "status-not": tasks(status("draft", negated=True)),
    "status-due-name": tasks(status("ready"), DUE, named("Journal", "contains")),
    "name-sorted-second-page": tasks(
        named("å"), sort=(Sort("Task.due", "date", True), Sort("_id", "id", False)), cursor=Cursor((None, "a"), 65536)
    ),
    "owner": tasks(owner("Organization/o"), count=20, cursor=Cursor((), 131072)),
    "owner-name": tasks(Chain("Task.owner", "Organization", False, NORD)),
    "has-status": Query("Plan", (Has("Task", "Task.based-on", False, status("draft")),)),
    "after-canonical": Query("Plan", (Chain("Plan.after", "Plan", True, Clause("Plan.url", "uri", "below", (Uri("http://e"),))),)),
    "either": tasks(AnyOf((status("done"), owner("Plan/q", key="Task.based-on")))),
    "finance": Query("Plan", (Clause("Plan.finance", "composite", "match", (LINE,)),)),
    "quantity": tasks(Clause("Task.size", "quantity", "match", (Quantity(Span("gt", 5, 5), "urn:ucum", "mg"),))),
    "canonical-version": tasks(Clause("Task.of", "reference", "match", (Reference(("http://e/m",), "2"),))),
    "missing": tasks(Clause("Task.owner", "reference", "missing", ())),
}  # fmt: skip


class _Names:
    """Interned in the order of asking; a reference's target as the text it is."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def name(self, text: str) -> int:
        return self.known.setdefault(text, len(self.known) + 1)

    target = name


def _sql(query: Query) -> str:
    names = _Names()
    criteria = Criteria(names, None)
    drives = query.criteria and sqlite_search.candidates(query.criteria[0], query.resource_type, criteria) is not None
    by = sqlite_search.Driver(0, "few") if drives else sqlite_search.Driver(None, "type")
    found = sqlite_search.page(query, criteria, by, query.count + 1)
    text = re.sub(r" (FROM|WHERE|AND EXISTS|ORDER BY|UNION ALL|CROSS JOIN) ", r"\n\1 ", found.text)
    given = "".join(f"-- {number} = {text}\n" for text, number in names.known.items())
    return f"{given}{text}\n-- {list(found.parameters)}\n"


ANSWER: Links = frozenset({("Plan/a", ""), ("Plan/b", "")})
CANONICALS: Links = frozenset({("http://e/p", ""), ("http://e/p", "1")})


def _mongo(query: Query) -> dict[str, Any]:
    """Each step by itself: what a chain leads through is taken as answered by two."""
    present, steps = Standing(), {}
    answers: dict[Any, Links] = {}
    for asked in mongo_search.questions(query.criteria):
        steps[f"step {len(steps) + 1}"] = mongo_search.question(asked, present, answers)
        answers[asked] = CANONICALS if asked.canonical else ANSWER
    if newest_first(query):
        return {**steps, "find": mongo_search.page(query, present, answers), "sort": {"_id": -1}}
    return {**steps, "aggregate": mongo_search.sorted_page(query, present, answers, query.count + 1)}


@pytest.mark.parametrize("name", QUERIES)
def test_golden_query_in_sql(name: str) -> None:
    as_agreed(GOLDEN / f"{name}.sql", _sql(QUERIES[name]))


@pytest.mark.parametrize("name", QUERIES)
def test_golden_query_for_mongodb(name: str) -> None:
    text = json.dumps(_mongo(QUERIES[name]), ensure_ascii=False, indent=2)
    as_agreed(GOLDEN / f"{name}.mongo.json", f"{text}\n")


def test_golden_query_of_a_past_moment_for_mongodb() -> None:
    found = mongo_search.page(QUERIES["status"], Standing(7), {})
    as_agreed(GOLDEN / "status-past.mongo.json", f"{json.dumps(found, ensure_ascii=False, indent=2)}\n")
