"""The status reports of a round as one caller sees them, in the order in which they are looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.outcome import FhirError
from server.pages.asked import Pairs
from server.pages.contexts import Round
from server.pages.review.contexts import Mark
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.codes import Coded
from server.portfolio.gather import Resource
from server.portfolio.rounds import state_of

WAITING = "innsendt"
STATES = (WAITING, "returnert", "godkjent", "kladd", "ikke-startet", "ikke-rapportert", "last")
"""The states of a report (nep-report-status), in the order of the queue: what waits for the secretariat first. One that
was not given before the close has a state of its own (decision 23)."""

_WORSE = ("gronn", "gul", "rod")


@dataclass(frozen=True)
class Reports:
    """`all` are the reports in the order of the queue; `previous` is the closed round before this one."""

    round: Round
    previous: Round | None
    all: tuple[Resource, ...]

    @property
    def waiting(self) -> tuple[Resource, ...]:
        return tuple(one for one in self.all if standing(one) == WAITING)

    def counts(self) -> Counter[str]:
        """How many are in each state."""
        return Counter(standing(one) for one in self.all)

    def of(self, number: str) -> Resource | None:
        """The report of the initiative with this tiltaksnummer."""
        return next((one for one in self.all if number_of(one) == number), None)

    def beside(self, number: str) -> tuple[Resource | None, Resource | None]:
        """The reports before and after that one in the queue."""
        place = next(index for index, one in enumerate(self.all) if number_of(one) == number)
        later = self.all[place + 1 : place + 2]
        return (self.all[place - 1] if place else None), (later[0] if later else None)

    def next_waiting(self, number: str) -> Resource | None:
        """The one that waits next after this one; from the front when it was the last."""
        numbers = [number_of(one) for one in self.waiting]
        place = numbers.index(number) if number in numbers else -1
        ahead = [*self.waiting[place + 1 :], *self.waiting[: max(place, 0)]]
        return ahead[0] if ahead else None


async def reports_of(place: Place, number: str) -> Reports:
    """FhirError not-found (404) for a round that this caller does not see."""
    round = next((one for one in place.rounds if one.value == number), None)
    if round is None:
        raise FhirError("not-found", f"Runden {number} finnes ikke her / There is no round {number} here.")
    found = await place.reader.all("Task", *search_of(place, number))
    reports = [one for one in found if one["status"] != "entered-in-error"]
    return Reports(round, _before(place, round), tuple(sorted(reports, key=_order)))


def search_of(place: Place, number: str) -> Pairs:
    """The search of a round's reports."""
    house = place.reader.house
    return (house.task_code("statusrapport"), ("group-identifier", f"{house.sid('runde')}|{number}"))


def state_search(place: Place, state: str) -> Pairs:
    """What narrows that search to a state; nothing for ""."""
    if not state:
        return ()
    if state == "ikke-rapportert":
        return (("status", "cancelled"),)
    named = ("business-status", f"{place.reader.house.codes.system('report-status')}|{state}")
    return (named, ("status:not", "cancelled"))


def standing(report: Resource) -> str:
    """Its state, of STATES."""
    return "ikke-rapportert" if report["status"] == "cancelled" else state_of(report)


def reason_of(report: Resource) -> str:
    """Why it was returned, as it was written."""
    return str(report.get("statusReason", {}).get("text", "")) if standing(report) == "returnert" else ""


def number_of(report: Resource) -> str:
    """The tiltaksnummer in its identifier (2026-11:NEP-0012)."""
    found = (one.get("value", "").partition(":")[2] for one in report.get("identifier", ()))
    return next((number for number in found if number), "")


def title_of(report: Resource) -> str:
    """The initiative's title as the report was asked for with it."""
    based: Resource = next(iter(report.get("basedOn", ())), {})
    return str(based.get("display") or number_of(report))


def path_of(round: Round, number: str = "") -> str:
    """The page of a report, or of the queue."""
    return f"/runder/{round.value}/gjennomgang" + (f"/{number}" if number else "")


def until(place: Place, round: Round) -> str:
    """The moment that a round is compared up to, as $portfolio-diff takes it: its close, or what the page is of. A
    lasting link is of a later instant, at which the round is closed too, and shows the same."""
    return round.value if round.closed else place.reader.instant


def seen_at(place: Place, round: Round) -> Pairs:
    """The same as $evidence takes it; "late" is counted from the round's last day."""
    return (("round", round.value), *(() if round.closed else (("asOf", place.reader.instant),)))


def earlier(place: Place, report: Resource, reports: Sequence[Resource]) -> Resource | None:
    """Of the reports of the same initiative the newest before this one that states a colour."""
    stated = [one for one in reports if elements.value(one.get("output"), "status") is not None]
    before = [one for one in stated if place.report_key(one) < place.report_key(report)]
    return max((one for one in before if _round_of(one) != _round_of(report)), key=place.report_key, default=None)


def colour_mark(before: Coded | None, after: Coded | None) -> Mark:
    """What became of a colour. Another printed word for the same one is told apart (decision 16)."""
    if before is None or after is None:
        return value_mark(before, after)
    if before.code == after.code:
        return "same" if before.printed == after.printed else "reworded"
    if before.code not in _WORSE or after.code not in _WORSE:
        return "changed"
    return "worse" if _WORSE.index(after.code) > _WORSE.index(before.code) else "better"


def value_mark(before: object, after: object) -> Mark:
    """What became of anything else."""
    if not before and not after:
        return "unstated"
    if before == after:
        return "same"
    return "new" if not before else "gone" if not after else "changed"


def by_initiative(reports: Sequence[Resource]) -> Mapping[str, list[Resource]]:
    """Reports by the reference of their initiative."""
    found: dict[str, list[Resource]] = {}
    for one in reports:
        found.setdefault(elements.based_on(one), []).append(one)
    return found


def _before(place: Place, round: Round) -> Round | None:
    """Rounds stand newest first."""
    later = place.rounds.index(round) + 1
    return next((one for one in place.rounds[later:] if one.closed), None)


def _order(report: Resource) -> tuple[int, str, str]:
    state = standing(report)
    index = STATES.index(state) if state in STATES else len(STATES)
    return index, report.get("lastModified", "") if state == WAITING else "", number_of(report)


def _round_of(report: Resource) -> str:
    return str(report.get("groupIdentifier", {}).get("value", ""))
