"""Resources for the store's tests: each carries its own index rows, so that `index` needs no search parameters."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from server.search.query import Clause, Criterion, Kind, Query, Reference, Text, Token, Value
from server.store.store import Body, Indexed, Ref, Store, Unit, Version, Write


def index(resource: dict[str, Any]) -> Indexed:
    """The rows that the resource itself names under "rows"."""
    return Indexed(**{kind: tuple(tuple(row) for row in rows) for kind, rows in resource["rows"].items()})


def body(resource_type: str, id: str, indexed: Indexed, text: str = "") -> Body:
    head = f'{{"resourceType":"{resource_type}","id":"{id}","meta":{{'
    tail = f'}},"text":{json.dumps(text)},"rows":{json.dumps(asdict(indexed))}}}'
    return Body(head.encode(), tail.encode())


def write(resource_type: str, id: str, version_id: int = 1, indexed: Indexed | None = None, text: str = "") -> Write:
    rows = indexed or Indexed()
    method = "POST" if version_id == 1 else "PUT"
    return Write(resource_type, id, version_id, method, body(resource_type, id, rows, text), rows)  # type: ignore[arg-type]


def deletion(resource_type: str, id: str, version_id: int) -> Write:
    return Write(resource_type, id, version_id, "DELETE", None)


def unit(*writes: Write, **more: Any) -> Unit:
    """These writes, each upon the version before it."""
    unchanged: dict[Ref, int] = {}
    for one in writes:
        unchanged.setdefault((one.resource_type, one.id), one.version_id - 1)
    return Unit(writes, unchanged | more.pop("unchanged", {}), **more)


async def put(store: Store, ref: str, indexed: Indexed | None = None, text: str = "") -> Version:
    """The next version of "Type/id"."""
    resource_type, _, id = ref.partition("/")
    known = await store.current(resource_type, id)
    (version,) = await store.commit(unit(write(resource_type, id, known.version_id + 1 if known else 1, indexed, text)))
    return version


async def delete(store: Store, ref: str) -> Version:
    resource_type, _, id = ref.partition("/")
    known = await store.current(resource_type, id)
    assert known is not None
    (version,) = await store.commit(unit(deletion(resource_type, id, known.version_id + 1)))
    return version


async def ids(store: Store, query: Query) -> list[str]:
    """The ids that the query finds now, in order."""
    async with store.snapshot() as snapshot:
        return [version.id for version in (await snapshot.search(query)).versions]


def strings(*values: str, key: str = "Task.name") -> Indexed:
    return Indexed(string=tuple((key, value.casefold(), value, 0) for value in values))


def tokens(*values: str, key: str = "Task.status", system: str = "") -> Indexed:
    return Indexed(token=tuple((key, value, system, 0) for value in values))


def refers(*targets: str, key: str = "Task.owner", version: str = "") -> Indexed:
    return Indexed(reference=tuple((key, target, version, 0) for target in targets))


def rows(kind: Kind, *values: tuple[Any, ...], key: str | None = None) -> Indexed:
    """Rows of one kind under "Task.<kind>", each with ordinal 0."""
    return Indexed(**{kind: tuple((key or f"Task.{kind}", *value, 0) for value in values)})


def both(*parts: Indexed) -> Indexed:
    """One resource's rows from several parts."""
    kinds: dict[str, Any] = {}
    for part in parts:
        for kind, found in asdict(part).items():
            kinds[kind] = kinds.get(kind, ()) + found
    return Indexed(**kinds)


def status(*codes: str, negated: bool = False) -> Clause:
    return Clause("Task.status", "token", "match", tuple(Token(None, code) for code in codes), negated)


def named(text: str, op: Any = "match", key: str = "Task.name") -> Clause:
    return Clause(key, "string", op, (Text(text.casefold(), text),))


def owner(*targets: str, key: str = "Task.owner", version: str | None = None) -> Clause:
    return Clause(key, "reference", "match", (Reference(targets, version),))


def clause(kind: Kind, *values: Value, op: Any = "match", negated: bool = False) -> Clause:
    return Clause(f"Task.{kind}", kind, op, values, negated)


def tasks(*criteria: Criterion, **more: Any) -> Query:
    return Query("Task", criteria, **more)
