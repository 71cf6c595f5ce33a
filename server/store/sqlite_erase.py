"""What is to be gone for good, out of bodies, index rows, interned texts, the log and the free pages."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.resource import decode
from server.store.sqlite_schema import NO_RECORD, connect, unavailable
from server.store.store import RECORDS, Eraser, Indexed, Ref, Rewritten, Unavailable

_BODIES = f"""SELECT v.vid, q.ref, v.version_id, c.body FROM version v JOIN resource q ON q.rid = v.rid
              JOIN content c ON c.vid = v.vid WHERE {NO_RECORD} ORDER BY v.vid"""
_RECORDED = "SELECT q.ref, c.body FROM version v JOIN resource q ON q.rid = v.rid JOIN content c ON c.vid = v.vid"

Bodies = list[tuple[int, bytes]]
"""The ordinals of versions, with what their bodies are to be."""


def found(connection: sqlite3.Connection, eraser: Eraser) -> tuple[Rewritten, Bodies]:
    """What a rewriting changes, and what it cannot: an id is in others' references and in the record."""
    versions, bodies, kept = [], [], set[Ref]()
    for vid, ref, version_id, body in connection.execute(_BODIES):
        resource_type, _, id = ref.partition("/")
        if (changed := eraser.body(body)) is not None:
            versions.append((resource_type, id, version_id))
            bodies.append((vid, changed))
    for (ref,) in connection.execute("SELECT ref FROM resource WHERE vid IS NOT NULL"):
        resource_type, _, id = ref.partition("/")
        if eraser.text(id) != id:
            kept.add((resource_type, id))
    for ref, body in connection.execute(f"{_RECORDED} WHERE NOT ({NO_RECORD})"):
        resource_type, _, id = ref.partition("/")
        if resource_type in RECORDS and eraser.body(body) is not None:
            kept.add((resource_type, id))
    return Rewritten(tuple(versions), tuple(sorted(kept))), bodies


def rows(bodies: Bodies, index: Callable[[dict[str, Any]], Indexed]) -> list[tuple[int, Indexed]]:
    return [(vid, index(decode(body))) for vid, body in bodies]


def replaced(connection: sqlite3.Connection, eraser: Eraser, bodies: Bodies) -> None:
    """The bodies themselves, and interned texts that nothing uses any more: their numbers stay, for a process may have
    them in mind."""
    connection.executemany("UPDATE content SET body = ? WHERE vid = ?", [(body, vid) for vid, body in bodies])
    for table, key, column, where in (("name", "id", "text", "1"), ("resource", "rid", "ref", "vid IS NULL")):
        texts = connection.execute(f"SELECT {key}, {column} FROM {table} WHERE {where}").fetchall()
        gone = [(f"erased:{number}", number) for number, text in texts if eraser.text(text) != text]
        connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", gone)


def purge(path: Path, patience: float) -> None:
    """Builds the file anew, so that nothing is left in its free space, and empties the log. Unavailable when readers
    of another process hold on to the log for longer than the patience."""
    connection = connect(path, patience=patience, cache_kib=8_192)
    try:
        connection.execute("VACUUM")
        deadline = time.monotonic() + patience
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise Unavailable("A reader holds on to the log; what was erased may still be in it. Erase again.")
            time.sleep(0.05)
    except sqlite3.Error as error:
        raise unavailable(error) from error
    finally:
        connection.close()
