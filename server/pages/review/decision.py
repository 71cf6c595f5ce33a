"""The secretariat's decision on a submitted report: approved, or returned with a reason. Domain model 9 and 10.

It is written by the same interaction as a PUT of the API, on the condition that the report is still the one that the
page showed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.access import Caller
from server.interaction.operations.closing import now_of, words_of
from server.interaction.read import read
from server.interaction.update import update
from server.outcome import FhirError
from server.pages.house import House
from server.portfolio.rounds import approved, reopened
from server.resource import Resource, restored

APPROVE, RETURN = "approve", "return"


@dataclass(frozen=True, slots=True)
class Sent:
    """The fields of the form: `version` is that of the report on the page."""

    decision: str
    version: str
    reason: str

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Sent:
        """As they came."""
        return cls(fields.get("decision", ""), fields.get("version", ""), fields.get("reason", "").strip())


def check(sent: Sent) -> None:
    """FhirError value (400) for a form that is not ours; required (422) for a return that does not say why."""
    if sent.decision not in (APPROVE, RETURN):
        text = f"Ventet / expected {APPROVE} / {RETURN}."
        raise FhirError("value", text, expression="decision")
    if not (sent.version.isascii() and sent.version.isdigit()):
        text = "Versjonen av rapporten mangler; åpne siden på nytt. / The report's version is missing; reload."
        raise FhirError("value", text, expression="version")
    if sent.decision == RETURN and not sent.reason:
        text = "Skriv hvorfor rapporten returneres. / Say why the report is returned."
        raise FhirError("required", text, expression="reason")


async def decide(house: House, caller: Caller, id: str, sent: Sent) -> None:
    """FhirError as for a PUT: conflict (412) when the report has changed since the page was made, business-rule (422)
    when it does not wait for a decision."""
    check(sent)
    engine = house.engine
    found = await read(engine, caller, "Task", id)
    words, now = words_of(engine), now_of(engine)
    report: Resource = restored(found.body or b"{}")
    after = approved(words, report, now) if sent.decision == APPROVE else reopened(words, report, sent.reason, now)
    await update(engine, caller, "Task", after, id=id, if_match=sent.version)
