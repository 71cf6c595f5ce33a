"""Reading in one session at one moment, for snapshots and for the writer. All may raise PyMongoError."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.search.query import Criterion, Cursor, Include, Query
from server.store import mongo_search
from server.store.instants import instant_text, microseconds
from server.store.mongo_driver import Driver, Session
from server.store.mongo_schema import MARK, OPEN, SHOWN, STATE, VERSIONS, Document, version_of
from server.store.mongo_search import Answers, Links, Standing
from server.store.store import Commit, Indexing, Moment, Page, Unavailable, Version
from server.store.terms import counted, newest_first

_LINKED: Document = {**SHOWN, "link": 1}
_CANDIDATES = 1_000
"""How far `explain` counts the candidates of one criterion."""


async def current(driver: Driver, ref: str) -> Version | None:
    """The newest version of all, outside of any session."""
    found = await driver.find(VERSIONS, {"ref": ref, "until": OPEN}, SHOWN, limit=1)
    return version_of(found[0]) if found else None


async def clock(driver: Driver, session: Session | None = None) -> Document:
    """The document of that name. Unavailable when it is not there: nobody opened this database as a store."""
    found = await driver.find(STATE, {"_id": "clock"}, limit=1, session=session)
    if not found:
        raise Unavailable("The database holds no registry, or has lost the document of its clock.")
    return found[0]


def newest(clock: Mapping[str, Any]) -> Moment:
    """The newest moment."""
    return Moment(clock["sequence"], instant_text(clock["instant"]))


async def moment_at(driver: Driver, instant: int) -> Moment:
    """The newest moment at or before `instant` microseconds, which must not be after the newest commit."""
    found = await driver.find(VERSIONS, {"at": {"$lte": instant}}, {"at": 1}, sort=[("at", -1)], limit=1)
    return Moment(found[0]["_id"] >> 16, instant_text(found[0]["at"])) if found else Moment(0, instant_text(0))


def indexing(clock: Mapping[str, Any]) -> Indexing:
    """As Snapshot.indexing."""
    return Indexing(clock["definition"], {int(name): _share(build) for name, build in clock["builds"].items()})


def _share(build: Mapping[str, int]) -> float:
    return 1.0 if build["reached"] >= build["upto"] else min(0.99, build["done"] / max(build["total"], 1))


class Limit:
    """Seconds that one search may take, over all its steps."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Raises Unavailable when nothing is."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise Unavailable("The search took longer than the time limit.", too_costly=True)
        return left


