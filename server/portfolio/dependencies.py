"""Who waits for whom, where plans contradict each other, and what breaks when something slips.

A dependency points to a delivery (`focus`, or `levert-av` among its outputs) or to an initiative as a whole. What is
said of a delivery is certain; of an initiative as a whole only possible, for nobody named which delivery it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec
import networkx as nx  # type: ignore[import-untyped]

from server.portfolio import elements
from server.portfolio.difference import LANGUAGES, Said, Words
from server.portfolio.evidence import CRITICAL

Resource = Mapping[str, Any]
Kind = Literal["early", "cancelled", "rejected", "unaccepted", "cycle"]
KINDS: tuple[Kind, ...] = ("cycle", "cancelled", "rejected", "early", "unaccepted")
"""The conflicts, the gravest first."""
TASKS = ("leveranse", "avhengighet", "nytteforutsetning")
ASKED = ("requested", "received", "accepted", "rejected", "in-progress", "on-hold", "completed")
"""States of a dependency that was asked for and not taken back."""
UNMET = ("requested", "received", "accepted", "in-progress", "on-hold")
_UNANSWERED = frozenset({"requested", "received"})
_STOPPED = frozenset({"stanset", "avslatt", "trukket"})
_MOST_CIRCLES = 1000
_GONE = frozenset({"cancelled", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Need:
    """A dependency, or a prerequisite that names an initiative. `initiative` waits; `deliveries` are what it waits for
    by name, `on` the initiative that it waits for as a whole ("" for none); `needed` by when."""

    task: Resource
    initiative: str
    deliveries: tuple[str, ...]
    on: str
    needed: date | None

    @property
    def unmet(self) -> bool:
        return elements.is_unmet(self.task) or elements.is_open(self.task)

    @property
    def critical(self) -> bool:
        return elements.code(elements.value(self.task.get("input"), "kritikalitet")) == CRITICAL


@dataclass(frozen=True, slots=True)
class Cell:
    """What one actor needs of another. `counterpart` is None for what names no known organisation."""

    waits: str
    counterpart: str | None
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One contradiction. `tasks` are the dependencies and deliveries in it, `initiatives` those that wait first;
    `days` between the dates, None where dates play no part; `certain` is False for what is only possible."""

    kind: Kind
    tasks: tuple[Resource, ...]
    initiatives: tuple[str, ...]
    days: int | None
    certain: bool
    said: Said


@dataclass(frozen=True, slots=True)
class Effect:
    """What a slip does to one Task: a dependency that is no longer met in time, or a delivery that comes later.
    `was` is its own date, `comes` the earliest day it then is there; `after` the Task that did it."""

    task: Resource
    initiative: str
    was: date
    comes: date
    after: str
    certain: bool
    said: Said


@cache
def table() -> Mapping[str, Said]:
    """dependencies.json."""
    found: Mapping[str, Said] = msgspec.json.decode(Path(__file__).with_name("dependencies.json").read_bytes())
    return found


