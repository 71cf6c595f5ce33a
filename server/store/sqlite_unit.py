"""What the writer's jobs do: one unit checked and written, the newest moment fixed, index rows replaced.

All of it runs on the writer's connection and sees the earlier jobs of its batch. Every statement gives up the
interpreter lock, and a busy event loop is slow to give it back: so rows wait in `_Pending` until the batch ends or a
job must see them, many go to a statement, and a job that writes nothing at once needs no savepoint either.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn

from server.search.match import matches, told_by_rows
from server.search.query import Query
from server.store import sqlite_build, sqlite_erase
from server.store.chain import GENESIS, linked
from server.store.instants import instant_text, microseconds
from server.store.sqlite_criteria import Criteria, marks
from server.store.sqlite_read import KnownNames, found_ids, newest
from server.store.sqlite_schema import COLUMNS, KINDS, LINKS, interrupted
from server.store.store import (
    RECORDS,
    Commit,
    Conflict,
    Eraser,
    Indexed,
    Moment,
    Ref,
    Rewritten,
    Unavailable,
    Unit,
    Version,
    Write,
)
from server.store.terms import PREFIX

_MOST_NAMES = 100_000
# 64 rows of 8 values stay below the 999 values that the oldest SQLite takes.
_ROWS_AT_ONCE = 64
_REFERRERS = 10
# Pairs of a condition and a write that waits, beyond which the writes go into the tables and SQLite looks.
_MOST_COMPARED = 1000

_RESOURCE = "SELECT rid, ref, vid, version_id, deleted FROM resource WHERE ref = ?"
_RESOURCES = """SELECT q.rid, q.ref, q.vid, q.version_id, q.deleted
                FROM json_each(?) j CROSS JOIN resource q WHERE q.ref = j.value"""
_NEWEST = "UPDATE resource SET vid = ?, version_id = ?, deleted = ? WHERE rid = ?"

Row = tuple[int | float | str | bytes, ...]
Rows = tuple[str, list[Row]]
"""A table's name and rows for it."""
Standing = tuple[int, int | None, int, bool]
"""A row of `resource`: rid, newest vid (None: only a target so far), its version_id or 0, deleted."""

# The tables that a batch fills, in the order of its filling, with the columns given.
_TABLES: dict[str, tuple[str, ...]] = {
    "resource": ("rid", "ref", "vid", "version_id", "deleted"),
    "clock": ("sequence", "instant"),
    "version": ("vid", "rid", "type", "version_id", "instant", "deleted", "method"),
    "content": ("vid", "body"),
    "chain": ("sequence", "digest"),
    **{str(kind): columns for kind, columns in COLUMNS.items()},
}


