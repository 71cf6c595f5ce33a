"""A round's status reports as its pages need them: in which state, by whom, when, and too late or not.

One search (a page of it for each 500) brings a round's reports; title, number and actor stand on each of them, so that
nothing else is looked up. Domain model 5.3 and 9, decisions 13 and 23.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from server.pages.asked import Asked, Pairs
from server.pages.house import House, Reader
from server.pages.rounds.contexts import ActorTally, Counted, ReportRow, StateTally
from server.portfolio import elements
from server.portfolio.codes import Coded
from server.search.urls import query_of

Task = Mapping[str, Any]

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
NOT_REPORTED, DROPPED = "ikke-rapportert", "avbrutt"
STATES: dict[str, Pairs] = {
    "ikke-startet": (("status", "requested"),),
    "kladd": (("status", "in-progress"), ("business-status", "kladd")),
    "returnert": (("status", "in-progress"), ("business-status", "returnert")),
    "innsendt": (("status", "completed"), ("business-status", "innsendt")),
    "godkjent": (("status", "completed"), ("business-status", "godkjent")),
    "last": (("status", "completed"), ("business-status", "last")),
    # Both are cancelled; that nothing was reported is public, that a report was called off is not (labels.py).
    NOT_REPORTED: (("status", "cancelled"), ("_security", f"{_CONFIDENTIALITY}|U")),
    DROPPED: (("status", "cancelled"), ("_security", f"{_CONFIDENTIALITY}|R")),
}
"""The states of a report in the order of its life, each with the search for it among the reports of a round."""

SUBMITTED = frozenset({"innsendt", "godkjent", "last"})
WAITED_FOR = frozenset({"ikke-startet", "kladd", "returnert"})
REPORTED: Pairs = (("status", "completed"),)
MISSING: Pairs = (("status", "requested,in-progress"),)
SORTS = (
    ("number", "rounds.sort.number"), ("owner", "rounds.sort.owner"), ("state", "rounds.sort.state"),
    ("submitted", "rounds.sort.submitted"),
)  # fmt: skip


def of_round(house: House, number: str) -> Pairs:
    """The search for all reports of a round."""
    return (
        house.task_code("statusrapport"),
        ("group-identifier", f"{house.sid('runde')}|{number}"),
        ("status:not", "entered-in-error"),
    )


@dataclass(frozen=True)
class Reading:
    """Reads the reports of one round for one page: `day` is the one that a deadline is over before, `names` has those
    of organisations by reference, `mine` the references of the caller's own; `reviews`: whether links to all reviews
    are for this caller, else to those of its own."""

    house: House
    asked: Asked
    number: str
    day: date
    names: Mapping[str, str]
    mine: frozenset[str]
    reviews: bool

    def row(self, report: Task) -> ReportRow:
        number = elements.number(report, self.house.sid("statusrapport")).rpartition(":")[2]
        state, owner = state_of(report), report.get("owner", {})
        own = owner.get("reference") in self.mine
        review = f"/runder/{self.number}/gjennomgang/{number}"
        return ReportRow(
            number=number,
            title=str(report.get("for", {}).get("display") or number),
            url=self.asked.other(f"/tiltak/{number}") if number else "",
            owner=self.names.get(owner.get("reference", ""), str(owner.get("display", ""))),
            actor=str(owner.get("reference", "")),
            own=own,
            state=state,
            word=word_of(self.house, state, self.asked),
            colour=self.house.codes.coded(elements.value(report.get("output"), "status"), self.asked.lang),
            submitted=_submitted(report),
            late=self.late(report),
            reason=self._reason(report, state),
            review_url=self.asked.other(review) if number and (self.reviews or own) else "",
            resource_url=self.house.api(f"Task/{report['id']}", self.asked.as_of),
        )

    def _reason(self, report: Task, state: str) -> str:
        """In the words stated, else the code's; that nothing was reported is said by the state."""
        reason = report.get("statusReason", {})
        coded = self.house.codes.coded(reason, "nb")
        return str(reason.get("text", "")) or (coded.display if coded and state != NOT_REPORTED else "")

    def late(self, report: Task) -> Literal["", "missing", "after"]:
        """Nothing came before the deadline, as of the day; or it came after it."""
        deadline = elements.last_day(elements.due(report))
        if deadline is None:
            return ""
        if is_missing(report):
            return "missing" if deadline < self.day else ""
        submitted = _submitted(report)
        return "after" if submitted is not None and self.house.day(submitted) > deadline else ""


