"""The front page: a PlanDefinition search whose parameters are those of the page's own URL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.access import owner_of
from server.interaction.search import Found
from server.outcome import FhirError
from server.pages.asked import Asked, Pairs
from server.pages.contexts import PortfolioPage, Progress, Row, Tally
from server.pages.directory import url_of
from server.pages.filters import SORTS, form_of, sort_of
from server.pages.house import MAX_COUNT, by_type
from server.pages.standpoint import Place
from server.pages.waiting import waiting
from server.portfolio import elements
from server.portfolio.codes import Coded
from server.search.parse import cursor_text
from server.search.urls import query_of

Resource = Mapping[str, Any]

_INCLUDES = (("_revinclude", "Task:based-on"), ("_include", "PlanDefinition:owner"))
# These shape a Bundle; a page has its own shape.
_API_ONLY = frozenset(
    {"_include", "_revinclude", "_summary", "_elements", "_total", "_contained", "_format", "_pretty", "__explain"}
)


async def portfolio(place: Place, asked: Asked) -> PortfolioPage:
    """One page of at most 500 initiatives. FhirError for a parameter that PlanDefinition's search refuses."""
    criteria = _criteria(asked)
    narrowed = await _narrowed(place, asked)
    found = await _found(place, (*criteria, *narrowed))
    rows = _rows(place, asked, found)
    title, url = _same_search(place, asked, criteria)
    follows = found.page.next
    frame = asked.frame(f"{place.reader.house.engine.base}/metadata", found.moment.instant, place.round_value)
    lasting = [pair for pair in asked.pairs if pair[0] not in ("_page", "_asOf", "round")]
    lasting += [("_asOf", place.reader.instant), ("round", place.round_value)]
    return PortfolioPage(
        frame=frame,
        standpoint=place.standpoint,
        waiting=await waiting(place, asked),
        form=await form_of(place, asked),
        rows=rows,
        total=found.page.total if found.page.total is not None else len(rows),
        segments=_tallies(row.segment for row in rows),
        colours=_tallies(row.status for row in rows),
        progress=_sum([row.progress for row in rows]),
        sort=sort_of(asked),
        sort_key=dict(SORTS).get(sort_of(asked), sort_of(asked)),
        same_search=title,
        same_search_url=url,
        next_url=asked.url(pairs=[*lasting, ("_page", cursor_text(follows))]) if follows else "",
        first_url=asked.url(pairs=lasting) if found.query.cursor else "",
    )


def _criteria(asked: Asked) -> Pairs:
    for name, _ in asked.filters:
        if name.partition(":")[0] in _API_ONLY:
            text = f"{name}: gjelder søk i API-et, ikke siden / belongs to a search in the API, not to the page."
            raise FhirError("not-supported", text, expression=name)
    sorted_by = () if asked.one("_sort") else (("_sort", sort_of(asked)),)
    counted = () if asked.one("_count") else (("_count", str(MAX_COUNT)),)
    return (*asked.filters, *sorted_by, *counted)


def _late(place: Place) -> Pairs:
    """Deliveries that are overdue, as a search: eb, since a deadline 2021 is not past before 2022."""
    day = place.standpoint.day.isoformat()
    return (
        place.reader.house.task_code("leveranse"),
        ("status", "ready,in-progress,on-hold"),
        ("due", f"eb{day}"),
    )


async def _narrowed(place: Place, asked: Asked) -> Pairs:
    """With overdue=true: to the initiatives that have such a delivery. R4 has no search that asks several
    things of one and the same resource behind _has, so these are found first."""
    if asked.one("overdue") != "true":
        return ()
    tasks = await place.reader.all("Task", *_late(place))
    ids = {link["reference"].partition("/")[2] for task in tasks for link in task.get("basedOn", ())}
    # No id is empty; "*" is no legal id, so that nothing is found when nothing is late.
    return (("_id", ",".join(sorted(ids)) or "*"),)


