"""Criterion -> SQL condition on one version, and -> the versions that it alone would find. Pure, opens nothing.

A condition speaks of `version AS v` (or another alias) and reads index rows by (vid, key); a *candidate* is a
SELECT of vids by value, from the cluster of an index table, for a criterion selective enough to drive a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from server.search.query import (
    AllOf,
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Has,
    Quantity,
    Reference,
    Span,
    Text,
    Token,
    Uri,
    Value,
)
from server.store.sqlite_schema import KINDS
from server.store.terms import PREFIX, above, after

Parameter = str | int | float


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the parameters of its question marks, in order."""

    text: str
    parameters: tuple[Parameter, ...] = ()


# The plus keeps SQLite from folding a whole WHERE away, after which it finds no use for the index that is named.
TRUE, FALSE = Sql("1"), Sql("+0")
# Each OR and AND is a level of SQLite's expression tree, which may have 1000: many are joined in groups.
_WIDE = 100


class Names(Protocol):
    """What interned texts stand for; 0 for one that was never written, which then finds nothing."""

    def name(self, text: str) -> int:
        """The id of a type, key or system."""
        ...

    def target(self, ref: str) -> int:
        """The rid of a resource or other reference target."""
        ...


def marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def joined(word: str, parts: Iterable[Sql]) -> Sql:
    """All parts in parentheses with `word` between them."""
    found = tuple(parts)
    if len(found) == 1:
        return found[0]
    if len(found) > _WIDE:
        return joined(word, [joined(word, found[start : start + _WIDE]) for start in range(0, len(found), _WIDE)])
    text = f" {word} ".join(f"({part.text})" for part in found)
    return Sql(text, tuple(parameter for part in found for parameter in part.parameters))


def _nested_first(criterion: AnyOf | AllOf) -> list[Criterion]:
    """As _inside has it."""
    return sorted(criterion.criteria, key=lambda one: isinstance(one, Clause))


def starting(column: str, text: str) -> Sql:
    end = after(text)
    if end is None:
        return Sql(f"{column} >= ?", (text,))
    return Sql(f"{column} >= ? AND {column} < ?", (text, end))


# What each prefix asks of the stored interval; ? are the searched bounds in the order named beside it. Conditions on
# l beyond the definition's follow from it (l <= h): they bound the range that is read when the clause drives.
_DATE = {
    "eq": ("{l} >= ? AND {l} <= ? AND {h} <= ?", "lhh"),
    "ne": ("NOT ({l} >= ? AND {h} <= ?)", "lh"),
    "gt": ("{h} > ?", "h"),
    "lt": ("{l} < ?", "l"),
    "ge": ("({h} > ? OR ({l} >= ? AND {h} <= ?))", "hlh"),
    "le": ("{l} <= ? AND ({l} < ? OR ({l} >= ? AND {h} <= ?))", "hllh"),
    "sa": ("{l} >= ?", "h"),
    "eb": ("{l} <= ? AND {h} <= ?", "ll"),
    "ap": ("{l} < ? AND {h} > ?", "hl"),
}
_NUMBER = {
    "eq": ("{l} >= ? AND {l} < ? AND {h} < ?", "lhh"),
    "ne": ("NOT ({l} >= ? AND {h} < ?)", "lh"),
    "gt": ("{h} > ?", "h"),
    "lt": ("{l} < ?", "l"),
    "ge": ("{h} >= ?", "l"),
    "le": ("{l} <= ?", "h"),
    "sa": ("{l} > ?", "h"),
    "eb": ("{l} < ? AND {h} < ?", "ll"),
    "ap": ("{l} <= ? AND {h} >= ?", "hl"),
}


def _span(table: dict[str, tuple[str, str]], span: Span, alias: str) -> Sql:
    text, order = table[span.prefix]
    bounds = {"l": span.low, "h": span.high}
    condition = text.format(l=f"{alias}.low", h=f"{alias}.high")
    return Sql(condition, tuple(bounds[letter] for letter in order))


