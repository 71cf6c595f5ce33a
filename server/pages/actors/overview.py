"""The page of all actors: what each owns, owes and waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from server.limits import take_turn
from server.pages.actors.contexts import ActorRow, ActorsPage
from server.pages.actors.searches import Searches
from server.pages.asked import Asked
from server.pages.directory import Directory, directory
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.analyses import needs_of
from server.portfolio.dependencies import Web, counterparts
from server.portfolio.gather import View

PATH = "/aktorer"


async def actors(place: Place, asked: Asked) -> ActorsPage:
    """FhirError not-supported (400) for an unknown parameter."""
    asked.only()
    reader = place.reader
    known = await directory(reader, asked)
    await take_turn(reader.caller)
    web = await needs_of(View(reader.house.engine, reader.caller, reader.instant))
    return Overview(place, asked, known, web).page()


@dataclass(frozen=True)
class Overview:
    """The page over all initiatives, open deliveries and dependencies."""

    place: Place
    asked: Asked
    directory: Directory
    web: Web

    @cached_property
    def counts(self) -> Counter[tuple[str, str]]:
        """By what is counted and the actor's reference."""
        return Counter(self._counted())

    def _counted(self) -> Iterator[tuple[str, str]]:
        active = {reference for reference, plan in self.web.plans.items() if plan.get("status") == "active"}
        for reference in active:
            yield "initiatives", elements.owner(self.web.plans[reference]).get("reference", "")
        for task in self.web.tasks.values():
            if elements.based_on(task) not in active:
                continue
            if elements.kind(task) == "leveranse" and elements.is_open(task):
                owner = task.get("owner", {}).get("reference", "")
                yield "deliveries", owner
                if self.place.overdue(task):
                    yield "overdue", owner
            elif elements.kind(task) == "avhengighet" and elements.is_unmet(task):
                yield "waiting", task.get("requester", {}).get("reference", "")
                yield from (("owed", one) for one in counterparts(task))

    def page(self) -> ActorsPage:
        """Everyone by name, those without a part in it apart."""
        house = self.directory.house
        engaged = {reference for _, reference in self.counts}
        references = self.directory.organizations
        return ActorsPage(
            frame=self.asked.frame(f"{house.engine.base}/metadata", self.place.reader.instant, self.place.round_value),
            standpoint=self.place.standpoint,
            rows=tuple(self._row(one) for one in references if one in engaged),
            idle=tuple(self.directory.actor(one) for one in references if one not in engaged),
            api_url=house.api("Organization", (("_sort", "name"), ("_count", "500"), *self.asked.as_of)),
        )

    def _row(self, reference: str) -> ActorRow:
        searches = Searches(self.place, self.asked.as_of, reference)
        types = self.directory.organizations[reference].get("type", ())
        return ActorRow(
            actor=self.directory.actor(reference),
            kind=self.directory.house.codes.coded(next(iter(types), None), self.asked.lang),
            initiatives=searches.initiatives(self.counts["initiatives", reference]),
            deliveries=searches.deliveries(self.counts["deliveries", reference]),
            overdue=searches.overdue(self.counts["overdue", reference]),
            owed=searches.owed(self.counts["owed", reference]),
            waiting=searches.waiting(self.counts["waiting", reference]),
        )
