"""Rounds, the day by which "late" is counted, and the newest report as seen from there. Decision 13."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from server.access import Caller
from server.interaction.engine import EDITION
from server.interaction.search import Found, search
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Progress, Round, Standpoint
from server.pages.house import House, Reader
from server.portfolio import elements

NO_ROUND = "none"

Task = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a page stands: its reader, the rounds (newest first), and the day that it counts from. `today` is the day
    of the moment that is looked at: that of `_asOf`, or today."""

    reader: Reader
    rounds: tuple[Round, ...]
    standpoint: Standpoint
    today: date

    @property
    def round_value(self) -> str:
        """What a lasting link says of the round."""
        return self.standpoint.round.value if self.standpoint.round else NO_ROUND

    def report_key(self, report: Task) -> tuple[str, str, str]:
        """Orders status reports: by the end of their round, its identifier, and when they were made."""
        value = report.get("groupIdentifier", {}).get("value", "")
        known = next((one.end for one in self.rounds if one.value == value), None)
        end = known.isoformat() if known else elements.due(report) or ""
        return end, value, report.get("authoredOn", "")

    def current(self, reports: Iterable[Task]) -> Task | None:
        """The newest report with a status, of the shown round or one before it."""
        shown = self.standpoint.round
        limit = shown.end.isoformat() if shown and shown.end else "9999"
        reported = [one for one in reports if elements.value(one.get("output"), "status") is not None]
        return max((one for one in reported if self.report_key(one)[0] <= limit), key=self.report_key, default=None)

    def round_title(self, report: Task) -> str:
        """The title of a report's round, or its identifier when the round is not known."""
        value = str(report.get("groupIdentifier", {}).get("value", ""))
        return next((one.title for one in self.rounds if one.value == value), value)

    def overdue(self, task: Task) -> bool:
        """Open, and its last day is before the day that is counted from."""
        day = elements.last_day(elements.due(task))
        return elements.is_open(task) and day is not None and day < self.standpoint.day

    def progress(self, deliveries: Sequence[Task]) -> Progress:
        """«ferdig med 1 av 15 leveranser». Section 6: completed of not cancelled."""
        planned = [task for task in deliveries if task.get("status") not in ("cancelled", "entered-in-error")]
        ahead = [
            text
            for task in planned
            if elements.is_open(task) and (text := elements.due(task)) is not None and not self.overdue(task)
        ]
        return Progress(
            done=sum(task.get("status") == "completed" for task in planned),
            planned=len(planned),
            cancelled=sum(task.get("status") == "cancelled" for task in deliveries),
            overdue=sum(self.overdue(task) for task in planned),
            next_due=min(ahead, default=None),
        )


async def first_search(house: House, caller: Caller, asked: Asked) -> Found:
    """The rounds, newest first: the search that gives a page its moment."""
    pairs = [house.task_code("rapporteringsrunde"), ("_sort", "-due"), ("_count", "500"), *asked.as_of]
    return await search(house.engine, caller, "Task", pairs, strict=True)


async def place(house: House, caller: Caller, asked: Asked, found: Found) -> Place:
    """Where the page stands. FhirError value (400) for a round that is not known."""
    reader = Reader(house, caller, found.moment.instant)
    rounds = tuple(_round(elements.resource_of(version), house) for version in found.page.versions)
    wanted = asked.one("round")
    if wanted not in (None, NO_ROUND, *(one.value for one in rounds)):
        known = ", ".join(one.value for one in rounds)
        text = f"round={wanted}: ukjent runde / unknown round; kjent / known: {known}."
        raise FhirError("value", text, expression="round")
    as_of = asked.one("_asOf")
    if wanted is None and as_of is None:
        shown = await _newest_reported(house, reader, rounds)
    else:
        shown = next((one for one in rounds if one.value == wanted), None)
    if as_of is not None and as_of.startswith(EDITION):
        # It is asked for by its number, and stands for the moment of its publication.
        as_of = found.moment.instant
    today = house.day(as_of) if as_of else house.today()
    return Place(reader, rounds, _standpoint(shown, today, is_past=as_of is not None), today)


def _standpoint(shown: Round | None, today: date, *, is_past: bool) -> Standpoint:
    if shown is not None and shown.end is not None:
        return Standpoint(shown.end, "round", shown)
    return Standpoint(today, "as-of" if is_past else "today", shown)


async def _newest_reported(house: House, reader: Reader, rounds: Sequence[Round]) -> Round | None:
    """The newest round in which someone has reported; a round that was just opened has nothing to show."""
    for one in rounds:
        group = ("group-identifier", f"{house.sid('runde')}|{one.value}")
        reported = ("status-color:missing", "false")
        if (await reader.search("Task", group, reported, ("_count", "1"))).page.versions:
            return one
    return None


def _round(task: Task, house: House) -> Round:
    value = elements.number(task, house.sid("runde"))
    title = task.get("code", {}).get("text") or value
    return Round(value, title, elements.last_day(elements.due(task)), task.get("status") == "completed")
