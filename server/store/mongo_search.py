"""Query -> filter or pipeline. Pure: it opens nothing and reads no clock.

A criterion becomes a condition on one version document, its rows asked for by $elemMatch, so that the index of their
kind finds them by key and value; the server chooses which index drives, and checks the other conditions on each.
Several values are an $or of such conditions, and not an $or within one: each branch then has its index.

A Chain or _has is asked in two steps: what it leads through is a search of its own, answered first (`questions`, the
innermost before what it stands in), and its answer becomes a list in the condition. Each step has its index, and its
cost is that of what it finds. $lookup would join anew for every candidate of the outer search, in a transaction not
at all on a sharded collection, and the server could not begin at the selective end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Has,
    Quantity,
    Query,
    Reference,
    Sort,
    Span,
    Text,
    Token,
    Uri,
    Value,
)
from server.store.mongo_schema import KINDS, Document
from server.store.terms import PREFIX, above, after

Pipeline = list[Document]
Links = frozenset[tuple[str, str]]
"""What a Chain or _has leads through: (target, version). The target is "Type/id", with any version, or a URL whose
version is "" or named."""
Answers = Mapping[Criterion, Links]

MOST = 100_000
"""What a step of a chain may find; as a list in the next it takes some 5 of the 16 MB that a command holds."""

_NEVER: Document = {"_id": {"$in": []}}
_SORTED_BY = {"string": "folded", "token": "code", "uri": "value", "reference": "target"}


@dataclass(frozen=True, slots=True)
class Standing:
    """Which versions count: those current after `sequence`; None for the present, of which nothing newer is seen."""

    sequence: int | None = None

    @property
    def condition(self) -> Document:
        if self.sequence is None:
            return {"state": "now"}
        return {
            "state": {"$in": ["now", "was"]},
            "_id": {"$lte": (self.sequence << 16) | 0xFFFF},
            "until": {"$gt": self.sequence},
        }

    def of_type(self, resource_type: str) -> Document:
        return {**self.condition, "type": resource_type}


def matches(query: Query, standing: Standing, answers: Answers) -> Document:
    """The filter of all that match, whatever the page."""
    parts = [condition(criterion, query.resource_type, answers) for criterion in query.criteria]
    return {**standing.of_type(query.resource_type), **({"$and": parts} if parts else {})}


def page(query: Query, standing: Standing, answers: Answers) -> Document:
    """The filter of the matches from query.cursor on, for a search that is newest first."""
    found = matches(query, standing, answers)
    if query.cursor is None:
        return found
    return {**found, "$and": [*found.get("$and", []), {"_id": {"$lt": query.cursor.ordinal}}]}


def total(query: Query, standing: Standing, answers: Answers) -> Pipeline:
    """Gives {"count": how many match}, or nothing for none."""
    return [{"$match": matches(query, standing, answers)}, {"$count": "count"}]


def sorted_page(query: Query, standing: Standing, answers: Answers, limit: int) -> Pipeline:
    """Gives _id and the sort keys k0, k1, … (null where there is none) of a page in the asked order.

    Only they are sorted, for the server holds at most 100 MB while it does: bodies are fetched afterwards."""
    places = range(len(query.sort))
    keys = {f"k{place}": _sort_key(query.sort[place]) for place in places}
    # null comes first upwards and last downwards; resources without a value come last both ways.
    absent: Document = {f"m{place}": {"$eq": [f"$k{place}", None]} for place in places}
    order: Document = {}
    for place in places:
        order |= {f"m{place}": 1, f"k{place}": -1 if query.sort[place].descending else 1}
    return [
        {"$match": matches(query, standing, answers)},
        {"$project": keys},
        {"$addFields": absent},
        *([{"$match": _beyond(query)}] if query.cursor is not None else []),
        {"$sort": {**order, "_id": -1}},
        {"$limit": limit},
        {"$project": dict.fromkeys(keys, 1)},
    ]


def _sort_key(sort: Sort) -> Document:
    """The least (ascending) or greatest value of a version; null when it has none."""
    if sort.kind == "updated":
        return {"$ifNull": ["$at", None]}
    if sort.kind == "id":
        return {"$ifNull": ["$id", None]}
    member = _SORTED_BY.get(sort.kind, "high" if sort.descending else "low")
    rows = _picked(sort.kind, {"$eq": ["$$row.key", sort.key]})
    values = {"$map": {"input": rows, "as": "row", "in": f"$$row.{member}"}}
    return {"$ifNull": [{"$max" if sort.descending else "$min": values}, None]}


def _picked(kind: str, condition: Document) -> Document:
    return {"$filter": {"input": {"$ifNull": [f"${kind}", []]}, "as": "row", "cond": condition}}


def _beyond(query: Query) -> Document:
    """That a row comes after query.cursor in the order of the page; rows without a key are the last of it."""
    assert query.cursor is not None
    found: Document = {"_id": {"$lt": query.cursor.ordinal}}
    for place, (sort, key) in reversed(list(enumerate(zip(query.sort, query.cursor.keys, strict=True)))):
        name = f"k{place}"
        if key is None:
            found = {"$and": [{name: None}, found]}
        else:
            further = {name: {"$lt" if sort.descending else "$gt": key}}
            found = {"$or": [further, {name: None}, {"$and": [{name: key}, found]}]}
    return found


# Chains and _has


def questions(criteria: Iterable[Criterion]) -> Iterator[Chain | Has]:
    """Every Chain and _has within, each after those that its own criterion holds."""
    for criterion in criteria:
        match criterion:
            case Chain() | Has():
                yield from questions((criterion.criterion,))
                yield criterion
            case AnyOf() | AllOf():
                yield from questions(criterion.criteria)
            case Clause():
                pass
            case _:
                assert_never(criterion)


def question(asked: Chain | Has, standing: Standing, answers: Answers) -> Pipeline:
    """What a Chain or _has leads through, for `answered`; at most MOST + 1 documents."""
    kind = asked.target_type if isinstance(asked, Chain) else asked.source_type
    inner = condition(asked.criterion, kind, answers)
    found = {"$match": {**standing.of_type(kind), "$and": [inner]}}
    if isinstance(asked, Has):
        each = {"target": "$reference.target", "version": "$reference.version"}
        rows: Pipeline = [{"$unwind": "$reference"}, {"$match": {"reference.key": asked.key}}]
        return [found, *rows, {"$group": {"_id": each}}, {"$limit": MOST + 1}]
    shown: Document = {"ref": 1}
    if asked.canonical:
        shown = {
            "uri": _picked("uri", {"$eq": ["$$row.key", f"{kind}.url"]}),
            "token": _picked("token", {"$eq": ["$$row.key", f"{kind}.version"]}),
        }
    return [found, {"$limit": MOST + 1}, {"$project": shown}]


def answered(asked: Chain | Has, documents: Iterable[Document]) -> Links:
    """What the documents of `question` say."""
    if isinstance(asked, Has):
        return frozenset((found["_id"]["target"], found["_id"]["version"]) for found in documents)
    if not asked.canonical:
        return frozenset((found["ref"], "") for found in documents)
    return frozenset(link for found in documents for link in urls(found))


def urls(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The canonicals that lead to a resource, of its rows of url and version: with none, and with each of its own."""
    versions = ["", *(row["code"] for row in document.get("token", ()))]
    for row in document.get("uri", ()):
        yield from ((row["value"], version) for version in versions)


