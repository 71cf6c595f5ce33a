"""Query: what was asked, typed and complete. Frozen; no text in it is left to split.

`parse` makes it, each store compiles it, the self link is printed from it. R4 search.html.

**The index.** A resource is found by rows that `values.indexed` takes from it, in seven tables named by
`Kind`. Each row belongs to a key: "Task.status" for a parameter, "Task.code:text" and "Task.owner:identifier"
for what those modifiers search, "PlanDefinition.finance$1" for a component of a composite. A clause names
the key that it searches; modifiers are thus resolved before a store sees them.

**Time** is in whole microseconds since 1970 UTC, as half-open intervals [low, high): the date 2024 in
Europe/Oslo is from its midnight to that of 2025; the second 09:30:00 lasts a second. A Period without
start (end) begins at `EARLIEST` (ends at `LATEST`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

Kind = Literal["string", "token", "date", "number", "quantity", "uri", "reference"]

EARLIEST = -(2**62)
LATEST = 2**62


@dataclass(frozen=True, slots=True)
class Text:
    """A string value: `folded` as values.fold makes it (for starts and contains), `exact` as written."""

    folded: str
    exact: str


@dataclass(frozen=True, slots=True)
class Token:
    """`system` None: any; "": none. `code` None: any (system|). At least one is given."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """An interval compared by one of R4's prefixes. Dates in microseconds, numbers as floats.

    With [low, high) the searched and (l, h) the stored interval:
    eq: l >= low and h <= high · ne: not eq · gt: h > high · lt: l < low · ge: gt or eq · le: lt or eq ·
    sa: l >= high · eb: h <= low · ap: l < high and h > low (already widened).
    For numbers and quantities, where gt, lt, ge, le, sa and eb ignore the implicit precision, `low` and
    `high` are then both the value itself, a stored point has l = h, and eq, ne and ap read
    l >= low and h < high (eq), l <= high and h >= low (ap); ge reads h >= low, le reads l <= high;
    sa reads l > high, eb reads h < low.
    """

    prefix: Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """A Span with its unit. `system` None: `code` matches the stored code or unit, whatever its system;
    `code` None: any unit."""

    span: Span
    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Uri:
    """An absolute URI or canonical, compared as written."""

    value: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What may be pointed to: any of `targets` ("Organization/helse-vest", or an absolute URL or canonical
    without its version); `version` only for a canonical that was asked with one."""

    targets: tuple[str, ...]
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Composite:
    """One value of a composite: a clause per component that was given, all to be met by one element
    (index rows with the same ordinal)."""

    components: tuple[Clause, ...]


Value = Text | Token | Span | Quantity | Uri | Reference | Composite


@dataclass(frozen=True, slots=True)
class Clause:
    """Resources with an index row under `key` that meets `op` for any of `values`.

    op "match": the kind's own comparison; for strings folded and from the start.
    op "exact", "contains": strings only. op "below": the stored URI begins with the value, at a path or
    version boundary; op "above": the other way round.
    op "missing": no row under `key` at all (values empty).
    `negated`: those that do not (never true of a deleted resource). :missing=false is a negated "missing".
    """

    key: str
    kind: Kind | Literal["composite", "id"]
    op: Literal["match", "exact", "contains", "below", "above", "missing"]
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """Resources whose reference under `key` points to a current resource of `target_type` that meets
    `criterion`. `canonical`: the reference is a canonical, resolved by the target's url and version."""

    key: str
    target_type: str
    canonical: bool
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Has:
    """Resources that a `source_type` resource, itself meeting `criterion`, points to under `key`
    ("Task.based-on"). R4 _has."""

    source_type: str
    key: str
    canonical: bool
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any of these: a chain over several target types, say. Never empty."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these, within a chain or _has. Never empty; the first is the most selective."""

    criteria: tuple[Criterion, ...]


Criterion = Clause | Chain | Has | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key. Ascending by the least, descending by the greatest of the resource's values; resources
    without one come last both ways. `_id` and `_lastUpdated` have keys "_id", "_lastUpdated"."""

    key: str
    kind: Kind | Literal["id", "updated"]
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One _include or _revinclude. `keys` are the reference keys followed ("Task.based-on"); `target_type`
    "" for any. `reverse`: from those who point here. `iterate`: also from what was included."""

    source_type: str
    keys: tuple[str, ...]
    target_type: str
    reverse: bool
    iterate: bool
    canonical: frozenset[str] = frozenset()


Total = Literal["none", "estimate", "accurate"]
Summary = Literal["true", "text", "data", "count", "false"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the sort keys of its last row (None: that row had none) and its ordinal."""

    keys: tuple[str | float | int | None, ...]
    ordinal: int


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one resource type, all criteria to be met (AND).

    `sort` is completed by the store with "newest first" (descending ordinal), so that the order is total.
    `used` are the parameters as asked, unknown ones left out, in order: the self link is printed from it.
    `count` 0 means _summary=count. `ids` of `_id` are Clauses of kind "id" with Token(None, id) values.
    """

    resource_type: str
    criteria: tuple[Criterion, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = 50
    total: Total = "none"
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    cursor: Cursor | None = None
    used: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def narrowed(query: Query, visible: Callable[[str], tuple[Criterion, ...]]) -> Query:
    """The same search among fewer resources: `visible` gives, for a type, what its resources must meet besides,
    wherever the query looks at them. What is not to be seen is then as if it were not there."""
    more = visible(query.resource_type)
    return replace(query, criteria=tuple(_narrow(one, visible) for one in query.criteria) + more)


def _narrow(criterion: Criterion, visible: Callable[[str], tuple[Criterion, ...]]) -> Criterion:
    match criterion:
        case Clause():
            return criterion
        case Chain(criterion=inner, target_type=kind) | Has(criterion=inner, source_type=kind):
            within, more = _narrow(inner, visible), visible(kind)
            return replace(criterion, criterion=AllOf((within, *more)) if more else within)
        case AnyOf(criteria) | AllOf(criteria):
            return replace(criterion, criteria=tuple(_narrow(one, visible) for one in criteria))
        case _:
            assert_never(criterion)
