"""Reading on one connection at one moment: plain functions that a snapshot, the writer and the check share.

All may raise sqlite3.Error; the caller holds a read transaction, so that they see one state of the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from server.search.query import Cursor, Include, Query
from server.store import sqlite_search
from server.store.instants import instant_text, microseconds
from server.store.sqlite_criteria import Criteria, Sql, marks
from server.store.store import Commit, Moment, Page, Version
from server.store.terms import counted, newest_first

_COLUMNS = "q.ref, v.version_id, v.vid, v.instant, v.method, c.body"
_SOURCE = "version v JOIN resource q ON q.rid = v.rid LEFT JOIN content c ON c.vid = v.vid"
_CURRENT = f"""SELECT {_COLUMNS} FROM resource q JOIN version v ON v.vid = q.vid
               LEFT JOIN content c ON c.vid = v.vid WHERE q.ref = ?"""
_STOOD = f"""SELECT {_COLUMNS} FROM {_SOURCE} WHERE v.rid = (SELECT rid FROM resource WHERE ref = ?)
             AND v.vid <= ? ORDER BY v.version_id DESC LIMIT 1"""
_NUMBERED = f"""SELECT {_COLUMNS} FROM {_SOURCE} WHERE v.rid = (SELECT rid FROM resource WHERE ref = ?)
                AND v.version_id = ? AND v.vid <= ?"""
_MANY = f"""SELECT {_COLUMNS} FROM json_each(?) j CROSS JOIN version v ON v.vid = j.value
            JOIN resource q ON q.rid = v.rid LEFT JOIN content c ON c.vid = v.vid"""

Row = tuple[str, int, int, int, str, bytes | None]


def version(row: Row) -> Version:
    ref, version_id, vid, instant, method, body = row
    resource_type, _, id = ref.partition("/")
    return Version(resource_type, id, version_id, vid, instant_text(instant), method, body)  # type: ignore[arg-type]


def current(connection: sqlite3.Connection, ref: str) -> Version | None:
    """The newest version of all; needs no transaction, for it is one statement."""
    found = connection.execute(_CURRENT, (ref,)).fetchall()
    return version(found[0]) if found else None


def commits(connection: sqlite3.Connection, after: int, count: int) -> list[Commit]:
    """As Store.commits."""
    text = f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE v.vid >= ? ORDER BY v.vid LIMIT ?"
    rows = connection.execute(text, ((after + 1) << 16, count)).fetchall()
    # The last of them may be cut in two: to its end.
    until = rows[-1][2] >> 16 if len(rows) == count else newest(connection).sequence
    text = f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE v.vid > ? AND v.vid < ? ORDER BY v.vid"
    rows += connection.execute(text, (rows[-1][2] if rows else 0, (until + 1) << 16)).fetchall() if rows else []
    versions: dict[int, list[Version]] = {}
    for row in rows:
        versions.setdefault(row[2] >> 16, []).append(version(row))
    text = """SELECT sequence, instant, digest FROM clock LEFT JOIN chain USING (sequence)
              WHERE sequence > ? AND sequence <= ? ORDER BY sequence"""
    moments = connection.execute(text, (after, until)).fetchall()
    return [Commit(Moment(s, instant_text(at)), tuple(versions.get(s, ())), link) for s, at, link in moments]


def newest(connection: sqlite3.Connection, until: int | None = None) -> Moment:
    """The newest moment, or the newest at or before `until` microseconds."""
    if until is None:
        found = connection.execute("SELECT sequence, instant FROM clock ORDER BY sequence DESC LIMIT 1").fetchall()
    else:
        text = "SELECT sequence, instant FROM clock WHERE instant <= ? ORDER BY instant DESC LIMIT 1"
        found = connection.execute(text, (until,)).fetchall()
    sequence, instant = found[0] if found else (0, 0)
    return Moment(sequence, instant_text(instant))


class KnownNames:
    """Interned texts as one connection sees them. `cache` may be shared: only what is committed gets there, and
    that never changes. A text that is not there yet is asked for again."""

    def __init__(self, connection: sqlite3.Connection, cache: dict[str, int]) -> None:
        self._connection = connection
        self._cache = cache

    def name(self, text: str) -> int:
        found = self._cache.get(text)
        if found is None:
            rows = self._connection.execute("SELECT id FROM name WHERE text = ?", (text,)).fetchall()
            if not rows:
                return 0
            found = self._cache[text] = rows[0][0]
        return found

    def target(self, ref: str) -> int:
        rows = self._connection.execute("SELECT rid FROM resource WHERE ref = ?", (ref,)).fetchall()
        return rows[0][0] if rows else 0


@dataclass(frozen=True, slots=True)
class Search:
    """A query compiled, with what was found out on the way."""

    query: Query
    criteria: Criteria
    looks: list[sqlite_search.Look | None]
    by: sqlite_search.Driver

    @property
    def empty(self) -> bool:
        """Whether a look has seen already that nothing matches."""
        look = None if self.by.place is None else self.looks[self.by.place]
        return look is not None and look.whole and not look.count

    def page(self, limit: int) -> Sql:
        return sqlite_search.page(self.query, self.criteria, self.by, limit)

    def total(self) -> Sql:
        return sqlite_search.total(sqlite_search.matches(self.query, self.criteria, self.by))


def planned(connection: sqlite3.Connection, query: Query, criteria: Criteria) -> Search:
    """Runs the probes, until one finds next to nothing, and chooses the driver."""
    looks: list[sqlite_search.Look | None] = [None] * len(query.criteria)
    for place, criterion in enumerate(query.criteria):
        probe = sqlite_search.probe(criterion, query, criteria)
        if probe is not None:
            looks[place] = look = _look(connection, probe)
            if look.enough:
                break
    return Search(query, criteria, looks, sqlite_search.driver(looks))


def _look(connection: sqlite3.Connection, probe: sqlite_search.Probe) -> sqlite_search.Look:
    last = connection.execute(probe.last.text, probe.last.parameters).fetchall()
    if last:
        return sqlite_search.Look(probe.bound, probe.bound, last[0][0])
    count, oldest = connection.execute(probe.whole.text, probe.whole.parameters).fetchall()[0]
    return sqlite_search.Look(count, probe.bound, oldest)


def found_ids(connection: sqlite3.Connection, query: Query, criteria: Criteria) -> frozenset[str]:
    """The ids of at most two matches, whatever page the query asks for."""
    plain = replace(query, sort=(), count=2, total="none", cursor=None)
    search = planned(connection, plain, criteria)
    if search.empty:
        return frozenset()
    wanted = search.page(2)
    rows = connection.execute(wanted.text, wanted.parameters).fetchall()
    refs = "SELECT q.ref FROM version v JOIN resource q ON q.rid = v.rid WHERE v.vid = ?"
    return frozenset(connection.execute(refs, (row[0],)).fetchall()[0][0].partition("/")[2] for row in rows)


@dataclass(frozen=True, slots=True)
class Reader:
    """One moment on one connection. `present`: nothing newer is in the connection's view."""

    connection: sqlite3.Connection
    names: KnownNames
    moment: Moment
    present: bool

    @property
    def bound(self) -> int:
        """The greatest ordinal written by the moment."""
        return (self.moment.sequence << 16) | 0xFFFF

    @property
    def criteria(self) -> Criteria:
        return Criteria(self.names, None if self.present else self.moment.sequence)

    def read(self, ref: str) -> Version | None:
        if self.present:
            return current(self.connection, ref)
        found = self.connection.execute(_STOOD, (ref, self.bound)).fetchall()
        return version(found[0]) if found else None

    def read_version(self, ref: str, version_id: int) -> Version | None:
        if not 0 < version_id < 2**63:
            return None
        found = self.connection.execute(_NUMBERED, (ref, version_id, self.bound)).fetchall()
        return version(found[0]) if found else None

    def history(
        self, resource_type: str | None, id: str | None, since: str | None, cursor: Cursor | None, count: int
    ) -> Page:
        """As Snapshot.history."""
        scope, order = self._scope(resource_type, id)
        low = 0 if since is None else self._first_ordinal(since)
        where = f"{scope.text} AND v.vid BETWEEN ? AND ?"
        parameters = (*scope.parameters, low, self.bound)
        counting = f"SELECT count(*) FROM version v WHERE {where}"
        (total,) = self.connection.execute(counting, parameters).fetchall()[0]
        until = self.bound if cursor is None else min(self.bound, cursor.ordinal - 1)
        text = f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE {where} ORDER BY {order} DESC LIMIT ?"
        rows = self.connection.execute(text, (*scope.parameters, low, until, count + 1)).fetchall()
        versions = tuple(version(row) for row in rows[:count])
        more = len(rows) > count > 0
        return Page(versions, Cursor((), versions[-1].ordinal) if more else None, total)

    def _scope(self, resource_type: str | None, id: str | None) -> tuple[Sql, str]:
        if resource_type is None:
            return Sql("1"), "v.vid"
        if id is None:
            return Sql("v.type = ?", (self.names.name(resource_type),)), "v.vid"
        return Sql("v.rid = ?", (self.names.target(f"{resource_type}/{id}"),)), "v.version_id"

    def _first_ordinal(self, since: str) -> int:
        text = "SELECT sequence FROM clock WHERE instant >= ? ORDER BY instant LIMIT 1"
        found = self.connection.execute(text, (microseconds(since),)).fetchall()
        return found[0][0] << 16 if found else 2**62

    def search(self, query: Query) -> Page:
        """As Snapshot.search."""
        search = planned(self.connection, query, self.criteria)
        wanted = search.page(query.count + 1) if query.count and not search.empty else None
        rows = self.connection.execute(wanted.text, wanted.parameters).fetchall() if wanted else []
        versions = self.versions([row[0] for row in rows[: query.count]])
        more = len(rows) > query.count > 0
        last = self._cursor(query, rows[query.count - 1], versions[-1]) if more else None
        return Page(versions, last, self._total(search, len(rows), more))

    def _total(self, search: Search, found: int, more: bool) -> int | None:
        query = search.query
        if query.count and query.cursor is None and not more:
            return found
        if not counted(query):
            return None
        counting = search.total()
        total: int = self.connection.execute(counting.text, counting.parameters).fetchall()[0][0]
        return total

    def _cursor(self, query: Query, row: tuple[int, ...], last: Version) -> Cursor:
        if query.sort and newest_first(query):
            return Cursor((microseconds(last.last_updated),), last.ordinal)
        return Cursor(tuple(row[1:]), row[0])

    def versions(self, vids: Sequence[int]) -> tuple[Version, ...]:
        """Those versions, in that order."""
        if not vids:
            return ()
        rows = self.connection.execute(_MANY, (_json(vids),)).fetchall()
        by_vid = {row[2]: version(row) for row in rows}
        return tuple(by_vid[vid] for vid in vids)

    def include(
        self, versions: Sequence[Version], includes: Sequence[Include], limit: int
    ) -> tuple[tuple[Version, ...], bool]:
        """As Snapshot.include."""
        seen = {match.ordinal for match in versions}
        found: list[int] = []
        frontier, following = [match.ordinal for match in versions], list(includes)
        while frontier and following:
            fresh: list[int] = []
            for include in following:
                for vid in self._included(frontier, include, limit + len(seen) + 1):
                    if vid not in seen:
                        seen.add(vid)
                        fresh.append(vid)
                if len(found) + len(fresh) > limit:
                    return self.versions([*found, *fresh][:limit]), True
            found += fresh
            frontier, following = fresh, [include for include in includes if include.iterate]
        return self.versions(found), False

    def _included(self, frontier: Sequence[int], include: Include, limit: int) -> list[int]:
        """Distinct vids that one include finds from those, `limit` at most."""
        found: dict[int, None] = {}
        plain = [key for key in include.keys if key not in include.canonical]
        canonical = [key for key in include.keys if key in include.canonical]
        for keys, by_url in ((plain, False), (canonical, True)):
            if keys:
                wanted = self._links(frontier, include, keys, by_url, limit)
                found |= dict.fromkeys(row[0] for row in self.connection.execute(wanted.text, wanted.parameters))
        return list(found)

    def _links(self, frontier: Sequence[int], include: Include, keys: list[str], by_url: bool, limit: int) -> Sql:
        """SELECT of the vids at the other end of the frontier's links."""
        near, far = ("t", "s") if include.reverse else ("s", "t")
        joins, link = self._by_url(include, near) if by_url else self._by_rid(near)
        row = self._any_key("r", keys)
        standing = self.criteria.standing(far)
        text = f"SELECT {far}.vid FROM {joins} AND {row.text} AND {link.text} AND {standing.text}"
        parameters = (_json(frontier), *row.parameters, *link.parameters, *standing.parameters)
        for alias, resource_type in (("s", include.source_type), ("t", include.target_type)):
            if resource_type:
                text += f" AND {alias}.type = ?"
                parameters = (*parameters, self.names.name(resource_type))
        return Sql(f"{text} GROUP BY {far}.vid ORDER BY min(j.key), {far}.vid LIMIT ?", (*parameters, limit))

    def _by_rid(self, near: str) -> tuple[str, Sql]:
        start = f"json_each(?) j CROSS JOIN version {near}"
        if near == "s":
            rows = f"{start} CROSS JOIN reference r INDEXED BY reference_vid"
            newest, link = ("CROSS JOIN resource n", "n.rid = r.target AND t.vid = n.vid")
            if not self.present:
                newest, link = ("", "t.rid = r.target")
            return f"{rows} {newest} CROSS JOIN version t WHERE s.vid = j.value AND r.vid = s.vid", Sql(link)
        text = f"{start} CROSS JOIN reference r CROSS JOIN version s WHERE t.vid = j.value"
        return f"{text} AND r.target = t.rid", Sql("s.vid = r.vid")

    def _by_url(self, include: Include, near: str) -> tuple[str, Sql]:
        """The same for canonicals: the target is whoever has that url, in the version asked for."""
        same = self.criteria.canonical("r", "t", include.target_type) if include.target_type else self._any_url()
        start = f"json_each(?) j CROSS JOIN version {near}"
        if near == "s":
            text = f"{start} CROSS JOIN reference r INDEXED BY reference_vid CROSS JOIN resource q CROSS JOIN uri ut"
            text += " CROSS JOIN version t WHERE s.vid = j.value AND r.vid = s.vid AND q.rid = r.target"
            return f"{text} AND ut.value = q.ref AND t.vid = ut.vid", same
        text = f"{start} CROSS JOIN uri ut INDEXED BY uri_vid CROSS JOIN resource q CROSS JOIN reference r"
        text += " CROSS JOIN version s WHERE t.vid = j.value AND ut.vid = t.vid AND q.ref = ut.value"
        return f"{text} AND r.target = q.rid AND s.vid = r.vid", same

    def _any_url(self) -> Sql:
        """As Criteria.canonical for a target of any type that has a url."""
        types = self.connection.execute("SELECT text FROM name WHERE text GLOB '*.url'").fetchall()
        parts = [self.criteria.canonical("r", "t", text.removesuffix(".url")) for (text,) in types]
        text = " OR ".join(f"({part.text})" for part in parts) or "0"
        return Sql(f"({text})", tuple(parameter for part in parts for parameter in part.parameters))

    def _any_key(self, alias: str, keys: Iterable[str]) -> Sql:
        numbers = [self.names.name(key) for key in keys]
        if not self.present:
            numbers += [-number for number in numbers]
        return Sql(f"{alias}.key IN ({marks(numbers)})", tuple(numbers))

    def explain(self, query: Query) -> list[str]:
        """As Snapshot.explain."""
        search = planned(self.connection, query, self.criteria)
        lines = []
        for place, criterion in enumerate(query.criteria):
            look = search.looks[place]
            count = "" if look is None else f", {look.count}{'' if look.whole else '+'} candidates"
            role = f"drives ({search.by.form})" if place == search.by.place else "checked on each"
            lines.append(f"{criterion}: {role}{count}")
        if search.by.place is None:
            lines.append(f"every {query.resource_type}, newest first")
        wanted = search.page(max(query.count, 1) + 1)
        lines.append(wanted.text)
        plan = self.connection.execute(f"EXPLAIN QUERY PLAN {wanted.text}", wanted.parameters).fetchall()
        return lines + [str(row[3]) for row in plan]


def _json(numbers: Sequence[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"
