"""How much one query may ask: what is within these, every store understands in some tenths of a second at most."""

from __future__ import annotations

from typing import assert_never

from server.outcome import FhirError
from server.search.query import AllOf, AnyOf, Chain, Clause, Criterion, Has

MAX_LINKS = 3
"""Links of one chain or _has. Each is nested in the one before and holds what the caller may see at its end, itself up
to two links; SQLite's parser takes 100 levels of nesting."""
MAX_VALUES = 200
"""Values of one parameter, each a condition of its own."""
MAX_IDS = 2_000
"""Values of _id, which are one list."""
MAX_SORTS = 10
"""Sort keys: each is nested in the one before, and SQLite's parser takes some 40."""
MAX_CONDITIONS = 1_000
"""Of a whole query. A chain that names no type is asked of each that it may lead to, and so on at each link; SQLite
takes 0.4 ms to compile one such condition (subject.subject.subject.subject had 351)."""


def limited(what: str, count: int, most: int, name: str) -> None:
    """FhirError too-costly (400) when `count` is more than `most`; `name` is the parameter."""
    if count > most:
        text = f"For mye i ett søk / {count} {what} in one search; at most {most} are taken."
        raise FhirError("too-costly", text, expression=name)


def check_links(name: str) -> None:
    """FhirError too-costly for a parameter name with too many links: counted before any of them is followed."""
    limited("links of a chain or _has", name.count(".") + name.count("_has:"), MAX_LINKS, name[:100])


def conditions(criterion: Criterion) -> int:
    """How many conditions a store checks for it."""
    match criterion:
        case Clause():
            return 1 if criterion.kind == "id" else max(1, len(criterion.values))
        case AnyOf(criteria) | AllOf(criteria):
            return sum(conditions(one) for one in criteria)
        case Chain() | Has():
            return conditions(criterion.criterion)
        case _:
            assert_never(criterion)
