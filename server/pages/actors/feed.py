"""Which deadlines an actor's calendar holds, in words. Anyone may subscribe: it holds what that caller may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from server.pages.actors.actor import feed_path, needed
from server.pages.actors.calendar import Deadline, Feed
from server.pages.actors.holding import Holding, holding
from server.pages.asked import Asked
from server.pages.contexts import Standpoint
from server.pages.directory import Directory, directory
from server.pages.house import Reader
from server.pages.needs import Needs
from server.pages.render import Words
from server.pages.responsibilities import Responsibilities
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.gather import View

Resource = dict[str, Any]


async def feed(reader: Reader, asked: Asked, key: str) -> Feed:
    """FhirError not-found (404) for an actor that the caller does not see."""
    known = await directory(reader, asked)
    organization = needed(known, key)
    seen = View(reader.house.engine, reader.caller, reader.instant)
    held = await holding(seen, elements.reference_of(organization))
    today = reader.house.today()
    place = Place(reader, (), Standpoint(today, "today"), today)
    return Deadlines(place, asked, known, organization, held).feed()


@dataclass(frozen=True)
class Deadlines:
    """The deadlines of one actor, in the language asked for."""

    place: Place
    asked: Asked
    directory: Directory
    organization: Resource
    held: Holding

    @property
    def words(self) -> Words:
        return Words(self.asked.lang, self.directory.house.engine.parser.zone)

    def feed(self) -> Feed:
        """All of them."""
        house = self.directory.house
        actor = self.directory.actor(elements.reference_of(self.organization))
        return Feed(
            name=self.words.text("feed.name", actor=actor.name),
            description=self.words.text("feed.description", actor=actor.name),
            url=f"{house.origin}{actor.url}",
            source=f"{house.origin}{self.asked.url(feed_path(actor.key), [('lang', self.asked.lang)])}",
            language=self.asked.lang,
            deadlines=tuple(self._all()),
            zone=str(house.engine.parser.zone),
        )

    def _all(self) -> Iterator[Deadline]:
        if self.held.owned:
            for task in self.held.rounds:
                yield from self._round(task)
        for task in self.held.deliveries:
            yield from self._dated("delivery", task, task.get("code", {}).get("text", ""))
        for kind, tasks in (("owed", self.held.owed), ("waiting", self.held.waiting)):
            for task in tasks:
                yield from self._dated(
                    kind, task, task.get("description") or task.get("reasonCode", {}).get("text", "")
                )

    def _round(self, task: Resource) -> Iterator[Deadline]:
        """The deadline of a round: how far the reports have come only for those who may know."""
        day = elements.last_day(elements.due(task))
        if day is None:
            return
        reports = self.held.reports_of(task)
        lines = [self._reported(report) for report in reports] or [str(plan.get("title")) for plan in self.held.owned]
        said = self.words.text("feed.round.asked" if reports else "feed.round.public")
        changed = max(_changed(one) for one in (task, *reports))
        yield Deadline(
            id=self._id("runde", task, self.organization["id"]),
            day=day,
            summary=self.words.text("feed.round", round=task.get("code", {}).get("text", "")),
            description="\n".join([said, *(f"- {line}" for line in lines)]),
            category=self.words.text("feed.category.round"),
            url=f"{self.directory.house.origin}{self._page}",
            sure=True,
            version=_version(task),
            changed=changed,
        )

    def _reported(self, report: Resource) -> str:
        title = str(self.held.initiative(report).get("title", ""))
        state = self.directory.house.codes.coded(report.get("businessStatus"), self.asked.lang)
        return f"{title}: {state.display}" if state else title

    def _dated(self, kind: str, task: Resource, name: str) -> Iterator[Deadline]:
        due = elements.due(task)
        day = elements.last_day(due)
        if due is None or day is None:
            return
        waits = self._needs.need(task)
        initiative = waits.initiative
        named = waits.own.counterpart
        lines = [
            self.words.text("feed.initiative", title=initiative.title),
            self.words.text("feed.asker", actor=waits.waits.name) if kind == "owed" else "",
            self.words.text("feed.counterpart", actor=named) if kind == "waiting" else "",
            self.words.text("feed.criticality", word=waits.own.criticality.display) if waits.own.criticality else "",
            self.words.text("feed.state", state=self._state(task)),
            # An event has a day; what was stated is less than that.
            self.words.text("feed.stated", text=self.words.day(due)) if len(due) < len("2021-01-01") else "",
        ]
        other = waits.waits.name if kind == "owed" else named
        yield Deadline(
            id=self._id(kind, task),
            day=day,
            summary=self.words.text(f"feed.{kind}", name=name or named, initiative=initiative.title, actor=other),
            description="\n".join(line for line in lines if line),
            category=self.words.text(f"feed.category.{kind}"),
            url=f"{self.directory.house.origin}{initiative.url or self._page}",
            sure=kind == "delivery" or task["status"] not in ("requested", "received"),
            version=_version(task),
            changed=_changed(task),
        )

    def _state(self, task: Resource) -> str:
        coded = self.directory.house.codes.coded(task.get("businessStatus"), self.asked.lang)
        words = [self.words.text(f"task.{task['status']}"), *([coded.display] if coded else [])]
        return ", ".join(dict.fromkeys(words))

    @property
    def _needs(self) -> Needs:
        return Needs(Responsibilities(self.place, self.asked, self.held.known), self.directory)

    @property
    def _page(self) -> str:
        return self.directory.actor(elements.reference_of(self.organization)).url

    def _id(self, kind: str, task: Resource, *more: str) -> str:
        """Of the registry's name for itself, so that it outlives a change of host."""
        host = urlsplit(self.directory.house.codes.base).hostname or "registry"
        return f"{'-'.join((kind, task['id'], *more))}@{host}"


def _version(task: Resource) -> int:
    """Grows with every change, and so with every move of a date."""
    return int(task["meta"]["versionId"]) - 1


def _changed(task: Resource) -> datetime:
    return datetime.fromisoformat(task["meta"]["lastUpdated"]).replace(microsecond=0)
