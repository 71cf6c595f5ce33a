"""SQLite's tables, their version, and how a connection is made.

**Names** (types, keys, systems) are interned to small integers from 1 up, references to the `rid` of
`resource`, which has a row for every target ever named, known here or not.

**One index table per kind**, clustered on the key with the ordinal right after the value, so that one value's
newest rows stream in order; a second index from (vid, key) on checks one version, reads sort keys and finds
what to move. Rows of the present have key > 0. When a version ends, its rows' keys are negated: the past lies
in a region of the same trees that a search of the present never enters, and a search of the past reads
`key IN (k, -k)` with the same plan. Twin tables did the same for the present, but put a UNION into every join
of the past, and SQLite takes no index through those.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import get_args

from server.search.query import Kind
from server.store.store import RECORDS, UNLINKED, Unavailable

VERSION = 3

KINDS: tuple[Kind, ...] = get_args(Kind)

_RECORDS = ", ".join(f"'{name}'" for name in sorted(RECORDS))
_UNLINKED = ", ".join(f"'{name}'" for name in sorted(UNLINKED))
IS_RECORD = f"v.type IN (SELECT id FROM name WHERE text IN ({_RECORDS}))"
NO_RECORD = f"v.type NOT IN (SELECT id FROM name WHERE text IN ({_RECORDS}))"
LINKS = f"v.type NOT IN (SELECT id FROM name WHERE text IN ({_UNLINKED}))"
"""What a statement that has `version v` says of the record's types, and of those whose references are links."""

# The columns of each index table, in the order of its clustering.
COLUMNS: dict[Kind, tuple[str, ...]] = {
    "string": ("key", "prefix", "vid", "line", "n", "folded", "exact"),
    "token": ("key", "code", "vid", "system", "n"),
    "date": ("key", "low", "vid", "high", "n"),
    "number": ("key", "low", "vid", "high", "n"),
    "quantity": ("key", "low", "vid", "high", "code", "system", "unit", "n"),
    "uri": ("key", "value", "vid", "n"),
    "reference": ("target", "key", "vid", "version", "n"),
}

_CLUSTERED = {kind: ", ".join(columns) for kind, columns in COLUMNS.items()} | {"string": "key, prefix, vid, line"}
_TEXTS = frozenset(("prefix", "folded", "exact", "code", "unit", "value", "version"))

# How far the rows of a stored SearchParameter's version (`generation`, its vid) are: all versions up to `reached`
# have theirs, `done` of `total`; whole when reached is upto.
_BUILD = """CREATE TABLE build (generation INTEGER PRIMARY KEY, reached INTEGER NOT NULL, upto INTEGER NOT NULL,
            done INTEGER NOT NULL, total INTEGER NOT NULL)"""

# The record's chain (chain.py): the digest of each commit that wrote records, upon that of the link before.
_CHAIN = "CREATE TABLE chain (sequence INTEGER PRIMARY KEY, digest BLOB NOT NULL)"

_BASE = (
    "CREATE TABLE clock (sequence INTEGER PRIMARY KEY, instant INTEGER NOT NULL UNIQUE)",
    "CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    # vid and version_id of the newest version; both NULL for a mere target of references.
    """CREATE TABLE resource (rid INTEGER PRIMARY KEY, ref TEXT NOT NULL UNIQUE,
         vid INTEGER, version_id INTEGER, deleted INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE version (vid INTEGER PRIMARY KEY, rid INTEGER NOT NULL, type INTEGER NOT NULL,
         version_id INTEGER NOT NULL, ended INTEGER, instant INTEGER NOT NULL,
         deleted INTEGER NOT NULL, method TEXT NOT NULL)""",
    # Bodies apart: rows of `version` stay some 30 bytes, for scans and for setting `ended`.
    "CREATE TABLE content (vid INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    _BUILD,
    _CHAIN,
    "CREATE UNIQUE INDEX version_of ON version (rid, version_id, vid)",
    "CREATE INDEX version_type ON version (type, vid)",
    "CREATE INDEX version_live ON version (type, vid) WHERE ended IS NULL AND deleted = 0",
)


