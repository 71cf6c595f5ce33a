"""PlanDefinition/$portfolio-diff: what changed between two instants or rounds, of all initiatives or of one."""

from __future__ import annotations

from collections.abc import Iterable

from server.interaction.engine import Engine
from server.interaction.operations.parameters import asked_of, parameters, row
from server.operations import Answer, Call
from server.outcome import FhirError
from server.portfolio import elements
from server.portfolio.analyses import Difference, differences, initiative_name
from server.portfolio.difference import Change, planned, told
from server.portfolio.gather import ACTIVE, View, population_of
from server.portfolio.viewpoint import viewpoint
from server.resource import Resource


async def portfolio_diff(engine: Engine, call: Call) -> Answer:
    """FhirError value (400) for a moment that is none, or two in the wrong order; not-found for an initiative that
    stands at neither."""
    asked = asked_of(engine, call, "nep-portfolio-diff")
    before = await _at(engine, call, asked.needed("from"), "from")
    after = await _at(engine, call, asked.text("to"), "to")
    if before.instant > after.instant:
        text = f"from ({before.instant}) er etter / is after to ({after.instant})."
        raise FhirError("value", text, expression="from")
    population = population_of(asked.text("population")) or ACTIVE
    found = await differences(before, after, (("_id", call.id),) if call.id else population)
    if call.id and not found:
        raise FhirError("not-found", f"Finnes ikke / PlanDefinition/{call.id} is not known at either moment.")
    return Answer(_answer(before, after, found, every=bool(call.id)))


async def _at(engine: Engine, call: Call, text: str | None, name: str) -> View:
    """An instant when it has a time of day, else a round."""
    if text is None:
        return (await viewpoint(engine, call.caller)).view
    if "T" not in text:
        return (await viewpoint(engine, call.caller, round=text, name=name)).view
    try:
        return (await viewpoint(engine, call.caller, as_of=text)).view
    except FhirError as error:
        raise FhirError("value", error.issues[0].text.replace("_asOf", name), expression=name) from None


def _answer(before: View, after: View, found: Iterable[Difference], *, every: bool) -> Resource:
    shown = [one for one in found if every or one.changes or any(planned(each).moves for each in one.deliveries)]
    named = [(initiative_name(after.engine, one.plan), one.changes) for one in shown if one.changes]
    return parameters(
        row("from", valueInstant=before.instant),
        row("to", valueInstant=after.instant),
        row("nb", valueString=told(named, "nb")),
        row("en", valueString=told(named, "en")),
        *(_initiative(one, every=every) for one in shown),
    )


def _initiative(one: Difference, *, every: bool) -> Resource | None:
    deliveries = [(each[-1], planned(each)) for each in one.deliveries]
    return row(
        "initiative",
        parts=[
            row("resource", valueReference=pointer(one.plan)),
            row("change", valueCode=one.change),
            *(_change(change) for change in one.changes),
            *(
                row(
                    "delivery",
                    parts=[
                        row("resource", valueReference=pointer(task)),
                        row("name", valueString=task.get("code", {}).get("text", "")),
                        row("first", valueDate=dates.first),
                        row("present", valueDate=dates.present),
                        row("moves", valueInteger=dates.moves),
                        row("days", valueInteger=dates.days),
                    ],
                )
                for task, dates in deliveries
                if every or dates.moves
            ),
        ],
    )


def _change(change: Change) -> Resource | None:
    return row(
        "difference",
        parts=[
            row("kind", valueCode=change.kind),
            row("element", valueString=change.element),
            row("resource", valueReference=pointer(dict(change.resource))),
            row("before", valueString=change.before),
            row("after", valueString=change.after),
            row("days", valueInteger=change.days),
            row("nb", valueString=change.said["nb"]),
            row("en", valueString=change.said["en"]),
        ],
    )


def pointer(resource: Resource) -> Resource:
    """A Reference to it, with the name that people know it by."""
    name = resource.get("title") or resource.get("name") or resource.get("code", {}).get("text")
    reference = {"reference": elements.reference_of(resource)}
    return {**reference, "display": name} if name else reference
