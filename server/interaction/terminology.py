"""The terminology of a moment: what is stored then, and of profiles/ what is not. Kept until one of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.definitions.terminology import Terminology
from server.interaction.engine import Engine, Reading
from server.interaction.searchable import caught_up
from server.resource import Resource, decode
from server.search.parse import Parser
from server.search.query import Query
from server.store.store import Snapshot

TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
_MODIFIERS = (":in=", ":not-in=", ":above=", ":below=")
_AT_ONCE = 500


async def terminology_of(engine: Engine, snapshot: Snapshot | Reading) -> Terminology:
    """That of the snapshot's moment: stored definitions stand in for those of profiles/ with the same URL. What is
    labelled R takes no part, for the answers are anyone's."""
    newest = [(await snapshot.history(kind, None, count=1)).versions for kind in TYPES]
    key = tuple(versions[0].ordinal if versions else 0 for versions in newest)
    kept = engine.kept_terminology
    if kept.key != key:
        stored = [resource for kind in TYPES for resource in await _all(engine, snapshot, kind)]
        shipped = [resource for kind in TYPES for resource in engine.registry.of_type(kind)]
        kept.key, kept.terminology = key, Terminology([*shipped, *stored], engine.registry.schema.codes)
    return kept.terminology


async def parser_at(engine: Engine, snapshot: Snapshot | Reading, asked: str) -> Parser:
    """The parser for a query string: it knows which indexes of the snapshot are whole, and the moment's terminology
    if it is asked for any."""
    state, parser = await caught_up(engine, snapshot), engine.parser
    if parser.parameters.stored:
        parser = replace(parser, shares=state.shares)
    if not any(modifier in asked for modifier in _MODIFIERS):
        return parser
    terminology = await terminology_of(engine, snapshot)
    return replace(parser, subsumes=terminology.subsumes, members=terminology.members)


async def _all(engine: Engine, snapshot: Snapshot | Reading, kind: str) -> list[Resource]:
    found: list[Resource] = []
    query = Query(kind, count=_AT_ONCE)
    while True:
        page = await snapshot.search(query)
        # Newest first, so that of two with one URL the older comes later and the newer must win: turned round below.
        found += [decode(v.body) for v in page.versions if v.body is not None and engine.access.is_public(v)]
        if page.next is None:
            return list(reversed(found))
        query = replace(query, cursor=page.next)


def query_text(pairs: Sequence[tuple[str, str]]) -> str:
    """The pairs as parser_at looks at them."""
    return "&".join(f"{name}={text}" for name, text in pairs)
