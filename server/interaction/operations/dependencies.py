"""PlanDefinition/$dependencies and Task/$impact: who waits for whom, what contradicts, and what a slip breaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from server.interaction.engine import Engine
from server.interaction.operations.difference import pointer
from server.interaction.operations.parameters import Asked, asked_of, parameters, row
from server.interaction.operations.portfolio import viewpoint_of
from server.operations import Answer, Call
from server.outcome import FhirError
from server.portfolio import elements
from server.portfolio.analyses import needs_of, web_of
from server.portfolio.dependencies import ASKED, KINDS, UNMET, Cell, Conflict, Effect, Need, Web, table
from server.portfolio.evidence import CRITICAL
from server.portfolio.gather import ACTIVE, Pair, View, by_reference, on, population_of
from server.resource import Resource

_MOST_DAYS = 3650


async def dependencies(engine: Engine, call: Call) -> Answer:
    """The matrix of actors, and the conflicts that the initiatives of the population are in."""
    asked = asked_of(engine, call, "nep-dependencies")
    kind = asked.text("kind")
    if kind is not None and kind not in KINDS:
        raise FhirError("value", f"kind={kind}: ventet / expected {', '.join(KINDS)}.", expression="kind")
    population = population_of(asked.text("population")) or ACTIVE
    at = await viewpoint_of(engine, call, asked)
    web = await needs_of(at.view)
    actors = by_reference(await at.view.all("Organization"), "Organization")
    initiatives = [elements.reference_of(one) for one in await at.view.all("PlanDefinition", population)]
    conflicts = [one for one in web.conflicts(initiatives) if kind in (None, one.kind)]
    return Answer(
        parameters(
            row("asOf", valueInstant=at.instant),
            *(_cell(at.view, one, actors, population) for one in web.matrix(initiatives)),
            *(_conflict(web, one) for one in conflicts),
        )
    )


async def impact(engine: Engine, call: Call) -> Answer:
    """FhirError value (400) for days that are none, processing (422) for a Task that has no date to slip from, or that
    nobody waits for any more."""
    asked = asked_of(engine, call, "nep-impact")
    days = _days(asked)
    at = await viewpoint_of(engine, call, asked)
    reference = f"Task/{call.id}"
    if not await at.view.all("Task", [("_id", call.id)]):
        raise FhirError("not-found", f"Finnes ikke / {reference} is not known here.")
    web = await web_of(at.view)
    task = web.tasks.get(reference)
    was = elements.last_day(elements.due(task)) if task else None
    if task is None or elements.kind(task) not in ("leveranse", "avhengighet"):
        raise FhirError("processing", "Bare leveranser og avhengigheter glir / Only deliveries and dependencies slip.")
    if was is None or not (elements.is_open(task) or elements.is_unmet(task)):
        text = "Uten frist, eller ferdig / It has no deadline, or is done: nothing can slip."
        raise FhirError("processing", text, expression="Task.restriction.period.end")
    effects = web.impact(reference, days)
    comes = was + timedelta(days=days)
    slip = web.slip(task, was, comes)
    said = {lang: _told([slip[lang], *(one.said[lang] for one in effects)], table()["nothing"][lang]) for lang in slip}
    return Answer(
        parameters(
            row("asOf", valueInstant=at.instant),
            row("nb", valueString=said["nb"]),
            row("en", valueString=said["en"]),
            row(
                "slip",
                parts=[
                    row("resource", valueReference=pointer(dict(task))),
                    row("from", valueDate=was.isoformat()),
                    row("to", valueDate=comes.isoformat()),
                ],
            ),
            *(_effect(web, one) for one in effects),
        )
    )


def _days(asked: Asked) -> int:
    days = asked.number("days")
    if days is None:
        raise FhirError("required", "Parameteren days mangler / The parameter days is missing.", expression="days")
    if not 0 < days <= _MOST_DAYS:
        raise FhirError("value", f"days={days}: ventet / expected 1 to {_MOST_DAYS}.", expression="days")
    return days


def _cell(seen: View, cell: Cell, actors: dict[str, Resource], population: Sequence[Pair]) -> Resource | None:
    unmet = [need for need in cell.needs if elements.is_unmet(need.task)]
    counts: list[tuple[str, Sequence[Need], tuple[Pair, ...]]] = [
        ("all", cell.needs, (("status", ",".join(ASKED)),)),
        ("unmet", unmet, (("status", ",".join(UNMET)),)),
        ("critical", [need for need in unmet if need.critical], (("status", ",".join(UNMET)), _critical(seen))),
    ]
    return row(
        "cell",
        parts=[
            row("waits", valueReference=_actor(actors, cell.waits)),
            row("counterpart", valueReference=_actor(actors, cell.counterpart) if cell.counterpart else None),
            *(
                row(
                    name,
                    parts=[
                        row("count", valueInteger=len(needs)),
                        row("url", valueUrl=_url(seen, cell, (*extra, *on(population)))),
                    ],
                )
                for name, needs, extra in counts
            ),
        ],
    )


def _critical(seen: View) -> Pair:
    return "criticality", f"{seen.engine.access.canonical}/CodeSystem/nep-criticality|{CRITICAL}"


def _url(seen: View, cell: Cell, extra: Iterable[Pair]) -> str:
    counterpart = ("counterpart", cell.counterpart) if cell.counterpart else ("counterpart:missing", "true")
    return seen.url("Task", [seen.kinds(["avhengighet"]), ("requester", cell.waits), counterpart, *extra])


def _actor(actors: dict[str, Resource], reference: str) -> Resource:
    return pointer(actors[reference]) if reference in actors else {"reference": reference}


def _conflict(web: Web, one: Conflict) -> Resource | None:
    return row(
        "conflict",
        parts=[
            row("kind", valueCode=one.kind),
            row("certain", valueBoolean=one.certain),
            *(row("initiative", valueReference=_initiative(web, each)) for each in one.initiatives),
            *(row("resource", valueReference=pointer(dict(task))) for task in one.tasks),
            row("days", valueInteger=one.days),
            row("nb", valueString=one.said["nb"]),
            row("en", valueString=one.said["en"]),
        ],
    )


def _effect(web: Web, one: Effect) -> Resource | None:
    owner = elements.owner(web.plans.get(one.initiative, {}))
    return row(
        "effect",
        parts=[
            row("kind", valueCode="delayed" if elements.kind(one.task) == "leveranse" else "broken"),
            row("certain", valueBoolean=one.certain),
            row("resource", valueReference=pointer(dict(one.task))),
            row("initiative", valueReference=_initiative(web, one.initiative)),
            row("for", valueReference=dict(owner) or None),
            row("date", valueDate=one.was.isoformat()),
            row("comes", valueDate=one.comes.isoformat()),
            row("days", valueInteger=(one.comes - one.was).days),
            row("after", valueReference={"reference": one.after}),
            row("nb", valueString=one.said["nb"]),
            row("en", valueString=one.said["en"]),
        ],
    )


def _initiative(web: Web, reference: str) -> Resource:
    return pointer(dict(web.plans[reference])) if reference in web.plans else {"reference": reference}


def _told(lines: Sequence[str], nothing: str) -> str:
    head, *rest = lines
    return "\n".join([f"{head}.", "", *(f"- {line}." for line in rest)]) if rest else f"{head}. {nothing}"