def _by_version(links: Links) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for target, version in sorted(links):
        found.setdefault(version, []).append(target)
    return found


def _chain(chain: Chain, answers: Answers) -> Document:
    links = answers[chain]
    if not links:
        return _NEVER
    if not chain.canonical:
        return _row("reference", {"key": chain.key, "target": {"$in": sorted(target for target, _ in links)}})
    return any_of(
        [
            _row("reference", {"key": chain.key, "target": {"$in": some}, "version": version})
            for version, some in _by_version(links).items()
        ]
    )


def _has(has: Has, resource_type: str, answers: Answers) -> Document:
    links = answers[has]
    if not links:
        return _NEVER
    if not has.canonical:
        return {"ref": {"$in": sorted({target for target, _ in links})}}
    parts: list[Document] = []
    for version, some in _by_version(links).items():
        url = _row("uri", {"key": f"{resource_type}.url", "value": {"$in": some}})
        own = _row("token", {"key": f"{resource_type}.version", "code": version})
        parts.append({"$and": [url, own]} if version else url)
    return any_of(parts)


# Conditions on one version


def condition(criterion: Criterion, resource_type: str, answers: Answers) -> Document:
    """That a version of `resource_type` meets the criterion; `answers` holds those of its `questions`."""
    match criterion:
        case Clause():
            found = _found(criterion, resource_type)
            return {"$nor": [found]} if criterion.negated else found
        case Chain():
            return _chain(criterion, answers)
        case Has():
            return _has(criterion, resource_type, answers)
        case AnyOf():
            return any_of([condition(part, resource_type, answers) for part in criterion.criteria])
        case AllOf():
            return {"$and": [condition(part, resource_type, answers) for part in criterion.criteria]}
        case _:
            assert_never(criterion)


def any_of(parts: Sequence[Document]) -> Document:
    return parts[0] if len(parts) == 1 else {"$or": list(parts)}


def _row(kind: str, row: Document) -> Document:
    return {kind: {"$elemMatch": row}}