@dataclass(frozen=True, slots=True)
class Reader:
    """One moment in one session. `present`: nothing newer is in the session's view."""

    driver: Driver
    session: Session
    moment: Moment
    present: bool
    time_limit: float

    @property
    def bound(self) -> int:
        """The greatest ordinal written by the moment."""
        return (self.moment.sequence << 16) | 0xFFFF

    @property
    def standing(self) -> Standing:
        return Standing(None if self.present else self.moment.sequence)

    async def _find(self, filter: Document, projection: Document = SHOWN, **more: Any) -> list[Document]:
        return await self.driver.find(VERSIONS, filter, projection, session=self.session, **more)

    async def _aggregate(self, pipeline: Sequence[Document], seconds: float) -> list[Document]:
        return await self.driver.aggregate(VERSIONS, pipeline, session=self.session, seconds=seconds)

    async def read(self, ref: str) -> Version | None:
        if self.present:
            found = await self._find({"ref": ref, "until": OPEN}, limit=1)
        else:
            found = await self._find({"ref": ref, "_id": {"$lte": self.bound}}, sort=[("version", -1)], limit=1)
        return version_of(found[0]) if found else None

    async def read_version(self, ref: str, version_id: int) -> Version | None:
        if not 0 < version_id < 2**63:
            return None
        found = await self._find({"ref": ref, "version": version_id, "_id": {"$lte": self.bound}}, limit=1)
        return version_of(found[0]) if found else None

    async def history(
        self, resource_type: str | None, id: str | None, since: str | None, cursor: Cursor | None, count: int
    ) -> Page:
        """As Snapshot.history."""
        filter: Document = {"version": {"$gt": 0}}  # Marks have 0.
        if resource_type is not None:
            filter |= {"type": resource_type} if id is None else {"ref": f"{resource_type}/{id}"}
        if since is not None:
            filter["at"] = {"$gte": microseconds(since)}
        all_of_it = {**filter, "_id": {"$lte": self.bound}}
        counts = await self._aggregate([{"$match": all_of_it}, {"$count": "count"}], self.time_limit)
        total = counts[0]["count"] if counts else 0
        if not count:
            return Page((), None, total)
        until = self.bound if cursor is None else min(self.bound, cursor.ordinal - 1)
        found = await self._find({**filter, "_id": {"$lte": until}}, sort=[("_id", -1)], limit=count + 1)
        versions = tuple(version_of(one) for one in found[:count])
        return Page(versions, Cursor((), versions[-1].ordinal) if len(found) > count else None, total)

    async def search(self, query: Query) -> Page:
        """As Snapshot.search."""
        limit = Limit(self.time_limit)
        answers = await self._answers(query.criteria, limit)
        if query.count == 0:
            return Page((), None, await self._total(query, answers, limit))
        if newest_first(query):
            found, cursor = await self._newest_first(query, answers, limit)
        else:
            found, cursor = await self._sorted(query, answers, limit)
        total = None
        if query.cursor is None and cursor is None:
            total = len(found)
        elif counted(query):
            total = await self._total(query, answers, limit)
        return Page(found, cursor, total)

    async def _answers(self, criteria: Iterable[Criterion], limit: Limit) -> Answers:
        """To every Chain and _has within, one after the other: a session does one thing at a time."""
        answers: dict[Criterion, Links] = {}
        for asked in mongo_search.questions(criteria):
            if asked in answers:
                continue
            documents = await self._aggregate(mongo_search.question(asked, self.standing, answers), limit.left)
            if len(documents) > mongo_search.MOST:
                text = f"{asked.key} leads through more than {mongo_search.MOST} resources."
                raise Unavailable(text, too_costly=True)
            answers[asked] = mongo_search.answered(asked, documents)
        return answers

    async def _newest_first(
        self, query: Query, answers: Answers, limit: Limit
    ) -> tuple[tuple[Version, ...], Cursor | None]:
        filter = mongo_search.page(query, self.standing, answers)
        found = await self._find(filter, sort=[("_id", -1)], limit=query.count + 1, seconds=limit.left)
        versions = tuple(version_of(one) for one in found[: query.count])
        if len(found) <= query.count:
            return versions, None
        keys = (microseconds(versions[-1].last_updated),) if query.sort else ()
        return versions, Cursor(keys, versions[-1].ordinal)

    async def _sorted(self, query: Query, answers: Answers, limit: Limit) -> tuple[tuple[Version, ...], Cursor | None]:
        pipeline = mongo_search.sorted_page(query, self.standing, answers, query.count + 1)
        found = await self._aggregate(pipeline, limit.left)
        versions = await self.versions([one["_id"] for one in found[: query.count]])
        if len(found) <= query.count:
            return versions, None
        last = found[query.count - 1]
        return versions, Cursor(tuple(last.get(f"k{place}") for place in range(len(query.sort))), last["_id"])

    async def _total(self, query: Query, answers: Answers, limit: Limit) -> int:
        found = await self._aggregate(mongo_search.total(query, self.standing, answers), limit.left)
        return found[0]["count"] if found else 0

    async def found_ids(self, query: Query) -> frozenset[str]:
        """The ids of at most two matches, whatever page the query asks for."""
        page = await self.search(replace(query, sort=(), count=2, total="none", cursor=None))
        return frozenset(version.id for version in page.versions)

    async def versions(self, ordinals: Sequence[int]) -> tuple[Version, ...]:
        """Those versions, in that order."""
        if not ordinals:
            return ()
        found = {one["_id"]: version_of(one) for one in await self._find({"_id": {"$in": list(ordinals)}})}
        return tuple(found[ordinal] for ordinal in ordinals)

    async def commits(self, after: int, count: int) -> list[Commit]:
        """As Store.commits."""
        found = await self._find({"_id": {"$gte": (after + 1) << 16}}, _LINKED, sort=[("_id", 1)], limit=count)
        if len(found) == count:  # The last of them may be cut in two: to its end.
            last = found[-1]["_id"]
            found += await self._find({"_id": {"$gt": last, "$lte": last | MARK}}, _LINKED, sort=[("_id", 1)])
        commits: dict[int, list[Document]] = {}
        for one in found:
            commits.setdefault(one["_id"] >> 16, []).append(one)
        return [_commit(sequence, some) for sequence, some in commits.items()]

    async def include(
        self, versions: Sequence[Version], includes: Sequence[Include], limit: int
    ) -> tuple[tuple[Version, ...], bool]:
        """As Snapshot.include."""
        time_left = Limit(self.time_limit)
        seen = {match.ordinal for match in versions}
        found: list[int] = []
        frontier, following = [match.ordinal for match in versions], list(includes)
        while frontier and following:
            fresh: list[int] = []
            near = await self._linked({"_id": {"$in": frontier}}, time_left)
            in_order = [near[ordinal] for ordinal in frontier]
            for include in following:
                for ordinal in await self._included(in_order, include, time_left):
                    if ordinal not in seen:
                        seen.add(ordinal)
                        fresh.append(ordinal)
                if len(found) + len(fresh) > limit:
                    return await self.versions([*found, *fresh][:limit]), True
            found += fresh
            frontier, following = fresh, [include for include in includes if include.iterate]
        return await self.versions(found), False

    async def _linked(self, filter: Document, limit: Limit) -> dict[int, Document]:
        """By ordinal, what includes go by: without the bodies."""
        shown = {"type": 1, "ref": 1, "reference": 1, "uri": 1, "token": 1}
        return {one["_id"]: one for one in await self._find(filter, shown, seconds=limit.left)}

    async def _included(self, near: Sequence[Document], include: Include, limit: Limit) -> list[int]:
        """What one include finds, in the order of what it was found from and then of writing."""
        plain = [key for key in include.keys if key not in include.canonical]
        canonical = [key for key in include.keys if key in include.canonical]
        found: dict[int, None] = {}
        for keys, by_url in ((plain, False), (canonical, True)):
            if keys:
                way = _Way(include, frozenset(keys), by_url)
                found |= dict.fromkeys(await self._reached(near, way, limit))
        return list(found)

    async def _reached(self, near: Sequence[Document], way: _Way, limit: Limit) -> list[int]:
        if not way.starts(near):
            return []
        far = await self._linked({**self.standing.condition, **way.far(near)}, limit)
        return way.reached(near, far.values())

    async def explain(self, query: Query) -> list[str]:
        """As Snapshot.explain: each criterion with its index and its candidates, then what the server says."""
        limit = Limit(self.time_limit)
        answers = await self._answers(query.criteria, limit)
        counts = [await self._candidates(criterion, query, answers, limit) for criterion in query.criteria]
        plan = await self._plan(query, answers)
        driving = _driving(query.criteria, counts, plan)
        lines = []
        for place, criterion in enumerate(query.criteria):
            index = mongo_search.index_of(criterion)
            role = f"drives by index {index}" if place == driving else "checked on each"
            some = f"{counts[place]}{'+' if counts[place] == _CANDIDATES else ''}"
            lines.append(f"{criterion}: {role}, {some} candidates")
        if driving is None:
            lines.append(f"every {query.resource_type}, newest first")
        return lines + plan

    async def _candidates(self, criterion: Criterion, query: Query, answers: Answers, limit: Limit) -> int:
        one = replace(query, criteria=(criterion,))
        pipeline: list[Document] = [
            {"$match": mongo_search.matches(one, self.standing, answers)},
            {"$limit": _CANDIDATES},
            {"$count": "count"},
        ]
        found = await self._aggregate(pipeline, limit.left)
        return found[0]["count"] if found else 0

    async def _plan(self, query: Query, answers: Answers) -> list[str]:
        """The server's plan as stages with their indexes, and what it took."""
        many = max(query.count, 1) + 1
        command: Document = {
            "find": VERSIONS,
            "filter": mongo_search.page(query, self.standing, answers),
            "sort": {"_id": -1},
            "limit": many,
        }
        if not newest_first(query):
            pipeline = mongo_search.sorted_page(query, self.standing, answers, many)
            command = {"aggregate": VERSIONS, "pipeline": pipeline, "cursor": {}}
        # A transaction explains nothing: the plan is that of this instant, which is all that a plan ever is.
        said = await self.driver.explain(command)
        stages = [_stage(stage) for stage in _stages(said, "winningPlan")]
        spent: Mapping[str, Any] = next(_within(said, "executionStats"), {})
        names = ("nReturned", "totalKeysExamined", "totalDocsExamined", "executionTimeMillis")
        figures = ", ".join(f"{name} {spent[name]}" for name in names if name in spent)
        return [str(command.get("filter") or command["pipeline"]), *stages, figures or "no figures"]


