"""New resources and items of rows that were added, and what follows from the cells of a Task. Domain model 5.2, 5.3."""

from __future__ import annotations

from collections.abc import Collection

from server.portfolio import elements
from server.workbook.material import Initiative
from server.workbook.slots import NO_OTHER_BENEFIT, Resource, Slots, replaced, typed
from server.workbook.table import Sheet

SID = "arbeidsbok"
"""The identifiers of what workbooks add: {workbook's id}:{row}."""

_PROFILES = {
    "leveranse": ("nep-delivery", "plan", "ready"),
    "avhengighet": ("nep-dependency", "proposal", "requested"),
    "nytteforutsetning": ("nep-benefit-prerequisite", "plan", "ready"),
}
# ConceptMap nep-delivery-to-task-status.
_DELIVERY = {
    "ikke-oppgitt": "ready", "ikke-levert": "in-progress", "levert": "completed", "omdefinert": "cancelled",
    "utgaar": "cancelled",
}  # fmt: skip


def identifier(slots: Slots, value: str) -> Resource:
    """An Identifier of what a workbook added."""
    return {"system": f"{slots.words.canonical}/sid/{SID}", "value": value}


def task(sheet: Sheet, initiative: Initiative, slots: Slots, number: str) -> Resource:
    """A Task of this sheet's kind that bears the number, still without what its cells say."""
    profile, intent, status = _PROFILES[sheet.of]
    owner = {key: text for key, text in elements.owner(initiative.plan).items() if key in ("reference", "display")}
    new: Resource = {
        "resourceType": "Task",
        "meta": {"profile": [f"{slots.words.canonical}/StructureDefinition/{profile}"]},
        "language": "nb",
        "identifier": [identifier(slots, number)],
        "basedOn": [{"reference": f"PlanDefinition/{initiative.plan['id']}", "display": initiative.title}],
        "status": status,
        "intent": intent,
        "code": {"coding": [slots.words.coding("nep-task-type", sheet.of)]},
        "requester": owner,
    }
    if sheet.of == "leveranse":
        new["owner"] = dict(owner)
    return new


def item(sheet: Sheet, slots: Slots) -> Resource:
    """A line of finance or a benefit, still without what its cells say."""
    if sheet.of == "nytte":
        return {"category": slots.concept("nep-goal-category", "nytte"), "description": {"text": NO_OTHER_BENEFIT}}
    type: Resource = {"url": "type", "valueCode": sheet.of}
    return {"extension": [type], "url": f"{slots.words.canonical}/StructureDefinition/nep-finance-line"}


def follow(sheet: Sheet, resource: Resource, changed: Collection[str], *, corrects: bool) -> None:
    """What a change of these columns brings with it: the status of what is delivered or fulfilled. `corrects`: the
    round was closed before, so that reports keep the phase and end date of their day."""
    business = elements.code(resource.get("businessStatus"))
    match sheet.of:
        case "leveranse" if "status" in changed:
            waits = resource.get("status") == "on-hold" and business in ("ikke-oppgitt", "ikke-levert")
            if not waits:
                resource["status"] = _DELIVERY.get(business, resource["status"])
        case "avhengighet" if "status" in changed and "state" not in changed and business == "oppfylt":
            resource["status"] = "completed"
        case "statusrapport" if "submit" in changed and resource.get("status") == "completed" and not corrects:
            # One that was returned says what its initiative is now: the server sets it with the submission.
            for code in ("fase", "sluttdato"):
                _forget(resource, code)


def _forget(report: Resource, code: str) -> None:
    replaced(report, "output", lambda one: typed(one, code), ())
