"""Rounds as moments, and the day by which "late" is counted. Decision 13."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from server.access import Caller
from server.interaction.engine import EDITION, Engine
from server.interaction.history import history
from server.outcome import FhirError
from server.portfolio import elements
from server.portfolio.gather import View, view
from server.search.parse import cursor_text

Basis = Literal["round", "as-of", "today"]
DAYS: dict[Basis, tuple[str, str]] = {
    "round": ("rundens siste dag", "the last day of the round"),
    "as-of": ("dagen det spørres om", "the day asked for"),
    "today": ("i dag", "today"),
}


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Where an analysis stands: it reads by `view`, and counts "late" from `day`; `basis` says which day that is.
    `round`: the Task of the round that was asked for."""

    view: View
    day: date
    basis: Basis
    round: dict[str, Any] | None = None

    @property
    def instant(self) -> str:
        return self.view.instant

    @property
    def round_value(self) -> str:
        """The identifier of the round, "" without one."""
        return _value(self.round, self.view.engine) if self.round else ""


async def viewpoint(
    engine: Engine, caller: Caller, *, as_of: str | None = None, round: str | None = None, name: str = "round"
) -> Viewpoint:
    """The portfolio as of an instant, or as a round left it, or now. FhirError value (400) for an instant that is none,
    not-found (422) for a round that is not known; `name` is the parameter that named it."""
    if round is None:
        seen = await view(engine, caller, as_of)
        stated = seen.instant if as_of is None or as_of.startswith(EDITION) else as_of
        return Viewpoint(seen, day_of(engine, stated, as_of is None),
                         "today" if as_of is None else "as-of")  # fmt: skip
    task = await round_of(await view(engine, caller, as_of), round, name)
    seen = await view(engine, caller, as_of or await moment_of_round(engine, caller, round, name))
    end = elements.last_day(elements.due(task))
    if end is None:
        return Viewpoint(seen, day_of(engine, seen.instant), "as-of", task)
    return Viewpoint(seen, end, "round", task)


def day_of(engine: Engine, instant: str, now: bool = False) -> date:
    """The day of an instant in the registry's time zone; `now`: of the clock, for the newest moment may be old."""
    stated = engine.now() if now else datetime.fromisoformat(instant.strip().replace(" ", "+"))
    return stated.astimezone(engine.parser.zone).date()


async def moment_of_round(engine: Engine, caller: Caller, round: str, name: str = "round") -> str | None:
    """The instant that a round stands for: when it was last closed, whatever was written to it since. None for one that
    is open, which stands for the present. FhirError not-found (422) for one that is not known."""
    seen = await view(engine, caller)
    task = await round_of(seen, round, name)
    instant, cursor = None, ""
    while True:
        pairs = [("_count", "500"), ("_asOf", seen.instant), *([("_page", cursor)] if cursor else [])]
        story = await history(engine, caller, "Task", task["id"], pairs)
        for version in story.page.versions:
            if version.body is None or elements.resource_of(version).get("status") != "completed":
                return instant
            instant = version.last_updated
        if story.page.next is None:
            return instant
        cursor = cursor_text(story.page.next)


async def round_of(seen: View, round: str, name: str = "round") -> dict[str, Any]:
    """The Task of a round by its identifier, with or without the system. FhirError not-found (422)."""
    value = round.rpartition("|")[2]
    asked = ("identifier", f"{seen.engine.access.canonical}/sid/runde|{value}")
    found = await seen.all("Task", [seen.kinds(["rapporteringsrunde"]), asked])
    if not found:
        known = [_value(one, seen.engine) for one in await rounds(seen)]
        text = f"{name}={round}: ukjent runde / unknown round; kjent / known: {', '.join(known) or '–'}."
        raise FhirError("not-found", text, expression=name, status=422)
    return found[0]


async def rounds(seen: View) -> list[dict[str, Any]]:
    """Every round, the latest first."""
    found = await seen.all("Task", [seen.kinds(["rapporteringsrunde"])])
    return sorted(found, key=lambda one: elements.due(one) or "", reverse=True)


def _value(task: dict[str, Any], engine: Engine) -> str:
    return elements.number(task, f"{engine.access.canonical}/sid/runde")
