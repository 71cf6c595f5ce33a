"""PlanDefinition/$evidence: the colour that the facts give beside the one that is stated, and where they disagree."""

from __future__ import annotations

from server.interaction.engine import Engine
from server.interaction.operations.difference import pointer
from server.interaction.operations.parameters import asked_of, parameters, row
from server.interaction.operations.portfolio import viewpoint_of
from server.operations import Answer, Call
from server.outcome import FhirError
from server.portfolio.analyses import evidences
from server.portfolio.evidence import Evidence, Reason, rule
from server.portfolio.gather import ACTIVE, population_of
from server.resource import Resource


async def evidence_of(engine: Engine, call: Call) -> Answer:
    """All initiatives, the widest disagreement first; with disagreements=true those alone whose evidence is worse than
    what is stated. FhirError not-found for an instance that is not there."""
    asked = asked_of(engine, call, "nep-evidence")
    only = asked.flag("disagreements", False)
    population = population_of(asked.text("population")) or ACTIVE
    at = await viewpoint_of(engine, call, asked)
    found = await evidences(at, (("_id", call.id),) if call.id else population)
    if call.id and not found:
        raise FhirError("not-found", f"Finnes ikke / PlanDefinition/{call.id} is not known here.")
    shown = [(plan, one) for plan, one in found if one.gap > 0 or not only]
    return Answer(
        parameters(
            row("asOf", valueInstant=at.instant),
            row("day", valueDate=at.day.isoformat()),
            _rule(),
            *(_initiative(plan, one) for plan, one in shown),
        )
    )


def _rule() -> Resource | None:
    said = rule()
    lines = {lang: [one["explanation"][lang] for one in (said, *said["signals"])] for lang in ("nb", "en")}
    return row(
        "rule",
        parts=[
            row("version", valueString=said["version"]),
            *(row(lang, valueString="\n- ".join(lines[lang])) for lang in ("nb", "en")),
        ],
    )


def _initiative(plan: Resource, found: Evidence) -> Resource | None:
    return row(
        "initiative",
        parts=[
            row("resource", valueReference=pointer(plan)),
            row("stated", valueCode=found.stated),
            row("evidence", valueCode=found.computed),
            row("gap", valueInteger=found.gap),
            *(_reason(reason) for reason in found.reasons),
        ],
    )


def _reason(reason: Reason) -> Resource | None:
    return row(
        "reason",
        parts=[
            row("signal", valueCode=reason.signal),
            row("level", valueCode=reason.level),
            *(row("resource", valueReference=pointer(dict(one))) for one in reason.fact.resources),
            row("nb", valueString=reason.said["nb"]),
            row("en", valueString=reason.said["en"]),
        ],
    )
