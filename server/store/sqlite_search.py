"""Query -> (SQL, parameters). Pure: it opens nothing and reads no clock.

One criterion *drives*: its candidates are taken from an index, and the others are checked on each. Which one is
the most selective is found by `probe`, bounded looks that the store takes first. In four forms:

stream   a single value, newest first straight from the index, so that a page ends early
few      fewer candidates than the probe's bound: all are gathered and checked
type     no broad single value either: all of the type, newest first
sorted   by other keys: matches in any of these forms, then their keys, then the page
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Criterion,
    Has,
    Quantity,
    Query,
    Reference,
    Sort,
    Span,
    Token,
)
from server.store.sqlite_criteria import TRUE, Criteria, Parameter, Sql, joined
from server.store.terms import counted, newest_first

FEW = 1000
"""Candidates that are gathered rather than streamed; ten times as many when all matches are needed anyway."""
SAMPLE = 200
"""Rows that a look takes of a value that can stream: enough to tell a rare one from a common one."""
HANDFUL = 10
"""Candidates that end the looking."""

_MAX_SELECTS = 400
# SQLite compounds 500 SELECTs at most. What would take so many is checked on each version instead.
_DRIVING_PREFIXES = frozenset(("eq", "lt", "le", "sa", "eb"))
_SORT_COLUMN = {"string": "folded", "token": "code", "uri": "value", "reference": "ref"}


@dataclass(frozen=True, slots=True)
class Driver:
    """What finds the candidates: the criterion's place in the query (None: the type) and the form."""

    place: int | None
    form: Literal["few", "stream", "type"]


@dataclass(frozen=True, slots=True)
class Look:
    """What a probe saw: `count` rows, which are all of them when they are fewer than `bound`; of a value that can
    stream also the ordinal of the oldest: the older the last of so many newest rows, the rarer the value."""

    count: int
    bound: int
    oldest: int | None

    @property
    def whole(self) -> bool:
        return self.count < self.bound

    @property
    def enough(self) -> bool:
        """Whether to look no further: so few are checked in the time of another look."""
        return self.whole and self.count <= HANDFUL


def bound(query: Query) -> int:
    """How far the probes of what cannot stream count."""
    return FEW if newest_first(query) and not counted(query) else 10 * FEW


@dataclass(frozen=True, slots=True)
class Probe:
    """A bounded look at a criterion's candidates, in two steps: counting costs twice what passing over them does.

    `last`: SELECT of the vid of the row number `bound`, none when there are fewer; `whole`, asked only then: SELECT of
    (count, oldest vid). The oldest is NULL where the candidates cannot stream."""

    last: Sql
    whole: Sql
    bound: int


def probe(criterion: Criterion, query: Query, criteria: Criteria) -> Probe | None:
    """None for a criterion that cannot drive."""
    selects = candidates(criterion, query.resource_type, criteria)
    if selects is None:
        return None
    if _streams(criterion, criteria):
        (select,) = selects
        return _probe(select, "vid", " ORDER BY vid DESC", SAMPLE)
    return _probe(_union(selects), "NULL", "", bound(query))


def _probe(rows: Sql, oldest: str, order: str, bound: int) -> Probe:
    last = f"SELECT {oldest} FROM ({rows.text}){order} LIMIT 1 OFFSET {bound - 1}"
    least = "min(vid)" if oldest == "vid" else oldest
    whole = f"SELECT count(*), {least} FROM ({rows.text})"
    return Probe(Sql(last, rows.parameters), Sql(whole, rows.parameters), bound)


def driver(looks: list[Look | None]) -> Driver:
    """The choice: what is seen whole and has least, else the rarest that streams, else the type."""
    seen = [(look, place) for place, look in enumerate(looks) if look is not None]
    if whole := [(look.count, place, look.oldest) for look, place in seen if look.whole]:
        count, place, oldest = min(whole, key=lambda one: one[:2])
        return Driver(place, "few" if oldest is None or count == 0 else "stream")
    if streaming := [(look.oldest, place) for look, place in seen if look.oldest is not None]:
        return Driver(min(streaming)[1], "stream")
    return Driver(None, "type")


