"""What the pages of rounds show. As in server/pages/contexts.py: frozen, complete; templates only lay out.

An API URL beside a number is the search that lists what was counted. Instants and days are FHIR's texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from server.pages.contexts import Fault, Frame, Option
from server.portfolio.codes import Coded


@dataclass(frozen=True, slots=True)
class Counted:
    """How many, and the search that lists them in the API."""

    count: int
    url: str


@dataclass(frozen=True, slots=True)
class EditionLink:
    """An edition of a round."""

    number: str
    url: str


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A round in the list. `asked` counts the reports that the caller may see, None when it sees none of them;
    `reported` those of them that are submitted."""

    number: str
    title: str
    url: str
    start: str | None
    end: str | None
    state: Literal["open", "closed", "draft", "cancelled"]
    asked: Counted | None
    reported: Counted
    editions: tuple[EditionLink, ...]
    resource_url: str


@dataclass(frozen=True, slots=True)
class Invited:
    """An initiative that an opening would ask; `already`: it was asked before."""

    number: str
    title: str
    owner: str
    already: bool


@dataclass(frozen=True, slots=True)
class OpeningForm:
    """What was typed. `questionnaire` is the canonical that reports are asked by, "" when the registry has none;
    `preview` what the opening would do, empty until it was asked for, and `search_url` what finds those initiatives."""

    action: str
    number: str
    title: str
    start: str
    end: str
    initiatives: str
    questionnaire: str
    faults: tuple[Fault, ...] = ()
    preview: tuple[Invited, ...] = ()
    search_url: str = ""


@dataclass(frozen=True, slots=True)
class RoundsPage:
    """All rounds, newest first. `partial`: of an open round the caller sees only its own reports, or none."""

    frame: Frame
    rounds: tuple[RoundRow, ...]
    partial: bool
    same_search: str
    same_search_url: str
    opening: OpeningForm | None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What was asked of one initiative. `late`: the deadline is past and nothing came, or it came after it;
    `submitted` an instant, None when it is not known; `actor` is the owner's reference; `reason` says why it was
    returned or left out, in the words stated; `review_url` is for the secretariat and the owner, else ""."""

    number: str
    title: str
    url: str
    owner: str
    actor: str
    own: bool
    state: str
    word: Coded | None
    colour: Coded | None
    submitted: str | None
    late: Literal["", "missing", "after"]
    reason: str
    review_url: str
    resource_url: str


@dataclass(frozen=True, slots=True)
class StateTally:
    """How many reports are in this state; `page_url` shows them alone."""

    code: str
    word: Coded | None
    counted: Counted
    page_url: str


@dataclass(frozen=True, slots=True)
class ActorTally:
    """How far one actor has come."""

    name: str
    asked: Counted
    reported: Counted


@dataclass(frozen=True, slots=True)
class Filter:
    """The form above the table: action, states and orders to choose from, and what else of the URL goes along."""

    action: str
    states: tuple[Option, ...]
    sorts: tuple[Option, ...]
    hidden: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Remarks:
    """Warnings on submitted reports, for the secretariat. `count` None: not counted yet, `count_url` does it."""

    count: int | None
    reports: int
    url: str
    count_url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A report that may be opened again: `name` of its control, `value` its reference."""

    name: str
    value: str
    number: str
    title: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class ClosingForm:
    """The close of a round as edition `number`: `missing` are those that have not reported, `seen` the instant at
    which that was so. `annex_url` shows what would be published."""

    action: str
    number: str
    edition_url: str
    annex_url: str
    title: str
    missing: tuple[ReportRow, ...]
    seen: str
    force: bool
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class AmendingForm:
    """The correction of a closed round: `amends` is the number of its newest edition."""

    action: str
    amends: str
    reason: str
    title: str
    choices: tuple[Choice, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundPage:
    """One round. `day` is the one that "late" counts from; `own` are the caller's reports, `rows` the others' on this
    page of the table, of `matching` in all; `total` and the counts are of all that the caller may see; `faults` are
    those of the form that came back, also when it stands on the page no more."""

    frame: Frame
    number: str
    title: str
    start: str | None
    end: str | None
    state: Literal["open", "closed", "draft", "cancelled"]
    day: str
    partial: bool
    questionnaire: str
    editions: tuple[EditionLink, ...]
    amending: EditionLink | None
    total: Counted
    reported: Counted
    missing: Counted
    late: Counted
    states: tuple[StateTally, ...]
    actors: tuple[ActorTally, ...]
    filter: Filter
    own: tuple[ReportRow, ...]
    rows: tuple[ReportRow, ...]
    matching: int
    sort_key: str
    previous_url: str
    next_url: str
    same_search: str
    same_search_url: str
    resource_url: str
    review_url: str
    workbook_url: str
    figures_url: str
    evidence_url: str
    remarks: Remarks | None
    more: OpeningForm | None
    closing: ClosingForm | None
    correcting: AmendingForm | None
    faults: tuple[Fault, ...]