def _written(span: Span, v: str) -> Sql:
    """_lastUpdated: an instant i is [i, i + 1), and versions are in the order of their instants, so that every
    prefix is a range of vids."""
    first = "coalesce((SELECT sequence FROM clock WHERE instant >= ? ORDER BY instant LIMIT 1), 1 << 46) << 16"
    since, before = f"{v}.vid >= {first}", f"{v}.vid < {first}"
    match span.prefix:
        case "eq" | "ap":
            return Sql(f"({since} AND {before})", (span.low, span.high))
        case "ne":
            return Sql(f"NOT ({since} AND {before})", (span.low, span.high))
        case "gt" | "sa":
            return Sql(since, (span.high,))
        case "ge":
            return Sql(since, (span.low,))
        case "lt" | "eb":
            return Sql(before, (span.low,))
        case "le":
            return Sql(before, (span.high,))
        case _:
            assert_never(span.prefix)


def _text(op: str, value: Text, alias: str) -> Sql:
    if op == "contains":
        return Sql(f"instr({alias}.folded, ?) > 0", (value.folded,))
    short = value.folded[:PREFIX]
    if op == "exact":
        return Sql(f"{alias}.prefix = ? AND {alias}.exact = ?", (short, value.exact))
    if len(value.folded) <= PREFIX:
        return starting(f"{alias}.prefix", short)
    rest = starting(f"{alias}.folded", value.folded)
    return Sql(f"{alias}.prefix = ? AND {rest.text}", (short, *rest.parameters))


def _below(value: str, alias: str) -> list[Sql]:
    if value.endswith("/"):
        return [starting(f"{alias}.value", value)]
    under = [starting(f"{alias}.value", value + boundary) for boundary in "/|"]
    return [Sql(f"{alias}.value = ?", (value,)), *under]


def _unit(value: Quantity, alias: str, names: Names) -> Sql:
    parts: list[Sql] = []
    if value.code is not None and value.system is None:
        parts.append(Sql(f"({alias}.code = ? OR {alias}.unit = ?)", (value.code, value.code)))
    elif value.code is not None:
        parts.append(Sql(f"{alias}.code = ?", (value.code,)))
    if value.system is not None:
        parts.append(Sql(f"{alias}.system = ?", (names.name(value.system),)))
    return joined("AND", parts) if parts else TRUE


