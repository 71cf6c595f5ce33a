"""Task/$remarks: what the secretariat should look at before it approves a round's reports. See portfolio/remarks.py."""

from __future__ import annotations

from server.interaction.engine import Engine, moment_of
from server.interaction.operations.parameters import Asked, parameters, row
from server.operations import Answer, Call, Operation, Operations, of_ours
from server.outcome import FhirError, Issue, outcome
from server.portfolio.gather import population_of
from server.portfolio.remarks import Remarked, open_rounds, remarks
from server.resource import Resource


async def remarks_of_round(engine: Engine, call: Call) -> Answer:
    """`round` ("2021-11"), by default the one that is open; `population`, a search of PlanDefinition, narrows it;
    `_asOf` asks as it stood. A parameter `report` for each submitted report. FhirError forbidden (403) for all but the
    secretariat, not-found (404) without a round."""
    engine.access.check_secretariat(call.caller)
    asked = Asked(call)
    population = population_of(asked.text("population"))
    async with engine.store.snapshot(await moment_of(engine.store, asked.text("_asOf"))) as snapshot:
        rounds = [named] if (named := asked.text("round")) else await open_rounds(engine, snapshot)
        if not rounds:
            text = "Ingen åpen runde / No round is open; name one: round=2021-11."
            raise FhirError("not-found", text, expression="round")
        found = [one for round in rounds for one in await remarks(engine, snapshot, round, population)]
    return Answer(parameters(*(_report(one) for one in found)))


def _report(one: Remarked) -> Resource | None:
    number = next((identifier.get("value", "") for identifier in one.report.get("identifier", [])), "")
    about = [row("task", valueReference=_reference(one.report, number))]
    if one.initiative is not None:
        about.append(row("initiative", valueReference=_reference(one.initiative, one.initiative.get("title", ""))))
    return row("report", parts=[*about, *(_remark(resource, issues) for resource, issues in one.remarks)])


def _remark(resource: Resource, issues: tuple[Issue, ...]) -> Resource | None:
    named = resource.get("title") or resource.get("code", {}).get("text") or ""
    said = {"name": "outcome", "resource": outcome(issues)}
    return row("remarks", parts=[row("of", valueReference=_reference(resource, named)), said])


def _reference(resource: Resource, display: str) -> Resource:
    reference = {"reference": f"{resource['resourceType']}/{resource['id']}"}
    return {**reference, "display": display} if display else reference


REMARKS: Operations = {
    ("type", "$remarks"): Operation(remarks_of_round, of_ours("remarks"), frozenset({"Task"})),
}