def _found(clause: Clause, resource_type: str) -> Document:
    """The clause without its negation."""
    updated = clause.key.endswith("._lastUpdated")
    if clause.op == "missing":
        if clause.kind == "id" or updated:
            return _NEVER
        kinds = KINDS if clause.kind == "composite" else (clause.kind,)
        return {"$nor": [_row(kind, {"key": clause.key}) for kind in kinds]}
    if clause.kind == "id":
        return {
            "ref": {"$in": [f"{resource_type}/{value.code}" for value in clause.values if isinstance(value, Token)]}
        }
    if updated:
        return any_of([_written(value) for value in clause.values if isinstance(value, Span)])
    if clause.kind == "composite":
        return any_of([_composite(value) for value in clause.values if isinstance(value, Composite)])
    return any_of([_row(clause.kind, {"key": clause.key, **value}) for value in _values(clause)])


def _any_value(clause: Clause) -> Document:
    """What a row under the clause's key must be to meet one of its values."""
    return any_of(_values(clause))


def _values(clause: Clause) -> list[Document]:
    """Tokens and references are gathered: hundreds of identifiers are one list, which an index reads in order."""
    match clause.values[0]:
        case Token():
            return _tokens(value for value in clause.values if isinstance(value, Token))
        case Reference():
            return _references(value for value in clause.values if isinstance(value, Reference))
        case Uri():
            return [one for value in clause.values if isinstance(value, Uri) for one in _uri(clause.op, value.value)]
        case _:
            return [_value(clause, value) for value in clause.values]


def _value(clause: Clause, value: Value) -> Document:
    match value:
        case Text():
            return _text(clause.op, value)
        case Span():
            return _date(value) if clause.kind == "date" else _number(value)
        case Quantity():
            unit = _unit(value)
            return {"$and": [_number(value.span), *unit]} if unit else _number(value.span)
        case Token() | Reference() | Uri() | Composite():
            raise ValueError(f"{value} is no single value of a row.")
        case _:
            assert_never(value)


def _tokens(tokens: Iterable[Token]) -> list[Document]:
    codes: dict[str | None, list[str]] = {}
    systems: list[str] = []
    for token in tokens:
        if token.code is not None:
            codes.setdefault(token.system, []).append(token.code)
        elif token.system is not None:
            systems.append(token.system)
    found: list[Document] = []
    for system, some in codes.items():
        found.append({"code": _one_of(some)} if system is None else {"code": _one_of(some), "system": system})
    return [*found, {"system": _one_of(systems)}] if systems else found


def _references(references: Iterable[Reference]) -> list[Document]:
    targets: dict[str | None, list[str]] = {}
    for reference in references:
        targets.setdefault(reference.version, []).extend(reference.targets)
    return [
        {"target": _one_of(some)} if version is None else {"target": _one_of(some), "version": version}
        for version, some in targets.items()
    ]


