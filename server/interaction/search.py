"""search of a type, with its includes, all of one moment. R4 search.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.access import Caller
from server.definitions.registry import Schema
from server.interaction.engine import Engine, moment_of
from server.interaction.record import given
from server.interaction.terminology import parser_at, query_text
from server.outcome import FhirError, Issue
from server.search.parse import restricted
from server.search.query import Query
from server.store.store import Moment, Page, Unavailable, Version

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
    engine: Engine, caller: Caller, resource_type: str, pairs: Sequence[tuple[str, str]], *, strict: bool = False
) -> Found:
    """One page of the matches that this caller may see. FhirError for what is not understood, and too-costly
    (400) for a search that does not end within the store's time limit."""
    engine.known_type(resource_type)
    try:
        async with engine.store.snapshot(await moment_of(engine.store, dict(pairs).get("_asOf"))) as snapshot:
            parsed = (await parser_at(engine, snapshot, query_text(pairs))).parse(resource_type, pairs, strict=strict)
            query = restricted(parsed.query, engine.access.visible(caller, resource_type))
            page = await snapshot.search(query)
            included, cut = await snapshot.include(page.versions, query.includes, MAX_INCLUDED)
            moment = snapshot.moment
    except Unavailable as error:
        raise unavailable(error) from None
    shown = engine.access.readable(caller, included)
    given(engine, caller, "search-type", (*page.versions, *shown))
    remarks = (*parsed.unknown, *_cut(cut))
    kept = _kept(engine.registry.schema, parsed.query)
    return Found(parsed.query, moment, parsed.as_of, page, shown, remarks, kept)


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
    """How the search would be served, one issue a line. `__explain=true`."""
    engine.known_type(resource_type)
    async with engine.store.snapshot(await moment_of(engine.store, dict(pairs).get("_asOf"))) as snapshot:
        parsed = (await parser_at(engine, snapshot, query_text(pairs))).parse(resource_type, pairs, strict=True)
        query = restricted(parsed.query, engine.access.visible(caller, resource_type))
        lines = await snapshot.explain(query)
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
