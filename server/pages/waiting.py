"""What waits for whoever is signed in, round by round: the first panel of the front page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.pages.asked import Asked, Pairs
from server.pages.contexts import Link, Waiting
from server.pages.rounds.reports import MISSING, STATES, is_missing, mine, of_round, state_of
from server.pages.standpoint import Place
from server.portfolio import elements

Task = Mapping[str, Any]


async def waiting(place: Place, asked: Asked) -> tuple[Waiting, ...]:
    """Of each open round in which this caller has something to do or to follow, the one that ends last first; of
    nothing for readers, in the past, and while somebody narrows the list."""
    reader, role = place.reader, place.reader.caller.role
    if role not in ("secretariat", "reporter") or asked.as_of or asked.filters:
        return ()
    own = await mine(reader)
    if role == "reporter" and not own:
        return ()
    open_rounds = (reader.house.task_code("rapporteringsrunde"), ("status", "in-progress"), ("_sort", "-due"))
    rounds = await reader.all("Task", *open_rounds)
    found = [await (_own(place, asked, one, own) if own else _all(place, asked, one)) for one in rounds]
    return tuple(one for one in found if one.asked)


async def _own(place: Place, asked: Asked, round: Task, own: frozenset[str]) -> Waiting:
    """A reporter's: how many are still to be given, and those that were given back, with the page that says why."""
    house, number = place.reader.house, elements.number(round, place.reader.house.sid("runde"))
    reports = await place.reader.all("Task", *of_round(house, number), ("owner", ",".join(sorted(own))))
    returned = [
        Link(
            str(one.get("for", {}).get("display", "")),
            asked.other(f"/runder/{number}/gjennomgang/{_initiative(place, one)}"),
        )
        for one in reports
        if state_of(one) == "returnert"
    ]
    missing = sum(is_missing(one) for one in reports)
    return _waiting(place, asked, round, asked_for=len(reports), missing=missing, returned=tuple(returned))


async def _all(place: Place, asked: Asked, round: Task) -> Waiting:
    """The secretariat's: how many wait for it, and how many have not come."""
    number = elements.number(round, place.reader.house.sid("runde"))

    async def count(*pairs: tuple[str, str]) -> int:
        criteria: Pairs = (*of_round(place.reader.house, number), *pairs, ("_summary", "count"))
        return (await place.reader.search("Task", *criteria)).page.total or 0

    submitted = await count(*STATES["innsendt"])
    return _waiting(
        place, asked, round, asked_for=await count(), missing=await count(*MISSING), submitted=submitted
    )  # fmt: skip


def _waiting(
    place: Place,
    asked: Asked,
    round: Task,
    *,
    asked_for: int,
    missing: int,
    submitted: int | None = None,
    returned: tuple[Link, ...] = (),
) -> Waiting:
    number = elements.number(round, place.reader.house.sid("runde"))
    deadline = elements.last_day(elements.due(round))
    path = f"/runder/{number}"
    return Waiting(
        round=Link(str(round.get("code", {}).get("text") or number), asked.other(path)),
        deadline=deadline.isoformat() if deadline else "",
        late=deadline is not None and deadline < place.today and missing > 0,
        asked=asked_for,
        missing=missing,
        submitted=submitted,
        returned=returned,
        review_url=asked.other(f"{path}/gjennomgang"),
        workbook_url=asked.other(f"{path}/arbeidsbok"),
    )


def _initiative(place: Place, report: Task) -> str:
    return elements.number(report, place.reader.house.sid("statusrapport")).rpartition(":")[2]
