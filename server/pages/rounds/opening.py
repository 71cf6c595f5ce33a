"""Opening a round: the form, what it would do, and the operation Task/$open-round behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from server.interaction.operations.parameters import parameters
from server.outcome import FhirError, Issue
from server.pages.asked import Asked
from server.pages.forms import Fields, faults, missing, refuse, typed
from server.pages.house import House, Reader
from server.pages.rounds.contexts import Invited, OpeningForm
from server.portfolio import elements
from server.portfolio.rounds import questionnaire_of

ACTIVE = "status=active"
PATH = "/runder"

_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}")
_PLACES = {
    "number": "number", "round": "number", "title": "title", "Task.code": "title", "start": "start", "end": "end",
    "period": "end", "Task.restriction": "end", "initiatives": "initiatives", "PlanDefinition": "initiatives",
}  # fmt: skip


def questionnaire(house: House) -> str:
    """The form that reports are asked by, as a versioned canonical: the newest nep-status-report of the registry; ""
    for none."""
    url = f"{house.codes.base}/Questionnaire/nep-status-report"
    found = house.engine.registry.get(url)
    return f"{url}|{found['version']}" if found else ""


def blank(house: House, asked: Asked) -> OpeningForm:
    """The form before anything is typed."""
    return OpeningForm(asked.plain(PATH), "", "", "", "", ACTIVE, questionnaire(house))


def more(asked: Asked, task: dict[str, Any], number: str) -> OpeningForm:
    """The form that asks further initiatives in a round that is open: all but these is as the round has it."""
    period = task.get("restriction", {}).get("period", {})
    title = task.get("code", {}).get("text", "")
    start, end = period.get("start", ""), period.get("end", "")
    return OpeningForm(asked.plain(PATH), number, title, start, end, ACTIVE, questionnaire_of(task))


def filled(house: House, asked: Asked, fields: Fields) -> OpeningForm:
    """The form as it was sent."""
    names = ("number", "title", "start", "end", "initiatives")
    number, title, start, end, initiatives = (typed(fields, name) for name in names)
    return OpeningForm(asked.plain(PATH), number, title, start, end, initiatives, questionnaire(house))


def refused(form: OpeningForm, error: FhirError, asked: Asked) -> OpeningForm:
    """The form with what is wrong of it."""
    return replace(form, faults=faults(error, _PLACES, asked.lang))


async def run(reader: Reader, form: OpeningForm, *, dry: bool) -> dict[str, Any]:
    """The round with its reports, or what they would be. FhirError as the operation has it."""
    refuse(_faults(form))
    house = reader.house
    form = replace(form, questionnaire=await _form_of(reader, form))
    body = parameters(
        {"name": "round", "valueIdentifier": {"system": house.sid("runde"), "value": form.number}},
        {"name": "title", "valueString": form.title},
        {"name": "period", "valuePeriod": {"start": form.start, "end": form.end}},
        {"name": "questionnaire", "valueCanonical": form.questionnaire},
        {"name": "initiatives", "valueString": form.initiatives or ACTIVE},
        {"name": "dryRun", "valueBoolean": True} if dry else None,
    )
    return await house.operate(reader.caller, "$open-round", "Task", body=body)


async def _form_of(reader: Reader, form: OpeningForm) -> str:
    """A round that there is keeps the form that it was opened with."""
    known = ("identifier", f"{reader.house.sid('runde')}|{form.number}")
    found = await reader.all("Task", reader.house.task_code("rapporteringsrunde"), known)
    return next((text for task in found if (text := questionnaire_of(task))), form.questionnaire)


def _faults(form: OpeningForm) -> list[Issue]:
    found = []
    if not form.number:
        found.append(missing("number", "Skriv rundens nummer, f.eks. 2026-11. / Enter the number, e.g. 2026-11."))
    elif not _NUMBER.fullmatch(form.number):
        text = "Nummeret kan bare ha bokstaver, tall og bindestrek. / Use letters, digits and hyphens only."
        found.append(Issue("value", text, "number"))
    if not form.title:
        found.append(missing("title", "Skriv en tittel, f.eks. November 2026. / Enter a title, e.g. November 2026."))
    for name, text, what in (
        ("start", form.start, "Velg dagen runden åpner, som 2026-11-01. / Choose the day it opens, as 2026-11-01."),
        ("end", form.end, "Velg fristen, som 2026-11-30. / Choose the deadline, as 2026-11-30."),
    ):
        if not text:
            found.append(missing(name, what))
        elif not _is_day(text):
            found.append(Issue("value", what, name))
    if not found and form.end < form.start:
        found.append(Issue("value", "Fristen er før åpningen. / The deadline is before the opening.", "end"))
    if not form.questionnaire:
        text = "Registeret har ikke noe skjema for statusrapporter. / The registry has no form of status reports."
        found.append(Issue("business-rule", text, ""))
    return found


def _is_day(text: str) -> bool:
    """2026-11-30, as a browser's field of a day sends it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def previewed(house: House, form: OpeningForm, bundle: Mapping[str, Any]) -> OpeningForm:
    """The form with what its opening would do."""
    search = (form.initiatives or ACTIVE).removeprefix("PlanDefinition").removeprefix("?")
    return replace(form, preview=_invited(house, bundle), search_url=f"{house.engine.base}/PlanDefinition?{search}")


def _invited(house: House, bundle: Mapping[str, Any]) -> tuple[Invited, ...]:
    """The initiatives of an opening, by number. What stands already has a version, what would be written none."""
    tasks = [entry["resource"] for entry in bundle.get("entry", [])]
    reports = [task for task in tasks if elements.kind(task) == "statusrapport"]
    found = (
        Invited(
            number=elements.number(one, house.sid("statusrapport")).rpartition(":")[2],
            title=str(one.get("for", {}).get("display", "")),
            owner=str(one.get("owner", {}).get("display", "")),
            already="versionId" in one.get("meta", {}),
        )
        for one in reports
    )
    return tuple(sorted(found, key=lambda one: one.number))
