"""What one caller sees of the portfolio at one moment, by the same search as the API: page after page, few searches.

A search of the portfolio's Tasks names their initiatives by a chain (`based-on:PlanDefinition.…`), so that what is
counted here and what a client finds with the same URL are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from server.access import Caller
from server.interaction.engine import Engine, moment_of
from server.interaction.history import history
from server.interaction.search import Found, search
from server.outcome import FhirError
from server.portfolio import elements
from server.resource import restored
from server.search.parse import MAX_COUNT, cursor_text
from server.search.urls import pairs_of, query_of
from server.store.store import Version

Resource = dict[str, Any]
Pair = tuple[str, str]

ACTIVE: tuple[Pair, ...] = (("status", "active"),)
"""The population of the whole portfolio."""

OPEN: Pair = ("status", "ready,in-progress,on-hold")
"""Deliveries and prerequisites that are still to come."""

_ONE_BY_ONE = 50
_AT_ONCE = 5_000
"""Matches of one page: an index that cannot be gone through in order gathers all that is left for each page anew, so
that thirteen pages of 500 cost seven times one of all."""
_ALONG = ("_include", "_revinclude")
"""What these find has a bound of its own for each page."""

_NOT_NARROWING = frozenset({"_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_elements", "_page",
                            "_asOf", "_format", "_pretty", "_contained", "__explain"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """`instant` is a moment of the store as text; all that is asked here is answered as of it. `evaluated`:
    what measures found in its resources."""

    engine: Engine
    caller: Caller
    instant: str
    evaluated: dict[str, dict[int, tuple[str, ...]]] = field(default_factory=dict, repr=False, compare=False)
    _read: dict[tuple[str, str], Resource] = field(default_factory=dict, repr=False, compare=False)
    _asked: dict[tuple[str, tuple[Pair, ...]], list[Resource]] = field(default_factory=dict, repr=False, compare=False)
    _noted: dict[tuple[str, tuple[Pair, ...]], list[Version]] = field(default_factory=dict, repr=False, compare=False)

    async def found(self, resource_type: str, pairs: Iterable[Pair]) -> list[Found]:
        """Every page of a search. FhirError for what is not understood."""
        asked = [*pairs, ("_count", str(MAX_COUNT)), ("_asOf", self.instant)]
        at_once = None if any(name.startswith(_ALONG) for name, _ in asked) else _AT_ONCE
        pages: list[Found] = []
        follows: list[Pair] = []
        while not pages or follows:
            page = [*asked, *follows]
            pages.append(await search(self.engine, self.caller, resource_type, page, strict=True, at_once=at_once))
            cursor = pages[-1].page.next
            follows = [("_page", cursor_text(cursor))] if cursor is not None else []
        return pages

    async def count(self, resource_type: str, pairs: Iterable[Pair]) -> int:
        """How many match, without reading them."""
        asked = [*pairs, ("_summary", "count"), ("_asOf", self.instant)]
        return (await search(self.engine, self.caller, resource_type, asked, strict=True)).page.total or 0

    async def versions(self, resource_type: str, pairs: Iterable[Pair]) -> list[Version]:
        """The matches and what they include, each once, in the order of their finding."""
        seen: dict[tuple[str, str], Version] = {}
        for found in await self.found(resource_type, pairs):
            for version in (*found.page.versions, *found.included):
                seen.setdefault((version.resource_type, version.id), version)
        return list(seen.values())

    async def all(self, resource_type: str, pairs: Iterable[Pair] = ()) -> list[Resource]:
        """The matches of a search, and what they include. The moment stands still: what was asked once is not asked
        again, and what several searches find is read once: the same object for all of them, which nobody changes. What
        is restricted is noted each time: whoever asks whether anything was shall be told."""
        asked, request = (resource_type, tuple(pairs)), self.caller.request
        if asked not in self._asked:
            before = len(request.given) if request else 0
            self._asked[asked] = [self._resource(version) for version in await self.versions(*asked)]
            self._noted[asked] = request.given[before:] if request else []
        elif request:
            request.given += self._noted[asked]
        return list(self._asked[asked])

    def _resource(self, version: Version) -> Resource:
        name = (version.resource_type, version.id)
        if name not in self._read:
            self._read[name] = elements.resource_of(version)
        return self._read[name]

    async def tasks(self, kinds: Iterable[str], population: Iterable[Pair]) -> list[Resource]:
        """The Tasks of these kinds (nep-task-type) on the initiatives of the population."""
        return await self.all("Task", [self.kinds(kinds), *on(population)])

    def kinds(self, kinds: Iterable[str]) -> Pair:
        """The search parameter of these kinds of Task."""
        system = f"{self.engine.access.canonical}/CodeSystem/nep-task-type"
        return "code", ",".join(f"{system}|{kind}" for kind in kinds)

    def url(self, resource_type: str, pairs: Iterable[Pair]) -> str:
        """A search at this moment, relative to the base."""
        return f"{resource_type}?{query_of([*pairs, ('_asOf', self.instant)])}"


async def view(engine: Engine, caller: Caller, as_of: str | None = None) -> View:
    """The portfolio at that instant, by default now. FhirError value (400) when it is no past instant."""
    async with engine.store.snapshot(await moment_of(engine.store, as_of)) as snapshot:
        return View(engine, caller, snapshot.moment.instant)


def resources(versions: Iterable[Version]) -> list[Resource]:
    """Their JSON, every digit as it was written, for what is stored again; deletions left out."""
    return [restored(version.body) for version in versions if version.body is not None]


def population_of(text: str | None) -> tuple[Pair, ...]:
    """A search of PlanDefinition, with or without its "PlanDefinition?". FhirError value (400) for one of another
    type, and for parameters that narrow nothing."""
    if not text:
        return ()
    kind, mark, query = text.partition("?")
    if not mark:
        kind, query = "PlanDefinition", text
    pairs = tuple(pairs_of(query))
    if kind != "PlanDefinition" or not pairs:
        said = f"population={text}: ventet / expected PlanDefinition?parameter=value, percent-encoded."
        raise FhirError("value", said, expression="population")
    for name, _ in pairs:
        if name.partition(":")[0] in _NOT_NARROWING:
            text = f"population: {name} avgrenser ikke / does not narrow; leave it out."
            raise FhirError("value", text, expression="population")
    return pairs


def on(population: Iterable[Pair]) -> list[Pair]:
    """The same condition, said of what a Task is based on."""
    return [(f"based-on:PlanDefinition.{name}", text) for name, text in population]


def by_reference(resources: Iterable[Resource], resource_type: str) -> dict[str, Resource]:
    """Those of a type, by "Type/id"."""
    return {elements.reference_of(one): one for one in resources if one["resourceType"] == resource_type}


async def histories(seen: View, tasks: Iterable[Resource]) -> dict[str, list[Resource]]:
    """The versions of these Tasks up to the moment, oldest first, by reference. Those of a few are asked for one by
    one; for many the history of all Tasks is gone through once, so that the cost grows with what was written."""
    wanted = list(tasks)
    found = {elements.reference_of(task): [task] for task in wanted if task["meta"]["versionId"] == "1"}
    changed = {task["id"]: None for task in wanted if task["meta"]["versionId"] != "1"}
    for id in changed if len(changed) <= _ONE_BY_ONE else (None,):
        for version in await _versions(seen, id):
            if version.body is not None and (id or version.id in changed):
                found.setdefault(f"Task/{version.id}", []).insert(0, elements.resource_of(version))
    return found


async def _versions(seen: View, id: str | None) -> list[Version]:
    pairs = [("_count", str(MAX_COUNT)), ("_asOf", seen.instant)]
    story = await history(seen.engine, seen.caller, "Task", id, pairs)
    versions = list(story.page.versions)
    while story.page.next is not None:
        page = [*pairs, ("_page", cursor_text(story.page.next))]
        story = await history(seen.engine, seen.caller, "Task", id, page)
        versions += story.page.versions
    return versions
