"""history of an instance, a type or the whole system. R4 http.html#history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from server.access import Caller, Sight
from server.auth.scopes import Letter
from server.interaction.engine import Engine, instant_of
from server.interaction.read import looking, may_read
from server.outcome import FhirError
from server.search.parse import DEFAULT_COUNT, MAX_COUNT, cursor
from server.search.query import Cursor
from server.store.store import Moment, Page, Snapshot, Version

_CHUNK = 100
_MOST_CHUNKS = 100


@dataclass(frozen=True, slots=True)
class Story:
    """One page of a history, newest first, as of `moment`. `used`: the parameters for its links."""

    path: str
    moment: Moment
    page: Page
    used: tuple[tuple[str, str], ...]


async def history(
    engine: Engine, caller: Caller, resource_type: str | None, id: str | None, pairs: Sequence[tuple[str, str]]
) -> Story:
    """Parameters: _count, _since (an instant), _asOf. Versions that the caller may not see are as if they were not
    there: pages are filled up past them, and a total is given only where it counts none of them. FhirError not-found
    for a resource that never was, or of which nothing is shown; forbidden (403) for a token without the scope, which
    is `r` of one resource and `s` of a type."""
    letter: Letter = "s" if id is None else "r"
    if resource_type is not None:
        engine.known_type(resource_type)
        engine.narrowing.check(caller.scopes, letter, resource_type)
    asked = dict(pairs)
    count = asked.get("_count", str(DEFAULT_COUNT))
    if not (count.isascii() and count.isdigit()):
        raise FhirError("value", f"_count={count}: expected a whole number.", expression="_count")
    since = _instant(asked["_since"]) if "_since" in asked else None
    start = cursor(asked["_page"]) if "_page" in asked else None
    wanted = min(max(int(count[:9]), 1), MAX_COUNT)
    async with looking(engine, caller, asked.get("_asOf")) as (snapshot, sight):
        if sight.is_whole:
            page = await snapshot.history(resource_type, id, since=since, cursor=start, count=wanted)
        else:
            page = await _shown(snapshot, sight, (resource_type, id), letter, since, start, wanted)
        if id is not None and not page.versions and since is None and start is None:
            raise FhirError("not-found", f"Finnes ikke / {resource_type}/{id} is not known here.")
        path = "/".join(part for part in (resource_type, id, "_history") if part)
        used = tuple((name, text) for name, text in pairs if name in ("_count", "_since"))
        return Story(path, snapshot.moment, page, used)


async def _shown(
    snapshot: Snapshot,
    sight: Sight,
    scope: tuple[str | None, str | None],
    letter: Letter,
    since: str | None,
    start: Cursor | None,
    wanted: int,
) -> Page:
    """A page of the versions that are to be seen. It looks at 10 000 at most: after so many hidden ones in a row it
    ends early, with the link to go on."""
    found: list[Version] = []
    at = start
    for _ in range(_MOST_CHUNKS):
        chunk = await snapshot.history(*scope, since=since, cursor=at, count=max(wanted + 1, _CHUNK))
        for version in chunk.versions:
            if await may_read(snapshot, sight, version, letter):
                found.append(version)
                if len(found) > wanted:
                    return Page(tuple(found[:wanted]), Cursor((), found[wanted - 1].ordinal))
        if chunk.next is None:
            return Page(tuple(found), None, len(found) if start is None else None)
        at = chunk.next
    return Page(tuple(found), at)


def _instant(text: str) -> str:
    try:
        return instant_of(text, UTC)
    except ValueError:
        raise FhirError("value", f"_since={text}: expected an instant.", expression="_since") from None
