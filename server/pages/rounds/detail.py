"""The page of one round: who has reported and who has not, and for the secretariat its close and its corrections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Option
from server.pages.house import Reader
from server.pages.rounds import closing, opening
from server.pages.rounds.closing import Draft, Sent
from server.pages.rounds.contexts import AmendingForm, ClosingForm, Counted, EditionLink, Filter, Remarks, ReportRow
from server.pages.rounds.contexts import RoundPage as Page
from server.pages.rounds.listing import published, state_of, writes
from server.pages.rounds.reports import (
    DROPPED,
    MISSING,
    REPORTED,
    SORTS,
    STATES,
    SUBMITTED,
    WAITED_FOR,
    Reading,
    actors,
    mine,
    names,
    of_round,
    ordered,
    search_text,
    search_url,
    tallies,
    word_of,
)
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.rounds import editions, questionnaire_of

PER_PAGE = 500
REMARKS_AT_ONCE = 60
"""Submitted reports whose warnings are counted unasked: some 11 ms each, and a page is to answer within a second."""

_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}\Z")
_KNOWN = ("lang", "_asOf", "round", "state", "sort", "page", "remarks")
_CHOICES = {"state": tuple(STATES), "sort": tuple(sort for sort, _ in SORTS), "remarks": ("true",)}


async def task_of(reader: Reader, number: str) -> tuple[dict[str, Any], str]:
    """The round's Task, and the instant of what is read. FhirError not-found (404) for a number that no round has which
    this caller may see."""
    house = reader.house
    if _NUMBER.match(number):
        named = ("identifier", f"{house.sid('runde')}|{number}")
        kind = house.task_code("rapporteringsrunde")
        found = await reader.search("Task", kind, named, ("status:not", "entered-in-error"))
        if found.page.versions:
            return elements.resource_of(found.page.versions[0]), found.moment.instant
    raise FhirError("not-found", f"Ingen runde {number[:40]} / There is no such round.")


async def round_page(place: Place, asked: Asked, number: str, sent: Sent | None = None) -> Page:
    """`sent` is a form that comes back."""
    _check(asked)
    reader = place.reader
    task, instant = await task_of(reader, number)
    is_secretariat = reader.caller.role == "secretariat"
    reading = Reading(reader.house, asked, number, place.today, await names(reader), await mine(reader), is_secretariat)
    found = await reader.all("Task", *of_round(reader.house, number))
    rows = ordered((reading.row(report) for report in found), "number")
    is_open = state_of(task) == "open"
    draft = await closing.draft(reader, number) if is_secretariat and is_open else None
    told = _Told(place, asked, number, task, instant, tuple(rows), draft)
    return await told.page(sent)


def _check(asked: Asked) -> None:
    """FhirError for a parameter that the page has not, or a value that it does not take."""
    for name, text in asked.pairs:
        if name not in _KNOWN:
            known = ", ".join(_KNOWN)
            raise FhirError("not-supported", f"{name}: ukjent / unknown; kjente / known: {known}.", expression=name)
        choices = _CHOICES.get(name)
        if choices and text not in choices:
            raise FhirError("value", f"{name}={text}: ventet / expected {', '.join(choices)}.", expression=name)
        if name == "page" and not re.fullmatch(r"[1-9][0-9]{0,3}", text):
            raise FhirError("value", f"page={text}: ventet et tall fra 1 / expected a number from 1.", expression=name)


@dataclass(frozen=True)
class _Told:
    """What the page is made of: the round, its reports, and for the secretariat the draft of its edition."""

    place: Place
    asked: Asked
    number: str
    task: dict[str, Any]
    instant: str
    rows: tuple[ReportRow, ...]
    draft: Draft | None

    async def page(self, sent: Sent | None) -> Page:
        asked, house, task, number = self.asked, self.place.reader.house, self.task, self.number
        period = task.get("restriction", {}).get("period", {})
        own = tuple(row for row in self.rows if row.own)
        state, sort = asked.one("state") or "", asked.one("sort") or "number"
        others = ordered((row for row in self.rows if not row.own and state in ("", row.state)), sort)
        first = (int(asked.one("page") or "1") - 1) * PER_PAGE
        filtered = STATES.get(state, ())
        forms = writes(self.place, asked)
        is_open = state_of(task) == "open"
        return Page(
            frame=asked.frame(f"{house.engine.base}/metadata", self.instant),
            number=number,
            title=self.title,
            start=period.get("start"),
            end=period.get("end"),
            state=state_of(task),
            day=self.place.today.isoformat(),
            partial=is_open and not self._is_secretariat,
            questionnaire=questionnaire_of(task),
            editions=published(asked, task),
            amending=self._amending(),
            total=self._counted(len(self.rows)),
            reported=self._counted(sum(row.state in SUBMITTED for row in self.rows), *REPORTED),
            missing=self._counted(sum(row.state in WAITED_FOR for row in self.rows), *MISSING),
            late=self._counted(
                sum(row.late == "missing" for row in self.rows), *MISSING, ("due", f"eb{self.place.today.isoformat()}")
            ),
            states=tallies(house, asked, number, self.instant, self.rows),
            actors=actors(house, number, self.instant, self.rows),
            filter=self._filter(state, sort),
            own=tuple(ordered(own, sort)),
            rows=tuple(others[first : first + PER_PAGE]),
            matching=len(others),
            sort_key=dict(SORTS)[sort],
            previous_url=asked.changed(page=str(first // PER_PAGE)) if first else "",
            next_url=asked.changed(page=str(first // PER_PAGE + 2)) if len(others) > first + PER_PAGE else "",
            same_search=search_text(house, number, self.instant, filtered),
            same_search_url=search_url(house, number, self.instant, filtered),
            resource_url=house.api(f"Task/{task['id']}", asked.as_of),
            review_url=asked.other(f"/runder/{number}/gjennomgang") if self._is_secretariat else "",
            workbook_url=asked.other(f"/runder/{number}/arbeidsbok") if self._is_secretariat or own else "",
            figures_url=self._of_round("/nokkeltall"),
            evidence_url=self._of_round("/avvik"),
            remarks=await self._remarks() if self._is_secretariat and is_open else None,
            more=opening.more(asked, task, number) if forms and is_open and not self._replaces else None,
            closing=self._closing(sent) if forms and (is_open or self._is_unpublished) else None,
            correcting=self._correcting(sent) if forms and state_of(task) == "closed" else None,
            faults=sent.faults if sent else (),
        )

    @property
    def title(self) -> str:
        return str(self.task.get("code", {}).get("text") or self.number)

    @property
    def _is_secretariat(self) -> bool:
        return self.place.reader.caller.role == "secretariat"

    @property
    def _is_unpublished(self) -> bool:
        """Closed by hand, without an edition."""
        return state_of(self.task) == "closed" and not editions(self.task)

    @property
    def _replaces(self) -> str:
        """The number of the edition that is being corrected, "" for none: a round that is open again has editions."""
        newest = editions(self.task)[-1:] if state_of(self.task) == "open" else []
        return "".join(newest).partition("/rapport-")[2]

    def _amending(self) -> EditionLink | None:
        number = self._replaces
        return EditionLink(number, self.asked.other(f"/utgaver/{number}")) if number else None

    def _of_round(self, path: str) -> str:
        """A page of another area, as it is of this round."""
        lasting = [pair for pair in self.asked.lasting if pair[0] != "round"]
        return self.asked.url(path, [*lasting, ("round", self.number)])

    def _counted(self, count: int, *pairs: tuple[str, str]) -> Counted:
        return Counted(count, search_url(self.place.reader.house, self.number, self.instant, pairs))

    def _filter(self, state: str, sort: str) -> Filter:
        house, asked = self.place.reader.house, self.asked
        words = [(code, word_of(house, code, asked)) for code in STATES if code != DROPPED]
        return Filter(
            action=asked.url(pairs=()),
            states=tuple(Option(code, word.display, code == state, word.lang) for code, word in words if word),
            sorts=tuple(Option(code, key, code == sort, asked.lang) for code, key in SORTS),
            hidden=tuple(pair for pair in asked.pairs if pair[0] not in ("state", "sort", "page", "remarks")),
        )

    async def _remarks(self) -> Remarks:
        """Counted unasked where they are few."""
        url = self.asked.other(f"/runder/{self.number}/gjennomgang")
        reports = sum(row.state in ("innsendt", "godkjent") for row in self.rows)
        if reports > REMARKS_AT_ONCE and not self.asked.one("remarks"):
            return Remarks(None, reports, url, self.asked.changed(remarks="true"))
        count = await _warnings(self.place.reader, self.number, self.instant) if reports else 0
        return Remarks(count, reports, url, "")

    def _closing(self, sent: Sent | None) -> ClosingForm:
        form = closing.closing_form(self.asked, self.number, self.draft, self.title, self.rows, self.instant)
        return closing.closing_again(form, sent) if sent and sent.form == "lukk" else form

    def _correcting(self, sent: Sent | None) -> AmendingForm | None:
        form = closing.amending_form(self.asked, self.number, self.task, self.rows)
        return closing.amending_again(form, sent) if form and sent and sent.form == "rett" else form


async def _warnings(reader: Reader, number: str, instant: str) -> int:
    """How many warnings $remarks has on the reports of a round."""
    told = await reader.house.operate(reader.caller, "$remarks", "Task", ("round", number), ("_asOf", instant))
    parts: Sequence[dict[str, Any]] = [part for one in told.get("parameter", []) for part in one.get("part", [])]
    within = [inner for part in parts if part["name"] == "remarks" for inner in part.get("part", [])]
    return sum(len(inner.get("resource", {}).get("issue", [])) for inner in within)
