"""The page of all rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from server.pages.asked import Asked
from server.pages.house import House
from server.pages.rounds import opening
from server.pages.rounds.contexts import Counted, EditionLink, OpeningForm, RoundRow, RoundsPage
from server.pages.rounds.reports import REPORTED, of_round, search_url
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.rounds import editions
from server.search.urls import query_of

Task = Mapping[str, Any]
State = Literal["open", "closed", "draft", "cancelled"]

_STATES: dict[str, State] = {"in-progress": "open", "completed": "closed", "cancelled": "cancelled"}


async def rounds(place: Place, asked: Asked, form: OpeningForm | None = None) -> RoundsPage:
    """Newest first. `form` is the one that came back; the secretariat gets a blank one without it."""
    reader, house = place.reader, place.reader.house
    wanted = (house.task_code("rapporteringsrunde"), ("status:not", "entered-in-error"), ("_sort", "-due"))
    found = await reader.search("Task", *wanted, ("_count", "500"))
    instant = found.moment.instant
    tasks = [elements.resource_of(version) for version in found.page.versions]
    rows = tuple([await _row(place, asked, task, instant) for task in tasks])
    search = f"Task?{query_of((*wanted, *asked.as_of))}"
    return RoundsPage(
        frame=asked.frame(f"{house.engine.base}/metadata", instant),
        rounds=rows,
        partial=reader.caller.role != "secretariat" and any(row.state == "open" for row in rows),
        same_search=search,
        same_search_url=f"{house.engine.base}/{search}",
        opening=form or (opening.blank(house, asked) if writes(place, asked) else None),
    )


def writes(place: Place, asked: Asked) -> bool:
    """Whether the page has the secretariat's forms: on the present alone."""
    return place.reader.caller.role == "secretariat" and not asked.as_of


async def _row(place: Place, asked: Asked, task: Task, instant: str) -> RoundRow:
    house = place.reader.house
    number = elements.number(task, house.sid("runde"))
    total = await _count(place, number, instant)
    period = task.get("restriction", {}).get("period", {})
    return RoundRow(
        number=number,
        title=str(task.get("code", {}).get("text") or number),
        url=asked.other(f"/runder/{number}"),
        start=period.get("start"),
        end=period.get("end"),
        state=state_of(task),
        asked=total if total.count else None,
        reported=await _count(place, number, instant, REPORTED),
        editions=published(asked, task),
        resource_url=house.api(f"Task/{task['id']}", asked.as_of),
    )


async def _count(place: Place, number: str, instant: str, pairs: tuple[tuple[str, str], ...] = ()) -> Counted:
    house: House = place.reader.house
    found = await place.reader.search("Task", *of_round(house, number), *pairs, ("_summary", "count"))
    return Counted(found.page.total or 0, search_url(house, number, instant, pairs))


def state_of(task: Task) -> State:
    """A round's state in the pages' words."""
    return _STATES.get(str(task.get("status")), "draft")


def published(asked: Asked, task: Task) -> tuple[EditionLink, ...]:
    """The editions of a round, oldest first."""
    numbers = [reference.partition("/rapport-")[2] for reference in editions(dict(task))]
    return tuple(EditionLink(number, asked.other(f"/utgaver/{number}")) for number in numbers if number)
