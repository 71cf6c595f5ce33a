"""What each page shows: one frozen dataclass per page, complete, so that templates only lay out.

Words of codes are in the page's language; days are FHIR's date texts ("2021-12-31", "2021"), amounts MNOK.
None (or an empty tuple) is "not stated", never nought.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from server.access import Role
from server.portfolio.codes import Coded, Lang


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the page can be had in; `name` in that language."""

    code: Lang
    name: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Area:
    """A main part of the site: `key` is that of its name among the texts; `current`: the page is in it."""

    key: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds every page. `as_of` is the instant asked for, None for the present, which `present_url`
    leads to; `instant` that of the data shown, which `lasting_url` will show again; both "" on errors."""

    lang: Lang
    languages: tuple[Language, ...]
    areas: tuple[Area, ...]
    root: str
    home_url: str
    api_url: str
    instant: str = ""
    lasting_url: str = ""
    as_of: str | None = None
    present_url: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """A reporting round; `value` is its identifier (2021-11)."""

    value: str
    title: str
    end: date | None
    closed: bool


@dataclass(frozen=True, slots=True)
class Standpoint:
    """The day by which "late" is counted, and why that day: the shown round's end, _asOf, or today (decision 13)."""

    day: date
    basis: Literal["round", "as-of", "today"]
    round: Round | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a select; `lang` is that of its label."""

    value: str
    label: str
    selected: bool
    lang: Lang


@dataclass(frozen=True, slots=True)
class Select:
    """A filter: `name` is the search parameter, `id` the control's, `key` that of its label among the texts."""

    name: str
    id: str
    key: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the page without it. `key` is the label's, "" for a parameter shown by its `name`."""

    key: str
    name: str
    label: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class Form:
    """The filters. `hidden` are the parameters of the URL that no control shows."""

    action: str
    selects: tuple[Select, ...]
    rounds: tuple[Option, ...]
    sorts: tuple[Option, ...]
    title: str
    overdue: bool
    hidden: tuple[tuple[str, str], ...]
    chips: tuple[Chip, ...]
    clear_url: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Deliveries of an initiative: `planned` leaves the cancelled ones out, which `cancelled` counts."""

    done: int
    planned: int
    cancelled: int
    overdue: int
    next_due: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """An initiative in the table. `reported` is the round of the status, `earlier` that it is not the shown one."""

    number: str
    title: str
    lang: str
    url: str
    segment: Coded | None
    owner: str
    owner_url: str
    phase: Coded | None
    status: Coded | None
    risk: Coded | None
    reported: str
    earlier: bool
    progress: Progress


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of the shown rows have this code; None for those that state none."""

    coded: Coded | None
    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open round for whoever is signed in: of `asked` reports `missing` are still to come, `late` when the deadline
    has passed. `submitted` is how many wait for the secretariat, None for a reporter, whose `returned` reports lead to
    the page that says why."""

    round: Link
    deadline: str
    late: bool
    asked: int
    missing: int
    submitted: int | None
    returned: tuple[Link, ...]
    review_url: str
    workbook_url: str


@dataclass(frozen=True, slots=True)
class PortfolioPage:
    """The front page. `total` counts all matches, the sums only the rows shown; `sort_key` is the key of the
    name of that order, or the order itself."""

    frame: Frame
    standpoint: Standpoint
    waiting: tuple[Waiting, ...]
    form: Form
    rows: tuple[Row, ...]
    total: int
    segments: tuple[Tally, ...]
    colours: tuple[Tally, ...]
    progress: Progress
    sort: str
    sort_key: str
    same_search: str
    same_search_url: str
    next_url: str
    first_url: str


@dataclass(frozen=True, slots=True)
class Report:
    """A status report of a round. `status` None: not reported (yet); `state` says how far it has come; `review_url` is
    the page that shows it beside the one before, "" for one without a round."""

    round: str
    day: str | None
    state: Coded | None
    status: Coded | None
    comment: str | None
    risk: Coded | None
    risk_text: str | None
    phase: Coded | None
    end: str | None
    review_url: str
    url: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """`performer` only where it is not the initiative's owner; `finished` the day it happened; `slip_url` asks what
    breaks if it comes later, "" for one that cannot slip."""

    name: str
    description: str | None
    groups: tuple[Coded, ...]
    performer: str
    due: str | None
    state: Coded | None
    standing: Literal["done", "open", "cancelled"]
    reason: Coded | None
    finished: str | None
    overdue: bool
    notes: tuple[str, ...]
    slip_url: str
    url: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """`on_url` is the page of the initiative depended on, "" when none is named; `plan` as section 9 shows it;
    `slip_url` as of a Delivery."""

    counterpart: str
    on: str
    on_url: str
    need: str | None
    purpose: str | None
    category: Coded | None
    criticality: Coded | None
    due: str | None
    overdue: bool
    plan: Literal["confirmed", "claimed", "no", "unstated"]
    status: Coded | None
    notes: tuple[str, ...]
    slip_url: str
    url: str


@dataclass(frozen=True, slots=True)
class Initiative:
    """An initiative as others name it; `url` "" for one that may not be seen, `lang` that of its title."""

    title: str
    url: str
    lang: str


@dataclass(frozen=True, slots=True)
class Actor:
    """An organisation: `key` is what it is called in addresses, `url` its page; both "" for one that has none."""

    reference: str
    key: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Clash:
    """A conflict of plans in words (`kind` is one of server/portfolio/dependencies.py) with the initiatives that it is
    about; `certain` False for what is only possible."""

    kind: str
    certain: bool
    said: str
    initiatives: tuple[Initiative, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """A dependency outside of its initiative's page. `own.counterpart` is what was reported, `counterparts` the known
    actors among that; `state` is Task.status."""

    own: Dependency
    initiative: Initiative
    waits: Actor
    counterparts: tuple[Actor, ...]
    state: str
    clashes: tuple[Clash, ...]


@dataclass(frozen=True, slots=True)
class Dependent:
    """What another initiative needs of this one."""

    title: str
    url: str
    need: str | None
    due: str | None
    status: Coded | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A sum of `lines` finance lines; `amount` None when none of them states one; `unstated` that do not."""

    amount: Decimal | None
    lines: int
    unstated: int