class Ahead:
    """Rows of `resource` read for a whole batch at once, of refs that nothing in the batch has touched yet; a ref
    that is in neither of both dicts has to be looked for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.rows: dict[str, Standing] = {}
        self.absent: set[str] = set()

    def read(self, units: Iterable[Unit]) -> None:
        """What these units will ask for, as it stands now."""
        refs = {ref for unit in units for ref in _refs(unit)}
        rows = self._connection.execute(_RESOURCES, (json.dumps(list(refs)),)).fetchall() if refs else []
        self.rows = {row[1]: _standing(row) for row in rows}
        self.absent = refs - self.rows.keys()

    def touched(self, ref: str) -> None:
        self.rows.pop(ref, None)
        self.absent.discard(ref)


def _refs(unit: Unit) -> Iterator[str]:
    for kind, id in (*unit.unchanged, *unit.alive):
        yield f"{kind}/{id}"
    for write in unit.writes:
        for _, target, _, _ in write.indexed.reference:
            if target.isprintable():  # SQLite's JSON ends a text at its first NUL.
                yield target


class Interning:
    """Texts to their numbers, written where missing. What was learnt is kept only once it is committed: an id that
    was rolled back may later stand for another text."""

    def __init__(self, connection: sqlite3.Connection, ahead: Ahead, before_writing: Callable[[], None]) -> None:
        self._connection = connection
        self._ahead = ahead
        self._before_writing = before_writing
        self._names: dict[str, int] = {}
        self._targets: dict[str, int] = {}
        # What the batch and the running job have added to the two, to be taken back with them.
        self._batch_names: list[str] = []
        self._batch_targets: list[str] = []
        self._job_names: list[str] = []
        self._job_targets: set[str] = set()
        self._last_rid = 0

    def began(self) -> None:
        (self._last_rid,) = self._connection.execute("SELECT coalesce(max(rid), 0) FROM resource").fetchall()[0]

    def name(self, text: str) -> int:
        found = self._names.get(text)
        if found is None:
            rows = self._connection.execute("SELECT id FROM name WHERE text = ?", (text,)).fetchall()
            if not rows:
                self._before_writing()
                rows = [(self._connection.execute("INSERT INTO name (text) VALUES (?)", (text,)).lastrowid,)]
            found = self._names[text] = rows[0][0]
            self._job_names.append(text)
        return found

    def target(self, ref: str) -> int:
        """The rid of what a reference names, which need not exist."""
        found = self._targets.get(ref)
        if found is None:
            found = self._standing(ref)
            if found is None:
                found = self.made(ref)
                self._before_writing()
                self._ahead.touched(ref)
                self._connection.execute("INSERT INTO resource (rid, ref) VALUES (?, ?)", (found, ref))
            else:
                self._targets[ref] = found
                self._job_targets.add(ref)
        return found

    def _standing(self, ref: str) -> int | None:
        if (row := self._ahead.rows.get(ref)) is not None:
            return row[0]
        if ref in self._ahead.absent:
            return None
        rows = self._connection.execute("SELECT rid FROM resource WHERE ref = ?", (ref,)).fetchall()
        return rows[0][0] if rows else None

    def made(self, ref: str) -> int:
        """A rid for a resource that the caller knows to have no row yet; the caller makes the row."""
        self._last_rid += 1
        self._targets[ref] = self._last_rid
        self._job_targets.add(ref)
        return self._last_rid

    def knows_target(self, ref: str) -> bool:
        """Whether this job has named it already; a row of an earlier job is found by looking."""
        return ref in self._job_targets

    def kept(self) -> None:
        self._batch_names += self._job_names
        self._batch_targets += self._job_targets
        self._job_names, self._job_targets = [], set()

    def undone(self) -> None:
        _without(self._names, self._job_names)
        _without(self._targets, self._job_targets)
        self._job_names, self._job_targets = [], set()

    def committed(self) -> None:
        self._batch_names, self._batch_targets = [], []
        if len(self._names) + len(self._targets) > _MOST_NAMES:
            self._names, self._targets = {}, {}

    def abandoned(self) -> None:
        self.undone()
        _without(self._names, self._batch_names)
        _without(self._targets, self._batch_targets)
        self._batch_names, self._batch_targets = [], []


def _without(known: dict[str, int], texts: Iterable[str]) -> None:
    for text in texts:
        known.pop(text, None)


@dataclass(slots=True)
class _Waiting:
    """Rows, and of which writes they are."""

    rows: list[Rows] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)

    def take(self, other: _Waiting) -> None:
        """All that the other has, which then has nothing."""
        self.rows += other.rows
        self.writes += other.writes
        other.rows, other.writes = [], []


class _Pending:
    """Rows that are not in their tables yet: of the batch's jobs that were kept, and of the running one. Rows that the
    running job puts into the tables come back when it is undone, but for its own.

    `fresh`: the new rows of `resource` among them, by ref, for those who look there."""

    def __init__(self, connection: sqlite3.Connection, before_writing: Callable[[], None]) -> None:
        self._connection = connection
        self._before_writing = before_writing
        self._of_batch = _Waiting()
        self._of_job = _Waiting()
        self._flushed = _Waiting()
        self.fresh: dict[str, Standing] = {}

    @property
    def writes(self) -> Sequence[Write]:
        """Of the jobs that were kept, those whose rows are not in their tables."""
        return self._of_batch.writes

    def add(self, rows: Iterable[Rows]) -> None:
        self._of_job.rows += rows

    def wrote(self, write: Write) -> None:
        self._of_job.writes.append(write)

    def flush(self) -> None:
        """Into the tables with all of them."""
        if self._of_batch.rows or self._of_job.rows:
            self._before_writing()
            insert(self._connection, self._of_batch.rows + self._of_job.rows)
            self._flushed.take(self._of_batch)
            self._of_job, self.fresh = _Waiting(), {}

    def kept(self) -> None:
        self._of_batch.take(self._of_job)
        self._flushed = _Waiting()

    def undone(self) -> None:
        self._of_batch.take(self._flushed)
        self._of_job = _Waiting()
        self.fresh = {
            str(row[1]): _standing(row) for table, rows in self._of_batch.rows if table == "resource" for row in rows
        }

    def done(self) -> None:
        """Nothing waits any more, whether it was committed or given up."""
        self._of_batch, self._of_job, self._flushed = _Waiting(), _Waiting(), _Waiting()
        self.fresh = {}


class Rehearsed(Exception):
    """A unit could be written; raised so that it is not."""


class Working:
    """The writer's connection with the clock and the interned texts. Used by the writer's thread alone.

    `now`: microseconds since 1970. `time_limit`: seconds that one query of a unit's `found` may take."""

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], int], time_limit: float) -> None:
        self.connection = connection
        self._ahead = Ahead(connection)
        self.names = Interning(connection, self._ahead, self._save)
        self._pending = _Pending(connection, self._save)
        self._saved = False
        # The ordinal of the newest SearchParameter version, once it was looked for in this batch.
        self._definition: int | None = None
        self._now = now
        self._time_limit = time_limit
        self._sequence = self._instant = self._kept_sequence = self._kept_instant = 0
        self._answered = self._first_of_batch = 0
        # The digest of the chain's newest link, once it was looked for in this batch.
        self._digest: bytes | None = None
        self._kept_digest: bytes | None = None

    def began(self, units: Iterable[Unit]) -> None:
        moment = self.connection.execute(
            "SELECT sequence, instant FROM clock ORDER BY sequence DESC LIMIT 1"
        ).fetchall()
        self._kept_sequence, self._kept_instant = self._sequence, self._instant = moment[0] if moment else (0, 0)
        self._first_of_batch = (self._sequence + 1) << 16
        self._saved = False
        self._definition = None
        self._digest = self._kept_digest = None
        self.names.began()
        self._ahead.read(units)

    def _save(self) -> None:
        """A savepoint, before the running job's first change of a table."""
        if not self._saved:
            self.connection.execute("SAVEPOINT job")
            self._saved = True

    def kept(self) -> None:
        if self._saved:
            self.connection.execute("RELEASE job")
            self._saved = False
        self._kept_sequence, self._kept_instant = self._sequence, self._instant
        self._kept_digest = self._digest
        self.names.kept()
        self._pending.kept()

    def undone(self) -> None:
        if self._saved and self.connection.in_transaction:
            self.connection.execute("ROLLBACK TO job")
            self.connection.execute("RELEASE job")
        self._saved = False
        self._definition = None
        self._sequence, self._instant = self._kept_sequence, self._kept_instant
        self._digest = self._kept_digest
        self.names.undone()
        self._pending.undone()

    def committing(self) -> None:
        self._pending.flush()

    def committed(self) -> None:
        self.names.committed()
        self._pending.done()

    def abandoned(self) -> None:
        self.names.abandoned()
        self._pending.done()

    def settled(self, instant: int) -> Moment:
        """The newest moment at or before `instant`, with no later commit at or before it. The write lock is held:
        nobody is between reading the clock and committing, and whoever comes next reads a later time."""
        self._answered = max(self._answered, instant)
        if (early := instant - self._now()) >= 0:
            time.sleep((early + 1) / 1_000_000)
        self._pending.flush()
        return newest(self.connection, instant)

    def write(self, unit: Unit) -> tuple[Version, ...]:
        """As Store.commit, up to the COMMIT."""
        self._defined(unit.defined)
        standing = self._unchanged(unit)
        self._found(unit)
        versions = self._written(unit, standing)
        self._alive(unit)
        self._unreferenced(unit)
        return versions

    def rehearse(self, unit: Unit) -> NoReturn:
        """As Store.rehearse. Raises Rehearsed where `write` would return."""
        self.write(unit)
        raise Rehearsed

    def _defined(self, newest: int | None) -> None:
        """Rows are made by the definitions in force, in whichever process; see Unit.defined."""
        if newest is None:
            return
        if self._definition is None:
            self._pending.flush()
            self._definition = self.connection.execute(sqlite_build.NEWEST).fetchall()[0][0]
        if self._definition != newest:
            raise Conflict("stale")

    def build(self, step: sqlite_build.Step) -> None:
        """Adds a step's rows; those that are there already stay as they are."""
        self._pending.flush()
        self._save()
        for vid, indexed in step.rows:
            self._pending.add(index_rows(self.names, vid, indexed, self._sign(vid)))
        self._pending.flush()
        sqlite_build.note(self.connection, step)

    def rewrite(
        self,
        eraser: Eraser,
        index: Callable[[dict[str, Any]], Indexed],
        trace: Callable[[Rewritten], Unit],
    ) -> Rewritten:
        """As Store.rewrite, up to the COMMIT: no other writer comes in between, for this is one job."""
        self._pending.flush()
        self._save()
        found, bodies = sqlite_erase.found(self.connection, eraser)
        self.reindex(sqlite_erase.rows(bodies, index), None)
        self._pending.flush()
        sqlite_erase.replaced(self.connection, eraser, bodies)
        self.write(trace(found))
        return found

    def _sign(self, vid: int) -> int:
        ((ended,),) = self.connection.execute("SELECT ended FROM version WHERE vid = ?", (vid,)).fetchall()
        return 1 if ended is None else -1

    def _unchanged(self, unit: Unit) -> dict[Ref, Standing]:
        """The rows of those that have one."""
        standing: dict[Ref, Standing] = {}
        for ref, version_id in unit.unchanged.items():
            found = self._standing(f"{ref[0]}/{ref[1]}")
            if found is not None:
                standing[ref] = found
            if (found[2] if found is not None else 0) != version_id:
                raise Conflict("stale", [ref])
        return standing

    def _standing(self, ref: str) -> Standing | None:
        found = self._pending.fresh.get(ref) or self._ahead.rows.get(ref)
        if found is None and ref not in self._ahead.absent:
            rows = self.connection.execute(_RESOURCE, (ref,)).fetchall()
            found = _standing(rows[0]) if rows else None
        return found

    def _found(self, unit: Unit) -> None:
        if not unit.found:
            return
        if not self._told_by_rows(unit):
            self._pending.flush()
        deadline = time.monotonic() + self._time_limit
        self.connection.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
        try:
            for query, expected in unit.found:
                found = found_ids(self.connection, query, Criteria(KnownNames(self.connection, {}), None))
                found |= {write.id for write in self._pending.writes if _meets(write, query)}
                several = len(found) > 1 and len(expected) > 1
                if found != expected and not several:
                    raise Conflict("stale", [(query.resource_type, id) for id in found])
        except sqlite3.OperationalError as error:
            if interrupted(error):
                raise Unavailable("A condition took longer than the time limit.", too_costly=True) from error
            raise
        finally:
            self.connection.set_progress_handler(None, 0)

    def _told_by_rows(self, unit: Unit) -> bool:
        """Whether what the writes that wait add to the answers is found by looking at them one by one. What they end
        has ended in the tables already."""
        alone = all(told_by_rows(criterion) for query, _ in unit.found for criterion in query.criteria)
        return alone and len(self._pending.writes) * len(unit.found) <= _MOST_COMPARED

    def _written(self, unit: Unit, standing: dict[Ref, Standing]) -> tuple[Version, ...]:
        if len(unit.writes) > 0xFFFF:
            raise ValueError(f"A unit holds at most 65535 writes, this one {len(unit.writes)}.")
        self._sequence += 1
        self._instant = max(self._now(), self._instant + 1, self._answered + 1)
        self._pending.add([("clock", [(self._sequence, self._instant)])])
        vid = self._sequence << 16
        versions = []
        for place, write in enumerate(unit.writes):
            ref = (write.resource_type, write.id)
            if write.version_id != unit.unchanged.get(ref, -1) + 1:
                raise ValueError(f"{ref}: version {write.version_id} does not follow what the unit calls unchanged.")
            versions.append(self._version(write, vid + place, standing.get(ref)))
        if len({(write.resource_type, write.id) for write in unit.writes}) < len(unit.writes):
            raise ValueError("A unit writes each resource once.")
        self._chained([version for version in versions if version.resource_type in RECORDS])
        return tuple(versions)

    def _chained(self, records: list[Version]) -> None:
        if not records:
            return
        if self._digest is None:
            found = self.connection.execute("SELECT digest FROM chain ORDER BY sequence DESC LIMIT 1").fetchall()
            self._digest = found[0][0] if found else GENESIS
        self._digest = linked(self._digest, records)
        self._pending.add([("chain", [(self._sequence, self._digest)])])

    def _version(self, write: Write, vid: int, stood: Standing | None) -> Version:
        text = instant_text(self._instant)
        body = None
        if write.body is not None:
            meta = f'"versionId":"{write.version_id}","lastUpdated":"{text}"'.encode()
            body = write.body.head + meta + write.body.tail
        version = Version(write.resource_type, write.id, write.version_id, vid, text, write.method, body)
        self._put(version, write.indexed, stood)
        self._pending.wrote(write)
        return version

    def _put(self, version: Version, indexed: Indexed, stood: Standing | None) -> None:
        vid = version.ordinal
        rid = self._newest(version, stood)
        if version.resource_type == "SearchParameter":
            self._definition = None
        kind = self.names.name(version.resource_type)
        row = (vid, rid, kind, version.version_id, self._instant, version.deleted, version.method)
        self._pending.add([("version", [row])])
        if version.body is not None:
            self._pending.add([("content", [(vid, version.body)]), *index_rows(self.names, vid, indexed)])

    def append(self, commits: Sequence[tuple[Commit, Sequence[Indexed]]]) -> None:
        """As Store.append."""
        for commit, rows in commits:
            if commit.moment.sequence != self._sequence + 1:
                raise Conflict("stale")
            self._sequence, self._instant = commit.moment.sequence, microseconds(commit.moment.instant)
            self._pending.add([("clock", [(self._sequence, self._instant)])])
            for version, indexed in zip(commit.versions, rows, strict=True):
                self._put(version, indexed, self._standing(f"{version.resource_type}/{version.id}"))
            if commit.link is not None:
                self._digest = commit.link
                self._pending.add([("chain", [(self._sequence, commit.link)])])
        # A later job's conditions look at rows that wait by the writes they are of, and these are of none.
        self._pending.flush()

    def _newest(self, write: Version, stood: Standing | None) -> int:
        """The resource's rid, its row saying that this version is the newest."""
        ref, vid, deleted = f"{write.resource_type}/{write.id}", write.ordinal, write.deleted
        self._ahead.touched(ref)
        if stood is None and not self.names.knows_target(ref):
            rid = self.names.made(ref)
            row = (rid, ref, vid, write.version_id, deleted)
            self._pending.add([("resource", [row])])
            self._pending.fresh[ref] = _standing(row)
            return rid
        previous = stood[1] if stood is not None else None
        if previous is not None and previous >= self._first_of_batch:
            # It waits itself; and its index rows are to be filed in the past, so they must be there.
            self._pending.flush()
        self._save()
        if previous is not None:
            self.connection.execute("UPDATE version SET ended = ? WHERE vid = ?", (self._sequence, previous))
        rid = self.names.target(ref)
        self.connection.execute(_NEWEST, (vid, write.version_id, deleted, rid))
        return rid

    def _alive(self, unit: Unit) -> None:
        absent = []
        for ref in unit.alive:
            found = self._standing("/".join(ref))
            if found is None or found[1] is None or found[3]:
                absent.append(ref)
        if absent:
            raise Conflict("absent", sorted(absent))

    def _unreferenced(self, unit: Unit) -> None:
        text = f"""SELECT DISTINCT q.ref FROM reference r CROSS JOIN version v CROSS JOIN resource q
                   WHERE r.target = (SELECT rid FROM resource WHERE ref = ?) AND r.key > 0
                   AND v.vid = r.vid AND q.rid = v.rid AND {LINKS} LIMIT ?"""
        referrers: dict[Ref, None] = {}
        if unit.unreferenced:
            self._pending.flush()
        for ref in unit.unreferenced:
            for (referrer,) in self.connection.execute(text, ("/".join(ref), _REFERRERS)).fetchall():
                resource_type, _, id = referrer.partition("/")
                referrers[(resource_type, id)] = None
        if referrers:
            raise Conflict("referenced", list(referrers)[:_REFERRERS])

    def reindex(self, replacements: Sequence[tuple[int, Indexed]], defined: int | None) -> None:
        """Other index rows for those versions, among the present or the past as each now is."""
        self._defined(defined)
        self._pending.flush()
        self._save()
        for vid, indexed in replacements:
            for kind in KINDS:
                self.connection.execute(f"DELETE FROM {kind} WHERE vid = ?", (vid,))
            self._pending.add(index_rows(self.names, vid, indexed, self._sign(vid)))
        self._pending.flush()


