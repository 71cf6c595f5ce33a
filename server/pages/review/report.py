"""One report of a round beside the last one: what it says, what changed, what the facts say, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.outcome import FhirError
from server.pages.answers import parts, reference, value
from server.pages.asked import Asked
from server.pages.contexts import Fault, Link
from server.pages.evidence.contexts import Judged
from server.pages.evidence.judged import judged
from server.pages.evidence.page import plans_of
from server.pages.forms import faults
from server.pages.house import Reader
from server.pages.review.compare import Side, compared
from server.pages.review.contexts import Decision, Moved, Remark, ReviewPage
from server.pages.review.decision import RETURN, Sent
from server.pages.review.history import events
from server.pages.review.queue import done
from server.pages.review.reports import (
    WAITING,
    Reports,
    earlier,
    number_of,
    path_of,
    reason_of,
    reports_of,
    seen_at,
    standing,
    title_of,
    until,
)
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.gather import Resource
from server.search.urls import query_of

_PLACES = {"reason": "reason", "Task.statusReason": "reason"}
"""Places of faults that the field of the reason mends."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that was refused: what was sent, and why."""

    sent: Sent
    error: FhirError


@dataclass(frozen=True, slots=True)
class _Difference:
    """$portfolio-diff of the initiative; all empty without an earlier round. `plan` is the initiative of then."""

    plan: Resource
    changes: tuple[Link, ...] = ()
    moves: tuple[Moved, ...] = ()
    same: str = ""


async def review(
    place: Place, asked: Asked, number: str, initiative: str, refused: Refused | None = None
) -> ReviewPage:
    """FhirError not-found (404) for a round, or a report in it, that this caller does not see."""
    found = await reports_of(place, number)
    report = found.of(initiative)
    if report is None:
        text = f"{initiative} har ingen rapport her / has no report here in the round {number}."
        raise FhirError("not-found", text)
    plan = elements.based_on(report)
    reader = place.reader
    now = (await plans_of(reader, [plan])).get(plan, {})
    history = await reader.all("Task", reader.house.task_code("statusrapport"), ("based-on", plan))
    before = earlier(place, report, history)
    difference = await _difference(place, asked, found, plan)
    return await _Page(place, asked, found, report, now, before, difference, refused).drawn()


