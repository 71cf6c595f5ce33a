"""The index of a stored SearchParameter, built beside everything else: how far it is, and its next rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.resource import decode
from server.store.store import Indexed, Indexing

CHUNK = 200
"""Versions in one write transaction: some 10 ms of it."""

NEWEST = """SELECT coalesce(max(vid), 0) FROM version
            WHERE type = (SELECT id FROM name WHERE text = 'SearchParameter')"""
_SHARES = """SELECT generation, CASE WHEN reached >= upto THEN 1.0
             ELSE min(0.99, 1.0 * done / max(total, 1)) END FROM build"""
_OF_TYPES = "v.type IN (SELECT n.id FROM name n JOIN json_each(?) j ON j.value = n.text)"
_NEXT = f"""SELECT v.vid, c.body FROM version v JOIN content c ON c.vid = v.vid
            WHERE v.vid > ? AND v.vid <= ? AND {_OF_TYPES} ORDER BY v.vid LIMIT ?"""
_TOTAL = f"SELECT count(*) FROM version v JOIN content c ON c.vid = v.vid WHERE v.vid <= ? AND {_OF_TYPES}"


@dataclass(frozen=True, slots=True)
class Step:
    """The next rows of a build: after them all versions from `after` up to `reached` have theirs."""

    generation: int
    after: int
    reached: int
    upto: int
    total: int
    rows: tuple[tuple[int, Indexed], ...]


def indexing(connection: sqlite3.Connection) -> Indexing:
    """As Snapshot.indexing."""
    ((newest,),) = connection.execute(NEWEST).fetchall()
    return Indexing(newest, dict(connection.execute(_SHARES).fetchall()) if newest else {})


def finished(connection: sqlite3.Connection) -> frozenset[int]:
    """The generations in force whose rows are all there: those that a check can hold to account."""
    text = """SELECT b.generation FROM build b JOIN version v ON v.vid = b.generation
              WHERE b.reached >= b.upto AND v.ended IS NULL AND v.deleted = 0"""
    return frozenset(generation for (generation,) in connection.execute(text))


def step(
    connection: sqlite3.Connection, generation: int, types: str, index: Callable[[dict[str, Any]], Indexed]
) -> Step | None:
    """What is next; None when all is done. `types`: a JSON array of names."""
    upto = (((generation >> 16) + 1) << 16) - 1
    begun = connection.execute("SELECT reached, total FROM build WHERE generation = ?", (generation,)).fetchall()
    if begun:
        after, total = begun[0]
    else:
        after, ((total,),) = 0, connection.execute(_TOTAL, (upto, types)).fetchall()
    if after >= upto:
        return None
    found = connection.execute(_NEXT, (after, upto, types, CHUNK)).fetchall()
    reached = found[-1][0] if len(found) == CHUNK else upto
    return Step(generation, after, reached, upto, total, tuple((vid, index(decode(body))) for vid, body in found))


def note(connection: sqlite3.Connection, done: Step) -> None:
    """Remembers a step, unless another process took it already."""
    begin = "INSERT OR IGNORE INTO build VALUES (?, 0, ?, 0, ?)"
    connection.execute(begin, (done.generation, done.upto, done.total))
    go_on = "UPDATE build SET reached = ?, done = done + ? WHERE generation = ? AND reached = ?"
    connection.execute(go_on, (done.reached, len(done.rows), done.generation, done.after))
