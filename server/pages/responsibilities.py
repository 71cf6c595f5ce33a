"""The Tasks of an initiative, each kind as its table shows it. Domain model sections 5.3, 5.4 and 6."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from server.pages.asked import Asked
from server.pages.contexts import Delivery, Dependency, Dependent, Other, Prerequisite, Report
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.codes import Coded, Codes

Resource = Mapping[str, Any]
Plan = Literal["confirmed", "claimed", "no", "unstated"]

SLIP, SLIP_DAYS = "/avhengigheter/virkning", 90
"""The page that says what a slip breaks, and by how many days it is first asked."""

_LAST = "9999"
"""After every deadline: what has none comes last."""


@dataclass(frozen=True)
class Responsibilities:
    """`others` are the initiatives and deliveries that dependencies point to or come from, by reference."""

    place: Place
    asked: Asked
    others: Mapping[str, Resource]

    @property
    def codes(self) -> Codes:
        return self.place.reader.house.codes

    def report(self, task: Resource) -> Report:
        """A status report of a round."""
        output = task.get("output")
        return Report(
            round=self.place.round_title(task),
            day=elements.due(task),
            state=self._coded(task.get("businessStatus")),
            status=self._coded(elements.value(output, "status")),
            comment=elements.value(output, "kommentar"),
            risk=self._coded(elements.value(output, "risiko")),
            risk_text=elements.value(output, "risikobeskrivelse"),
            phase=self._coded(elements.value(output, "fase")),
            end=elements.value(output, "sluttdato"),
            review_url=self._review(task),
            url=self.api(task),
        )

    def _review(self, report: Resource) -> str:
        """Its identifier is the round's and the initiative's: 2026-11:NEP-0012."""
        named = elements.number(report, self.place.reader.house.sid("statusrapport"))
        round, _, initiative = named.rpartition(":")
        return self.asked.other(f"/runder/{round}/gjennomgang/{initiative}") if round and initiative else ""

    def delivery(self, task: Resource, owner: str) -> Delivery:
        """`owner` is the reference of the initiative's owner."""
        performer = task.get("owner", {})
        status = task.get("status")
        return Delivery(
            name=task.get("code", {}).get("text", ""),
            description=task.get("description"),
            groups=self._all(elements.values(task.get("input"), "maalgruppe")),
            performer="" if performer.get("reference") == owner else performer.get("display", ""),
            due=elements.due(task),
            state=self._coded(task.get("businessStatus")),
            standing="done" if status == "completed" else "cancelled" if status == "cancelled" else "open",
            reason=self._coded(task.get("statusReason")),
            finished=task.get("executionPeriod", {}).get("end"),
            overdue=self.place.overdue(task),
            notes=_notes(task),
            slip_url=self.slip(task),
            url=self.api(task),
        )

    def dependency(self, task: Resource) -> Dependency:
        """What the initiative needs of others."""
        focus = task.get("focus", {})
        on = self.others.get(focus.get("reference", ""), {})
        plan_of = self.others.get(elements.based_on(on), on)
        day = elements.last_day(elements.due(task))
        unmet = task.get("status") not in ("completed", "cancelled", "rejected")
        return Dependency(
            counterpart=task.get("owner", {}).get("display", ""),
            on=on.get("title") or on.get("code", {}).get("text") or focus.get("display", ""),
            on_url=self.page(plan_of),
            need=task.get("description"),
            purpose=task.get("reasonCode", {}).get("text"),
            category=self.codes.coded(task.get("code"), self.asked.lang, "dependency-category"),
            criticality=self._coded(elements.value(task.get("input"), "kritikalitet")),
            due=elements.due(task),
            overdue=unmet and day is not None and day < self.place.standpoint.day,
            plan=plan(task),
            status=self._coded(task.get("businessStatus")),
            notes=_notes(task),
            slip_url=self.slip(task),
            url=self.api(task),
        )

    def dependent(self, task: Resource) -> Dependent:
        """What another initiative needs of this one."""
        link: Resource = next(iter(task.get("basedOn", ())), {})
        who = self.others.get(link.get("reference", ""), {})
        return Dependent(
            title=who.get("title") or link.get("display", ""),
            url=self.page(who),
            need=task.get("description"),
            due=elements.due(task),
            status=self._coded(task.get("businessStatus")),
        )

    def prerequisite(self, task: Resource) -> Prerequisite:
        """What must be in place before the benefit comes."""
        return Prerequisite(
            kind=self.codes.coded(task.get("code"), self.asked.lang, "benefit-prerequisite"),
            description=task.get("description"),
            criticality=self._coded(elements.value(task.get("input"), "kritikalitet")),
            start=task.get("restriction", {}).get("period", {}).get("start"),
            due=elements.due(task),
            state=task.get("status", ""),
            url=self.api(task),
        )

    def other(self, task: Resource) -> Other:
        """Any other kind, with all that it takes in and gives out."""
        facts = [
            (self._coded(one.get("type")), self._said(elements.value_of(one)))
            for one in (*task.get("input", ()), *task.get("output", ()))
        ]
        return Other(
            kind=self._coded({"coding": task.get("code", {}).get("coding", [])}),
            name=task.get("code", {}).get("text", ""),
            description=task.get("description"),
            state=task.get("status", ""),
            start=task.get("restriction", {}).get("period", {}).get("start"),
            due=elements.due(task),
            facts=tuple(facts),
            url=self.api(task),
        )

    def api(self, resource: Resource) -> str:
        """A resource in the API, as it stood at the instant that the page was asked for."""
        name = f"{resource['resourceType']}/{resource['id']}"
        return self.place.reader.house.api(name, self.asked.as_of)

    def slip(self, task: Resource) -> str:
        """The page of what breaks if a delivery or dependency comes later, "" where it cannot."""
        if elements.last_day(elements.due(task)) is None or not (elements.is_open(task) or elements.is_unmet(task)):
            return ""
        return self.asked.other(SLIP, ("task", task["id"]), ("days", str(SLIP_DAYS)))

    def page(self, initiative: Resource) -> str:
        """The page of an initiative, "" for none."""
        number = elements.number(initiative, self.place.reader.house.sid("tiltaksnummer"))
        return self.asked.other(f"/tiltak/{number}") if number else ""

    def _coded(self, concept: Any) -> Coded | None:
        return self.codes.coded(concept, self.asked.lang)

    def _all(self, concepts: Iterable[Any]) -> tuple[Coded, ...]:
        return tuple(code for concept in concepts if (code := self._coded(concept)) is not None)

    def _said(self, value: Any) -> str:
        if not isinstance(value, dict):
            return str(value)
        coded = self._coded(value) if "coding" in value or "text" in value else None
        return coded.display if coded else str(value.get("display") or value.get("reference") or "")


def plan(task: Resource) -> Plan:
    """*Avklart gjensidig plan*: the counterpart's answer before the requester's word. Section 9."""
    claimed = elements.value(task.get("input"), "avklart-plan")
    if task.get("status") in ("accepted", "in-progress", "completed"):
        return "confirmed"
    if claimed is None:
        return "unstated"
    return "claimed" if claimed else "no"


def by_due(task: Resource) -> tuple[str, str]:
    """Orders by deadline, then by name."""
    return elements.due(task) or _LAST, task.get("code", {}).get("text") or task.get("description", "")


def _notes(task: Resource) -> tuple[str, ...]:
    return tuple(note["text"] for note in task.get("note", ()) if "text" in note)
