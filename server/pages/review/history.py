"""What happened to a report: its versions, and who wrote them as the record says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from server.interaction.history import history
from server.outcome import FhirError
from server.pages.house import Reader
from server.pages.review.contexts import Event
from server.pages.review.reports import reason_of, standing
from server.portfolio import elements
from server.portfolio.gather import Resource

_MOST = "200"


async def events(reader: Reader, report: Resource) -> tuple[Event, ...]:
    """The newest 200 versions, newest first. Of Provenance as much as the caller may see."""
    engine = reader.house.engine
    pairs = [("_count", _MOST), ("_asOf", reader.instant)]
    story = await history(engine, reader.caller, "Task", report["id"], pairs)
    authors = await _authors(reader, elements.reference_of(report))
    found: list[Event] = []
    stood = ""
    for version in reversed(story.page.versions):
        if version.body is None:
            continue
        resource, name = elements.resource_of(version), f"Task/{version.id}/_history/{version.version_id}"
        state = standing(resource)
        event = Event(
            instant=version.last_updated,
            state=state,
            moved=state != stood,
            reason=reason_of(resource),
            who=authors.get(name, ""),
            url=reader.house.api(name),
        )
        found.append(event)
        stood = state
    return tuple(reversed(found))


async def _authors(reader: Reader, report: str) -> dict[str, str]:
    """Who wrote each version ("Task/7/_history/2"); of nobody for a token whose scopes leave the record out."""
    try:
        found = await reader.all("Provenance", ("target", report))
    except FhirError as error:
        if error.status != 403:
            raise
        return {}
    names = await _organizations(reader, found)
    return {
        target["reference"]: _who(one, names)
        for one in found
        for target in one.get("target", ())
        if target.get("reference", "").startswith(f"{report}/")
    }


async def _organizations(reader: Reader, provenances: Iterable[Resource]) -> dict[str, str]:
    """The names of the organisations that acted, by reference."""
    references = {part.get("reference", "") for one in provenances for part in _agents(one)}
    ids = sorted(id for kind, _, id in (one.partition("/") for one in references) if kind == "Organization" and id)
    if not ids:
        return {}
    found = await reader.all("Organization", ("_id", ",".join(ids)))
    return {elements.reference_of(one): str(one.get("name", "")) for one in found}


def _agents(provenance: Resource) -> Iterator[Resource]:
    """Who acted, each followed by whom it acted for."""
    for agent in provenance.get("agent", ()):
        yield from (agent[name] for name in ("who", "onBehalfOf") if name in agent)


def _who(provenance: Resource, names: Mapping[str, str]) -> str:
    """All of them by name, else by number."""
    found = (
        names.get(one.get("reference", "")) or one.get("display") or one.get("identifier", {}).get("value", "")
        for one in _agents(provenance)
    )
    return ", ".join(dict.fromkeys(str(name) for name in found if name))
