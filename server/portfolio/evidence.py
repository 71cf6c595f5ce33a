"""A colour computed of facts beside the stated one. The rule is evidence.json, with its version and its words.

A level is reached when any of its thresholds is: `count` of things, the most `days`, the most `moves`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from server.portfolio import elements
from server.portfolio.difference import LANGUAGES, Said, Standing, newest_report, planned

Resource = Mapping[str, Any]
LEVELS = ("gronn", "gul", "rod")
"""nep-traffic-light, from good to bad."""
CRITICAL = "hoy"


@dataclass(frozen=True, slots=True)
class Fact:
    """What a signal looks at: the resources that it found, their greatest number of days and of moves."""

    resources: tuple[Resource, ...]
    days: int = 0
    moves: int = 0

    @property
    def numbers(self) -> dict[str, int]:
        return {"count": len(self.resources), "days": self.days, "moves": self.moves}


@dataclass(frozen=True, slots=True)
class Reason:
    """A signal that speaks, and which level it gives."""

    signal: str
    level: str
    fact: Fact
    said: Said


@dataclass(frozen=True, slots=True)
class Evidence:
    """The colours of one initiative, "" for none. `gap`: how many levels the evidence is worse than what is stated
    (negative: better), 0 where either is missing."""

    stated: str
    computed: str
    reasons: tuple[Reason, ...]

    @property
    def gap(self) -> int:
        if not (self.stated in LEVELS and self.computed in LEVELS):
            return 0
        return LEVELS.index(self.computed) - LEVELS.index(self.stated)


@cache
def rule() -> Mapping[str, Any]:
    """evidence.json."""
    found: Mapping[str, Any] = msgspec.json.decode(Path(__file__).with_name("evidence.json").read_bytes())
    return found


def evidence(
    standing: Standing, versions: Mapping[str, Sequence[Resource]], day: date, by: Mapping[str, Any] | None = None
) -> Evidence:
    """Of one initiative, seen from `day`. `versions` holds those of its deliveries by reference, oldest first."""
    chosen = by or rule()
    report = newest_report(standing.tasks)
    stated = elements.code(elements.value((report or {}).get("output"), "status"))
    facts = _facts(standing, versions, day)
    phase = elements.code(elements.context(standing.plan, "fase"))
    reasons = []
    for signal in chosen["signals"]:
        fact = facts[signal["id"]]
        if fact.resources and phase not in signal.get("unless", ()) and (level := _level(signal["levels"], fact)):
            said: Said = {lang: signal["reason"][lang].format(**fact.numbers) for lang in LANGUAGES}
            reasons.append(Reason(signal["id"], level, fact, said))
    judged = any(elements.kind(task) in ("leveranse", "avhengighet") for task in standing.tasks)
    worst = max((LEVELS.index(reason.level) for reason in reasons), default=0)
    return Evidence(stated, LEVELS[worst] if judged or reasons else "", tuple(reasons))


def _level(levels: Mapping[str, Mapping[str, int]], fact: Fact) -> str:
    reached = [
        level
        for level, thresholds in levels.items()
        if any(fact.numbers[name] >= threshold for name, threshold in thresholds.items())
    ]
    return max(reached, key=LEVELS.index, default="")


def _facts(standing: Standing, versions: Mapping[str, Sequence[Resource]], day: date) -> dict[str, Fact]:
    deliveries = [task for task in standing.tasks if elements.kind(task) == "leveranse" and elements.is_open(task)]
    dependencies = [
        task
        for task in standing.tasks
        if elements.kind(task) == "avhengighet"
        and elements.is_unmet(task)
        and elements.code(elements.value(task.get("input"), "kritikalitet")) == CRITICAL
    ]
    return {
        "overdue": _past(deliveries, day),
        "moved": _moved(deliveries, versions),
        "critical": _past(dependencies, day),
        "silence": _silence(standing.tasks, day),
        "end": _ended(standing.plan, day),
    }


def _past(tasks: Iterable[Resource], day: date) -> Fact:
    over = [(elements.days_over(task, day), task) for task in tasks]
    late = [(days, task) for days, task in over if days > 0]
    return Fact(tuple(task for _, task in late), max((days for days, _ in late), default=0))


def _moved(tasks: Iterable[Resource], versions: Mapping[str, Sequence[Resource]]) -> Fact:
    found = [(planned(versions.get(elements.reference_of(task), (task,))), task) for task in tasks]
    moved = [(dates, task) for dates, task in found if dates.moves]
    return Fact(
        tuple(task for _, task in moved),
        max((dates.days or 0 for dates, _ in moved), default=0),
        max((dates.moves for dates, _ in moved), default=0),
    )


def _silence(tasks: Iterable[Resource], day: date) -> Fact:
    """Since the last report; where there is none, since the first that was asked for."""
    asked = [task for task in tasks if elements.kind(task) == "statusrapport"]
    report = newest_report(asked) or min(asked, key=elements.report_key, default=None)
    return Fact(()) if report is None else Fact((report,), max(elements.days_over(report, day), 0))


def _ended(plan: Resource, day: date) -> Fact:
    end = elements.last_day(plan.get("effectivePeriod", {}).get("end"))
    days = 0 if end is None else (day - end).days
    return Fact((plan,), days) if days > 0 else Fact(())