def _commit(sequence: int, documents: Sequence[Document]) -> Commit:
    link = next((one["link"] for one in documents if "link" in one), None)
    versions = tuple(version_of(one) for one in documents if one["version"])
    return Commit(Moment(sequence, instant_text(documents[0]["at"])), versions, link)


def _within(document: Any, name: str) -> Iterator[Any]:
    """What stands under the name, at any depth."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key == name:
                yield value
            else:
                yield from _within(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from _within(value, name)


def _stages(said: Document, name: str) -> Iterator[Mapping[str, Any]]:
    for plan in _within(said, name):
        yield from _each_stage(plan)


def _each_stage(plan: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(plan, Mapping):
        if "stage" in plan:
            yield plan
        for value in plan.values():
            yield from _each_stage(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from _each_stage(value)


def _stage(stage: Mapping[str, Any]) -> str:
    index = f" by index {stage['indexName']}" if "indexName" in stage else ""
    return f"{stage['stage']}{index}"


def _driving(criteria: Sequence[Criterion], counts: Sequence[int], plan: Sequence[str]) -> int | None:
    """The criterion whose index the server's plan names; of several, or when it names none, the rarest."""
    indexes = {place: mongo_search.index_of(criterion) for place, criterion in enumerate(criteria)}
    able = [place for place, index in indexes.items() if index]
    named = [place for place in able if any(f"index {indexes[place]}" in line for line in plan[1:])]
    return min(named or able, key=lambda place: counts[place], default=None)