def _meets(write: Write, query: Query) -> bool:
    if write.resource_type != query.resource_type or write.body is None:
        return False
    return all(matches(criterion, write.resource_type, write.id, write.indexed) for criterion in query.criteria)


def _standing(row: Sequence[Any]) -> Standing:
    """Of (rid, ref, vid, version_id, deleted)."""
    return (row[0], row[2], row[3] or 0, bool(row[4]))


def insert(connection: sqlite3.Connection, found: Iterable[Rows]) -> None:
    """Rows into their tables, in the order of the tables and within one in that of the rows."""
    by_table: dict[str, list[Row]] = {table: [] for table in _TABLES}
    for table, rows in found:
        by_table[table] += rows
    for table, rows in by_table.items():
        rows.sort()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            chunk = rows[start : start + _ROWS_AT_ONCE]
            connection.execute(_insertion(table, len(chunk)), [value for row in chunk for value in row])


@cache
def _insertion(table: str, rows: int) -> str:
    columns = _TABLES[table]
    # An index row may come twice from one resource, when two of its elements say the same.
    ignoring = "OR IGNORE " if table in COLUMNS else ""
    row = f"({marks(range(len(columns)))})"
    return f"INSERT {ignoring}INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"


def index_rows(names: Interning, vid: int, indexed: Indexed, sign: int = 1) -> Iterable[Rows]:
    """The rows of each kind as its table holds them, kinds without rows left out; `sign` -1 files them in the past."""
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
