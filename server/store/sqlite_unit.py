"""What the writer's jobs do: one unit checked and written, the newest moment fixed, index rows replaced.

All of it runs inside a savepoint on the writer's connection, and sees the earlier jobs of its batch.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from server.search.query import Kind
from server.store.sqlite_criteria import Criteria, marks
from server.store.sqlite_read import KnownNames, found_ids, newest
from server.store.sqlite_schema import COLUMNS, KINDS, PREFIX, instant_text, interrupted
from server.store.store import Conflict, Indexed, Moment, Ref, Unavailable, Unit, Version, Write

_MOST_NAMES = 100_000
_ROWS_AT_ONCE = 16
_REFERRERS = 10

_RESOURCE = "SELECT rid, vid, version_id FROM resource WHERE ref = ?"
_VERSION = "INSERT INTO version (vid, rid, type, version_id, instant, deleted, method) VALUES (?, ?, ?, ?, ?, ?, ?)"
_NEWEST = "UPDATE resource SET vid = ?, version_id = ?, deleted = ? WHERE rid = ?"


class Interning:
    """Texts to their numbers, written where missing. What was learnt is kept only once it is committed: an id that
    was rolled back may later stand for another text."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], int] = {}
        self._of_batch: dict[tuple[str, str], int] = {}
        self._of_job: dict[tuple[str, str], int] = {}

    def name(self, text: str) -> int:
        return self._number("name", "id", "text", text)

    def target(self, ref: str) -> int:
        return self._number("resource", "rid", "ref", ref)

    def _number(self, table: str, number: str, column: str, text: str) -> int:
        key = (table, text)
        found = self._known.get(key) or self._of_batch.get(key) or self._of_job.get(key)
        if found:
            return found
        rows = self._connection.execute(f"SELECT {number} FROM {table} WHERE {column} = ?", (text,)).fetchall()
        if rows:
            found = int(rows[0][0])
        else:
            found = self._connection.execute(f"INSERT INTO {table} ({column}) VALUES (?)", (text,)).lastrowid or 0
        self._of_job[key] = found
        return found

    def kept(self) -> None:
        self._of_batch |= self._of_job
        self._of_job.clear()

    def undone(self) -> None:
        self._of_job.clear()

    def committed(self) -> None:
        if len(self._known) > _MOST_NAMES:
            self._known.clear()
        self._known |= self._of_batch
        self._of_batch.clear()

    def abandoned(self) -> None:
        self._of_job.clear()
        self._of_batch.clear()


