"""search of a type, with its includes, all of one moment. R4 search.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.access import Caller, Sight
from server.definitions.registry import Schema
from server.interaction.engine import Engine
from server.interaction.read import looking
from server.interaction.record import given
from server.interaction.terminology import parser_at, query_text
from server.outcome import FhirError, Issue
from server.search.query import Include, Query
from server.store.store import Moment, Page, Snapshot, Unavailable, Version

MAX_INCLUDED = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. `included` never repeats a match; `remarks` are for an OperationOutcome entry:
    parameters that were left out, includes that were cut. `kept`: the top-level elements of a match that are
    to be shown, None for all."""

    query: Query
    moment: Moment
    as_of: str | None
    page: Page
    included: tuple[Version, ...] = ()
    remarks: tuple[Issue, ...] = ()
    kept: frozenset[str] | None = None


async def search(
    engine: Engine,
    caller: Caller,
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    strict: bool = False,
    at_once: int | None = None,
) -> Found:
    """One page of the matches that this caller may see, `at_once` of them where we ask ourselves. FhirError for what is
    not understood, and too-costly (400) for a search that does not end within the store's time limit, forbidden (403)
    for a token without the scope."""
    engine.known_type(resource_type)
    try:
        async with looking(engine, caller, dict(pairs).get("_asOf")) as (snapshot, sight):
            parsed = (await parser_at(engine, snapshot, query_text(pairs))).parse(resource_type, pairs, strict=strict)
            query = await sight.searched(parsed.query)
            page = await snapshot.search(query if at_once is None else replace(query, count=at_once))
            included, cut = await _included(snapshot, sight, page.versions, query.includes)
            moment = snapshot.moment
    except Unavailable as error:
        raise unavailable(error) from None
    given(engine, caller, "search-type", (*page.versions, *included))
    remarks = (*parsed.unknown, *_cut(cut))
    kept = _kept(engine.registry.schema, parsed.query)
    return Found(parsed.query, moment, parsed.as_of, page, included, remarks, kept)


async def _included(
    snapshot: Snapshot, sight: Sight, matches: Sequence[Version], includes: Sequence[Include]
) -> tuple[tuple[Version, ...], bool]:
    """As Snapshot.include, but step by step: what the caller may not see is not followed either."""
    if sight.is_whole or not includes:
        return await snapshot.include(matches, includes, MAX_INCLUDED)
    steps = [replace(include, iterate=False) for include in includes]
    again = [step for step, include in zip(steps, includes, strict=True) if include.iterate]
    known = {(version.resource_type, version.id) for version in matches}
    found: list[Version] = []
    frontier: Sequence[Version] = matches
    while frontier and steps:
        reached, cut = await snapshot.include(frontier, steps, MAX_INCLUDED)
        fresh = [one for one in await sight.shown(reached) if (one.resource_type, one.id) not in known]
        known |= {(version.resource_type, version.id) for version in fresh}
        found += fresh
        if cut or len(found) > MAX_INCLUDED:
            return tuple(found[:MAX_INCLUDED]), True
        frontier, steps = fresh, again
    return tuple(found), False


def _kept(schema: Schema, query: Query) -> frozenset[str] | None:
    """Mandatory elements are always among them. R4 search.html#summary, #elements."""
    if not query.elements and query.summary == "true":
        return schema.summary(query.resource_type)
    definition = schema.type(query.resource_type)
    if definition is None or not (query.elements or query.summary in ("text", "data")):
        return None
    elements = definition.elements
    if query.elements:
        names = {name for name in elements if name in query.elements}
    else:
        names = {name for name in elements if (name == "text") is (query.summary == "text")}
    names |= {name for name, element in elements.items() if element.min}
    return frozenset(variant.key for name in names for variant in elements[name].variants)


async def explain(engine: Engine, caller: Caller, resource_type: str, pairs: Sequence[tuple[str, str]]) -> list[Issue]:
    """How the search would be served, one issue a line. `__explain=true`. The plan follows from counts of all that is
    stored, and only the secretariat may know those: others are told what is searched."""
    engine.known_type(resource_type)
    async with looking(engine, caller, dict(pairs).get("_asOf")) as (snapshot, sight):
        parsed = (await parser_at(engine, snapshot, query_text(pairs))).parse(resource_type, pairs, strict=True)
        query = await sight.searched(parsed.query)
        if sight.is_whole:
            lines = await snapshot.explain(query)
        else:
            plan = "Planen vises sekretariatet / The plan is shown to the secretariat: it tells how much is stored."
            lines = [*map(str, query.criteria), plan]
    return [Issue("informational", line, severity="information") for line in lines]


def unavailable(error: Unavailable) -> FhirError:
    """What the client is told when the store could not answer."""
    if error.too_costly:
        return FhirError(
            "too-costly", "Søket er for dyrt / The search takes too long; add a selective parameter or leave _sort out."
        )
    return FhirError("no-store", f"Lageret svarer ikke nå / {error}", headers={"Retry-After": "5"})


def _cut(cut: bool) -> tuple[Issue, ...]:
    if not cut:
        return ()
    text = f"Only the first {MAX_INCLUDED} included resources are here; ask for fewer matches with _count."
    return (Issue("too-costly", text, severity="warning"),)
