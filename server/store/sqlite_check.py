"""The store verified against its own bodies, and index rows computed anew. Reads one snapshot, writes nothing."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from server.search.query import Kind
from server.store.bodies import Index, indexed
from server.store.chain import Link
from server.store.sqlite_build import finished
from server.store.sqlite_chain import breaks
from server.store.sqlite_schema import COLUMNS, IS_RECORD, KINDS, LINKS
from server.store.store import Indexed
from server.store.terms import PREFIX

CHUNK = 200
"""Versions whose index rows are replaced in one write transaction: some 20 ms of it."""

_GENERATION = re.compile(r"#(\d+)")
_LOCAL = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}\Z")

_VERSIONS = """SELECT v.vid, q.ref, v.version_id, v.ended, v.deleted, c.body FROM version v
               LEFT JOIN resource q ON q.rid = v.rid LEFT JOIN content c ON c.vid = v.vid
               WHERE v.vid > ? ORDER BY v.vid LIMIT ?"""

# Each finds the rows that break one rule of the model; the columns fill the fault's text.
_RULES = {
    "{}: its newest version is not the one that the resource names": """
        SELECT q.ref FROM resource q LEFT JOIN version v ON v.vid = q.vid
        WHERE q.vid IS NOT (SELECT max(x.vid) FROM version x WHERE x.rid = q.rid)
           OR (q.vid IS NOT NULL AND (v.version_id IS NOT q.version_id OR v.deleted IS NOT q.deleted))""",
    "{} version {}: a version before it is missing, or numbered twice": """
        SELECT q.ref, v.version_id FROM version v JOIN resource q ON q.rid = v.rid
        WHERE v.version_id > 1
          AND NOT EXISTS (SELECT 1 FROM version p WHERE p.rid = v.rid AND p.version_id = v.version_id - 1)""",
    "{} version {}: does not end where the next version begins": """
        SELECT q.ref, v.version_id FROM version v JOIN resource q ON q.rid = v.rid
        WHERE v.ended IS NOT (SELECT min(x.vid) >> 16 FROM version x WHERE x.rid = v.rid AND x.vid > v.vid)""",
    "{} version {}: is older than the version before it": """
        SELECT q.ref, v.version_id FROM version v JOIN resource q ON q.rid = v.rid
        WHERE EXISTS (SELECT 1 FROM version p WHERE p.rid = v.rid AND p.version_id < v.version_id AND p.vid > v.vid)""",
    "{} version {}: its instant is not that of its commit": """
        SELECT q.ref, v.version_id FROM version v JOIN resource q ON q.rid = v.rid
        WHERE v.instant IS NOT (SELECT instant FROM clock WHERE sequence = v.vid >> 16)""",
    "{} version {}: its body is missing, or it is a deletion with one": """
        SELECT q.ref, v.version_id FROM version v JOIN resource q ON q.rid = v.rid
        WHERE v.deleted = (SELECT count(*) FROM content c WHERE c.vid = v.vid)""",
    "{} version {}: its type is not that of the resource": """
        SELECT q.ref, v.version_id FROM version v JOIN resource q ON q.rid = v.rid LEFT JOIN name n ON n.id = v.type
        WHERE n.text IS NOT substr(q.ref, 1, instr(q.ref, '/') - 1)""",
    "version {}: belongs to no resource": """
        SELECT v.vid FROM version v WHERE NOT EXISTS (SELECT 1 FROM resource q WHERE q.rid = v.rid)""",
    "body {}: belongs to no version": """
        SELECT c.vid FROM content c WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.vid = c.vid)""",
    "commit {}: its instant is not after the one before": """
        SELECT c.sequence FROM clock c JOIN clock p ON p.sequence = c.sequence - 1 WHERE c.instant <= p.instant""",
    "commit {}: the one before is missing": """
        SELECT c.sequence FROM clock c WHERE c.sequence > 1
          AND NOT EXISTS (SELECT 1 FROM clock p WHERE p.sequence = c.sequence - 1)""",
}
_UNRESOLVED = f"""SELECT DISTINCT s.ref, t.ref FROM reference r JOIN resource t ON t.rid = r.target
                  JOIN version v ON v.vid = r.vid JOIN resource s ON s.rid = v.rid
                  WHERE r.key > 0 AND (t.vid IS NULL OR t.deleted) AND {LINKS}"""
_LOST_TARGET = """SELECT r.vid, r.target FROM reference r
                  WHERE NOT EXISTS (SELECT 1 FROM resource t WHERE t.rid = r.target)"""


def recomputed(connection: sqlite3.Connection, index: Index, after: int) -> list[tuple[int, Indexed]]:
    """The next versions after that ordinal with what `index` makes of them; a deletion has no rows."""
    rows = connection.execute(_VERSIONS, (after, CHUNK)).fetchall()
    return [(row[0], indexed(index, row[5])) for row in rows]


def check(
    connection: sqlite3.Connection, index: Index, anchors: Iterable[Link] = ()
) -> tuple[dict[str, int], list[str]]:
    """As Store.check. Faults in words, the file's own damage first."""
    faults = [f"file: {line}" for (line,) in connection.execute("PRAGMA integrity_check(20)") if line != "ok"]
    for text, rule in _RULES.items():
        faults += [text.format(*row) for row in connection.execute(rule)]
    faults += breaks(connection, anchors)
    faults += _index_faults(connection, index)
    faults += [
        f"{source}: points to {target}, which is not there"
        for source, target in connection.execute(_UNRESOLVED)
        if _LOCAL.match(target)
    ]
    return _counts(connection), faults


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    wanted = {
        "commits": "SELECT count(*) FROM clock",
        "links of the record": "SELECT count(*) FROM chain",
        "versions": "SELECT count(*) FROM version",
        "records": f"SELECT count(*) FROM version v WHERE {IS_RECORD}",
        "resources": "SELECT count(*) FROM resource WHERE vid IS NOT NULL",
        "current": "SELECT count(*) FROM resource WHERE vid IS NOT NULL AND deleted = 0",
        "deleted": "SELECT count(*) FROM resource WHERE vid IS NOT NULL AND deleted = 1",
    } | {f"{kind} rows": f"SELECT count(*) FROM {kind}" for kind in KINDS}
    return {name: connection.execute(text).fetchone()[0] for name, text in wanted.items()}


