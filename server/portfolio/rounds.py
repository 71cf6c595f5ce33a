"""The reporting round (rapporteringsrunde) and its reports as resources: asked for, missed, locked, opened again.

Pure: what stands goes in, what shall stand comes out. Domain model 5.3, 5.4, 8 and 9, decisions 13 and 23.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.access import owner_of
from server.portfolio.vocabulary import SDC, Vocabulary
from server.resource import Resource

_OPEN = frozenset({"requested", "in-progress"})


@dataclass(frozen=True)
class Round:
    """What $open-round is told: `number` is its identifier ("2021-11"), `period` when it opens and the deadline,
    `questionnaire` the form as a versioned canonical."""

    number: str
    title: str
    period: Resource
    questionnaire: str


def round_task(words: Vocabulary, round: Round) -> Resource:
    """The round as a Task (RUN), running."""
    return {
        "resourceType": "Task",
        "meta": words.profile("nep-reporting-round"),
        "language": "nb",
        "identifier": [words.identifier("runde", round.number)],
        "status": "in-progress",
        "intent": "order",
        "code": {**words.concept("nep-task-type", "rapporteringsrunde"), "text": round.title},
        "requester": words.secretariat(),
        "owner": words.secretariat(),
        "restriction": {"period": round.period},
        "input": [_form(round.questionnaire)],
    }


def differs(words: Vocabulary, task: Resource, round: Round) -> list[str]:
    """The elements in which a stored round is not the one that is asked for."""
    asked = round_task(words, round)
    title = task.get("code", {}).get("text") != round.title
    period = task.get("restriction", {}).get("period") != round.period
    form = questionnaire_of(task) != questionnaire_of(asked)
    found = {"Task.code.text": title, "Task.restriction.period": period, "Task.input": form}
    return [place for place, differing in found.items() if differing]


def questionnaire_of(task: Resource) -> str:
    """The canonical of the form that the Task names, "" without one."""
    return next((str(one["valueCanonical"]) for one in task.get("input", []) if "valueCanonical" in one), "")


def report_number(number: str, initiative: str) -> str:
    """The identifier of an initiative's report in a round, which a client can put together itself."""
    return f"{number}:{initiative}"


def report_task(words: Vocabulary, round: Round, plan: Resource) -> Resource:
    """The status report (statusrapport, STA) that is asked of one initiative."""
    initiative = {"reference": f"PlanDefinition/{plan['id']}", "display": plan.get("title", "")}
    return {
        "resourceType": "Task",
        "meta": words.profile("nep-status-report"),
        "language": "nb",
        "identifier": [
            words.identifier("statusrapport", report_number(round.number, words.named(plan, "tiltaksnummer")))
        ],
        "basedOn": [initiative],
        "groupIdentifier": words.identifier("runde", round.number),
        "status": "requested",
        "businessStatus": words.concept("nep-report-status", "ikke-startet"),
        "intent": "order",
        "code": {
            "coding": [
                words.coding("nep-task-type", "statusrapport"),
                {"system": SDC, "code": "complete-questionnaire"},
            ]
        },
        "for": initiative,
        "requester": words.secretariat(),
        "owner": {"reference": owner_of(plan), **({"display": name} if (name := _owner_name(plan)) else {})},
        "restriction": {"period": round.period},
        "input": [_form(round.questionnaire)],
    }


def _form(questionnaire: str) -> Resource:
    return {"type": {"coding": [{"system": SDC, "code": "questionnaire"}]}, "valueCanonical": questionnaire}


def _owner_name(plan: Resource) -> str:
    return str(next((author.get("name", "") for author in plan.get("author", [])), ""))


def is_missing(report: Resource) -> bool:
    """Whether nothing was submitted: not begun, a draft, or returned and not sent again."""
    return report.get("status") in _OPEN


def is_submitted(report: Resource) -> bool:
    return report.get("status") == "completed"


def state_of(report: Resource) -> str:
    """Its nep-report-status, "" without one."""
    codings = report.get("businessStatus", {}).get("coding", [])
    return str(codings[0].get("code", "")) if codings else ""


def settled(words: Vocabulary, report: Resource, now: str) -> Resource:
    """The report as the round's close leaves it: locked when it was submitted, else not reported, and what its
    draft said gone from it. `now`: an instant."""
    if is_submitted(report):
        if state_of(report) == "last":
            return report
        return {**report, "businessStatus": words.concept("nep-report-status", "last"), "lastModified": now}
    if not is_missing(report):
        return report
    kept = {name: value for name, value in report.items() if name not in ("output", "note", "executionPeriod")}
    reason = words.concept("nep-status-reason", "ikke-rapportert")
    return {**kept, "status": "cancelled", "statusReason": reason, "lastModified": now}


def approved(words: Vocabulary, report: Resource, now: str) -> Resource:
    """A submitted report as the secretariat approves it; why it was once returned stands in its history alone. `now`:
    an instant."""
    kept = {name: value for name, value in report.items() if name != "statusReason"}
    return {**kept, "businessStatus": words.concept("nep-report-status", "godkjent"), "lastModified": now}


def reopened(words: Vocabulary, report: Resource, reason: str, now: str) -> Resource:
    """A submitted or locked report given back to its owner for a correction."""
    return {
        **report,
        "status": "in-progress",
        "businessStatus": words.concept("nep-report-status", "returnert"),
        "statusReason": words.concept("nep-status-reason", "annet", reason),
        "lastModified": now,
    }


def closed(words: Vocabulary, task: Resource, edition: str, now: str) -> Resource:
    """The round with its edition (reference to the document Bundle) among its outputs, completed. One that was closed
    already, as those of the past are loaded, keeps its times."""
    type = {"coding": [words.coding("nep-task-io", "rapport")]}
    output = {"type": type, "valueReference": {"reference": edition}}
    after = {**task, "status": "completed", "output": [*task.get("output", []), output]}
    if task["status"] == "completed":
        return after
    period = task.get("executionPeriod", {})
    started = period.get("start", task["authoredOn"])
    return {**after, "lastModified": now, "executionPeriod": {**period, "start": started, "end": now}}


def editions(task: Resource) -> list[str]:
    """References to the editions of a round, oldest first."""
    return [
        str(one["valueReference"].get("reference", ""))
        for one in task.get("output", [])
        if any(coding.get("code") == "rapport" for coding in one.get("type", {}).get("coding", []))
    ]