async def _found(place: Place, criteria: Pairs) -> Found:
    """Fewer initiatives when their Tasks are more than a search includes: no sum is made of a part."""
    found = await place.reader.search("PlanDefinition", *criteria, *_INCLUDES, ("_total", "accurate"))
    while found.remarks and found.query.count > 1:
        fewer = [pair for pair in criteria if pair[0] != "_count"]
        count = ("_count", str(found.query.count // 2))
        found = await place.reader.search("PlanDefinition", *fewer, count, *_INCLUDES, ("_total", "accurate"))
    return found


def _same_search(place: Place, asked: Asked, criteria: Pairs) -> tuple[str, str]:
    """The equivalent query of the API and its URL. With overdue=true it goes from the deliveries, to whose
    one initiative every other criterion is chained."""
    if asked.one("overdue") == "true":
        searched = [pair for pair in asked.filters if pair[0] not in ("_sort", "_count", "_page")]
        chained = [(f"based-on:PlanDefinition.{name}", text) for name, text in searched]
        query = f"Task?{query_of((*_late(place), *chained, ('_include', 'Task:based-on'), *asked.as_of))}"
    else:
        shown = [pair for pair in criteria if pair[0] != "_page"]
        query = f"PlanDefinition?{query_of((*shown, *_INCLUDES, *asked.as_of))}"
    return query, f"{place.reader.house.engine.base}/{query}"


def _rows(place: Place, asked: Asked, found: Found) -> tuple[Row, ...]:
    included = by_type(found)
    tasks: dict[str, list[Resource]] = {}
    for task in included["Task"].values():
        for link in task.get("basedOn", ()):
            tasks.setdefault(link.get("reference", ""), []).append(task)
    return tuple(
        _row(place, asked, elements.resource_of(v), tasks.get(f"PlanDefinition/{v.id}", []), included["Organization"])
        for v in found.page.versions
    )


def _row(
    place: Place, asked: Asked, initiative: Resource, tasks: Sequence[Resource], owners: Mapping[str, Resource]
) -> Row:
    house, lang = place.reader.house, asked.lang
    kinds: dict[str, list[Resource]] = {}
    for task in tasks:
        kinds.setdefault(elements.kind(task), []).append(task)
    report = place.current(kinds.get("statusrapport", ())) or {}
    number = elements.number(initiative, house.sid("tiltaksnummer"))
    shown = place.standpoint.round
    owner = owners.get(owner_of(dict(initiative)), {})
    return Row(
        number=number,
        title=initiative.get("title") or number,
        lang=initiative.get("language", "nb"),
        url=asked.other(f"/tiltak/{number}") if number else "",
        segment=house.codes.coded(elements.context(initiative, "segment"), lang),
        owner=owner.get("name") or initiative.get("publisher", ""),
        owner_url=url_of(owner, house, asked),
        phase=house.codes.coded(elements.context(initiative, "fase"), lang),
        status=house.codes.coded(elements.value(report.get("output"), "status"), lang),
        risk=house.codes.coded(elements.value(report.get("output"), "risiko"), lang),
        reported=place.round_title(report) if report else "",
        earlier=bool(report and shown and report.get("groupIdentifier", {}).get("value") != shown.value),
        progress=place.progress(kinds.get("leveranse", [])),
    )


def _tallies(codes: Iterable[Coded | None]) -> tuple[Tally, ...]:
    """Most frequent first."""
    found = list(codes)
    words = {code.code if code else "": code for code in found}
    return tuple(Tally(words[code], count) for code, count in Counter(c.code if c else "" for c in found).most_common())


def _sum(all: Sequence[Progress]) -> Progress:
    return Progress(
        done=sum(one.done for one in all),
        planned=sum(one.planned for one in all),
        cancelled=sum(one.cancelled for one in all),
        overdue=sum(one.overdue for one in all),
        next_due=min((one.next_due for one in all if one.next_due), default=None),
    )