@dataclass(frozen=True, slots=True)
class Finance:
    """Amounts by year (rows) and source or solution (columns), with both sums."""

    columns: tuple[Coded | None, ...]
    years: tuple[tuple[str, tuple[Cell, ...], Cell], ...]
    sums: tuple[Cell, ...]
    total: Cell


@dataclass(frozen=True, slots=True)
class Benefit:
    """A goal; `years` is the number of years that the value was counted for."""

    category: Coded | None
    description: str
    value: Decimal | None
    years: Decimal | None
    assessment: str | None


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """A benefit prerequisite."""

    kind: Coded | None
    description: str | None
    criticality: Coded | None
    start: str | None
    due: str | None
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class Other:
    """Any other responsibility of the initiative: `facts` are its inputs and outputs, in their order."""

    kind: Coded | None
    name: str
    description: str | None
    state: str
    start: str | None
    due: str | None
    facts: tuple[tuple[Coded | None, str], ...]
    url: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the initiative's own, or into the API."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class InitiativePage:
    """Everything reported of one initiative."""

    frame: Frame
    standpoint: Standpoint
    number: str
    title: str
    subtitle: str
    content_lang: str
    owner: str
    owner_url: str
    publication: str
    kind: Coded | None
    portfolios: tuple[Coded, ...]
    segment: Coded | None
    phase: Coded | None
    lifecycle: Coded | None
    rollout: Coded | None
    start: str | None
    end: str | None
    approved: str | None
    reviewed: str | None
    contact: tuple[str, ...]
    identifiers: tuple[str, ...]
    description: str | None
    focus_areas: tuple[Coded, ...]
    goals: tuple[Coded, ...]
    solutions: tuple[Coded, ...]
    users: tuple[Coded, ...]
    artifacts: tuple[Link, ...]
    progress: Progress
    reports: tuple[Report, ...]
    current: Report | None
    deliveries: tuple[Delivery, ...]
    dependencies: tuple[Dependency, ...]
    dependents: tuple[Dependent, ...]
    costs: Finance | None
    operations: Finance | None
    benefits: tuple[Benefit, ...]
    prerequisites: tuple[Prerequisite, ...]
    others: tuple[Other, ...]
    versions: str
    last_updated: str
    api: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a form: the `id` of the control to mend it at, "" for none, and the text of the refusal."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class RefusalPage:
    """What could not be answered: HTTP status, and the texts of the OperationOutcome with their places."""

    frame: Frame
    status: int
    faults: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What the head of every page says of who is signed in (`name`, `role`, and `csrf` for the forms; else "" and
    anonymous) and where to sign in ("" where nobody can), out, and see what one may do. `open_house`: everyone is the
    secretariat."""

    sign_in_url: str
    sign_out_url: str
    url: str
    open_house: bool
    name: str
    organization: str
    role: Role
    csrf: str


@dataclass(frozen=True, slots=True)
class TestUser:
    """Whom one may be under PORTFOLIO_AUTH=dev; `name` is the organisation's."""

    role: Role
    organization: str = ""
    name: str = ""

    @property
    def value(self) -> str:
        """Of the option of the form."""
        return f"{self.role}:{self.organization}" if self.organization else self.role


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The choice of a test user; `state` goes back with it."""

    frame: Frame
    action: str
    state: str
    users: tuple[TestUser, ...]


@dataclass(frozen=True, slots=True)
class SignedOutPage:
    """`elsewhere` leads to the issuer's own sign-out, "" where it has none."""

    frame: Frame
    elsewhere: str


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Who is signed in, until when (an instant, "" without a session), and the keys of what that one may do."""

    frame: Frame
    role: Role
    name: str
    organization: str
    until: str
    may: tuple[str, ...]