def matches(query: Query, criteria: Criteria, by: Driver) -> Sql:
    """SELECT of the vids that match, each once; it ends in its WHERE, so that conditions on v.vid may follow."""
    checks = [
        criteria.condition(criterion, query.resource_type)
        for place, criterion in enumerate(query.criteria)
        if place != by.place
    ]
    driving = None if by.place is None else query.criteria[by.place]
    source = _source(query, criteria, by, driving)
    if not checks:
        return source
    check = joined("AND", checks)
    return Sql(f"{source.text} AND ({check.text})", source.parameters + check.parameters)


def _source(query: Query, criteria: Criteria, by: Driver, driving: Criterion | None) -> Sql:
    if driving is None:
        return _all(query.resource_type, criteria)
    standing = criteria.of_type("v", query.resource_type)
    if by.form == "stream":
        assert isinstance(driving, Clause)
        (row,) = criteria.rows(driving, "d")
        where = joined("AND", [criteria.key("d", driving.key), row, Sql("v.vid = d.vid"), standing])
        return Sql(
            f"SELECT DISTINCT d.vid FROM {driving.kind} d CROSS JOIN version v WHERE {where.text}", where.parameters
        )
    union = _union(candidates(driving, query.resource_type, criteria) or [])
    return Sql(
        f"SELECT v.vid FROM version v WHERE v.vid IN ({union.text}) AND {standing.text}",
        union.parameters + standing.parameters,
    )


def _all(resource_type: str, criteria: Criteria, v: str = "v") -> Sql:
    standing = criteria.standing(v)
    index = "version_live" if criteria.sequence is None else "version_type"
    return Sql(
        f"SELECT {v}.vid FROM version {v} INDEXED BY {index} WHERE {v}.type = ? AND {standing.text}",
        (criteria.names.name(resource_type), *standing.parameters),
    )


def page(query: Query, criteria: Criteria, by: Driver, limit: int) -> Sql:
    """SELECT of vid and then the sort keys (none when newest first), from query.cursor on."""
    found = matches(query, criteria, by)
    if newest_first(query):
        vid = "d.vid" if by.form == "stream" else "v.vid"
        since, parameters = "", found.parameters
        if query.cursor is not None:
            since, parameters = f" AND {vid} < ?", (*parameters, query.cursor.ordinal)
        return Sql(f"{found.text}{since} ORDER BY {vid} DESC LIMIT ?", (*parameters, limit))
    return _sorted(query, criteria, found, limit)


def total(found: Sql) -> Sql:
    """SELECT of how many match, of what `matches` gave."""
    return Sql(f"SELECT count(*) FROM ({found.text})", found.parameters)


def _sorted(query: Query, criteria: Criteria, found: Sql, limit: int) -> Sql:
    names = [f"k{place}" for place in range(len(query.sort))]
    keys = [_sort_key(sort, query.resource_type, criteria) for sort in query.sort]
    columns = ", ".join(f"{key.text} AS {name}" for key, name in zip(keys, names, strict=True))
    after = _after(query, names)
    order = ", ".join(
        f"{name} {'DESC' if sort.descending else 'ASC'} NULLS LAST"
        for sort, name in zip(query.sort, names, strict=True)
    )
    text = (
        f"WITH m(vid) AS ({found.text}), k AS MATERIALIZED (SELECT m.vid AS vid, {columns} FROM m)"
        f" SELECT vid, {', '.join(names)} FROM k WHERE {after.text} ORDER BY {order}, vid DESC LIMIT ?"
    )
    key_parameters = tuple(parameter for key in keys for parameter in key.parameters)
    return Sql(text, (*found.parameters, *key_parameters, *after.parameters, limit))


