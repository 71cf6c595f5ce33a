"""What the server sets: the label of everything, and more on the portfolio's own Tasks and initiatives. Domain
model 5, 9 and 10, column «server».

A Task or PlanDefinition that is not of the portfolio (no nep-task-type, no nep-portfolio) is left as it came.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from server.access import Caller, Look
from server.portfolio import elements
from server.portfolio.labels import Labels
from server.portfolio.numbers import Numbers
from server.resource import Resource, same

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"

_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "å": "a", "Æ": "Ae", "Ø": "O", "Å": "A"})

# Outputs of a status report that the server sets.
_OF_THE_DAY = ("fase", "sluttdato")

# Task.status -> Task.businessStatus of a status report whose sender says nothing of it. Section 9.
_REPORT_STATUS = {
    "requested": ("ikke-startet", "Ikke startet"),
    "in-progress": ("kladd", "Kladd"),
    "completed": ("innsendt", "Innsendt"),
}


@dataclass(frozen=True)
class Complete:
    """`canonical` is the base of our code systems."""

    canonical: str
    now: Callable[[], datetime]
    numbers: Numbers
    labels: Labels

    async def __call__(
        self, sent: Resource, stood: Resource | None, caller: Caller, look: Look, number: Callable[[], Awaitable[str]]
    ) -> Resource:
        """The resource as it is to be stored: its label, instants, the report's state, organisation numbers beside
        references, and the initiative's `number` when it is new and has none. Sent again unchanged, it comes out
        unchanged."""
        if sent["resourceType"] == "Task" and self._task_type(sent):
            task = await self.labels(await self._task(sent, stood, look), stood, caller, look)
            if self._task_type(sent) == "statusrapport":
                task = await self._as_of_now(self._submitted(task, stood, caller), stood, look)
            return self._dated(task, stood, caller, ("authoredOn", "lastModified"))
        labelled = await self.labels(sent, stood, caller, look)
        if sent["resourceType"] == "PlanDefinition" and self._of_portfolio(sent):
            return self._dated(await self._initiative(labelled, stood, number), stood, caller, (None, "date"))
        return labelled

    async def _initiative(
        self, sent: Resource, stood: Resource | None, number: Callable[[], Awaitable[str]]
    ) -> Resource:
        """With its number, which it keeps for good, and what follows from that and from its title and owner."""
        plan = dict(sent)
        if not (numbers := self.numbers.of(sent)):
            numbers = self.numbers.of(stood or {"resourceType": ""}) or [await number()]
            plan["identifier"] = [self.numbers.identifier(numbers[0]), *sent.get("identifier", [])]
        plan.setdefault("url", f"{self.canonical}/PlanDefinition/{numbers[0]}")
        plan.setdefault("name", computer_name(sent.get("title", numbers[0])))
        owners = [author["name"] for author in sent.get("author", []) if "name" in author]
        if owners:
            plan.setdefault("publisher", owners[0])
        return plan

    async def _task(self, sent: Resource, stood: Resource | None, look: Look) -> Resource:
        task = dict(sent)
        for name in ("requester", "owner"):
            if name in task:
                task[name] = await _numbered(task[name], look)
        if self._task_type(sent) == "statusrapport" and "businessStatus" not in task:
            if stood is not None and stood.get("status") == task["status"] and "businessStatus" in stood:
                task["businessStatus"] = stood["businessStatus"]
            elif task["status"] in _REPORT_STATUS:
                code, display = _REPORT_STATUS[task["status"]]
                system = f"{self.canonical}/CodeSystem/nep-report-status"
                task["businessStatus"] = {"coding": [{"system": system, "code": code, "display": display}]}
        if self._task_type(sent) == "rapporteringsrunde" and stood is not None:
            # What its closing added: a report that is imported again knows nothing of it.
            task = {**{name: stood[name] for name in ("executionPeriod", "output") if name in stood}, **task}
        untouched = task.get("businessStatus") == (stood or {}).get("businessStatus")
        if self._task_type(sent) == "avhengighet" and task["status"] == "completed" and untouched and not _is_met(task):
            # A counterpart that completes it leaves the colour as it was; met is what it then is (nep-a1).
            system = f"{self.canonical}/CodeSystem/nep-dependency-status"
            task["businessStatus"] = {"coding": [{"system": system, "code": "oppfylt", "display": "Oppfylt"}]}
        return task

    def _submitted(self, task: Resource, stood: Resource | None, caller: Caller) -> Resource:
        """A report that was asked for, with when it was submitted: executionPeriod.end. Domain model 5.3. One that
        the secretariat brings from the past was submitted when it says that it was changed."""
        if stood is None or task["status"] not in ("in-progress", "completed"):
            return task
        period = task.get("executionPeriod", stood.get("executionPeriod", {}))
        if task["status"] == "completed" != stood["status"] and period == stood.get("executionPeriod", {}):
            stated = task.get("lastModified") if caller.role == "secretariat" else None
            when = stated if stated and stated != stood.get("lastModified") else self._now()
            period = {**period, "end": when}
        return {**task, "executionPeriod": period} if period else task

    async def _as_of_now(self, task: Resource, stood: Resource | None, look: Look) -> Resource:
        """A submitted report with the initiative's phase and end date as they are, where it states none itself: so the
        reports are a series in time, whatever becomes of the initiative. Domain model 5.4. One that is sent again keeps
        those of the day on which it was submitted."""
        state = elements.code(task.get("businessStatus"))
        if stood is None or state not in ("innsendt", "godkjent"):
            return task
        if stood.get("status") == "completed":
            then = [one for one in stood.get("output", []) if any(elements.value([one], code) for code in _OF_THE_DAY)]
        else:
            then = await self._now_of(task, look)
        stated = [code for code in _OF_THE_DAY if elements.value(task.get("output"), code) is not None]
        added = [one for one in then if all(elements.value([one], code) is None for code in stated)]
        return {**task, "output": [*task.get("output", []), *added]} if added else task

    async def _now_of(self, report: Resource, look: Look) -> list[Resource]:
        """Outputs of the phase and end date of its initiative."""
        kind, _, id = elements.based_on(report).partition("/")
        plan = (await look(kind, id) if kind == "PlanDefinition" else None) or {}
        phase, end = elements.context(plan, "fase"), plan.get("effectivePeriod", {}).get("end")
        found = [{"type": self._io("fase", "Fase"), "valueCodeableConcept": phase}] if phase else []
        return [*found, {"type": self._io("sluttdato", "Sluttdato"), "valueDate": end[:10]}] if end else found

    def _io(self, code: str, display: str) -> Resource:
        system = f"{self.canonical}/CodeSystem/nep-task-io"
        return {"coding": [{"system": system, "code": code, "display": display}]}

    def _now(self) -> str:
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def _dated(self, sent: Resource, stood: Resource | None, caller: Caller, names: tuple[str | None, str]) -> Resource:
        """(created, changed) are the server's, but for the secretariat, who may state them (decision 12)."""
        created, changed = names
        resource = dict(sent)
        states = caller.role == "secretariat"
        now = self._now()
        if created and not (states and created in sent):
            resource[created] = (stood or {}).get(created, now)
        if states and changed in sent:
            return resource
        if stood is not None and changed in stood:
            resource[changed] = stood[changed]
            if same(stood, resource):
                return resource
        resource[changed] = now
        return resource

    def _task_type(self, task: Resource) -> str:
        system = f"{self.canonical}/CodeSystem/nep-task-type"
        codings = task.get("code", {}).get("coding", [])
        return next((coding.get("code", "") for coding in codings if coding.get("system") == system), "")

    def _of_portfolio(self, plan: Resource) -> bool:
        system = f"{self.canonical}/CodeSystem/nep-portfolio"
        return any(
            coding.get("system") == system
            for context in plan.get("useContext", [])
            for coding in context.get("valueCodeableConcept", {}).get("coding", [])
        )


def computer_name(title: str) -> str:
    """PlanDefinition.name, as pdf-0 asks: «Nasjonalt prosjekt DigiHelse» is NasjonaltProsjektDigiHelse."""
    plain = unicodedata.normalize("NFKD", title.translate(_LETTERS)).encode("ascii", "ignore").decode()
    name = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", plain))
    return (name if name[:1].isalpha() else f"N{name}")[:255]


def _is_met(dependency: Resource) -> bool:
    codings = dependency.get("businessStatus", {}).get("coding", [])
    return any(coding.get("code") == "oppfylt" for coding in codings)


async def _numbered(reference: Resource, look: Look) -> Resource:
    """The reference with the organisation's number as its identifier, so that owner:identifier= finds it."""
    kind, _, id = reference.get("reference", "").partition("/")
    if kind != "Organization" or "identifier" in reference:
        return reference
    organization = await look(kind, id)
    for identifier in (organization or {}).get("identifier", []):
        if identifier.get("system") == ENH and "value" in identifier:
            return {**reference, "identifier": {"system": ENH, "value": identifier["value"]}}
    return reference