def _type(kind: Kind, column: str) -> str:
    if column in _TEXTS:
        return "TEXT"
    return "REAL" if column in ("low", "high") and kind != "date" else "INTEGER"


def _table(kind: Kind) -> str:
    columns = ", ".join(f"{column} {_type(kind, column)} NOT NULL" for column in COLUMNS[kind])
    return f"CREATE TABLE {kind} ({columns}, PRIMARY KEY ({_CLUSTERED[kind]})) WITHOUT ROWID"


def _ending() -> str:
    moves = " ".join(f"UPDATE {kind} SET key = -key WHERE vid = OLD.vid AND key > 0;" for kind in KINDS)
    return f"""CREATE TRIGGER version_ends AFTER UPDATE OF ended ON version
               WHEN OLD.ended IS NULL AND NEW.ended IS NOT NULL BEGIN {moves} END"""


def statements() -> tuple[str, ...]:
    """The whole schema, in the order of its making."""
    tables = tuple(_table(kind) for kind in KINDS)
    # `value` is what a check compares; the other columns of the cluster follow by themselves.
    value = {"string": "prefix", "token": "code", "uri": "value", "reference": "target"}
    indexes = tuple(f"CREATE INDEX {kind}_vid ON {kind} (vid, key, {value.get(kind, 'low')})" for kind in KINDS)
    return (*_BASE, *tables, *indexes, _ending())


def connect(path: Path, *, patience: float, cache_kib: int, read_only: bool = False) -> sqlite3.Connection:
    """A connection without Python's implicit transactions; it may move between threads.

    `patience`: seconds to wait for another process's lock. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=patience, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    # FULL: a commit is on the disk before it is acknowledged, whatever happens to the machine.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA mmap_size = 268435456")
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        # Debian overwrites deleted rows with zeros; nothing is ever deleted here but moved, and what is erased for good
        # goes with a VACUUM.
        connection.execute("PRAGMA secure_delete = OFF")
        # Index pages are hit at random: the longer the log, the oftener one copying serves many commits.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    return connection


def prepare(connection: sqlite3.Connection, patience: float) -> None:
    """WAL, and the schema when the file is empty. Raises Unavailable for a newer schema."""
    _log_ahead(connection, patience)
    connection.execute("BEGIN IMMEDIATE")
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > VERSION:
            raise Unavailable(f"The database has schema version {found}; this program knows up to {VERSION}.")
        if found == 0:
            for statement in statements():
                connection.execute(statement)
        if found == 1:
            connection.execute(_BUILD)
        if found in (1, 2):
            connection.execute(_CHAIN)
        if found < VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _log_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """SQLite does not wait for a lock when it changes the journal mode: two first starts at once would fail."""
    deadline = time.monotonic() + patience
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            break
    if mode != "wal":
        raise Unavailable(f"This file system does not let SQLite keep a write-ahead log (journal mode {mode}).")


def unavailable(error: sqlite3.Error) -> Unavailable:
    """The promise's exception for SQLite's: full disk, read-only file, lock not got, damaged file."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return Unavailable(f"SQLite: {error} ({name})")


def failure(error: sqlite3.Error) -> Exception:
    """What a statement's failure is to the caller: Unavailable for what may pass or be mended beside us, else our
    own bug, for SQLite says SQLITE_ERROR of a statement that it does not understand."""
    if getattr(error, "sqlite_errorname", None) == "SQLITE_ERROR":
        if "parser stack overflow" in str(error):
            return Unavailable("Its conditions are nested too deep for SQLite's parser.", too_costly=True)
        return RuntimeError(f"SQLite: {error}")
    return unavailable(error)


def interrupted(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT"
