"""The page of one actor: what it owes, what is owed to it, what is late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from server.outcome import FhirError
from server.pages.actors.contexts import ActorPage, Owned, Promised
from server.pages.actors.contexts import Asked as AskedOf
from server.pages.actors.holding import Holding, holding
from server.pages.actors.searches import Searches
from server.pages.asked import Asked
from server.pages.contexts import Actor, Need
from server.pages.directory import Directory, directory, key_of
from server.pages.needs import Needs
from server.pages.responsibilities import Responsibilities
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.codes import Coded
from server.portfolio.difference import planned
from server.portfolio.gather import View, histories

Resource = dict[str, Any]

SHOWN = 50
"""Deliveries that are listed, of the late ones and of the coming ones; the search behind their number has all. The
history of each is asked for."""


async def actor(place: Place, asked: Asked, key: str) -> ActorPage:
    """FhirError not-found (404) for an actor that this caller does not see."""
    asked.only()
    reader = place.reader
    known = await directory(reader, asked)
    found = needed(known, key)
    seen = View(reader.house.engine, reader.caller, reader.instant)
    held = await holding(seen, elements.reference_of(found))
    shown = [*_late(place, held)[:SHOWN], *_coming(place, held)[:SHOWN]]
    versions: dict[str, list[Resource]] = {}
    for start in range(0, len(shown), SHOWN):
        versions |= await histories(seen, shown[start : start + SHOWN])
    return Page(place, asked, known, found, held, versions).page()


def needed(known: Directory, key: str) -> Resource:
    """FhirError not-found (404)."""
    found = known.find(key)
    if found is None:
        raise FhirError("not-found", f"Aktøren {key[:64]} finnes ikke her / There is no such actor here.")
    return dict(found)


def feed_path(key: str) -> str:
    """Of an actor's calendar."""
    return f"/aktorer/{key}/kalender.ics"


def _late(place: Place, held: Holding) -> list[Resource]:
    return [task for task in held.deliveries if place.overdue(task)]


def _coming(place: Place, held: Holding) -> list[Resource]:
    return [task for task in held.deliveries if not place.overdue(task)]


@dataclass(frozen=True)
class Page:
    """`versions` are those of the deliveries shown, oldest first."""

    place: Place
    asked: Asked
    directory: Directory
    organization: Resource
    held: Holding
    versions: dict[str, list[Resource]]

    @cached_property
    def _needs(self) -> Needs:
        return Needs(Responsibilities(self.place, self.asked, self.held.known), self.directory)

    @property
    def _reference(self) -> str:
        return elements.reference_of(self.organization)

    def page(self) -> ActorPage:
        """All of it."""
        house, held, one = self.directory.house, self.held, self.organization
        searches = Searches(self.place, self.asked.as_of, self._reference)
        late, coming = _late(self.place, held), _coming(self.place, held)
        unanswered = [task for task in held.owed if task["status"] in ("requested", "received")]
        path = self.asked.url(feed_path(key_of(one, house)), [("lang", self.asked.lang)])
        parent = one.get("partOf", {})
        return ActorPage(
            frame=self.asked.frame(f"{house.engine.base}/metadata", self.place.reader.instant, self.place.round_value),
            standpoint=self.place.standpoint,
            actor=self.directory.actor(self._reference),
            kind=self._coded(next(iter(one.get("type", ())), None)),
            active=one.get("active", True),
            numbers=tuple(each["value"] for each in one.get("identifier", ()) if "value" in each),
            parent=self._other(parent) if parent else None,
            below=tuple(self.directory.below(self._reference)),
            initiatives=tuple(self._owned(plan) for plan in held.owned),
            initiatives_figure=searches.initiatives(len(held.owned)),
            rounds=tuple(self._round(task, searches) for task in held.rounds if held.owned),
            late=tuple(self._promised(task) for task in late[:SHOWN]),
            coming=tuple(self._promised(task) for task in coming[:SHOWN]),
            deliveries=searches.deliveries(len(held.deliveries)),
            overdue=searches.overdue(len(late)),
            owed=self._all(held.owed),
            owed_figure=searches.owed(len(held.owed)),
            unanswered=searches.unanswered(len(unanswered)),
            waiting=self._all(held.waiting),
            waiting_figure=searches.waiting(len(held.waiting)),
            feed_url=f"{house.origin}{path}",
            webcal_url=f"webcal://{house.origin.partition('://')[2]}{path}",
            url=house.api(self._reference, self.asked.as_of),
        )

    def _all(self, tasks: Sequence[Resource]) -> tuple[Need, ...]:
        return tuple(self._needs.need(task) for task in tasks)

    def _other(self, reference: Resource) -> Actor:
        return self.directory.actor(reference.get("reference", ""), reference.get("display", ""))

    def _coded(self, concept: Resource | None) -> Coded | None:
        return self.directory.house.codes.coded(concept, self.asked.lang)

    def _owned(self, plan: Resource) -> Owned:
        return Owned(
            initiative=self._needs.initiative(elements.reference_of(plan)),
            number=elements.number(plan, self.directory.house.sid("tiltaksnummer")),
            segment=self._coded(dict(elements.context(plan, "segment") or {})),
            phase=self._coded(dict(elements.context(plan, "fase") or {})),
            lifecycle=self._coded(dict(elements.context(plan, "livslop") or {})),
            end=plan.get("effectivePeriod", {}).get("end"),
            url=self._needs.read.api(plan),
        )

    def _round(self, task: Resource, searches: Searches) -> AskedOf:
        """With the reports that the caller sees, else with the active initiatives, which anyone knows of."""
        reports = self.held.reports_of(task)
        due = elements.last_day(elements.due(task))
        asked_of = [(elements.based_on(one), self._coded(one.get("businessStatus"))) for one in reports]
        if not reports:
            asked_of = [(elements.reference_of(plan), None) for plan in self.held.owned]
        number = elements.number(task, self.directory.house.sid("runde"))
        return AskedOf(
            title=task.get("code", {}).get("text") or number,
            due=elements.due(task),
            overdue=due is not None and due < self.place.standpoint.day,
            known=bool(reports),
            initiatives=tuple((self._needs.initiative(one), state) for one, state in asked_of),
            page_url=self.asked.other(f"/runder/{number}"),
            url=searches.reports(number),
        )

    def _promised(self, task: Resource) -> Promised:
        dates = planned(self.versions.get(elements.reference_of(task), [task]))
        return Promised(
            own=self._needs.read.delivery(task, self._reference),
            initiative=self._needs.initiative(elements.based_on(task)),
            first=dates.first,
            moves=dates.moves,
            days=dates.days,
        )
