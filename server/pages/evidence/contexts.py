"""What the page of disagreements shows."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.contexts import Frame, Link, Option, Standpoint, Tally
from server.portfolio.codes import Coded


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the evidence has its colour: `level` is the one that this gives, `url` leads to what it was found in, and
    `resources` are each of them, with an empty label for one that has no name."""

    level: Coded | None
    said: str
    url: str
    resources: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Both colours of an initiative (`reference`, "PlanDefinition/7"). `gap`: how many levels the evidence is worse
    than what is stated, 0 where either is missing, negative where it is better."""

    reference: str
    title: str
    stated: Coded | None
    computed: Coded | None
    gap: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An initiative in the table; `review_url` leads to the review of its report, "" without a round."""

    number: str
    url: str
    review_url: str
    lang: str
    owner: str
    judged: Judged


@dataclass(frozen=True, slots=True)
class EvidencePage:
    """`judged` of `total` initiatives have both colours; `stated` and `computed` count all of them by colour.
    `disagreeing` are worse by the facts, `widely` of them by two levels, `better` the other way round."""

    frame: Frame
    standpoint: Standpoint
    rounds: tuple[Option, ...]
    action: str
    hidden: tuple[tuple[str, str], ...]
    every: bool
    rows: tuple[Row, ...]
    total: int
    judged: int
    disagreeing: int
    widely: int
    better: int
    stated: tuple[Tally, ...]
    computed: tuple[Tally, ...]
    rule: str
    version: str
    other_url: str
    previous_url: str
    next_url: str
    same: str
    same_url: str
