"""What the pages of the review show. `None` is "not stated", as in the contexts that all pages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from server.pages.contexts import Fault, Frame, Link, Round
from server.pages.evidence.contexts import Judged
from server.portfolio.codes import Coded

Mark = Literal["same", "changed", "new", "gone", "better", "worse", "reworded", "unstated"]
"""What became of a value since the last round: `reworded` is the same colour in another word, `unstated` that there is
none, then or now."""


@dataclass(frozen=True, slots=True)
class StateTally:
    """How many reports are in a state (of reports.STATES), and the page of those alone."""

    state: str
    count: int
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A report in the queue. `since` is the instant of its state. `changes` counts those since the last round, None
    without one; `remarks` its warnings, None where they are not this caller's to see."""

    number: str
    title: str
    lang: str
    url: str
    owner: str
    state: str
    since: str
    reason: str
    status: Coded | None
    status_mark: Mark
    risk: Coded | None
    risk_mark: Mark
    changes: int | None
    computed: Coded | None
    gap: int
    remarks: int | None


@dataclass(frozen=True, slots=True)
class QueuePage:
    """The reports of a round; `previous` is the round that they are compared with. `waiting` counts those that wait for
    the secretariat, `first_url` leads to the first of them. `decides`: it is the secretariat that looks."""

    frame: Frame
    round: Round
    previous: Round | None
    round_url: str
    evidence_url: str
    states: tuple[StateTally, ...]
    rows: tuple[QueueRow, ...]
    total: int
    shown: int
    waiting: int
    first_url: str
    done: Done | None
    decides: bool
    remarked: bool
    previous_url: str
    next_url: str
    same: str
    same_url: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One fact then and now; `kind` says how it is shown, `key` is that of its name among the texts."""

    key: str
    kind: Literal["light", "coded", "prose", "date"]
    before: Coded | str | None
    after: Coded | str | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Moved:
    """A delivery whose deadline was moved: `days` from the first plan to the present one."""

    name: str
    url: str
    first: str | None
    present: str | None
    moves: int
    days: int | None


@dataclass(frozen=True, slots=True)
class Remark:
    """A resource, and what should be looked at in it."""

    of: Link
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A version of the report: when, in which state (`moved`: into it), why, and by whom, "" where that is not shown to
    this caller."""

    instant: str
    state: str
    moved: bool
    reason: str
    who: str
    url: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The secretariat's forms. `version` is that of the report on the page; `reason` what was typed before."""

    action: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """What was decided last: of which report, and its state."""

    number: str
    title: str
    state: str


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """One report of a round beside the last one. `previous` is that round, `before` the round of the report compared
    with, "" for none. `remarks` is None where they are not this caller's to see. `typed`: a reason that can no longer
    be sent. `counted` is the day that the evidence counts from. `stale`: somebody else changed it meanwhile."""

    frame: Frame
    round: Round
    previous: Round | None
    before: str
    number: str
    title: str
    lang: str
    owner: str
    state: str
    since: str
    reason: str
    own: bool
    compared: tuple[Compared, ...]
    changes: tuple[Link, ...]
    moves: tuple[Moved, ...]
    judged: Judged | None
    counted: str
    remarks: tuple[Remark, ...] | None
    events: tuple[Event, ...]
    decision: Decision | None
    faults: tuple[Fault, ...]
    stale: bool
    typed: str
    done: Done | None
    waiting: int
    queue_url: str
    round_url: str
    initiative_url: str
    workbook_url: str
    earlier: Link | None
    later: Link | None
    api: tuple[tuple[str, str], ...]