def _index_faults(connection: sqlite3.Connection, index: Index) -> Iterator[str]:
    for kind in KINDS:
        text = f"SELECT DISTINCT vid FROM {kind} r WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.vid = r.vid)"
        for (vid,) in connection.execute(text):
            yield f"{kind} rows of {vid}: belong to no version"
    for vid, target in connection.execute(_LOST_TARGET):
        yield f"reference rows of {vid}: their target {target} is unknown"
    last = 0
    built = finished(connection)
    while rows := connection.execute(_VERSIONS, (last, CHUNK)).fetchall():
        for vid, ref, version_id, ended, _, body in rows:
            faults = _version_faults(connection, index, built, vid, ended, body)
            yield from (f"{ref} version {version_id}: {fault}" for fault in faults)
        last = rows[-1][0]


def _version_faults(
    connection: sqlite3.Connection, index: Index, built: frozenset[int], vid: int, ended: int | None, body: bytes | None
) -> Iterator[str]:
    try:
        computed = indexed(index, body)
    except Exception as error:
        yield f"its body cannot be indexed: {error}"
        return
    for kind in KINDS:
        wanted, found = _wanted(kind, computed), Counter(_found(connection, kind, vid, ended is not None))
        yield from (f"{kind} row is missing: {row}" for row in wanted - found if _due(row, built))
        yield from (f"{kind} row too many: {row}" for row in found - wanted if _due(row, built))


def _due(row: tuple[Any, ...], built: frozenset[int]) -> bool:
    """Whether the row must be as computed: not while a stored SearchParameter's index is being built, and not for the
    rows that one leaves behind when it changes or goes."""
    generation = _GENERATION.search(str(row[0]))
    return generation is None or int(generation.group(1)) in built


def _wanted(kind: Kind, indexed: Indexed) -> Counter[tuple[Any, ...]]:
    if kind == "string":
        return Counter((key, folded[:PREFIX], folded, exact, n) for key, folded, exact, n in indexed.string)
    return Counter(set(getattr(indexed, kind)))


# Rows as store.Indexed has them, the sign of the key apart; a number without its text shows as a NULL.
_ROWS: dict[Kind, str] = {
    "string": "SELECT r.key, k.text, prefix, folded, exact, n FROM string r",
    "token": "SELECT r.key, k.text, code, s.text, n FROM token r LEFT JOIN name s ON s.id = r.system",
    "date": "SELECT r.key, k.text, low, high, n FROM date r",
    "number": "SELECT r.key, k.text, low, high, n FROM number r",
    "quantity": "SELECT r.key, k.text, low, high, code, s.text, unit, n FROM quantity r"
    " LEFT JOIN name s ON s.id = r.system",
    "uri": "SELECT r.key, k.text, value, n FROM uri r",
    "reference": "SELECT r.key, k.text, t.ref, version, n FROM reference r LEFT JOIN resource t ON t.rid = r.target",
}
assert _ROWS.keys() == COLUMNS.keys()


def _found(connection: sqlite3.Connection, kind: Kind, vid: int, past: bool) -> Iterator[tuple[Any, ...]]:
    """The rows that are where they should be; one of the present among the past, or the other way round, comes
    with a sign before its key, and so is too many."""
    text = f"{_ROWS[kind]} LEFT JOIN name k ON k.id = abs(r.key) WHERE r.vid = ?"
    for number, key, *rest in connection.execute(text, (vid,)):
        misplaced = (number < 0) != past
        yield (f"{'past' if number < 0 else 'present'} {key}" if misplaced else key, *rest)
