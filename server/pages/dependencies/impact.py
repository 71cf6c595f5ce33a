"""The page of a slip: what breaks, and for whom, if a delivery or dependency comes so many days later."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Actor
from server.pages.dependencies.contexts import Effect, ImpactPage
from server.pages.directory import Directory, directory
from server.pages.needs import Needs
from server.pages.responsibilities import SLIP_DAYS, Responsibilities
from server.pages.standpoint import Place
from server.portfolio import elements
from server.search.urls import query_of

Resource = Mapping[str, Any]

MOST_DAYS = 3650
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")
_AT_ONCE = 100


async def impact(place: Place, asked: Asked) -> ImpactPage:
    """FhirError required or value (400) for what was not asked rightly, not-found (404) for a Task that the caller may
    not see, processing (422) for one that cannot slip."""
    asked.only("task", "days")
    id, days = _task(asked), asked.whole("days", SLIP_DAYS, MOST_DAYS)
    reader = place.reader
    found = await reader.all("Task", ("_id", id))
    if not found:
        raise FhirError("not-found", f"Task/{id} finnes ikke her / is not known here.", expression="task")
    pairs = (("days", str(days)), ("_asOf", reader.instant))
    answer = await reader.house.operate(reader.caller, "$impact", f"Task/{id}", *pairs)
    known = await directory(reader, asked)
    return _page(place, asked, found[0], days, answer, Needs(await _read(place, asked, found[0], answer), known))


def _task(asked: Asked) -> str:
    id = asked.one("task")
    if id is None:
        text = "Si hva som glir / Say what slips: task=ID of a delivery or dependency."
        raise FhirError("required", text, expression="task", status=400)
    if not _ID.match(id):
        raise FhirError("value", f"task={id}: ventet en id / expected an id.", expression="task")
    return id


async def _read(place: Place, asked: Asked, task: Resource, answer: Resource) -> Responsibilities:
    """With the initiatives that the answer names."""
    references = {elements.based_on(task), *(_value(one, "initiative")["reference"] for one in _rows(answer, "effect"))}
    ids = sorted(one.partition("/")[2] for one in references if one)
    plans: dict[str, Resource] = {}
    for start in range(0, len(ids), _AT_ONCE):
        named = ("_id", ",".join(ids[start : start + _AT_ONCE]))
        plans |= {elements.reference_of(one): one for one in await place.reader.all("PlanDefinition", named)}
    return Responsibilities(place, asked, plans)


def _page(place: Place, asked: Asked, task: Resource, days: int, answer: Resource, needs: Needs) -> ImpactPage:
    house = place.reader.house
    slip = _rows(answer, "slip")[0]
    initiative = elements.based_on(task)
    owner = elements.owner(needs.read.others.get(initiative, {}))
    query = query_of((("days", str(days)), *asked.as_of))
    return ImpactPage(
        frame=asked.frame(f"{house.engine.base}/metadata", place.reader.instant, place.round_value),
        standpoint=place.standpoint,
        name=task.get("code", {}).get("text") or task.get("description", ""),
        kind=elements.kind(task),
        initiative=needs.initiative(initiative),
        owner=_actor(needs.directory, owner),
        task=task["id"],
        days=days,
        action=asked.url(pairs=()),
        hidden=asked.lasting,
        was=_value(slip, "from"),
        comes=_value(slip, "to"),
        effects=tuple(_effect(one, asked, needs) for one in _rows(answer, "effect")),
        api_url=needs.read.api(task),
        operation_url=f"{house.engine.base}/Task/{task['id']}/$impact?{query}",
    )


def _effect(row: Resource, asked: Asked, needs: Needs) -> Effect:
    hit = _value(row, "initiative")
    owner = _value(row, "for")
    return Effect(
        breaks=_value(row, "kind") == "broken",
        certain=_value(row, "certain"),
        said=_value(row, asked.lang),
        initiative=needs.initiative(hit["reference"], hit.get("display", "")),
        owner=_actor(needs.directory, owner) if owner else None,
        was=_value(row, "date"),
        comes=_value(row, "comes"),
        days=int(_value(row, "days")),
    )


def _actor(known: Directory, reference: Resource) -> Actor:
    return known.actor(reference.get("reference", ""), reference.get("display", ""))


def _rows(answer: Resource, name: str) -> Sequence[Resource]:
    return [one for one in answer.get("parameter", ()) if one["name"] == name]


def _value(row: Resource, name: str) -> Any:
    """The value of the first part of this name, None for none."""
    return next((elements.value_of(one) for one in row.get("part", ()) if one["name"] == name), None)
