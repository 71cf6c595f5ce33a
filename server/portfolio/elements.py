"""What is read out of the portfolio's resources: contexts, inputs and outputs, days, amounts. Domain model 6."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from server.access import CONTACT_REFERENCE
from server.store.store import Version

Element = Mapping[str, Any]

# Stored bytes were accepted once: they are not searched for repeated keys again, as resource.decode does.
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_DAY = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def resource_of(version: Version) -> dict[str, Any]:
    """The resource of a version that is no deletion."""
    found: dict[str, Any] = _decoder.decode(version.body or b"{}")
    return found


def last_day(text: str | None) -> date | None:
    """The last day that a date or dateTime covers: 2021 is 31 December 2021. None for none."""
    found = _DAY.match(text or "")
    if found is None:
        return None
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    month = month or 12
    return date(year, month, day or calendar.monthrange(year, month)[1])


def context(initiative: Element, code: str) -> Element | None:
    """PlanDefinition.useContext.where(code.code = …).value."""
    for use in initiative.get("useContext", ()):
        if use.get("code", {}).get("code") == code:
            found: Element | None = use.get("valueCodeableConcept")
            return found
    return None


def values(parameters: list[Element] | None, code: str) -> Iterator[Any]:
    """The values of a Task's input or output of this type, whatever their datatype."""
    for parameter in parameters or ():
        if any(coding.get("code") == code for coding in parameter.get("type", {}).get("coding", ())):
            yield value_of(parameter)


def value(parameters: list[Element] | None, code: str) -> Any:
    """The first of them, or None."""
    return next(values(parameters, code), None)


def value_of(element: Element) -> Any:
    """An element's value[x]."""
    return next((item for key, item in element.items() if key.startswith("value")), None)


def kind(task: Element) -> str:
    """The nep-task-type of Task.code, wherever it stands among the codings: leveranse, avhengighet …; else the first
    code there is, "" for none."""
    codings = task.get("code", {}).get("coding", ())
    own = (one for one in codings if str(one.get("system", "")).endswith("/nep-task-type"))
    return str(next(own, codings[0]).get("code", "")) if codings else ""


def due(task: Element) -> str | None:
    """Task.restriction.period.end."""
    found: str | None = task.get("restriction", {}).get("period", {}).get("end")
    return found


def number(initiative: Element, system: str) -> str:
    """The tiltaksnummer, or ""."""
    found = (one["value"] for one in initiative.get("identifier", ()) if one.get("system") == system and "value" in one)
    return next(found, "")


def part(extension: Element, url: str) -> Any:
    """The value of a part of a complex extension."""
    return next((value_of(one) for one in extension.get("extension", ()) if one.get("url") == url), None)


def millions(money: Element | None) -> Decimal | None:
    """NOK in Money or Quantity as MNOK; None when no amount is stated."""
    amount = (money or {}).get("value")
    return None if amount is None else Decimal(amount) / 1_000_000


def code(concept: Element | None) -> str:
    """The first code of a CodeableConcept, "" for none."""
    return str(next((one["code"] for one in (concept or {}).get("coding", ()) if "code" in one), ""))


def based_on(task: Element) -> str:
    """What a Task stands on ("PlanDefinition/7"), "" for nothing."""
    return str(next((one.get("reference", "") for one in task.get("basedOn", ())), ""))


def reference_of(resource: Element) -> str:
    """How others point to a resource: Task/7."""
    return f"{resource['resourceType']}/{resource['id']}"


def is_open(task: Element) -> bool:
    """A delivery or prerequisite that is still to come."""
    return task.get("status") in ("ready", "in-progress", "on-hold")


def is_unmet(dependency: Element) -> bool:
    """A dependency that somebody still waits for."""
    return dependency.get("status") in ("requested", "received", "accepted", "in-progress", "on-hold")


def days_over(task: Element, day: date) -> int:
    """How many days its last day lies before `day`; 0 or less when it does not, or when it has none."""
    last = last_day(due(task))
    return 0 if last is None else (day - last).days


def owner(initiative: Element) -> Element:
    """The Reference to the owner, {} for none. Domain model 5.2, author."""
    for author in initiative.get("author", ()):
        for extension in author.get("extension", ()):
            if extension.get("url") == CONTACT_REFERENCE and "valueReference" in extension:
                found: Element = extension["valueReference"]
                return found
    return {}


def finance_lines(initiative: Element, canonical: str) -> list[Element]:
    """The finance lines, in their order."""
    url = f"{canonical}/StructureDefinition/nep-finance-line"
    return [one for one in initiative.get("extension", ()) if one.get("url") == url]


def report_key(report: Element) -> tuple[str, str, str]:
    """Orders status reports: by their deadline, the round they are of, and when they were asked for."""
    return due(report) or "", str(report.get("groupIdentifier", {}).get("value", "")), report.get("authoredOn", "")