@dataclass(frozen=True, slots=True)
class _Way:
    """One include's way from what is near to what is far, by some of its keys; `by_url` by canonicals."""

    include: Include
    keys: frozenset[str]
    by_url: bool

    def starts(self, near: Sequence[Document]) -> bool:
        """Whether there is anything to look for."""
        return any(self._ends_of(one) for one in near)

    def far(self, near: Sequence[Document]) -> Document:
        """The condition that holds all that may be reached, and little else."""
        targets = sorted({target for one in near for target, _ in self._ends_of(one)})
        if self.include.reverse:
            row = {"target": {"$in": targets}, "key": {"$in": sorted(self.keys)}}
            return {"type": self.include.source_type, "reference": {"$elemMatch": row}}
        named = {"type": self.include.target_type} if self.include.target_type else {}
        if self.by_url:
            return {**named, "uri": {"$elemMatch": {"value": {"$in": targets}}}}
        return {**named, "ref": {"$in": targets}}

    def reached(self, near: Sequence[Document], far: Iterable[Document]) -> list[int]:
        first: dict[tuple[str, str], int] = {}
        for place, one in enumerate(near):
            for end in self._ends_of(one):
                first.setdefault(end, place)
        places: dict[int, int] = {}
        for one in far:
            met = [first[end] for end in self._starts_of(one) if end in first]
            if met:
                places[one["_id"]] = min(met)
        return sorted(places, key=lambda ordinal: (places[ordinal], ordinal))

    def _ends_of(self, near: Document) -> set[tuple[str, str]]:
        """Where the ways from it end, as (target, version)."""
        return self._named(near) if self.include.reverse else self._pointed(near)

    def _starts_of(self, far: Document) -> set[tuple[str, str]]:
        return self._pointed(far) if self.include.reverse else self._named(far)

    def _pointed(self, source: Document) -> set[tuple[str, str]]:
        if source["type"] != self.include.source_type:
            return set()
        return {
            (row["target"], row["version"] if self.by_url else "")
            for row in source.get("reference", ())
            if row["key"] in self.keys
        }

    def _named(self, target: Document) -> set[tuple[str, str]]:
        """By what references lead to it: itself, or its urls in each of its versions."""
        if self.include.target_type not in ("", target["type"]):
            return set()
        if not self.by_url:
            return {(target["ref"], "")}
        kind = target["type"]
        own = {
            "uri": [row for row in target.get("uri", ()) if row["key"] == f"{kind}.url"],
            "token": [row for row in target.get("token", ()) if row["key"] == f"{kind}.version"],
        }
        return set(mongo_search.urls(own))