class Working:
    """The writer's connection with the clock and the interned texts. Used by the writer's thread alone.

    `now`: microseconds since 1970. `time_limit`: seconds that one query of a unit's `found` may take."""

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], int], time_limit: float) -> None:
        self.connection = connection
        self.names = Interning(connection)
        self._now = now
        self._time_limit = time_limit
        self._sequence = self._instant = self._kept_sequence = self._kept_instant = 0
        self._answered = 0

    def began(self) -> None:
        moment = self.connection.execute(
            "SELECT sequence, instant FROM clock ORDER BY sequence DESC LIMIT 1"
        ).fetchall()
        self._kept_sequence, self._kept_instant = self._sequence, self._instant = moment[0] if moment else (0, 0)

    def kept(self) -> None:
        self._kept_sequence, self._kept_instant = self._sequence, self._instant
        self.names.kept()

    def undone(self) -> None:
        self._sequence, self._instant = self._kept_sequence, self._kept_instant
        self.names.undone()

    def committed(self) -> None:
        self.names.committed()

    def abandoned(self) -> None:
        self.names.abandoned()

    def settled(self, instant: int) -> Moment:
        """The newest moment at or before `instant`, with no later commit at or before it. The write lock is held:
        nobody is between reading the clock and committing, and whoever comes next reads a later time."""
        self._answered = max(self._answered, instant)
        if (early := instant - self._now()) >= 0:
            time.sleep((early + 1) / 1_000_000)
        return newest(self.connection, instant)

    def write(self, unit: Unit) -> tuple[Version, ...]:
        """As Store.commit, up to the COMMIT."""
        self._unchanged(unit)
        self._found(unit)
        versions = self._written(unit)
        self._alive(unit)
        self._unreferenced(unit)
        return versions

    def _unchanged(self, unit: Unit) -> None:
        for (resource_type, id), version_id in unit.unchanged.items():
            rows = self.connection.execute(_RESOURCE, (f"{resource_type}/{id}",)).fetchall()
            if (rows[0][2] or 0 if rows else 0) != version_id:
                raise Conflict("stale", [(resource_type, id)])

    def _found(self, unit: Unit) -> None:
        if not unit.found:
            return
        deadline = time.monotonic() + self._time_limit
        self.connection.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
        try:
            for query, expected in unit.found:
                found = found_ids(self.connection, query, Criteria(KnownNames(self.connection, {}), None))
                several = len(found) > 1 and len(expected) > 1
                if found != expected and not several:
                    raise Conflict("stale", [(query.resource_type, id) for id in found])
        except sqlite3.OperationalError as error:
            if interrupted(error):
                raise Unavailable("A condition took longer than the time limit.", too_costly=True) from error
            raise
        finally:
            self.connection.set_progress_handler(None, 0)

    def _written(self, unit: Unit) -> tuple[Version, ...]:
        if len(unit.writes) > 0xFFFF:
            raise ValueError(f"A unit holds at most 65535 writes, this one {len(unit.writes)}.")
        self._sequence += 1
        self._instant = max(self._now(), self._instant + 1, self._answered + 1)
        self.connection.execute("INSERT INTO clock VALUES (?, ?)", (self._sequence, self._instant))
        base = self._sequence << 16
        return tuple(self._version(unit, write, base + place) for place, write in enumerate(unit.writes))

    def _version(self, unit: Unit, write: Write, vid: int) -> Version:
        ref = f"{write.resource_type}/{write.id}"
        if (write.resource_type, write.id) not in unit.unchanged:
            raise ValueError(f"{ref} is written but not among the unit's unchanged.")
        rid = self.names.target(ref)
        _, previous, version_id = self.connection.execute(_RESOURCE, (ref,)).fetchall()[0]
        if write.version_id != (version_id or 0) + 1:
            raise ValueError(f"{ref} has version {version_id or 0}; {write.version_id} does not follow it.")
        if previous is not None:
            self.connection.execute("UPDATE version SET ended = ? WHERE vid = ?", (self._sequence, previous))
        deleted = write.body is None
        row = (vid, rid, self.names.name(write.resource_type), write.version_id, self._instant, deleted, write.method)
        self.connection.execute(_VERSION, row)
        self.connection.execute(_NEWEST, (vid, write.version_id, deleted, rid))
        text = instant_text(self._instant)
        body = None
        if write.body is not None:
            meta = f'"versionId":"{write.version_id}","lastUpdated":"{text}"'.encode()
            body = write.body.head + meta + write.body.tail
            self.connection.execute("INSERT INTO content VALUES (?, ?)", (vid, body))
            insert(self.connection, self.names, vid, write.indexed)
        return Version(write.resource_type, write.id, write.version_id, vid, text, write.method, body)

    def _alive(self, unit: Unit) -> None:
        text = "SELECT 1 FROM resource WHERE ref = ? AND vid IS NOT NULL AND deleted = 0"
        absent = [ref for ref in unit.alive if not self.connection.execute(text, ("/".join(ref),)).fetchall()]
        if absent:
            raise Conflict("absent", sorted(absent))

    def _unreferenced(self, unit: Unit) -> None:
        text = """SELECT DISTINCT q.ref FROM reference r CROSS JOIN version v CROSS JOIN resource q
                  WHERE r.target = (SELECT rid FROM resource WHERE ref = ?) AND r.key > 0
                  AND v.vid = r.vid AND q.rid = v.rid LIMIT ?"""
        referrers: dict[Ref, None] = {}
        for ref in unit.unreferenced:
            for (referrer,) in self.connection.execute(text, ("/".join(ref), _REFERRERS)).fetchall():
                resource_type, _, id = referrer.partition("/")
                referrers[(resource_type, id)] = None
        if referrers:
            raise Conflict("referenced", list(referrers)[:_REFERRERS])

    def reindex(self, replacements: Sequence[tuple[int, Indexed]]) -> None:
        """Other index rows for those versions, among the present or the past as each now is."""
        for vid, indexed in replacements:
            for kind in KINDS:
                self.connection.execute(f"DELETE FROM {kind} WHERE vid = ?", (vid,))
            ((ended,),) = self.connection.execute("SELECT ended FROM version WHERE vid = ?", (vid,)).fetchall()
            insert(self.connection, self.names, vid, indexed, sign=1 if ended is None else -1)


def insert(connection: sqlite3.Connection, names: Interning, vid: int, indexed: Indexed, sign: int = 1) -> None:
    """The index rows of one version; `sign` -1 files them in the past."""
    for kind, rows in index_rows(names, vid, indexed, sign):
        width = len(COLUMNS[kind])
        # Many rows to a statement: each statement gives up the interpreter lock and must get it back.
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            chunk = rows[start : start + _ROWS_AT_ONCE]
            connection.execute(_insertion(kind, width, len(chunk)), [value for row in chunk for value in row])


@cache
def _insertion(kind: Kind, width: int, rows: int) -> str:
    row = f"({marks(range(width))})"
    return f"INSERT OR IGNORE INTO {kind} VALUES {', '.join([row] * rows)}"


Row = tuple[int | float | str, ...]


def index_rows(names: Interning, vid: int, indexed: Indexed, sign: int) -> Iterable[tuple[Kind, list[Row]]]:
    """The rows of each kind as its table holds them, kinds without rows left out."""
    name = names.name
    if indexed.string:
        yield (
            "string",
            [
                (sign * name(key), folded[:PREFIX], vid, line, n, folded, exact)
                for line, (key, folded, exact, n) in enumerate(indexed.string)
            ],
        )
    if indexed.token:
        yield "token", [(sign * name(key), code, vid, name(system), n) for key, code, system, n in indexed.token]
    if indexed.date:
        yield "date", [(sign * name(key), low, vid, high, n) for key, low, high, n in indexed.date]
    if indexed.number:
        yield "number", [(sign * name(key), low, vid, high, n) for key, low, high, n in indexed.number]
    if indexed.quantity:
        yield (
            "quantity",
            [
                (sign * name(key), low, vid, high, code, name(system), unit, n)
                for key, low, high, code, system, unit, n in indexed.quantity
            ],
        )
    if indexed.uri:
        yield "uri", [(sign * name(key), value, vid, n) for key, value, n in indexed.uri]
    if indexed.reference:
        yield (
            "reference",
            [(names.target(to), sign * name(key), vid, version, n) for key, to, version, n in indexed.reference],
        )
