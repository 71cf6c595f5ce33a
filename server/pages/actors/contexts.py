"""What the pages of actors show: one frozen dataclass per page, complete, so that templates only lay out."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.contexts import Actor, Delivery, Frame, Initiative, Need, Standpoint
from server.portfolio.codes import Coded


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and the search behind it in the API."""

    count: int
    url: str


@dataclass(frozen=True, slots=True)
class ActorRow:
    """An actor among all: its active initiatives, its open deliveries and those overdue, the open dependencies that
    others have on it, and those that it has on others."""

    actor: Actor
    kind: Coded | None
    initiatives: Figure
    deliveries: Figure
    overdue: Figure
    owed: Figure
    waiting: Figure


@dataclass(frozen=True, slots=True)
class ActorsPage:
    """All actors by name: those that have a part in the portfolio, and those that have none."""

    frame: Frame
    standpoint: Standpoint
    rows: tuple[ActorRow, ...]
    idle: tuple[Actor, ...]
    api_url: str


@dataclass(frozen=True, slots=True)
class Owned:
    """An initiative of the actor."""

    initiative: Initiative
    number: str
    segment: Coded | None
    phase: Coded | None
    lifecycle: Coded | None
    end: str | None
    url: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A round that is open, and what it asks of the actor: its initiatives, each with how far the report has come (None
    where the caller may not see it, or it is not asked for). `known`: the caller sees the reports themselves."""

    title: str
    due: str | None
    overdue: bool
    known: bool
    page_url: str
    initiatives: tuple[tuple[Initiative, Coded | None], ...]
    url: str


@dataclass(frozen=True, slots=True)
class Promised:
    """A delivery that the actor is to make. `moves` is how often its date was moved, from `first`, by `days` in all."""

    own: Delivery
    initiative: Initiative
    first: str | None
    moves: int
    days: int | None


@dataclass(frozen=True, slots=True)
class ActorPage:
    """All that an actor owes and is owed. `late` and `coming` are the first of the open deliveries, those overdue and
    the others; the figures count all. `feed_url` is the calendar, `webcal_url` the same for a calendar program."""

    frame: Frame
    standpoint: Standpoint
    actor: Actor
    kind: Coded | None
    active: bool
    numbers: tuple[str, ...]
    parent: Actor | None
    below: tuple[Actor, ...]
    initiatives: tuple[Owned, ...]
    initiatives_figure: Figure
    rounds: tuple[Asked, ...]
    late: tuple[Promised, ...]
    coming: tuple[Promised, ...]
    deliveries: Figure
    overdue: Figure
    owed: tuple[Need, ...]
    owed_figure: Figure
    unanswered: Figure
    waiting: tuple[Need, ...]
    waiting_figure: Figure
    feed_url: str
    webcal_url: str
    url: str