def _sort_key(sort: Sort, resource_type: str, criteria: Criteria) -> Sql:
    """The least (ascending) or greatest value of the version m.vid; NULL when it has none."""
    if sort.kind == "updated":
        return Sql("(SELECT x.instant FROM version x WHERE x.vid = m.vid)")
    if sort.kind == "id":
        return Sql(
            "(SELECT substr(q.ref, ?) FROM version x CROSS JOIN resource q WHERE x.vid = m.vid AND q.rid = x.rid)",
            (len(resource_type) + 2,),
        )
    end = "max" if sort.descending else "min"
    column = _SORT_COLUMN.get(sort.kind, "high" if sort.descending else "low")
    key = criteria.key("s", sort.key)
    table = f"{sort.kind} s INDEXED BY {sort.kind}_vid"
    if sort.kind == "reference":
        text = f"SELECT {end}(q.ref) FROM {table} CROSS JOIN resource q WHERE s.vid = m.vid AND {key.text}"
        return Sql(f"({text} AND q.rid = s.target)", key.parameters)
    return Sql(f"(SELECT {end}(s.{column}) FROM {table} WHERE s.vid = m.vid AND {key.text})", key.parameters)


def _after(query: Query, names: list[str]) -> Sql:
    """That a row comes after query.cursor in the order of the page; rows without a key are the last of it."""
    if query.cursor is None:
        return Sql("1")
    condition = Sql("vid < ?", (query.cursor.ordinal,))
    for sort, name, key in reversed(list(zip(query.sort, names, query.cursor.keys, strict=True))):
        if key is None:
            condition = Sql(f"({name} IS NULL AND {condition.text})", condition.parameters)
            continue
        beyond = f"{name} {'<' if sort.descending else '>'} ? OR {name} IS NULL"
        parameters: tuple[Parameter, ...] = (key, key, *condition.parameters)
        condition = Sql(f"({beyond} OR ({name} = ? AND {condition.text}))", parameters)
    return condition


def _union(selects: list[Sql]) -> Sql:
    text = " UNION ALL ".join(select.text for select in selects)
    return Sql(text, tuple(parameter for select in selects for parameter in select.parameters))


def candidates(criterion: Criterion, resource_type: str, criteria: Criteria) -> list[Sql] | None:
    """SELECTs of vids that together hold every match of the criterion, and of the versions standing at the
    moment only matches; None when the criterion is none that an index can find, or not in so many SELECTs."""
    found = _candidates(criterion, resource_type, criteria)
    return None if found is None or len(found) > _MAX_SELECTS else found


def _candidates(criterion: Criterion, resource_type: str, criteria: Criteria) -> list[Sql] | None:
    match criterion:
        case Clause():
            return _of_clause(criterion, resource_type, criteria) if _drives(criterion) else None
        case Chain():
            return [_of_chain(criterion, criteria)]
        case Has():
            return [_of_has(criterion, resource_type, criteria)]
        case AnyOf():
            parts = [candidates(part, resource_type, criteria) for part in criterion.criteria]
            if any(part is None for part in parts):
                return None
            return [select for part in parts for select in part or ()]
        case AllOf():
            return _of_all(criterion, resource_type, criteria)
        case _:
            assert_never(criterion)


def _of_all(every: AllOf, resource_type: str, criteria: Criteria) -> list[Sql] | None:
    """The candidates of the first part that has some, with the other parts checked on each."""
    for place, part in enumerate(every.criteria):
        selects = candidates(part, resource_type, criteria)
        if selects is not None:
            others = [*every.criteria[:place], *every.criteria[place + 1 :]]
            check = joined("AND", [criteria.condition(one, resource_type) for one in others] or [TRUE])
            union = _union(selects)
            text = f"SELECT v.vid FROM version v WHERE v.vid IN ({union.text}) AND ({check.text})"
            return [Sql(text, union.parameters + check.parameters)]
    return None


def _drives(clause: Clause) -> bool:
    if clause.negated or clause.op in ("missing", "contains") or clause.key.endswith("._lastUpdated"):
        return False
    match clause.kind:
        case "id" | "reference" | "uri" | "string":
            return True
        case "token":
            return all(isinstance(value, Token) and value.code is not None for value in clause.values)
        case "date" | "number" | "quantity":
            spans = [value.span if isinstance(value, Quantity) else value for value in clause.values]
            return all(isinstance(span, Span) and span.prefix in _DRIVING_PREFIXES for span in spans)
        case "composite":
            return False
        case _:
            assert_never(clause.kind)


