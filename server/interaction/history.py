"""history of an instance, a type or the whole system. R4 http.html#history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from server.access import Caller
from server.interaction.engine import Engine, instant_of, moment_of
from server.interaction.read import may_read
from server.interaction.record import given
from server.outcome import FhirError
from server.search.parse import DEFAULT_COUNT, MAX_COUNT, cursor
from server.store.store import Moment, Page


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
    """Parameters: _count, _since (an instant), _asOf. FhirError not-found for a resource that never was."""
    if resource_type is not None:
        engine.known_type(resource_type)
    asked = dict(pairs)
    count = asked.get("_count", str(DEFAULT_COUNT))
    if not (count.isascii() and count.isdigit()):
        raise FhirError("value", f"_count={count}: expected a whole number.", expression="_count")
    since = _instant(asked["_since"]) if "_since" in asked else None
    start = cursor(asked["_page"]) if "_page" in asked else None
    async with engine.store.snapshot(await moment_of(engine.store, asked.get("_asOf"))) as snapshot:
        page = await snapshot.history(
            resource_type, id, since=since, cursor=start, count=min(max(int(count[:9]), 1), MAX_COUNT)
        )
        if id is not None and not page.total and since is None:
            raise FhirError("not-found", f"Finnes ikke / {resource_type}/{id} is not known here.")
        shown = tuple([v for v in page.versions if await may_read(engine, caller, snapshot, v)])
        level = "instance" if id is not None else "type" if resource_type is not None else "system"
        given(engine, caller, f"history-{level}", shown)
        total = page.total if len(shown) == len(page.versions) else None
        path = "/".join(part for part in (resource_type, id, "_history") if part)
        used = tuple((name, text) for name, text in pairs if name in ("_count", "_since"))
        return Story(path, snapshot.moment, Page(shown, page.next, total), used)


def _instant(text: str) -> str:
    try:
        return instant_of(text, UTC)
    except ValueError:
        raise FhirError("value", f"_since={text}: expected an instant.", expression="_since") from None
