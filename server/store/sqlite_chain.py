"""The record's chain in SQLite: one lane, for the write lock puts all processes' commits in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby

from server.store.chain import GENESIS, Link, linked
from server.store.sqlite_read import version
from server.store.sqlite_schema import IS_RECORD
from server.store.store import Version

# A body that was edited may be TEXT now.
_RECORDS = f"""SELECT q.ref, v.version_id, v.vid, v.instant, v.method, CAST(c.body AS BLOB) FROM version v
               JOIN resource q ON q.rid = v.rid LEFT JOIN content c ON c.vid = v.vid
               WHERE {IS_RECORD} ORDER BY v.vid"""
_LINKS = "SELECT sequence, digest FROM chain ORDER BY sequence"


def heads(connection: sqlite3.Connection) -> tuple[Link, ...]:
    """As Store.heads."""
    found = connection.execute(f"{_LINKS} DESC LIMIT 1").fetchall()
    return tuple(Link("", sequence, digest.hex()) for sequence, digest in found)


def breaks(connection: sqlite3.Connection, anchors: Iterable[Link]) -> Iterator[str]:
    """The chain's first break, and the anchors that are not on it."""
    yield from _first_break(connection)
    links = dict(connection.execute(_LINKS))
    for anchor in anchors:
        if anchor.lane or links.get(anchor.sequence, b"").hex() != anchor.digest:
            yield f"record: the link {anchor} is not on the chain; it was changed or cut off"


def _first_break(connection: sqlite3.Connection) -> Iterator[str]:
    """Units of records and links side by side, in the order of their sequence."""
    previous = GENESIS
    links = iter(connection.execute(_LINKS))
    units = _units(connection)
    while True:
        link, unit = next(links, None), next(units, None)
        if link is None and unit is None:
            return
        if unit is None or (link is not None and link[0] < unit[0].sequence):
            assert link is not None
            yield f"record: broken at commit {link[0]}: its records are gone"
            return
        named = ", ".join(f"{one.resource_type}/{one.id}" for one in unit)
        if link is None or unit[0].sequence < link[0]:
            yield f"record: broken at commit {unit[0].sequence}: {named} has no link"
            return
        if linked(previous, unit) != link[1]:
            yield f"record: broken at commit {link[0]}: {named}, or the link before, is not what was written"
            return
        previous = link[1]


def _units(connection: sqlite3.Connection) -> Iterator[list[Version]]:
    rows = (version(row) for row in connection.execute(_RECORDS))
    for _, unit in groupby(rows, key=lambda one: one.sequence):
        yield list(unit)