@dataclass(frozen=True)
class _Page:
    """What the page is made of. `plan` is {} when the initiative is not to be seen."""

    place: Place
    asked: Asked
    found: Reports
    report: Resource
    plan: Resource
    before: Resource | None
    difference: _Difference
    refused: Refused | None

    async def drawn(self) -> ReviewPage:
        place, asked, found, report = self.place, self.asked, self.found, self.report
        house, number = place.reader.house, number_of(report)
        evidence, counted, same = await self._evidence()
        previous, later = found.beside(number)
        decision = self._decision()
        return ReviewPage(
            frame=asked.frame(f"{house.engine.base}/metadata", place.reader.instant, found.round.value),
            round=found.round,
            previous=found.previous,
            before=place.round_title(self.before) if self.before else "",
            number=number,
            title=self.plan.get("title") or title_of(report),
            lang=self.plan.get("language", "nb"),
            owner=report.get("owner", {}).get("display", ""),
            state=standing(report),
            since=report.get("lastModified", ""),
            reason=reason_of(report),
            own=place.reader.caller.role == "reporter",
            compared=self._compared(),
            changes=self.difference.changes,
            moves=self.difference.moves,
            judged=evidence,
            counted=counted,
            remarks=await self._remarks(),
            events=await events(place.reader, report),
            decision=decision,
            faults=self._faults(),
            stale=self.refused is not None and self.refused.error.status == 412,
            typed=self.refused.sent.reason if self.refused and decision is None else "",
            done=done(asked, found),
            waiting=len(found.waiting),
            queue_url=asked.other(path_of(found.round)),
            round_url=asked.other(f"/runder/{found.round.value}"),
            workbook_url=asked.other(f"/runder/{found.round.value}/arbeidsbok"),
            initiative_url=asked.other(f"/tiltak/{number}"),
            earlier=self._beside(previous),
            later=self._beside(later),
            api=self._api(same),
        )

    def _compared(self) -> tuple[Any, ...]:
        one, other = Side(self.before or {}, self.difference.plan), Side(self.report, self.plan)
        return compared(one, other, self.place.reader.house.codes, self.asked.lang)

    def _decision(self) -> Decision | None:
        """The forms: for the secretariat, of a report that waits, as it stands now."""
        if self.place.reader.caller.role != "secretariat" or self.asked.as_of or standing(self.report) != WAITING:
            return None
        action = self.asked.url(path_of(self.found.round, number_of(self.report)), self._lasting())
        typed = self.refused.sent.reason if self.refused else ""
        return Decision(action, str(self.report["meta"]["versionId"]), typed)

    def _lasting(self) -> list[tuple[str, str]]:
        return [pair for pair in self.asked.pairs if pair[0] in ("lang", "round")]

    def _faults(self) -> tuple[Fault, ...]:
        if self.refused is None:
            return ()
        mendable = self.refused.sent.decision == RETURN and standing(self.report) == WAITING
        return faults(self.refused.error, _PLACES if mendable else {}, self.asked.lang)

    async def _evidence(self) -> tuple[Judged | None, str, str]:
        """The evidence, the day that it counts from, and the call that it is of."""
        plan, criteria = elements.based_on(self.report), seen_at(self.place, self.found.round)
        if not self.plan:
            return None, "", ""
        house = self.place.reader.house
        try:
            answer = await house.operate(self.place.reader.caller, "$evidence", plan, *criteria)
        except FhirError as error:
            if error.status != 404:
                raise
            return None, "", ""
        found = judged(house, answer, self.asked.lang).get(plan)
        return found, value(answer, "day"), f"{plan}/$evidence?{query_of(criteria)}"

    async def _remarks(self) -> tuple[Remark, ...] | None:
        reader = self.place.reader
        if reader.caller.role != "secretariat":
            return None
        only = query_of((("_id", elements.based_on(self.report).partition("/")[2]),))
        asked = (("round", self.found.round.value), ("population", only), ("_asOf", reader.instant))
        answer = await reader.house.operate(reader.caller, "$remarks", "Task", *asked)
        remarked = [each for one in parts(answer, "report") for each in parts(one, "remarks")]
        return tuple(_remark(reader, self.asked, one) for one in remarked)

    def _beside(self, report: Resource | None) -> Link | None:
        if report is None:
            return None
        return Link(title_of(report), self.asked.other(path_of(self.found.round, number_of(report))))

    def _api(self, evidence: str) -> tuple[tuple[str, str], ...]:
        """(key of its name, URL) of what the page is made of."""
        house, as_of = self.place.reader.house, self.asked.as_of
        report, plan = elements.reference_of(self.report), elements.based_on(self.report)
        links = [
            ("review.api.report", house.api(report, as_of)),
            ("review.api.initiative", house.api(plan, as_of)),
            ("review.api.history", house.api(f"{report}/_history")),
        ]
        links += [("review.api.difference", house.api(self.difference.same))] if self.difference.same else []
        links += [("review.api.evidence", house.api(evidence))] if evidence else []
        if self.place.reader.caller.role != "anonymous":
            links.append(("review.api.provenance", house.api("Provenance", (("target", report),))))
        return tuple(links)


async def _difference(place: Place, asked: Asked, found: Reports, plan: str) -> _Difference:
    """Since the round before; empty for the first one, and for an initiative that stands at neither moment."""
    if found.previous is None:
        return _Difference({})
    moments = (("from", found.previous.value), ("to", until(place, found.round)))
    reader = place.reader
    try:
        answer = await reader.house.operate(reader.caller, "$portfolio-diff", plan, *moments)
    except FhirError as error:
        if error.status != 404:
            raise
        return _Difference({})
    then = Reader(reader.house, reader.caller, value(answer, "from"))
    stood = (await plans_of(then, [plan])).get(plan, {})
    one = parts(answer, "initiative")[0]
    return _Difference(
        stood, _changes(place, asked, one), _moves(place, asked, one), f"{plan}/$portfolio-diff?{query_of(moments)}"
    )


def _changes(place: Place, asked: Asked, initiative: Any) -> tuple[Link, ...]:
    """Each change in words, with the resource that it is of."""
    house = place.reader.house
    return tuple(
        Link(value(one, asked.lang), house.api(reference(one), asked.as_of)) for one in parts(initiative, "difference")
    )


def _moves(place: Place, asked: Asked, initiative: Any) -> tuple[Moved, ...]:
    """The deliveries whose deadline was moved, the furthest first."""
    house = place.reader.house
    found = [
        Moved(
            name=value(one, "name") or "",
            url=house.api(reference(one), asked.as_of),
            first=value(one, "first"),
            present=value(one, "present"),
            moves=value(one, "moves"),
            days=value(one, "days"),
        )
        for one in parts(initiative, "delivery")
    ]
    return tuple(sorted((one for one in found if one.moves), key=lambda one: -(one.days or 0)))


def _remark(reader: Reader, asked: Asked, said: Any) -> Remark:
    of = value(said, "of")
    issues: Sequence[Resource] = parts(said, "outcome")[0]["resource"]["issue"]
    link = Link(of.get("display", ""), reader.house.api(of["reference"], asked.as_of))
    return Remark(link, tuple(one["diagnostics"] for one in issues))