def state_of(report: Task) -> str:
    """One of STATES, whatever a report's own words are."""
    status, said = report.get("status", ""), elements.code(report.get("businessStatus"))
    if status == "cancelled":
        return NOT_REPORTED if elements.code(report.get("statusReason")) == NOT_REPORTED else DROPPED
    if status == "requested":
        return "ikke-startet"
    return said if said in STATES else "kladd"


def is_missing(report: Task) -> bool:
    """Whether it is still waited for."""
    return report.get("status") in ("requested", "in-progress")


def word_of(house: House, state: str, asked: Asked) -> Coded | None:
    """The state in the page's language."""
    if state == DROPPED:
        return None
    system = "status-reason" if state == NOT_REPORTED else "report-status"
    return house.codes.coded({"coding": [{"system": house.codes.system(system), "code": state}]}, asked.lang)


def _submitted(report: Task) -> str | None:
    """When it was submitted, once it is; not known of what was imported."""
    if report.get("status") != "completed":
        return None
    found: str | None = report.get("executionPeriod", {}).get("end")
    return found


async def names(reader: Reader) -> Mapping[str, str]:
    """What the organisations are called, by reference: a report has the name that its actor went by then."""
    return {elements.reference_of(one): str(one.get("name", "")) for one in await reader.all("Organization")}


async def mine(reader: Reader) -> frozenset[str]:
    """References of the caller's organisation and those below it, as access looks for them; none for whoever
    reports for nobody."""
    caller = reader.caller
    if caller.role != "reporter" or not caller.organization:
        return frozenset()
    level = {
        elements.reference_of(one) for one in await reader.all("Organization", ("identifier", caller.organization))
    }
    found = set(level)
    while level:
        below = await reader.all("Organization", ("partof", ",".join(sorted(level))))
        level = {elements.reference_of(one) for one in below} - found
        found |= level
    return frozenset(found)


def tallies(house: House, asked: Asked, number: str, instant: str, rows: Sequence[ReportRow]) -> tuple[StateTally, ...]:
    """The states that there are, in the order of a report's life."""
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    return tuple(
        StateTally(
            state,
            word_of(house, state, asked),
            Counted(counts[state], search_url(house, number, instant, pairs)),
            asked.changed(state=state, page=None),
        )
        for state, pairs in STATES.items()
        if counts[state]
    )


def search_url(house: House, number: str, instant: str, pairs: Pairs) -> str:
    """The search among a round's reports, as of the page's instant."""
    return f"{house.engine.base}/{search_text(house, number, instant, pairs)}"


def search_text(house: House, number: str, instant: str, pairs: Pairs) -> str:
    """The same below the base."""
    return f"Task?{query_of((*of_round(house, number), *pairs, ('_asOf', instant)))}"


def actors(house: House, number: str, instant: str, rows: Iterable[ReportRow]) -> tuple[ActorTally, ...]:
    """By name: how many reports each was asked for, and has submitted."""
    found: dict[tuple[str, str], list[ReportRow]] = {}
    for row in rows:
        found.setdefault((row.owner, row.actor), []).append(row)

    def counted(actor: str, own: Sequence[ReportRow], *pairs: tuple[str, str]) -> Counted:
        return Counted(len(own), search_url(house, number, instant, (("owner", actor), *pairs)) if actor else "")

    return tuple(
        ActorTally(
            name,
            counted(actor, own),
            counted(actor, [row for row in own if row.state in SUBMITTED], *REPORTED),
        )
        for (name, actor), own in sorted(found.items(), key=lambda pair: pair[0][0].casefold())
    )


def ordered(rows: Iterable[ReportRow], sort: str) -> list[ReportRow]:
    """By one of SORTS, then by number."""
    states = list(STATES)
    keys: dict[str, Any] = {
        "number": lambda row: "",
        "owner": lambda row: row.owner.casefold(),
        "state": lambda row: states.index(row.state),
        # Those that have not come stand last.
        "submitted": lambda row: row.submitted or "9999",
    }
    return sorted(rows, key=lambda row: (keys[sort](row), row.number))