def _streams(criterion: Criterion, criteria: Criteria) -> bool:
    """Whether the rows of one value, and so of one stretch of the index in order of vid, hold all candidates."""
    if criteria.sequence is not None or not isinstance(criterion, Clause) or len(criterion.values) != 1:
        return False
    value = criterion.values[0]
    if isinstance(value, Reference):
        found = [target for target in value.targets if criteria.names.target(target)]
        return len(found) == 1 and _drives(criterion)
    return criterion.kind in ("token", "uri") and criterion.op == "match" and _drives(criterion)


def _of_clause(clause: Clause, resource_type: str, criteria: Criteria) -> list[Sql]:
    if clause.kind == "id":
        rids = criteria.condition(clause, resource_type, "q")
        if criteria.sequence is None:
            return [Sql(f"SELECT q.vid FROM resource q WHERE {rids.text} AND q.vid IS NOT NULL", rids.parameters)]
        return [Sql(f"SELECT q.vid FROM version q WHERE {rids.text}", rids.parameters)]
    key = criteria.key("d", clause.key)
    return [
        Sql(f"SELECT d.vid FROM {clause.kind} d WHERE {key.text} AND {row.text}", key.parameters + row.parameters)
        for row in criteria.rows(clause, "d")
    ]


def _nested(criterion: Criterion, resource_type: str, criteria: Criteria) -> Sql:
    """SELECT of the standing versions that meet the criterion of a chain or _has."""
    selects = candidates(criterion, resource_type, criteria)
    if selects is None:
        every = _all(resource_type, criteria)
        check = criteria.condition(criterion, resource_type)
        return Sql(f"{every.text} AND ({check.text})", every.parameters + check.parameters)
    union, standing = _union(selects), criteria.of_type("v", resource_type)
    return Sql(
        f"SELECT v.vid FROM version v WHERE v.vid IN ({union.text}) AND {standing.text}",
        union.parameters + standing.parameters,
    )


def _of_chain(chain: Chain, criteria: Criteria) -> Sql:
    inner = _nested(chain.criterion, chain.target_type, criteria)
    row = criteria.key("r", chain.key)
    if not chain.canonical:
        return Sql(
            f"SELECT r.vid FROM ({inner.text}) i CROSS JOIN version w CROSS JOIN reference r"
            f" WHERE w.vid = i.vid AND r.target = w.rid AND {row.text}",
            inner.parameters + row.parameters,
        )
    same = criteria.canonical("r", "w", chain.target_type)
    return Sql(
        f"SELECT r.vid FROM ({inner.text}) i CROSS JOIN version w CROSS JOIN uri uw INDEXED BY uri_vid"
        f" CROSS JOIN resource q CROSS JOIN reference r WHERE w.vid = i.vid AND uw.vid = w.vid"
        f" AND q.ref = uw.value AND r.target = q.rid AND {row.text} AND {same.text}",
        inner.parameters + row.parameters + same.parameters,
    )


def _of_has(has: Has, resource_type: str, criteria: Criteria) -> Sql:
    inner = _nested(has.criterion, has.source_type, criteria)
    row = criteria.key("r", has.key)
    rows = f"({inner.text}) i CROSS JOIN reference r INDEXED BY reference_vid"
    if has.canonical:
        same = criteria.canonical("r", "w", resource_type)
        return Sql(
            f"SELECT w.vid FROM {rows} CROSS JOIN resource q CROSS JOIN uri uw CROSS JOIN version w"
            f" WHERE r.vid = i.vid AND {row.text} AND q.rid = r.target AND uw.value = q.ref AND w.vid = uw.vid"
            f" AND {same.text}",
            inner.parameters + row.parameters + same.parameters,
        )
    newest = "resource" if criteria.sequence is None else "version"
    return Sql(
        f"SELECT w.vid FROM {rows} CROSS JOIN {newest} w WHERE r.vid = i.vid AND {row.text} AND w.rid = r.target"
        " AND w.vid IS NOT NULL",
        inner.parameters + row.parameters,
    )