@dataclass(frozen=True)
class Web:
    """The initiatives and Tasks (of TASKS) of a portfolio, by reference, with what they need of each other."""

    plans: Mapping[str, Resource]
    tasks: Mapping[str, Resource]
    words: Words

    @cached_property
    def needs(self) -> dict[str, Need]:
        """Every dependency that was asked for, and every prerequisite on another initiative, by reference."""
        found = {}
        for reference, task in self.tasks.items():
            kind, focus = elements.kind(task), task.get("focus", {}).get("reference", "")
            if (kind == "avhengighet" and task.get("status") in ASKED) or (kind == "nytteforutsetning" and focus):
                found[reference] = self._need(task, focus)
        return found

    def _need(self, task: Resource, focus: str) -> Need:
        deliveries = tuple(one for one in pointed(task) if one.startswith("Task/") and one in self.tasks)
        on = focus if focus.startswith("PlanDefinition/") and not deliveries else ""
        return Need(task, elements.based_on(task), deliveries, on, elements.last_day(elements.due(task)))

    @cached_property
    def _waiting(self) -> dict[str, list[Need]]:
        """What waits for a delivery, or for an initiative as a whole."""
        found: dict[str, list[Need]] = defaultdict(list)
        for need in self.needs.values():
            for reference in (*need.deliveries, *([need.on] if need.on else [])):
                found[reference].append(need)
        return found

    @cached_property
    def _deliveries(self) -> dict[str, list[Resource]]:
        """The deliveries that are still to come and have a date, by initiative."""
        found: dict[str, list[Resource]] = defaultdict(list)
        for task in self.tasks.values():
            if elements.kind(task) == "leveranse" and elements.is_open(task) and elements.due(task):
                found[elements.based_on(task)].append(task)
        return found

    # Who waits for whom

    def matrix(self, initiatives: Iterable[str]) -> list[Cell]:
        """By the actor that asked and each actor that is asked, of the dependencies of these initiatives. One that
        names several actors stands in several cells."""
        wanted = set(initiatives)
        cells: dict[tuple[str, str | None], list[Need]] = defaultdict(list)
        for need in self.needs.values():
            if need.initiative in wanted and elements.kind(need.task) == "avhengighet":
                waits = need.task.get("requester", {}).get("reference", "")
                for counterpart in counterparts(need.task) or (None,):
                    cells[waits, counterpart].append(need)
        return [Cell(*key, tuple(needs)) for key, needs in sorted(cells.items(), key=_by_weight)]

    # Conflicts

    def conflicts(self, initiatives: Iterable[str]) -> list[Conflict]:
        """Those that these initiatives are in, the gravest kind first; within a kind the critical, then the soonest."""
        wanted = set(initiatives)
        needs = [need for need in self.needs.values() if need.initiative in wanted]
        found = [*self._cycles(wanted), *(one for need in needs for one in self._contradictions(need))]
        return sorted(found, key=lambda one: (KINDS.index(one.kind), not one.certain, *self._urgency(one)))

    def _urgency(self, conflict: Conflict) -> tuple[bool, str]:
        need = self.needs.get(elements.reference_of(conflict.tasks[0])) if conflict.tasks else None
        return (not (need and need.critical), (elements.due(need.task) if need else "") or "9999")

    def _contradictions(self, need: Need) -> Iterator[Conflict]:
        if elements.kind(need.task) != "avhengighet":
            return
        if need.task.get("status") == "rejected":
            yield self._conflict("rejected", need)
        if not need.unmet:
            return
        if need.task.get("status") in _UNANSWERED:
            yield self._conflict("unaccepted", need, template="unaccepted-due" if need.needed else "unaccepted")
        for reference in need.deliveries:
            task = self.tasks[reference]
            if task.get("status") in _GONE:
                yield self._conflict("cancelled", need, task)
            elif (due := elements.last_day(elements.due(task))) and elements.is_open(task):
                yield from self._early(need, task, due)
        if need.on in self.plans:
            if elements.code(elements.context(self.plans[need.on], "livslop")) in _STOPPED:
                yield self._conflict("cancelled", need, on=self.plans[need.on])
            elif dated := [(elements.last_day(elements.due(one)), one) for one in self._deliveries.get(need.on, ())]:
                due, task = min(dated, key=lambda pair: (pair[0] or date.max, pair[1]["id"]))
                if due is not None:
                    yield from self._early(need, task, due, on=self.plans[need.on])

    def _early(self, need: Need, task: Resource, due: date, on: Resource | None = None) -> Iterator[Conflict]:
        if need.needed is not None and due > need.needed:
            yield self._conflict("early", need, task, on=on, comes=due, template="early-possible" if on else "early")

    def _conflict(
        self,
        kind: Kind,
        need: Need,
        task: Resource | None = None,
        *,
        on: Resource | None = None,
        comes: date | None = None,
        template: str = "",
    ) -> Conflict:
        said = self._said(template or kind, need, on or task, comes)
        other = elements.reference_of(on) if on else elements.based_on(task) if task else ""
        days = (comes - need.needed).days if comes and need.needed else None
        tasks = (need.task,) if task is None else (need.task, task)
        initiatives = tuple(filter(None, (need.initiative, other)))
        return Conflict(kind, tasks, initiatives, days, on is None or kind != "early", said)

    def _cycles(self, wanted: set[str]) -> Iterator[Conflict]:
        # A dense web has more circles than anyone reads; each of them is found from the one before in bounded time.
        for found in islice(nx.simple_cycles(self._graph), _MOST_CIRCLES):
            first = found.index(min(found, key=self.title))
            ring = tuple(found[first:] + found[:first])
            if wanted.isdisjoint(ring):
                continue
            names = " → ".join(self.title(one) for one in (*ring, ring[0]))
            edges = zip(ring, (*ring[1:], ring[0]), strict=True)
            tasks = tuple(self._graph.edges[edge]["need"].task for edge in edges)
            said: Said = {lang: table()["cycle"][lang].format(ring=names) for lang in LANGUAGES}
            yield Conflict("cycle", tasks, ring, None, True, said)

    @cached_property
    def _graph(self) -> Any:
        """initiative -> initiative that it still waits for; `need`: the first dependency that says so."""
        graph = nx.DiGraph()
        for reference in sorted(self.needs):
            need = self.needs[reference]
            if elements.kind(need.task) != "avhengighet" or not need.unmet:
                continue
            for on in (need.on, *(elements.based_on(self.tasks[one]) for one in need.deliveries)):
                if on and not graph.has_edge(need.initiative, on):
                    graph.add_edge(need.initiative, on, need=need)
        return graph

    # What breaks

    def impact(self, reference: str, days: int) -> list[Effect]:
        """What breaks when a delivery or dependency that has a date comes so many days later, each Task once, in the
        order in which one does it to the next. A need is no longer met in time when what it waits for comes after the
        day it is needed; an initiative that waits longer may have its deliveries of the time between later."""
        task = self.tasks[reference]
        was = elements.last_day(elements.due(task))
        assert was is not None
        effects: dict[str, Effect] = {}
        waiting = [(reference, was, was + timedelta(days=days), True)]
        while waiting:
            cause, old, new, certain = waiting.pop(0)
            for effect in self._effects(cause, old, new, certain):
                name = elements.reference_of(effect.task)
                known = effects.get(name)
                if name != reference and (known is None or effect.comes > known.comes):
                    effects[name] = effect
                    waiting.append((name, effect.was, effect.comes, effect.certain))
        return list(effects.values())

    def _effects(self, cause: str, old: date, new: date, certain: bool) -> Iterator[Effect]:
        task = self.tasks[cause]
        if elements.kind(task) != "leveranse":
            for one in self._deliveries.get(elements.based_on(task), ()):
                due = elements.last_day(elements.due(one))
                if due is not None and old <= due < new:
                    yield self._effect("hits", one, due, new, cause, certain=False)
            return
        for need in self._waiting.get(cause, ()):
            if need.unmet and need.needed is not None and new > need.needed:
                yield self._effect("breaks", need.task, need.needed, new, cause, certain=certain)
        for need in self._waiting.get(elements.based_on(task), ()):
            if need.unmet and need.needed is not None and old <= need.needed < new:
                yield self._effect("breaks-possible", need.task, need.needed, new, cause, certain=False)

    def _effect(self, template: str, task: Resource, was: date, comes: date, after: str, *, certain: bool) -> Effect:
        template = template if certain or template != "breaks" else "breaks-possible"
        need = Need(task, elements.based_on(task), (), "", was)
        return Effect(task, need.initiative, was, comes, after, certain, self._said(template, need, None, comes))

    def slip(self, task: Resource, was: date, comes: date) -> Said:
        """The slip itself, in words."""
        return self._said("slips", Need(task, elements.based_on(task), (), "", was), None, comes)

    # Words

    def title(self, initiative: str) -> str:
        """The name of an initiative; its reference for one that may not be seen."""
        return str(self.plans.get(initiative, {}).get("title", initiative))

    def _said(self, template: str, need: Need, on: Resource | None, comes: date | None) -> Said:
        needed = self.words.dated(need.needed.isoformat() if need.needed else None)
        arrives = self.words.dated(comes.isoformat() if comes else None)
        counterpart = need.task.get("owner", {}).get("display") or need.task.get("owner", {}).get("reference", "")
        parts: dict[str, Any] = {
            "who": self.title(need.initiative),
            "need": _name(need.task),
            "counterpart": counterpart,
        }
        parts |= {"on": _name(on or {}), "days": (comes - need.needed).days if comes and need.needed else 0}
        return {
            lang: table()[template][lang].format(**parts, needed=needed[lang], comes=arrives[lang])
            for lang in LANGUAGES
        }


def pointed(task: Resource) -> tuple[str, ...]:
    """What a dependency points to: its focus, and what it was delivered by."""
    named = [task.get("focus", {}), *elements.values(task.get("output"), "levert-av")]
    return tuple(dict.fromkeys(one["reference"] for one in named if "reference" in one))


def counterparts(task: Resource) -> tuple[str, ...]:
    """The organisations that a dependency names (search parameter `counterpart`)."""
    named = [task.get("owner", {}), *elements.values(task.get("input"), "motpart")]
    return tuple(dict.fromkeys(one["reference"] for one in named if "reference" in one))


def _by_weight(item: tuple[tuple[str, str | None], Sequence[Need]]) -> tuple[str, bool, int, str]:
    (waits, counterpart), needs = item
    return waits, counterpart is None, -len(needs), counterpart or ""


def _name(resource: Resource) -> str:
    named = resource.get("title") or resource.get("code", {}).get("text") or resource.get("description")
    return str(named or resource.get("owner", {}).get("display", "–"))
