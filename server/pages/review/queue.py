"""The review queue of a round. What is computed of the initiatives (their changes, the evidence, the warnings) is asked
for once, for the rows of the page together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.outcome import FhirError
from server.pages.answers import parts, reference
from server.pages.asked import Asked
from server.pages.evidence.contexts import Judged
from server.pages.evidence.judged import judged
from server.pages.evidence.page import page_number
from server.pages.review.contexts import Done, QueuePage, QueueRow, StateTally
from server.pages.review.reports import (
    STATES,
    Reports,
    by_initiative,
    colour_mark,
    earlier,
    number_of,
    path_of,
    reason_of,
    reports_of,
    search_of,
    seen_at,
    standing,
    state_search,
    title_of,
    until,
)
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.codes import Coded
from server.portfolio.gather import Resource
from server.search.urls import query_of

AT_ONCE = 40
"""Reports on one page: the portfolio of 2021. Their warnings are judged anew each time, and take 10 ms a report."""


@dataclass(frozen=True)
class _Computed:
    """By the initiative's reference; `changes` is None without an earlier round, `remarks` for all but the
    secretariat."""

    changes: Mapping[str, int] | None
    judged: Mapping[str, Judged]
    remarks: Mapping[str, int] | None
    history: Mapping[str, Sequence[Resource]]


async def queue(place: Place, asked: Asked, number: str) -> QueuePage:
    """FhirError not-found (404) for an unknown round, value (400) for a wrong `state` or `page`."""
    found = await reports_of(place, number)
    state, page = _state(asked), page_number(asked)
    listed = [one for one in found.all if state in ("", standing(one))]
    shown = listed[(page - 1) * AT_ONCE : page * AT_ONCE]
    computed = await _computed(place, asked, found, shown)
    house, waiting = place.reader.house, found.waiting
    included = ("_include", "Task:based-on")
    same = f"Task?{query_of((*search_of(place, number), *state_search(place, state), included, *asked.as_of))}"
    return QueuePage(
        frame=asked.frame(f"{house.engine.base}/metadata", place.reader.instant, number),
        round=found.round,
        previous=found.previous,
        round_url=asked.other(f"/runder/{number}"),
        evidence_url=asked.url("/avvik", [*_lasting(asked), ("round", number)]),
        states=_tallies(asked, found, state),
        rows=tuple(_row(place, asked, found, one, computed) for one in shown),
        total=len(found.all),
        shown=len(listed),
        waiting=len(waiting),
        first_url=asked.other(path_of(found.round, number_of(waiting[0]))) if waiting else "",
        done=done(asked, found),
        decides=place.reader.caller.role == "secretariat",
        remarked=computed.remarks is not None,
        previous_url=asked.changed(page=str(page - 1)) if page > 1 else "",
        next_url=asked.changed(page=str(page + 1)) if page * AT_ONCE < len(listed) else "",
        same=same,
        same_url=f"{house.engine.base}/{same}",
    )


def done(asked: Asked, found: Reports) -> Done | None:
    """What the URL says was decided, as far as it is so."""
    report = found.of(asked.one("done") or "")
    if report is None or standing(report) not in ("godkjent", "returnert"):
        return None
    return Done(number_of(report), title_of(report), standing(report))


def _lasting(asked: Asked) -> list[tuple[str, str]]:
    return [pair for pair in asked.pairs if pair[0] in ("lang", "_asOf")]


def _state(asked: Asked) -> str:
    text = asked.one("state") or ""
    if text and text not in STATES:
        said = f"state={text}: ventet en av / expected one of {', '.join(STATES)}."
        raise FhirError("value", said, expression="state")
    return text


def _tallies(asked: Asked, found: Reports, chosen: str) -> tuple[StateTally, ...]:
    """All of them, then each state that a report is in, or that was asked for."""
    counts = found.counts()
    every = StateTally("", len(found.all), asked.changed(state=None, page=None, done=None), not chosen)
    return (every, *(
        StateTally(state, counts[state], asked.changed(state=state, page=None, done=None), state == chosen)
        for state in STATES
        if counts[state] or state == chosen
    ))  # fmt: skip


async def _computed(place: Place, asked: Asked, found: Reports, shown: Sequence[Resource]) -> _Computed:
    plans = sorted({elements.based_on(one) for one in shown})
    if not plans:
        return _Computed(None, {}, None, {})
    house, caller = place.reader.house, place.reader.caller
    ids = ",".join(one.partition("/")[2] for one in plans)
    population = ("population", query_of((("_id", ids),)))
    answer = await house.operate(caller, "$evidence", "PlanDefinition", population, *seen_at(place, found.round))
    reports = await place.reader.all("Task", house.task_code("statusrapport"), ("based-on", ",".join(plans)))
    return _Computed(
        changes=await _changes(place, found, population),
        judged=judged(house, answer, asked.lang),
        remarks=await _remarks(place, found, population),
        history=by_initiative(reports),
    )


async def _changes(place: Place, found: Reports, population: tuple[str, str]) -> Mapping[str, int] | None:
    if found.previous is None:
        return None
    moments = (("from", found.previous.value), ("to", until(place, found.round)))
    answer = await place.reader.house.operate(
        place.reader.caller, "$portfolio-diff", "PlanDefinition", population, *moments
    )
    return {reference(one): len(parts(one, "difference")) for one in parts(answer, "initiative")}


async def _remarks(place: Place, found: Reports, population: tuple[str, str]) -> Mapping[str, int] | None:
    if place.reader.caller.role != "secretariat":
        return None
    asked = (("round", found.round.value), population, ("_asOf", place.reader.instant))
    answer = await place.reader.house.operate(place.reader.caller, "$remarks", "Task", *asked)
    return {
        reference(one, "initiative"): sum(len(outcome["resource"]["issue"]) for each in parts(one, "remarks")
                                          for outcome in parts(each, "outcome"))
        for one in parts(answer, "report")
    }  # fmt: skip


def _row(place: Place, asked: Asked, found: Reports, report: Resource, computed: _Computed) -> QueueRow:
    codes, plan, number = place.reader.house.codes, elements.based_on(report), number_of(report)
    before = earlier(place, report, computed.history.get(plan, ())) or {}

    def colour(of: Resource, code: str) -> Coded | None:
        return codes.coded(elements.value(of.get("output"), code), asked.lang)

    one = computed.judged.get(plan)
    return QueueRow(
        number=number,
        title=title_of(report),
        lang=report.get("language", "nb"),
        url=asked.other(path_of(found.round, number)),
        owner=report.get("owner", {}).get("display", ""),
        state=standing(report),
        since=report.get("lastModified", ""),
        reason=reason_of(report),
        status=colour(report, "status"),
        status_mark=colour_mark(colour(before, "status"), colour(report, "status")),
        risk=colour(report, "risiko"),
        risk_mark=colour_mark(colour(before, "risiko"), colour(report, "risiko")),
        changes=None if computed.changes is None else computed.changes.get(plan, 0),
        computed=one.computed if one else None,
        gap=one.gap if one else 0,
        remarks=None if computed.remarks is None else computed.remarks.get(plan),
    )
