"""Which dependencies a number of the page counts, as a list of the page and as a search in the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.pages.asked import Pairs
from server.pages.dependencies.contexts import Number
from server.pages.directory import Directory
from server.portfolio import elements
from server.portfolio.dependencies import KINDS, UNMET, Conflict, counterparts
from server.portfolio.dependencies import Need as Wait
from server.portfolio.gather import ACTIVE, on
from server.search.urls import query_of

PATH = "/avhengigheter"
NOBODY = "none"
"""As counterpart: no known actor is named."""
CLASH = "any"
"""As conflict: every kind but the lack of an answer, which in a young portfolio is nearly everything."""
CONFLICTS = (CLASH, *KINDS)
_MOST_IDS = 150


@dataclass(frozen=True, slots=True)
class Fact:
    """What is asked of a dependency again and again: references of who waits and for whom (NOBODY where no known actor
    is named), the code of its criticality, whether it is open, and its conflicts."""

    need: Wait
    waits: str
    counterparts: tuple[str, ...]
    criticality: str
    open: bool
    conflicts: tuple[Conflict, ...]
    kinds: frozenset[str]

    @classmethod
    def of(cls, need: Wait, conflicts: Iterable[Conflict]) -> Fact:
        """Of a dependency and the conflicts that it is in."""
        task, found = need.task, tuple(conflicts)
        return cls(
            need,
            task.get("requester", {}).get("reference", ""),
            counterparts(task) or (NOBODY,),
            elements.code(elements.value(task.get("input"), "kritikalitet")),
            elements.is_unmet(task),
            found,
            frozenset(one.kind for one in found),
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """The filters, "" for all: references of actors (or NOBODY), a code of nep-criticality, one of CONFLICTS."""

    waits: str = ""
    counterpart: str = ""
    criticality: str = ""
    conflict: str = ""

    def holds(self, fact: Fact) -> bool:
        """Whether a dependency is one of these: an open one or, where a conflict is asked for, any that is in it."""
        return (
            self._is_in(fact)
            and self.waits in ("", fact.waits)
            and (not self.counterpart or self.counterpart in fact.counterparts)
            and self.criticality in ("", fact.criticality)
        )

    def _is_in(self, fact: Fact) -> bool:
        if not self.conflict:
            return fact.open
        return bool(fact.kinds - {"unaccepted"}) if self.conflict == CLASH else self.conflict in fact.kinds


@dataclass(frozen=True)
class Searches:
    """URLs of selections, in the page's language and at its instant."""

    directory: Directory

    def number(self, selection: Selection, facts: Sequence[Fact]) -> Number:
        """How many these are, which the selection has chosen."""
        return Number(len(facts), self.list(selection), self.api(selection, facts))

    def list(self, selection: Selection) -> str:
        """The list of the page."""
        return f"{self.directory.asked.other(PATH, *self._filters(selection))}#list"

    def api(self, selection: Selection, facts: Sequence[Fact]) -> str:
        """The search in the API. What is in conflict no search finds: it names them, or where they are too many leads
        to the operation that found them."""
        house = self.directory.house
        if selection.conflict and len(facts) > _MOST_IDS:
            return house.api("PlanDefinition/$dependencies", self.directory.asked.as_of)
        return f"{house.engine.base}/{self.query(selection, facts)}"

    def query(self, selection: Selection, facts: Sequence[Fact]) -> str:
        """The same, relative to the base, without the operation."""
        if selection.conflict:
            # No id is empty, and "*" is no legal one: nothing is found where there is nothing.
            pairs: Pairs = (("_id", ",".join(sorted(one.need.task["id"] for one in facts)) or "*"),)
        else:
            pairs = self._open(selection)
        return f"Task?{query_of((*pairs, *self.directory.asked.as_of))}"

    def _open(self, selection: Selection) -> Pairs:
        house = self.directory.house
        pairs = [house.task_code("avhengighet"), ("status", ",".join(UNMET)), *on(ACTIVE)]
        if selection.waits:
            pairs.append(("requester", selection.waits))
        if selection.counterpart:
            nobody = selection.counterpart == NOBODY
            pairs.append(("counterpart:missing", "true") if nobody else ("counterpart", selection.counterpart))
        if selection.criticality:
            pairs.append(("criticality", f"{house.codes.system('criticality')}|{selection.criticality}"))
        return tuple(pairs)

    def _filters(self, selection: Selection) -> Pairs:
        actors = ((name, getattr(selection, name)) for name in ("waits", "counterpart"))
        named = [
            (name, NOBODY if one == NOBODY else self.directory.actor(one).key or one) for name, one in actors if one
        ]
        codes = (("criticality", selection.criticality), ("conflict", selection.conflict))
        return (*named, *(pair for pair in codes if pair[1]))
