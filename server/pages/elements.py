"""What the pages read out of resources: contexts, inputs and outputs, days, amounts. Domain model section 6."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

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
    """The first code of Task.code: leveranse, avhengighet …"""
    codings = task.get("code", {}).get("coding", [{}])
    return str(codings[0].get("code", ""))


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
