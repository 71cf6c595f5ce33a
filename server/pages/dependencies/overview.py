"""The page of all dependencies: a matrix of actors, the conflicts of their plans, and the list behind both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from server.limits import take_turn
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Clash, Need, Option, Select
from server.pages.dependencies.contexts import Chosen, Clashes, DependenciesPage, NeedList, Number, Unknown
from server.pages.dependencies.matrix import Counting, chosen
from server.pages.dependencies.selection import CONFLICTS, NOBODY, PATH, Fact, Searches, Selection
from server.pages.directory import Directory, directory
from server.pages.needs import Needs, by_urgency
from server.pages.responsibilities import Responsibilities
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.analyses import needs_of
from server.portfolio.dependencies import KINDS, Conflict, Web
from server.portfolio.gather import View

AT_ONCE = 100
"""Rows of the list on one page."""
SHOWN = 25
"""Conflicts of a kind that are said on the page; the list has all."""
_FILTERS = ("waits", "counterpart", "criticality", "conflict")


async def dependencies(place: Place, asked: Asked) -> DependenciesPage:
    """FhirError value (400) for a filter that is none, not-supported (400) for an unknown one."""
    asked.only(*_FILTERS, "page")
    reader = place.reader
    known = await directory(reader, asked)
    selection = _selection(known, asked)
    await take_turn(reader.caller)
    web = await needs_of(View(reader.house.engine, reader.caller, reader.instant))
    return Overview(place, asked, known, web).page(selection, asked.whole("page", 1, 100_000))


def _selection(known: Directory, asked: Asked) -> Selection:
    counterpart = NOBODY if asked.one("counterpart") == NOBODY else known.chosen("counterpart")
    codes = [one.code for one in known.house.codes.options("criticality", asked.lang)]
    for name, choices in (("criticality", codes), ("conflict", CONFLICTS)):
        text = asked.one(name)
        if text is not None and text not in choices:
            raise FhirError("value", f"{name}={text}: ventet / expected {', '.join(choices)}.", expression=name)
    return Selection(
        known.chosen("waits") or "", counterpart or "", asked.one("criticality") or "", asked.one("conflict") or ""
    )


@dataclass(frozen=True)
class Overview:
    """The page over a web of dependencies."""

    place: Place
    asked: Asked
    directory: Directory
    web: Web

    @cached_property
    def conflicts(self) -> list[Conflict]:
        """Those that the active initiatives are in, the gravest first."""
        return self.web.conflicts(self._active)

    @cached_property
    def _active(self) -> set[str]:
        return {reference for reference, plan in self.web.plans.items() if plan.get("status") == "active"}

    @cached_property
    def counting(self) -> Counting:
        """Their dependencies that are open or in conflict, by urgency."""
        within: dict[str, list[Conflict]] = defaultdict(list)
        for one in self.conflicts:
            for task in one.tasks:
                within[elements.reference_of(task)].append(one)
        facts = [
            Fact.of(need, within.get(reference, ()))
            for reference, need in self.web.needs.items()
            if elements.kind(need.task) == "avhengighet" and need.initiative in self._active
        ]
        held = [one for one in facts if one.open or one.conflicts]
        return Counting(sorted(held, key=lambda one: by_urgency(one.need.task)), Searches(self.directory))

    @cached_property
    def _rows(self) -> Needs:
        # The initiatives and deliveries that are waited for are found among both.
        return Needs(Responsibilities(self.place, self.asked, {**self.web.plans, **self.web.tasks}), self.directory)

    def page(self, selection: Selection, number: int) -> DependenciesPage:
        """The page with this part of the list."""
        house, whole = self.directory.house, self.counting.cell(Selection(), self.counting.facts)
        nobody = Selection(counterpart=NOBODY)
        return DependenciesPage(
            frame=self.asked.frame(f"{house.engine.base}/metadata", self.place.reader.instant, self.place.round_value),
            standpoint=self.place.standpoint,
            open=whole.open,
            critical=whole.critical,
            clashing=whole.clashing,
            unanswered=self._number(Selection(conflict="unaccepted")),
            matrix=self.counting.matrix(),
            clashes=tuple(self._clashes()),
            unknown=tuple(self._unknown(chosen(nobody, self.counting.facts)[:AT_ONCE])),
            unknown_number=self._number(nobody),
            chosen=self._chosen(selection),
            list=self._list(selection, number),
            operation_url=house.api("PlanDefinition/$dependencies", self.asked.as_of),
        )

    def _number(self, selection: Selection) -> Number:
        return self.counting.searches.number(selection, chosen(selection, self.counting.facts))

    def clash(self, conflict: Conflict) -> Clash:
        """A conflict in the page's language."""
        initiatives = tuple(self._rows.initiative(one) for one in conflict.initiatives)
        return Clash(conflict.kind, conflict.certain, conflict.said[self.asked.lang], initiatives)

    def _need(self, fact: Fact) -> Need:
        return self._rows.need(fact.need.task, [self.clash(one) for one in fact.conflicts])

    def _clashes(self) -> Iterable[Clashes]:
        for kind in KINDS:
            found = [one for one in self.conflicts if one.kind == kind]
            number = self._number(Selection(conflict=kind))
            yield Clashes(kind, len(found), tuple(self.clash(one) for one in found[:SHOWN]), number)

    def _unknown(self, facts: Iterable[Fact]) -> Iterable[Unknown]:
        """What names no known actor, by what it names, the most often named first."""
        named: dict[str, list[Fact]] = defaultdict(list)
        for one in facts:
            named[one.need.task.get("owner", {}).get("display", "")].append(one)
        for text, all in sorted(named.items(), key=lambda pair: (-len(pair[1]), pair[0].casefold())):
            yield Unknown(text, tuple(self._need(one) for one in all))

    def _list(self, selection: Selection, number: int) -> NeedList:
        found, start = chosen(selection, self.counting.facts), (number - 1) * AT_ONCE
        url = self.counting.searches.api(selection, found)
        return NeedList(
            needs=tuple(self._need(one) for one in found[start : start + AT_ONCE]),
            first=start + 1,
            total=len(found),
            previous_url=f"{self.asked.changed(page=str(number - 1))}#list" if number > 1 else "",
            next_url=f"{self.asked.changed(page=str(number + 1))}#list" if start + AT_ONCE < len(found) else "",
            search=url.removeprefix(f"{self.directory.house.engine.base}/"),
            search_url=url,
        )

    # The filters

    def _chosen(self, selection: Selection) -> Chosen:
        asked = self.asked
        waits = {one.waits for one in self.counting.facts}
        named = {each for one in self.counting.facts for each in one.counterparts}
        return Chosen(
            action=asked.url(pairs=()),
            hidden=asked.lasting,
            selects=(
                Select("waits", "waits", "needs.waits", self._actors(waits, selection.waits)),
                Select("counterpart", "counterpart", "needs.counterpart", (
                    *self._actors(named, selection.counterpart),
                    Option(NOBODY, "needs.nobody", selection.counterpart == NOBODY, asked.lang),
                )),
                Select("criticality", "criticality", "criticality", tuple(
                    Option(one.code, one.display, one.code == selection.criticality, one.lang)
                    for one in self.directory.house.codes.options("criticality", asked.lang)
                )),
                Select("conflict", "conflict", "needs.conflict", tuple(
                    Option(one, f"clash.{one}", one == selection.conflict, asked.lang) for one in CONFLICTS
                )),
            ),
            clear_url=asked.other(PATH) if selection != Selection() else "",
        )  # fmt: skip

    def _actors(self, references: Iterable[str], chosen: str) -> tuple[Option, ...]:
        offered = {*references, chosen}
        actors = (self.directory.actor(one) for one in self.directory.organizations if one in offered)
        return tuple(Option(one.key, one.name, one.reference == chosen, "nb") for one in actors)
