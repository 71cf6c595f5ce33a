"""What the analyses gather of the portfolio before they compute: for operations and pages alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.interaction.engine import Engine
from server.portfolio import elements
from server.portfolio.codes import Codes
from server.portfolio.dependencies import TASKS, Web, pointed
from server.portfolio.difference import KINDS, Change, Standing, Words, changes
from server.portfolio.evidence import Evidence, evidence
from server.portfolio.gather import OPEN, Pair, View, by_reference, histories
from server.portfolio.viewpoint import Viewpoint
from server.resource import Resource

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One initiative that came (`change` added), left or changed, with all its deliveries and their versions."""

    plan: Resource
    change: str
    changes: tuple[Change, ...]
    deliveries: tuple[tuple[Resource, ...], ...]


async def standings(seen: View, population: Sequence[Pair]) -> dict[str, Standing]:
    """The initiatives of a population by reference, each with its Tasks."""
    plans = {elements.reference_of(one): one for one in await seen.all("PlanDefinition", population)}
    tasks: dict[str, list[Resource]] = {}
    for task in await seen.tasks(KINDS, population):
        tasks.setdefault(elements.based_on(task), []).append(task)
    return {reference: Standing(plan, tuple(tasks.get(reference, ()))) for reference, plan in plans.items()}


async def _left(seen: View, references: Sequence[str]) -> Mapping[str, Resource]:
    """What became of initiatives that the population finds no longer."""
    found: dict[str, Resource] = {}
    for start in range(0, len(references), _AT_ONCE):
        ids = ",".join(reference.partition("/")[2] for reference in references[start : start + _AT_ONCE])
        found |= {elements.reference_of(one): one for one in await seen.all("PlanDefinition", [("_id", ids)])}
    return found


async def differences(before: View, after: View, population: Sequence[Pair]) -> list[Difference]:
    """The initiatives that the population finds at either moment, in the order of their numbers."""
    engine = after.engine
    words = _words(engine)
    then, now = await standings(before, population), await standings(after, population)
    left = await _left(after, [reference for reference in then if reference not in now])
    deliveries = [task for one in now.values() for task in one.tasks if elements.kind(task) == "leveranse"]
    versions = await histories(after, map(dict, deliveries))
    found = []
    for reference in {**then, **now}:
        one, other = then.get(reference), now.get(reference)
        standing = other or one
        assert standing is not None
        made = changes(one, other, left.get(reference), words)
        own = [task for task in standing.tasks if elements.kind(task) == "leveranse"]
        stories = [tuple(versions.get(elements.reference_of(task), [dict(task)])) for task in own]
        kind = "added" if one is None else "left" if other is None else "changed"
        found.append(Difference(dict(standing.plan), kind, tuple(made), tuple(stories)))
    return sorted(found, key=lambda one: initiative_name(engine, one.plan))


async def evidences(at: Viewpoint, population: tuple[Pair, ...]) -> list[tuple[Resource, Evidence]]:
    """The evidence on each initiative of a population, the widest disagreement first, then by number."""
    standing = await standings(at.view, population)
    deliveries = [dict(task) for one in standing.values() for task in one.tasks if elements.kind(task) == "leveranse"]
    versions = await histories(at.view, deliveries)
    found = [(dict(one.plan), evidence(one, versions, at.day)) for one in standing.values()]
    return sorted(found, key=lambda pair: (-pair[1].gap, initiative_name(at.view.engine, pair[0])))


async def web_of(seen: View) -> Web:
    """All initiatives and what they need of each other, as the caller sees them: a circle leads anywhere."""
    plans = by_reference(await seen.all("PlanDefinition"), "PlanDefinition")
    return Web(plans, by_reference(await seen.all("Task", [seen.kinds(TASKS)]), "Task"), _words(seen.engine))


async def needs_of(seen: View) -> Web:
    """The same for matrix and conflicts alone: of the deliveries only those to come, and what a dependency names."""
    plans = by_reference(await seen.all("PlanDefinition"), "PlanDefinition")
    tasks = by_reference(await seen.all("Task", [seen.kinds(["avhengighet"])]), "Task")
    tasks |= by_reference(await seen.all("Task", [seen.kinds(["leveranse"]), OPEN]), "Task")
    named = sorted({one for task in tasks.values() for one in pointed(task) if one.startswith("Task/")} - tasks.keys())
    for start in range(0, len(named), _AT_ONCE):
        ids = ",".join(one.partition("/")[2] for one in named[start : start + _AT_ONCE])
        tasks |= by_reference(await seen.all("Task", [("_id", ids)]), "Task")
    return Web(plans, tasks, _words(seen.engine))


def _words(engine: Engine) -> Words:
    return Words(Codes.of(engine.access.canonical, engine.registry.of_type("CodeSystem")))


def initiative_name(engine: Engine, plan: Resource) -> str:
    """Its number and title: NEP-0012 EPJ-løftet."""
    number = elements.number(plan, f"{engine.access.canonical}/sid/tiltaksnummer")
    return f"{number} {plan.get('title', '')}".strip()
