"""All that a search finds, page by page of one moment: for operations that look at the whole portfolio."""

from __future__ import annotations

from collections.abc import Sequence

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.search import search
from server.resource import Resource, restored
from server.search.parse import MAX_COUNT, cursor_text
from server.store.store import Version


async def gather(
    engine: Engine, caller: Caller, resource_type: str, pairs: Sequence[tuple[str, str]], *, as_of: str | None = None
) -> list[Version]:
    """Every match that the caller may see, in the search's order, as of an instant. FhirError as `search`."""
    asked = [*pairs, ("_count", str(MAX_COUNT))]
    if as_of is not None:
        asked.append(("_asOf", as_of))
    found = await search(engine, caller, resource_type, asked, strict=True)
    versions = list(found.page.versions)
    instant = found.as_of or found.moment.instant
    while found.page.next is not None:
        onward = [pair for pair in asked if pair[0] != "_asOf"]
        onward += [("_asOf", instant), ("_page", cursor_text(found.page.next))]
        found = await search(engine, caller, resource_type, onward, strict=True)
        versions += found.page.versions
    return versions


def resources(versions: Sequence[Version]) -> list[Resource]:
    """Their JSON, deletions left out."""
    return [restored(version.body) for version in versions if version.body is not None]