def _one_of(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else {"$in": list(values)}


def _starting(text: str) -> Document:
    end = after(text)
    return {"$gte": text} if end is None else {"$gte": text, "$lt": end}


def _text(op: str, value: Text) -> Document:
    if op == "contains":
        return {"folded": {"$regex": _literally(value.folded)}}
    short = value.folded[:PREFIX]
    if op == "exact":
        return {"prefix": short, "exact": value.exact}
    if len(value.folded) <= PREFIX:
        return {"prefix": _starting(short)}
    return {"prefix": short, "folded": _starting(value.folded)}


def _literally(text: str) -> str:
    """A regular expression of exactly this text; MongoDB takes none that holds the character NUL itself."""
    return re.escape(text).replace("\0", r"\x00")


def _uri(op: str, value: str) -> list[Document]:
    if op == "above":
        return [{"value": {"$in": above(value)}}]
    if op != "below":
        return [{"value": value}]
    if value.endswith("/"):
        return [{"value": _starting(value)}]
    return [{"value": value}, *({"value": _starting(value + boundary)} for boundary in "/|")]


def _unit(value: Quantity) -> list[Document]:
    parts: list[Document] = []
    if value.code is not None and value.system is None:
        parts.append({"$or": [{"code": value.code}, {"unit": value.code}]})
    elif value.code is not None:
        parts.append({"code": value.code})
    if value.system is not None:
        parts.append({"system": value.system})
    return parts


def _date(span: Span) -> Document:
    """A stored interval [low, high); conditions on low beyond the definition's (query.Span) follow from it, and
    bound what is read of the index."""
    low, high = span.low, span.high
    match span.prefix:
        case "eq":
            return {"low": {"$gte": low, "$lte": high}, "high": {"$lte": high}}
        case "ne":
            return {"$or": [{"low": {"$lt": low}}, {"high": {"$gt": high}}]}
        case "gt":
            return {"high": {"$gt": high}}
        case "lt":
            return {"low": {"$lt": low}}
        case "ge":
            return {"$or": [{"high": {"$gt": high}}, {"low": {"$gte": low}, "high": {"$lte": high}}]}
        case "le":
            within = {"low": {"$gte": low}, "high": {"$lte": high}}
            return {"$and": [{"low": {"$lte": high}}, {"$or": [{"low": {"$lt": low}}, within]}]}
        case "sa":
            return {"low": {"$gte": high}}
        case "eb":
            return {"low": {"$lte": low}, "high": {"$lte": low}}
        case "ap":
            return {"low": {"$lt": high}, "high": {"$gt": low}}
        case _:
            assert_never(span.prefix)


def _number(span: Span) -> Document:
    low, high = span.low, span.high
    match span.prefix:
        case "eq":
            return {"low": {"$gte": low, "$lt": high}, "high": {"$lt": high}}
        case "ne":
            return {"$or": [{"low": {"$lt": low}}, {"high": {"$gte": high}}]}
        case "gt":
            return {"high": {"$gt": high}}
        case "lt":
            return {"low": {"$lt": low}}
        case "ge":
            return {"high": {"$gte": low}}
        case "le":
            return {"low": {"$lte": high}}
        case "sa":
            return {"low": {"$gt": low}}
        case "eb":
            return {"low": {"$lt": high}, "high": {"$lt": high}}
        case "ap":
            return {"low": {"$lte": high}, "high": {"$gte": low}}
        case _:
            assert_never(span.prefix)


def _written(span: Span) -> Document:
    """_lastUpdated: an instant i is [i, i + 1)."""
    low, high = span.low, span.high
    match span.prefix:
        case "eq" | "ap":
            return {"at": {"$gte": low, "$lt": high}}
        case "ne":
            return {"$or": [{"at": {"$lt": low}}, {"at": {"$gte": high}}]}
        case "gt" | "sa":
            return {"at": {"$gte": high}}
        case "ge":
            return {"at": {"$gte": low}}
        case "lt" | "eb":
            return {"at": {"$lt": low}}
        case "le":
            return {"at": {"$lt": high}}
        case _:
            assert_never(span.prefix)


# Composites: an index finds versions that meet each part somewhere; that one element meets all is then checked on each


def _composite(value: Composite) -> Document:
    parts = [(part.kind, {"key": part.key, **_any_value(part)}) for part in value.components]
    elements = [
        {"$map": {"input": _picked(kind, _as_expression(row)), "as": "row", "in": "$$row.n"}} for kind, row in parts
    ]
    shared = {"$gt": [{"$size": {"$setIntersection": elements}}, 0]}
    return {"$and": [*(_row(kind, row) for kind, row in parts), {"$expr": shared}]}


_COMPARED = frozenset(("$gt", "$gte", "$lt", "$lte", "$in"))


def _as_expression(row: Document) -> Document:
    """The same condition in the language of $expr, for what this module makes of a row."""
    found: list[Document] = []
    for name, wanted in row.items():
        if name in ("$and", "$or"):
            found.append({name: [_as_expression(part) for part in wanted]})
            continue
        for operator, value in wanted.items() if isinstance(wanted, dict) else [("$eq", wanted)]:
            if operator == "$regex":
                found.append({"$regexMatch": {"input": f"$$row.{name}", "regex": value}})
            elif operator in _COMPARED or operator == "$eq":
                found.append({operator: [f"$$row.{name}", {"$literal": value}]})
            else:
                raise ValueError(f"{operator} has no expression here.")
    return {"$and": found}


# Which index can find what meets a criterion


def index_of(criterion: Criterion) -> str | None:
    """The name of the index that can find its candidates by value; None when it can only be checked on each."""
    match criterion:
        case Clause():
            return _index_of_clause(criterion)
        case Chain():
            return "reference_rows"
        case Has():
            return "uri_rows" if criterion.canonical else "numbered"
        case AnyOf():
            names = [index_of(part) for part in criterion.criteria]
            found = [name for name in names if name is not None]
            return " and ".join(dict.fromkeys(found)) if len(found) == len(names) else None
        case AllOf():
            return next((name for part in criterion.criteria if (name := index_of(part))), None)
        case _:
            assert_never(criterion)


def _index_of_clause(clause: Clause) -> str | None:
    if clause.negated or clause.op in ("missing", "contains"):
        return None
    if clause.kind == "id":
        return "numbered"
    if clause.key.endswith("._lastUpdated"):
        return "updated"
    if clause.kind == "composite":
        parts = [value.components[0] for value in clause.values if isinstance(value, Composite)]
        return _index_of_clause(parts[0])
    return f"{clause.kind}_rows"
