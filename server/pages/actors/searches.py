"""What is counted of an actor, as searches in the API: a page counts what these find, and links to them."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.actors.contexts import Figure
from server.pages.asked import Pairs
from server.pages.standpoint import Place
from server.portfolio.dependencies import UNMET
from server.portfolio.gather import ACTIVE, OPEN, on
from server.search.urls import query_of


@dataclass(frozen=True)
class Searches:
    """Of the actor with this reference, from where the page stands."""

    place: Place
    as_of: Pairs
    actor: str

    def initiatives(self, count: int) -> Figure:
        """Its active initiatives."""
        return self._figure(count, "PlanDefinition", (("owner", self.actor), *ACTIVE))

    def deliveries(self, count: int) -> Figure:
        """What it is to deliver in active initiatives."""
        return self._tasks(count, "leveranse", OPEN, ("owner", self.actor))

    def overdue(self, count: int) -> Figure:
        """Of these, what is late: eb, since a deadline 2021 is not past before 2022."""
        late = ("due", f"eb{self.place.standpoint.day.isoformat()}")
        return self._tasks(count, "leveranse", OPEN, ("owner", self.actor), late)

    def owed(self, count: int) -> Figure:
        """What others wait for from it."""
        return self._tasks(count, "avhengighet", ("status", ",".join(UNMET)), ("counterpart", self.actor))

    def unanswered(self, count: int) -> Figure:
        """Of these, what it has not answered."""
        return self._tasks(count, "avhengighet", ("status", "requested,received"), ("counterpart", self.actor))

    def waiting(self, count: int) -> Figure:
        """What it waits for."""
        return self._tasks(count, "avhengighet", ("status", ",".join(UNMET)), ("requester", self.actor))

    def reports(self, round: str) -> str:
        """The status reports that a round asks of it."""
        house = self.place.reader.house
        group = ("group-identifier", f"{house.sid('runde')}|{round}")
        return self._url("Task", (house.task_code("statusrapport"), group, ("owner", self.actor)))

    def _tasks(self, count: int, kind: str, *pairs: tuple[str, str]) -> Figure:
        return self._figure(count, "Task", (self.place.reader.house.task_code(kind), *pairs, *on(ACTIVE)))

    def _figure(self, count: int, resource_type: str, pairs: Pairs) -> Figure:
        return Figure(count, self._url(resource_type, pairs))

    def _url(self, resource_type: str, pairs: Pairs) -> str:
        return self.place.reader.house.api(f"{resource_type}?{query_of((*pairs, *self.as_of))}")