@dataclass(frozen=True)
class Criteria:
    """Compiles criteria for one moment: `sequence` None is the present, where ended rows are not looked at."""

    names: Names
    sequence: int | None

    def key(self, alias: str, key: str) -> Sql:
        """That the row is of this key; in the past, also when it has ended since."""
        number = self.names.name(key)
        if self.sequence is None:
            return Sql(f"{alias}.key = ?", (number,))
        return Sql(f"{alias}.key IN (?, ?)", (number, -number))

    def standing(self, alias: str) -> Sql:
        """That the version is current at the moment and no deletion."""
        if self.sequence is None:
            return Sql(f"{alias}.ended IS NULL AND {alias}.deleted = 0")
        bound = (self.sequence << 16) | 0xFFFF
        return Sql(
            f"{alias}.vid <= ? AND ({alias}.ended IS NULL OR {alias}.ended > ?) AND {alias}.deleted = 0",
            (bound, self.sequence),
        )

    def of_type(self, alias: str, resource_type: str) -> Sql:
        """Standing and of the type. The plus keeps SQLite from walking all of a type where a vid is at hand."""
        standing = self.standing(alias)
        return Sql(f"+{alias}.type = ? AND {standing.text}", (self.names.name(resource_type), *standing.parameters))

    def condition(self, criterion: Criterion, resource_type: str, v: str = "v") -> Sql:
        """That version `v`, of `resource_type`, meets the criterion."""
        match criterion:
            case Clause():
                return self._clause(criterion, resource_type, v)
            case Chain():
                return self._chain(criterion, v)
            case Has():
                return self._has(criterion, resource_type, v)
            case AnyOf():
                return joined("OR", [self.condition(part, resource_type, v) for part in _nested_first(criterion)])
            case AllOf():
                return joined("AND", [self.condition(part, resource_type, v) for part in _nested_first(criterion)])
            case _:
                assert_never(criterion)

    def _clause(self, clause: Clause, resource_type: str, v: str) -> Sql:
        found = self._found(clause, resource_type, v)
        return Sql(f"NOT ({found.text})", found.parameters) if clause.negated else found

    def _found(self, clause: Clause, resource_type: str, v: str) -> Sql:
        updated = clause.key.endswith("._lastUpdated")
        if clause.op == "missing" and (clause.kind == "id" or updated):
            return FALSE
        if clause.kind == "id":
            rids = self._ids(clause, resource_type)
            return Sql(f"{v}.rid IN ({marks(rids)})", tuple(rids))
        if clause.kind == "composite":
            return joined("OR", [self._composite(value, v) for value in clause.values])
        if updated:
            return joined("OR", [_written(value, v) for value in clause.values if isinstance(value, Span)])
        if not self.names.name(clause.key):
            # No row of this key was ever written, of no resource.
            return TRUE if clause.op == "missing" else FALSE
        rows = [] if clause.op == "missing" else self.rows(clause, "t")
        key = self.key("t", clause.key)
        any_of = joined("OR", rows) if rows else TRUE
        exists = Sql(
            f"EXISTS (SELECT 1 FROM {clause.kind} t INDEXED BY {clause.kind}_vid"
            f" WHERE t.vid = {v}.vid AND {key.text} AND ({any_of.text}))",
            key.parameters + any_of.parameters,
        )
        return Sql(f"NOT {exists.text}", exists.parameters) if clause.op == "missing" else exists

    def _ids(self, clause: Clause, resource_type: str) -> list[int]:
        tokens = [value for value in clause.values if isinstance(value, Token)]
        return [self.names.target(f"{resource_type}/{token.code}") for token in tokens]

    def _composite(self, value: Value, v: str) -> Sql:
        assert isinstance(value, Composite)
        tables: list[str] = []
        conditions: list[Sql] = []
        for place, part in enumerate(value.components):
            alias = f"c{place}"
            assert part.kind in KINDS
            tables.append(f"{part.kind} {alias} INDEXED BY {part.kind}_vid")
            same = f"{alias}.vid = {v}.vid" + (f" AND {alias}.n = c0.n" if place else "")
            conditions += [Sql(same), self.key(alias, part.key), joined("OR", self.rows(part, alias))]
        where = joined("AND", conditions)
        return Sql(f"EXISTS (SELECT 1 FROM {' CROSS JOIN '.join(tables)} WHERE {where.text})", where.parameters)

    def rows(self, clause: Clause, alias: str) -> list[Sql]:
        """Conditions on one index row of the clause's key, any of which will do; at least one."""
        tokens = [value for value in clause.values if isinstance(value, Token)]
        references = [value for value in clause.values if isinstance(value, Reference)]
        found = self._tokens(tokens, alias) + self._references(references, alias)
        for value in clause.values:
            match value:
                case Text():
                    found.append(_text(clause.op, value, alias))
                case Span():
                    found.append(_span(_DATE if clause.kind == "date" else _NUMBER, value, alias))
                case Quantity():
                    parts = [_span(_NUMBER, value.span, alias), _unit(value, alias, self.names)]
                    found.append(joined("AND", parts))
                case Uri():
                    found += self._uris(clause.op, value.value, alias)
                case Token() | Reference():
                    pass  # All of them at once, above: hundreds of identifiers are a few conditions.
                case Composite():
                    raise ValueError("a composite has no rows of its own")
                case _:
                    assert_never(value)
        return found or [FALSE]

    def _tokens(self, tokens: Iterable[Token], alias: str) -> list[Sql]:
        codes: dict[str | None, list[str]] = {}
        systems: list[int] = []
        for token in tokens:
            if token.code is not None:
                codes.setdefault(token.system, []).append(token.code)
            elif token.system is not None:
                systems.append(self.names.name(token.system))
        found: list[Sql] = []
        for system, some in codes.items():
            text = f"{alias}.code IN ({marks(some)})"
            if system is None:
                found.append(Sql(text, tuple(some)))
            else:
                found.append(Sql(f"{text} AND {alias}.system = ?", (*some, self.names.name(system))))
        if systems:
            found.append(Sql(f"{alias}.system IN ({marks(systems)})", tuple(systems)))
        return found

    def _references(self, references: Iterable[Reference], alias: str) -> list[Sql]:
        targets: dict[str | None, list[int]] = {}
        for reference in references:
            some = targets.setdefault(reference.version, [])
            some += [rid for rid in map(self.names.target, reference.targets) if rid]
        found: list[Sql] = []
        for version, known in targets.items():
            some = known or [0]  # An empty list would make SQLite walk the index to find nothing.
            text = f"{alias}.target IN ({marks(some)})"
            if version is None:
                found.append(Sql(text, tuple(some)))
            else:
                found.append(Sql(f"{text} AND {alias}.version = ?", (*some, version)))
        return found

    def _uris(self, op: str, value: str, alias: str) -> list[Sql]:
        if op == "below":
            return _below(value, alias)
        values = above(value) if op == "above" else [value]
        return [Sql(f"{alias}.value IN ({marks(values)})", tuple(values))]

    def _chain(self, chain: Chain, v: str) -> Sql:
        w = f"{v}w"
        tables, links = self._links(chain.key, chain.target_type, chain.canonical, w)
        inner = self._inside(chain.criterion, chain.target_type, w)
        return Sql(
            f"EXISTS (SELECT 1 FROM {tables} WHERE {inner.text} AND {links.text} AND r{w}.vid = {v}.vid)",
            inner.parameters + links.parameters,
        )

    def _inside(self, criterion: Criterion, resource_type: str, w: str) -> Sql:
        """What is nested stands first: SQLite's parser keeps all that stands before it on a stack of 100."""
        standing = self.of_type(w, resource_type)
        inner = self.condition(criterion, resource_type, w)
        return Sql(f"({inner.text}) AND {standing.text}", inner.parameters + standing.parameters)

    def _links(self, key: str, target_type: str, canonical: bool, w: str) -> tuple[str, Sql]:
        """FROM and WHERE of reference rows r<w> under `key` with the versions w that they lead to."""
        row = self.key(f"r{w}", key)
        if not canonical:
            tables, same = self._version_of(w, f"r{w}.target")
            return f"reference r{w} CROSS JOIN {tables}", Sql(f"{same} AND {row.text}", row.parameters)
        same_canonical = self.canonical(f"r{w}", w, target_type)
        return f"reference r{w} CROSS JOIN resource q{w} CROSS JOIN uri u{w} CROSS JOIN version {w}", Sql(
            f"{row.text} AND q{w}.rid = r{w}.target AND u{w}.value = q{w}.ref AND {w}.vid = u{w}.vid"
            f" AND {same_canonical.text}",
            row.parameters + same_canonical.parameters,
        )

    def _version_of(self, w: str, rid: str) -> tuple[str, str]:
        if self.sequence is None:
            return f"resource q{w} CROSS JOIN version {w}", f"q{w}.rid = {rid} AND {w}.vid = q{w}.vid"
        return f"version {w}", f"{w}.rid = {rid}"

    def canonical(self, r: str, w: str, target_type: str) -> Sql:
        """That uri row u<w> is the url of a `target_type` version w, and w the version that row r asks for."""
        url = self.key(f"u{w}", f"{target_type}.url")
        version = self.key("k", f"{target_type}.version")
        return Sql(
            f"{url.text} AND ({r}.version = '' OR EXISTS (SELECT 1 FROM token k INDEXED BY token_vid"
            f" WHERE k.vid = {w}.vid AND {version.text} AND k.code = {r}.version))",
            url.parameters + version.parameters,
        )

    def _has(self, has: Has, resource_type: str, v: str) -> Sql:
        w = f"{v}w"
        row = self.key(f"r{w}", has.key)
        inner = self._inside(has.criterion, has.source_type, w)
        joins = f"version {w} WHERE {inner.text} AND {w}.vid = r{w}.vid AND {row.text}"
        parameters = inner.parameters + row.parameters
        if not has.canonical:
            return Sql(
                f"EXISTS (SELECT 1 FROM reference r{w} CROSS JOIN {joins} AND r{w}.target = {v}.rid)", parameters
            )
        same = self.canonical(f"r{w}", v, resource_type)
        return Sql(
            f"EXISTS (SELECT 1 FROM uri u{v} INDEXED BY uri_vid CROSS JOIN resource q{w} CROSS JOIN reference r{w}"
            f" CROSS JOIN {joins}"
            f" AND u{v}.vid = {v}.vid AND q{w}.ref = u{v}.value AND r{w}.target = q{w}.rid AND {same.text})",
            parameters + same.parameters,
        )
